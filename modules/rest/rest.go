// Package rest is the REST surface of a database: PostgREST's dialect of HTTP,
// compiled to one SQL statement a request. Its stages are packages in the order
// of the walk: request reads HTTP into ast; plan joins that with schema; sqlgen
// writes SQL (compile does these three, once for each shape of a request); exec runs
// it; render answers. handler.go shows the walk.
package rest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/modules/rest/compile"
	"github.com/madbase/madbase/modules/rest/render"
	"github.com/madbase/madbase/modules/rest/schema"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/module"
	"github.com/madbase/madbase/platform/project"
)

// Deps are what the module stands on.
type Deps struct {
	Projects *project.Directory
	Log      *slog.Logger
	// DropIn says that the module stands in place of PostgREST: tokens are verified
	// with a key of its own and may name any role, and it answers to CORS itself.
	DropIn bool
}

// Module is the REST surface.
type Module struct {
	module.Base
	cfg  Config
	deps Deps
	// base is what holds before a database's own settings are known; baseErr says
	// why there is none.
	base    *surface
	baseErr error

	mu      sync.Mutex
	sites   map[*project.Project]*site
	running bool
}

// site is a project as the module sees it.
type site struct {
	cache   *schema.Cache
	surface atomic.Pointer[surface]
	// compiler is that of the last request's schema and settings.
	compiler atomic.Pointer[compiler]
	// configured says that surface has what the database sets; the cache's goroutine alone looks.
	configured bool
}

// compiler is a compiler by the settings of surface.
type compiler struct {
	*compile.Compiler
	surface *surface
}

// New returns the module; cfg must be valid.
func New(cfg Config, deps Deps) *Module {
	cfg.AnyRole = cfg.AnyRole || deps.DropIn
	m := &Module{cfg: cfg, deps: deps, sites: map[*project.Project]*site{}}
	m.base, m.baseErr = newSurface(cfg, nil, deps.DropIn)
	return m
}

// Name is "rest".
func (m *Module) Name() string { return "rest" }

// ErrorShape is PostgREST's dialect of errors, without details where the settings say so.
func (m *Module) ErrorShape() apierr.Shape {
	return func(r *http.Request, e *apierr.Error, h http.Header) (int, any) {
		return render.Shape(r, e, h, m.surface(project.From(r.Context())).ErrorVerbosity == verbosityMinimal)
	}
}

// Start reads the schemas of all projects. A database that cannot be reached now
// does not stop the start: Ready says so, and the cache goes on trying.
func (m *Module) Start(ctx context.Context) error {
	if m.baseErr != nil {
		return m.baseErr
	}
	m.mu.Lock()
	m.running = true
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, m.cfg.startTimeout())
	defer cancel()
	for _, p := range m.deps.Projects.All() {
		site, err := m.site(p)
		if err == nil {
			_, err = site.cache.Await(ctx)
		}
		if err != nil {
			m.deps.Log.Warn("REST starts without a schema", "project", p.Ref, "error", err)
		}
	}
	return nil
}

func (c Config) startTimeout() time.Duration {
	if c.StartTimeout <= 0 {
		return 30 * time.Second
	}
	return c.StartTimeout
}

// Stop ends the caches' goroutines and connections.
func (m *Module) Stop(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running = false
	for p, site := range m.sites {
		site.cache.Close()
		delete(m.sites, p)
	}
	return nil
}

// Ready says for which project there is no schema yet, and why.
func (m *Module) Ready(context.Context) error {
	for _, p := range m.deps.Projects.All() {
		site, err := m.site(p)
		if err == nil {
			_, err = site.cache.Snapshot()
		}
		if err != nil {
			return fmt.Errorf("schema cache of project %s: %w", p.Ref, err)
		}
	}
	return nil
}

// site returns the project's site, whose cache begins to load when it is new. There
// are none before Start and after Stop.
func (m *Module) site(p *project.Project) (*site, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.sites[p]; s != nil {
		return s, nil
	}
	if !m.running {
		return nil, schema.ErrNotLoaded
	}
	s := &site{}
	s.surface.Store(m.base)
	options := schema.Options{Conn: p.DB.API.Config().ConnConfig, Log: m.deps.Log}
	options.Configure = func(ctx context.Context, conn *pgx.Conn) ([]string, error) { return m.configure(ctx, conn, s) }
	if m.cfg.Listen {
		options.Channel = m.cfg.Channel
	}
	s.cache = schema.NewCache(options)
	m.sites[p] = s
	return s, nil
}

// surface is the project's present settings; those of the process where a request
// fails before its project is known.
func (m *Module) surface(p *project.Project) *surface {
	if p == nil {
		return m.base
	}
	if s, err := m.site(p); err == nil {
		return s.surface.Load()
	}
	return m.base
}

// configure reads what the database sets. Once it has succeeded, faults there leave
// what holds as it is: an API that runs must not end by a typing error. Before, they
// stop the start, as the settings that are not heard may be those that restrict it.
func (m *Module) configure(ctx context.Context, conn *pgx.Conn, s *site) ([]string, error) {
	next, err := m.readSurface(ctx, conn)
	switch {
	case err == nil:
		s.surface.Store(next)
		s.configured = true
	case !s.configured || conn.IsClosed():
		return nil, err
	default:
		m.deps.Log.ErrorContext(ctx, "the database's settings for REST are faulty and not taken", "error", err)
	}
	return s.surface.Load().Schemas, nil
}

func (m *Module) readSurface(ctx context.Context, conn *pgx.Conn) (*surface, error) {
	found, err := schema.LoadSettings(ctx, conn, m.cfg.InDatabase, qualified(m.cfg.PreConfig))
	if err != nil {
		return nil, err
	}
	cfg, err := m.cfg.overridden(found.Own)
	if err != nil {
		return nil, err
	}
	return newSurface(cfg, found.Roles, m.deps.DropIn)
}

// firstLoad is how long a request waits for a schema that is being read for the first time.
const firstLoad = time.Second

// compiler compiles on the project's present schema by the settings of v. PGRST002
// when there is no schema.
func (m *Module) compiler(ctx context.Context, p *project.Project, v *surface) (*compile.Compiler, error) {
	site, err := m.site(p)
	if err != nil {
		return nil, errNoSchema(err)
	}
	s, err := site.cache.Snapshot()
	if err != nil {
		ctx, cancel := context.WithTimeout(ctx, firstLoad)
		defer cancel()
		if s, err = site.cache.Await(ctx); err != nil {
			return nil, errNoSchema(err)
		}
	}
	return site.compilerOn(s, v), nil
}

// compilerOn is the compiler for s and v: the present one, or a new one when either
// has changed.
func (s *site) compilerOn(on *schema.Snapshot, v *surface) *compile.Compiler {
	now := s.compiler.Load()
	if now != nil && now.Schema == on && now.surface == v {
		return now.Compiler
	}
	next := &compiler{compile.New(on, compile.Rules{Request: v.request, Plan: v.plan}), v}
	s.compiler.CompareAndSwap(now, next) // who comes later sees to it again
	return next.Compiler
}

func errNoSchema(cause error) error {
	return apierr.New(503, "PGRST002", "Could not query the database for the schema cache. Retrying.").
		WithHeader("Retry-After", "1").Because(cause)
}
