package tenant

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/labstack/echo/v4"
	"golang.org/x/sync/singleflight"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/cache"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/module"
	"github.com/madbase/madbase/platform/ratelimit"
	"github.com/madbase/madbase/platform/registry"
)

// Tenant serves one project, as it was when the tenant was opened.
type Tenant struct {
	Handler http.Handler
	// Waiting reports whether something of the project's is still to be done without
	// a request, such as mails that wait to leave.
	Waiting func(context.Context) bool
	// Tend does what is to be done now and then.
	Tend func(context.Context)
	// Close ends it. No request is under way.
	Close func(context.Context) error
}

// Deps are what a Directory stands on.
type Deps struct {
	Registry *registry.Registry
	// Keys makes the keys of a project, without asking its database.
	Keys func(registry.Project) (*claims.Keys, error)
	// Open makes the tenant of an active project, which is to use the keys.
	Open func(context.Context, registry.Project, *claims.Keys) (*Tenant, error)
	// Limiter counts what is opened for visitors that are not known.
	Limiter ratelimit.Limiter
	Log     *slog.Logger
	Metrics *metrics.Set
}

const (
	openTimeout  = 60 * time.Second
	closeTimeout = 30 * time.Second
	// failedFor is how long the failure to open a tenant answers for further attempts.
	failedFor = 2 * time.Second
	// makeRoom is how long a request waits for a tenant that is being closed for its own.
	makeRoom = 5 * time.Second
	// ended is how long requests of a project that is no longer served may go on.
	endedGrace = 5 * time.Second
)

// Directory holds the open tenants of a process by ref.
type Directory struct {
	module.Base
	cfg  Config
	deps Deps

	mu      sync.Mutex
	entries map[string]*entry
	// leaving are the retired entries that still have requests, or are still being opened.
	leaving map[*entry]struct{}
	// taken counts the tenants that are open, being opened or being closed, and
	// strange those that are being opened for strangers.
	taken, strange int
	// freed is closed, and replaced, when one of them falls.
	freed   chan struct{}
	closing sync.WaitGroup
	stopped bool

	making   sync.Mutex // of keys
	keyrings *cache.LRU[string, keyring]
	asking   singleflight.Group // whether strangers may have something opened

	cancel context.CancelFunc
	done   chan struct{}
}

// entry is a tenant with its users. All but the first four is guarded by Directory.mu.
type entry struct {
	project registry.Project
	opened  chan struct{} // closed once tenant or err is there
	tenant  *Tenant
	err     error

	keys *claims.Keys // nil until it is open
	// strange says that it is being opened for a stranger, in one of their places.
	strange  bool
	failedAt time.Time
	lastUsed time.Time
	active   int
	// retired entries are in no map; the last of their users closes them.
	retired bool
	// ending is whether over is about to end, or has ended.
	ending bool
	// over ends the requests of a project that is no longer served.
	over   context.Context //nolint:containedctx // its end is that of the entry
	endNow context.CancelFunc
}

// NewDirectory returns a Directory without tenants.
func NewDirectory(cfg Config, deps Deps) *Directory {
	d := &Directory{cfg: cfg, deps: deps, entries: map[string]*entry{}, leaving: map[*entry]struct{}{}, freed: make(chan struct{}), keyrings: newKeyrings()}
	deps.Metrics.GetOrCreateGauge("madbase_projects_open", func() float64 {
		d.mu.Lock()
		defer d.mu.Unlock()
		return float64(d.taken)
	})
	return d
}

// Name is "projects".
func (d *Directory) Name() string { return "projects" }

// Routes has none: each tenant has its own.
func (d *Directory) Routes(*echo.Group) {}

// find is the active project ref.
func (d *Directory) find(ref string) (registry.Project, error) {
	p, found := d.deps.Registry.Snapshot().Project(ref)
	switch {
	case !found || p.Status == registry.Deleting || ref == registry.DefaultRef:
		return p, apierr.New(http.StatusNotFound, "project_not_found", "There is no such project")
	case p.Status == registry.Suspended:
		return p, apierr.New(statusPaused, "project_paused", "The project is paused")
	case p.Status == registry.Creating:
		return p, unavailable("project_creating", "The project is being created", nil)
	}
	return p, nil
}

// statusPaused is what hosted Supabase answers for a paused project.
const statusPaused = 540

func unavailable(code, message string, cause error) error {
	return apierr.New(http.StatusServiceUnavailable, code, message).WithHeader("Retry-After", "2").Because(cause)
}

// Acquire returns the tenant of the project ref, which it opens if need be. It stays
// open until release is called; over ends when its requests have to.
func (d *Directory) Acquire(ctx context.Context, ref string, v Visitor) (t *Tenant, over context.Context, release func(), err error) {
	if err := d.allow(ctx, ref, v); err != nil {
		return nil, nil, nil, err
	}
	e, err := d.enter(ctx, ref, v)
	if err != nil {
		return nil, nil, nil, err
	}
	release = func() { d.leave(e) }
	select {
	case <-e.opened:
	case <-ctx.Done():
		release()
		return nil, nil, nil, ctx.Err()
	}
	if e.err != nil {
		release()
		return nil, nil, nil, unavailable("project_unavailable", "The project cannot be served now", e.err)
	}
	return e.tenant, e.over, release, nil
}

