// Package rest is the REST surface of a database: PostgREST's dialect of HTTP,
// compiled to one SQL statement a request. Its stages are packages in the order
// of the walk: request reads HTTP into ast; plan joins that with schema; sqlgen
// writes SQL; exec runs it; render answers. handler.go shows the walk.
package rest

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/madbase/madbase/modules/rest/plan"
	"github.com/madbase/madbase/modules/rest/render"
	"github.com/madbase/madbase/modules/rest/request"
	"github.com/madbase/madbase/modules/rest/schema"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/module"
	"github.com/madbase/madbase/platform/project"
)

// Deps are what the module stands on.
type Deps struct {
	Projects *project.Directory
	Log      *slog.Logger
}

// Module is the REST surface.
type Module struct {
	module.Base
	cfg  Config
	deps Deps

	requestRules request.Rules
	planRules    plan.Rules
	extraPath    string
	preRequest   schema.Name

	mu      sync.Mutex
	caches  map[*project.Project]*schema.Cache
	running bool
}

// New returns the module; cfg must be valid.
func New(cfg Config, deps Deps) *Module {
	m := &Module{cfg: cfg, deps: deps, caches: map[*project.Project]*schema.Cache{}}
	m.requestRules = request.Rules{Schemas: cfg.Schemas, TxAllowed: cfg.txAllowed()}
	m.planRules = plan.Rules{MaxRows: cfg.MaxRows, Aggregates: cfg.Aggregates, Explain: cfg.Explain, AliasesOnly: !cfg.LegacyTargetNames}
	var extra strings.Builder
	for _, s := range cfg.ExtraSearchPath {
		extra.WriteString(", " + quoteName(s))
	}
	m.extraPath = extra.String()
	m.preRequest = qualified(cfg.PreRequest)
	return m
}

// qualified reads schema.name, or a bare name.
func qualified(text string) schema.Name {
	if s, name, found := strings.Cut(text, "."); found {
		return schema.Name{Schema: s, Name: name}
	}
	return schema.Name{Name: text}
}

// Name is "rest".
func (m *Module) Name() string { return "rest" }

// ErrorShape is PostgREST's dialect of errors.
func (m *Module) ErrorShape() apierr.Shape { return render.Shape }

// Start reads the schemas of all projects. A database that cannot be reached now
// does not stop the start: Ready says so, and the cache goes on trying.
func (m *Module) Start(ctx context.Context) error {
	m.mu.Lock()
	m.running = true
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, m.cfg.startTimeout())
	defer cancel()
	for _, p := range m.deps.Projects.All() {
		cache, err := m.cache(p)
		if err == nil {
			_, err = cache.Await(ctx)
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
	for p, cache := range m.caches {
		cache.Close()
		delete(m.caches, p)
	}
	return nil
}

// Ready says for which project there is no schema yet, and why.
func (m *Module) Ready(context.Context) error {
	for _, p := range m.deps.Projects.All() {
		cache, err := m.cache(p)
		if err == nil {
			_, err = cache.Snapshot()
		}
		if err != nil {
			return fmt.Errorf("schema cache of project %s: %w", p.Ref, err)
		}
	}
	return nil
}

// cache returns the project's cache, which begins to load when it is new. There
// are none before Start and after Stop.
func (m *Module) cache(p *project.Project) (*schema.Cache, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if cache := m.caches[p]; cache != nil {
		return cache, nil
	}
	if !m.running {
		return nil, schema.ErrNotLoaded
	}
	cache := schema.NewCache(schema.Options{
		Conn: p.DB.API.Config().ConnConfig, Schemas: m.cfg.Schemas, Channel: m.cfg.Channel, Log: m.deps.Log,
	})
	m.caches[p] = cache
	return cache, nil
}

// firstLoad is how long a request waits for a schema that is being read for the first time.
const firstLoad = time.Second

// snapshot is the project's schema. PGRST002 when there is none.
func (m *Module) snapshot(ctx context.Context, p *project.Project) (*schema.Snapshot, error) {
	cache, err := m.cache(p)
	if err != nil {
		return nil, errNoSchema(err)
	}
	if s, err := cache.Snapshot(); err == nil {
		return s, nil
	}
	ctx, cancel := context.WithTimeout(ctx, firstLoad)
	defer cancel()
	s, err := cache.Await(ctx)
	if err != nil {
		return nil, errNoSchema(err)
	}
	return s, nil
}

func errNoSchema(cause error) error {
	return apierr.New(503, "PGRST002", "Could not query the database for the schema cache. Retrying.").
		WithHeader("Retry-After", "1").Because(cause)
}
