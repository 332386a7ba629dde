package tenant_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/migrate"
	"github.com/madbase/madbase/platform/ratelimit"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/tenant"
	"github.com/madbase/madbase/platform/testdb"
	"github.com/madbase/madbase/platform/testkit"
	"github.com/madbase/madbase/sql"
)

// newRegistry is one in a database of its own, with active projects of the refs.
func newRegistry(t *testing.T, refs ...string) *registry.Registry {
	t.Helper()
	lines := []migrate.Line{{Name: "platform", Files: sql.Line("platform")}}
	name, err := migrate.Checksum(lines...)
	if err != nil {
		t.Fatal(err)
	}
	url := testdb.New(t, testdb.Template{Name: name, Build: func(ctx context.Context, url string) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		return errors.Join(migrate.Run(ctx, conn, testkit.Log(), lines, nil), conn.Close(ctx))
	}})
	sealer, err := registry.NewSealer(registry.Config{}, testkit.JWTSecret)
	if err != nil {
		t.Fatal(err)
	}
	r, err := registry.New(t.Context(), registry.Options{OwnerURL: url, Sealer: sealer, Log: testkit.Log()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, ref := range refs {
		by := registry.Entry{Actor: "test", Project: ref}
		if _, err := r.Create(t.Context(), by, ref, ""); err != nil {
			t.Fatal(err)
		}
		if err := r.SetStatus(t.Context(), by, registry.Active, registry.Creating); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// stage counts what a Directory opens and closes.
type stage struct {
	*tenant.Directory
	registry *registry.Registry
	opened   atomic.Int32
	closed   chan string
	waiting  atomic.Bool
	hang     atomic.Bool // whoever asks what waits gets no answer
	fail     atomic.Bool
	slow     chan struct{} // what is opened waits for it; may be nil
}

// known is a visitor with a key.
var known = tenant.Visitor{Known: true}

func newStage(t *testing.T, change func(*tenant.Config), refs ...string) *stage {
	t.Helper()
	cfg := tenant.Config{Open: 5, Connections: 50, API: 1, Auth: 1, Storage: 1, Requests: 10, Strangers: 100, Idle: time.Hour}
	change(&cfg)
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	s := &stage{registry: newRegistry(t, refs...), closed: make(chan string, 100)}
	s.Directory = tenant.NewDirectory(cfg, tenant.Deps{Registry: s.registry, Log: testkit.Log(), Metrics: metrics.NewSet(), Open: s.open, Keys: s.registry.Keys, Limiter: distant{ratelimit.NewMemory(100)}})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// distant is a limiter that takes its time, as one that all processes share.
type distant struct{ ratelimit.Limiter }

func (d distant) Allow(ctx context.Context, key string, limit ratelimit.Limit) (ratelimit.Decision, error) {
	<-time.After(5 * time.Millisecond)
	return d.Limiter.Allow(ctx, key, limit)
}

func (s *stage) open(_ context.Context, p registry.Project, _ *claims.Keys) (*tenant.Tenant, error) {
	s.opened.Add(1)
	if s.slow != nil {
		<-s.slow
	}
	if s.fail.Load() {
		return nil, errors.New("its database is away")
	}
	return &tenant.Tenant{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(p.Ref)) }),
		Waiting: func(ctx context.Context) bool {
			if s.hang.Load() {
				<-ctx.Done()
			}
			return s.waiting.Load()
		},
		Tend: func(context.Context) {},
		Close: func(context.Context) error {
			s.closed <- p.Ref
			return nil
		},
	}, nil
}

// hold keeps the project ref in use until release is called.
func (s *stage) hold(t *testing.T, ref string) (release func()) {
	t.Helper()
	_, _, release, err := s.Acquire(t.Context(), ref, known)
	if err != nil {
		t.Fatal(err)
	}
	return release
}

func (s *stage) refused(t *testing.T, ref string, status int) {
	t.Helper()
	_, _, _, err := s.Acquire(t.Context(), ref, known)
	if !isStatus(err, status) {
		t.Errorf("%s: %v, want %d", ref, err, status)
	}
}

func isStatus(err error, status int) bool {
	e, ok := errors.AsType[*apierr.Error](err)
	return ok && e.Status == status
}

func (s *stage) awaitClosed(t *testing.T, ref string) {
	t.Helper()
	select {
	case got := <-s.closed:
		if got != ref {
			t.Errorf("closed %s, want %s", got, ref)
		}
	case <-time.After(5 * time.Second):
		t.Fatalf("%s was not closed", ref)
	}
}

func TestATenantIsOpenedOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(*tenant.Config) {}, "one")
	var wait sync.WaitGroup
	for range 10 {
		wait.Go(func() {
			if _, _, release, err := s.Acquire(t.Context(), "one", known); err != nil {
				t.Error(err)
			} else {
				release()
			}
		})
	}
	wait.Wait()
	if n := s.opened.Load(); n != 1 {
		t.Errorf("opened %d times", n)
	}
	s.refused(t, "none", 404)
	s.refused(t, registry.DefaultRef, 404)
}

