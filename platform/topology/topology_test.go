package topology_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/secret"
	"github.com/madbase/madbase/platform/testkit"
	"github.com/madbase/madbase/platform/topology"
)

// plane serves a Feed, and answers 500 while it is away.
type plane struct {
	*httptest.Server
	Away  atomic.Bool
	Polls atomic.Int64
}

func newPlane(t *testing.T, feed *topology.Feed) *plane {
	t.Helper()
	e, p := echo.New(), &plane{}
	e.GET(topology.Path, feed.Serve)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.Polls.Add(1)
		if p.Away.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		e.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { feed.Drain(); p.Close() })
	return p
}

func noKeys() *topology.Keys { return nil }

// follow returns what a Follower of p is told.
func follow(t *testing.T, p *plane) <-chan topology.Topology {
	t.Helper()
	told := make(chan topology.Topology, 16)
	f := topology.NewFollower(topology.Following{
		Control: p.URL, Token: topology.Token(testkit.JWTSecret), Transport: http.DefaultTransport, Log: testkit.Log(),
		Apply: func(tp topology.Topology) { told <- tp },
	})
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Stop(context.Background()) })
	return told
}

func await(t *testing.T, told <-chan topology.Topology) topology.Topology {
	t.Helper()
	select {
	case tp := <-told:
		return tp
	case <-time.After(15 * time.Second):
		t.Fatal("nothing is told")
	}
	return topology.Topology{}
}

func TestWorkersComeDrainAndGo(t *testing.T) {
	t.Parallel()
	project := testkit.NewProject(t, "platform")
	p := newPlane(t, topology.NewFeed(project.Owner, topology.Token(testkit.JWTSecret), noKeys))
	told := follow(t, p)
	if tp := await(t, told); len(tp.Workers) != 0 {
		t.Fatalf("at first %+v", tp)
	}
	worker := topology.NewRegistration(project.Owner, topology.Worker{URL: "http://w:1", Version: "v1", Role: "worker"}, testkit.Log())
	if err := worker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if tp := await(t, told); len(tp.Workers) != 1 || tp.Workers[0].URL != "http://w:1" || tp.Workers[0].Draining || tp.Workers[0].ID == "" {
		t.Fatalf("started: %+v", tp)
	}
	p.Away.Store(true) // nothing is told meanwhile, and nothing missed
	worker.Drain(t.Context())
	p.Away.Store(false)
	if tp := await(t, told); len(tp.Workers) != 1 || !tp.Workers[0].Draining {
		t.Fatalf("draining: %+v", tp)
	}
	for range 2 { // Stop is idempotent
		if err := worker.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if tp := await(t, told); len(tp.Workers) != 0 {
		t.Fatalf("stopped: %+v", tp)
	}
}

// A worker that is silent is dead by the database's clock, and of two at one
// address the later one lives there.
func TestTheDeadAndTheReplacedAreNotTold(t *testing.T) {
	t.Parallel()
	project := testkit.NewProject(t, "platform")
	project.Exec(t, `INSERT INTO madbase.workers (id, url, role, started_at, seen_at, draining) VALUES
		(gen_random_uuid(), 'http://dead:1', 'worker', now(), now() - interval '6 seconds', false),
		(gen_random_uuid(), 'http://w:1', 'worker', now() - interval '1 minute', now(), true),
		(gen_random_uuid(), 'http://w:1', 'worker', now(), now(), false)`)
	p := newPlane(t, topology.NewFeed(project.Owner, topology.Token(testkit.JWTSecret), noKeys))
	if tp := await(t, follow(t, p)); len(tp.Workers) != 1 || tp.Workers[0].URL != "http://w:1" || tp.Workers[0].Draining {
		t.Errorf("%+v", tp)
	}
}

func TestOnlyMadbasesOwnAreTold(t *testing.T) {
	t.Parallel()
	project := testkit.NewProject(t, "platform")
	p := newPlane(t, topology.NewFeed(project.Owner, topology.Token(testkit.JWTSecret), noKeys))
	for _, authorization := range []string{"", "Bearer ", "Bearer wrong", "Basic " + topology.Token(testkit.JWTSecret).Reveal()} {
		if status, body := testkit.Get(t, p.URL+topology.Path, "Authorization", authorization); status == http.StatusOK || strings.Contains(body, "workers") {
			t.Errorf("%q: %d %s", authorization, status, body)
		}
	}
}

// A control plane that does not hold its answers back is not asked without pause.
func TestFollowerPausesWithoutNews(t *testing.T) {
	t.Parallel()
	project := testkit.NewProject(t, "platform")
	feed := topology.NewFeed(project.Owner, topology.Token(testkit.JWTSecret), noKeys)
	feed.Drain()
	p := newPlane(t, feed)
	await(t, follow(t, p))
	before := p.Polls.Load()
	<-time.After(time.Second)
	if n := p.Polls.Load() - before; n > 10 {
		t.Errorf("%d polls in a second", n)
	}
}

// Proxies hear of keys what they need, and of changes; nothing that opens anything.
func TestKeysAreTold(t *testing.T) {
	t.Parallel()
	project := testkit.NewProject(t, "platform")
	hash := func(key secret.String) []byte { sum := claims.HashKey(key); return sum[:] }
	var current atomic.Pointer[topology.Keys]
	current.Store(&topology.Keys{Projects: map[string][][]byte{"blog": {hash("sb_secret_a"), []byte("short")}}})
	told := follow(t, newPlane(t, topology.NewFeed(project.Owner, topology.Token(testkit.JWTSecret), current.Load)))
	x := topology.NewKeyIndex(*await(t, told).Keys)
	if ref, found := x.ProjectOfKey("sb_secret_a"); ref != "blog" || !found || x.Revoked("sb_secret_a") || !x.Trusted() {
		t.Errorf("at first: %s %t", ref, found)
	}
	current.Store(&topology.Keys{Revoked: [][]byte{hash("sb_secret_a")}, Unsigned: true})
	x = topology.NewKeyIndex(*await(t, told).Keys)
	if _, found := x.ProjectOfKey("sb_secret_a"); found || !x.Revoked("sb_secret_a") || x.Trusted() {
		t.Error("a revoked key is a project's")
	}
	many := make([][]byte, 100_000)
	for i := range many {
		many[i] = hash(secret.String(strconv.Itoa(i)))
	}
	current.Store(&topology.Keys{Projects: map[string][][]byte{"blog": many}, Revoked: [][]byte{hash("sb_secret_a")}})
	keys := await(t, told).Keys
	if len(keys.Projects) != 0 || len(keys.Revoked) != 1 {
		t.Errorf("too many: %d projects, %d revoked", len(keys.Projects), len(keys.Revoked))
	}
}