// enter counts a request in at the entry of ref, a new one where there is none of
// the project as it is now.
func (d *Directory) enter(ctx context.Context, ref string, v Visitor) (*entry, error) {
	patience := time.NewTimer(makeRoom)
	defer patience.Stop()
	for {
		e, freed, err := d.tryEnter(ref, v)
		if e != nil || err != nil {
			return e, err
		}
		select {
		case <-freed:
		case <-patience.C:
			return nil, unavailable("too_many_projects", "Too many projects are in use", nil)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// tryEnter returns neither an entry nor an error when there is no room, and what is
// closed once there may be.
func (d *Directory) tryEnter(ref string, v Visitor) (*entry, <-chan struct{}, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, err := d.find(ref)
	if err != nil {
		return nil, nil, err
	}
	e := d.entries[ref]
	if e != nil && e.outdated(p) {
		d.retire(e)
		e = nil
	}
	if e == nil {
		if d.stopped {
			return nil, nil, unavailable("stopping", "The process is stopping", nil)
		}
		if !v.Known && d.strange >= strangersAtOnce {
			return nil, d.freed, nil
		}
		if d.taken >= d.cfg.Open {
			d.evict()
			return nil, d.freed, nil
		}
		e = d.add(p, v)
	}
	if e.active >= d.cfg.Requests {
		return nil, nil, apierr.New(http.StatusTooManyRequests, "too_many_concurrent", "Too many requests of this project at once").WithHeader("Retry-After", "1")
	}
	e.active++
	return e, nil, nil
}

func (d *Directory) add(p registry.Project, v Visitor) *entry {
	e := &entry{project: p, opened: make(chan struct{}), lastUsed: time.Now(), strange: !v.Known}
	e.over, e.endNow = context.WithCancel(context.Background())
	d.entries[p.Ref] = e
	if e.strange {
		d.strange++
		time.AfterFunc(strangerSlow, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.makePlace(e)
		})
	}
	d.taken++
	d.closing.Add(1)
	go d.begin(e)
	return e
}

// begin fills e. What fails takes no room.
func (d *Directory) begin(e *entry) {
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	began := time.Now()
	var tenant *Tenant
	keys, err := d.keysOf(e.project)
	if err == nil {
		tenant, err = d.deps.Open(ctx, e.project, keys)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	e.tenant, e.err, e.keys = tenant, err, keys
	close(e.opened)
	d.makePlace(e)
	if err != nil {
		d.deps.Log.ErrorContext(ctx, "a project cannot be opened", "project", e.project.Ref, "error", err)
		e.failedAt = time.Now()
		e.endNow()
		d.free(e)
		return
	}
	d.deps.Log.InfoContext(ctx, "project opened", "project", e.project.Ref, "took", time.Since(began).Round(time.Millisecond))
	if e.retired && e.active == 0 {
		go d.shut(e)
	}
}

func (d *Directory) leave(e *entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e.active--
	e.lastUsed = time.Now()
	if e.retired && e.active == 0 && e.tenant != nil {
		go d.shut(e)
	}
}

// retire takes e out of use: it is closed after the last of its requests.
func (d *Directory) retire(e *entry) {
	if e.retired {
		return
	}
	e.retired = true
	if d.entries[e.project.Ref] == e {
		delete(d.entries, e.project.Ref)
	}
	switch {
	case e.active == 0 && e.tenant != nil:
		go d.shut(e)
	case e.failedAt.IsZero():
		d.leaving[e] = struct{}{}
	}
}

// evict retires the tenant that nobody uses and that was asked for least lately.
func (d *Directory) evict() {
	var oldest *entry
	for _, e := range d.entries {
		if e.active == 0 && e.tenant != nil && (oldest == nil || e.lastUsed.Before(oldest.lastUsed)) {
			oldest = e
		}
	}
	if oldest != nil {
		d.retire(oldest)
	}
}

// Evict closes the tenant that was asked for least lately, if there is one without
// requests under way: others need its connections.
func (d *Directory) Evict() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.evict()
}

// shut closes a retired tenant without users.
func (d *Directory) shut(e *entry) {
	e.endNow()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := e.tenant.Close(ctx); err != nil {
		d.deps.Log.ErrorContext(ctx, "a project was not closed in order", "project", e.project.Ref, "error", err)
	}
	d.deps.Log.InfoContext(ctx, "project closed", "project", e.project.Ref)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free(e)
}

// free gives back the room of e's tenant.
func (d *Directory) free(e *entry) {
	delete(d.leaving, e)
	d.taken--
	d.wake()
	d.closing.Done()
}

// wake has those who wait for room try again.
func (d *Directory) wake() {
	close(d.freed)
	d.freed = make(chan struct{})
}

// Start begins to close what is no longer used or has changed.
func (d *Directory) Start(context.Context) error {
	var ctx context.Context
	ctx, d.cancel = context.WithCancel(context.Background())
	d.done = make(chan struct{})
	go d.tend(ctx)
	return nil
}

// Stop closes all tenants once their requests have ended, or ctx has.
func (d *Directory) Stop(ctx context.Context) error {
	if d.cancel != nil {
		d.cancel()
		<-d.done
		d.cancel = nil
	}
	d.mu.Lock()
	d.stopped = true
	for _, e := range d.entries {
		d.retire(e)
	}
	d.mu.Unlock()
	closed := make(chan struct{})
	go func() {
		d.closing.Wait()
		close(closed)
	}()
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("tenant: projects are still in use: %w", ctx.Err())
	}
}