func TestAFailureIsRememberedForAWhile(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(*tenant.Config) {}, "one")
	s.fail.Store(true)
	s.refused(t, "one", 503)
	s.refused(t, "one", 503)
	if n := s.opened.Load(); n != 1 {
		t.Errorf("tried %d times", n)
	}
	s.fail.Store(false)
	for deadline := time.Now().Add(10 * time.Second); ; {
		_, _, release, err := s.Acquire(t.Context(), "one", known)
		if err == nil {
			release()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the failure is remembered for ever")
		}
	}
}

func TestTheLeastUsedMakesRoom(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(c *tenant.Config) { c.Open = 2 }, "one", "two", "three")
	s.hold(t, "one")()
	two := s.hold(t, "two")
	three := s.hold(t, "three")
	s.awaitClosed(t, "one")
	s.refused(t, "one", 503) // both are in use
	two()
	s.hold(t, "one")()
	s.awaitClosed(t, "two")
	three()
}

func TestRequestsAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(c *tenant.Config) { c.Requests = 1 }, "one", "two")
	release := s.hold(t, "one")
	s.refused(t, "one", 429)
	s.hold(t, "two")()
	release()
	s.hold(t, "one")()
}

func TestTheIdleAreClosedUnlessSomethingWaits(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(c *tenant.Config) { c.Idle = 300 * time.Millisecond }, "one", "two")
	used := s.hold(t, "two")
	s.waiting.Store(true)
	s.hold(t, "one")()
	select {
	case ref := <-s.closed:
		t.Fatalf("%s was closed with something left to do", ref)
	case <-time.After(time.Second):
	}
	s.waiting.Store(false)
	s.awaitClosed(t, "one")
	used()
	s.awaitClosed(t, "two")
}

// A project that has changed is served by a new tenant; the old one's requests go on.
func TestAChangeTakesANewTenant(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(*tenant.Config) {}, "one")
	by := registry.Entry{Actor: "test", Project: "one"}
	old := s.hold(t, "one")
	if err := s.registry.Rename(t.Context(), by, "Other"); err != nil {
		t.Fatal(err)
	}
	s.hold(t, "one")()
	if n := s.opened.Load(); n != 2 {
		t.Errorf("opened %d times", n)
	}
	select {
	case <-s.closed:
		t.Error("closed with a request under way")
	default:
	}
	old()
	s.awaitClosed(t, "one")
	_, over, release, err := s.Acquire(t.Context(), "one", known)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.registry.SetStatus(t.Context(), by, registry.Suspended, registry.Active); err != nil {
		t.Fatal(err)
	}
	s.refused(t, "one", 540)
	select {
	case <-over.Done():
	case <-time.After(10 * time.Second):
		t.Error("the requests of a suspended project may go on")
	}
	release()
	s.awaitClosed(t, "one")
}

// Requests of a project that is suspended end, also those that began before it was
// changed, and while another project's database gives no answer.
func TestRequestsFromBeforeAChangeEndToo(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(c *tenant.Config) { c.Idle = 50 * time.Millisecond }, "one", "two")
	by := registry.Entry{Actor: "test", Project: "one"}
	_, over, release, err := s.Acquire(t.Context(), "one", known)
	if err != nil {
		t.Fatal(err)
	}
	s.hang.Store(true)
	s.hold(t, "two")()
	<-time.After(300 * time.Millisecond) // it is asked what waits
	if err := s.registry.Rename(t.Context(), by, "Other"); err != nil {
		t.Fatal(err)
	}
	s.hold(t, "one")()
	if err := s.registry.SetStatus(t.Context(), by, registry.Suspended, registry.Active); err != nil {
		t.Fatal(err)
	}
	select {
	case <-over.Done():
	case <-time.After(8 * time.Second):
		t.Error("a request of a suspended project may go on")
	}
	release()
	s.hang.Store(false)
}

func TestAnswersOfTheWorker(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(*tenant.Config) {}, "one")
	keys, err := claims.NewKeys(claims.Config{Secret: testkit.JWTSecret})
	if err != nil {
		t.Fatal(err)
	}
	one, _ := s.registry.Snapshot().Project("one")
	own, err := s.registry.Keys(one)
	if err != nil {
		t.Fatal(err)
	}
	worker := tenant.Worker{
		Resolver: tenant.Resolver{Registry: s.registry, Keys: keys}, Directory: s.Directory,
		Standard: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("standard")) }),
		Authorize: func(r *http.Request, of *claims.Keys) (bool, error) {
			if key := r.Header.Get("apikey"); key == "sb_publishable_guess" || key == "bad" {
				return false, apierr.New(401, "", "bad key")
			}
			return of != keys && r.Header.Get("apikey") == of.API().Publishable.Reveal(), nil
		},
		ClientIP: func(*http.Request) string { return "192.0.2.1" },
		Refuse: func(w http.ResponseWriter, _ *http.Request, err error) {
			e, _ := errors.AsType[*apierr.Error](err)
			w.WriteHeader(e.Status)
		},
	}
	refused := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/rest/v1/x", nil)
	r.Header.Set(tenant.Header, "one")
	r.Header.Set("apikey", "bad")
	if worker.ServeHTTP(refused, r); refused.Code != 401 || s.opened.Load() != 0 {
		t.Errorf("whoever is refused has a project opened: %d", refused.Code)
	}
	for _, test := range []struct{ header, key, want string }{
		{"one", "", "200 one"},
		{"one", "bad", "401 "},
		{"two", "", "404 "},
		{"default", "bad", "200 standard"}, // the gateway has checked it
		{"", "", "200 standard"},
		{tenant.Unchecked, "bad", "401 "},
		{tenant.Unchecked, own.API().Publishable.Reveal(), "200 standard"}, // the path may say so
		{tenant.ByKey, "sb_publishable_guess", "401 "},
		{tenant.ByKey, own.API().Publishable.Reveal(), "200 one"},
		{tenant.ByKey, keys.API().Publishable.Reveal(), "200 standard"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/rest/v1/x", nil)
		r.Header.Set(tenant.Header, test.header)
		r.Header.Set("apikey", test.key)
		w := httptest.NewRecorder()
		worker.ServeHTTP(w, r)
		got := strings.Join([]string{http.StatusText(w.Code), w.Body.String()}, " ")
		status, body, _ := strings.Cut(test.want, " ")
		if want := map[string]int{"200": 200, "401": 401, "404": 404}[status]; w.Code != want || w.Body.String() != body {
			t.Errorf("%+v: %s", test, got)
		}
	}
}
