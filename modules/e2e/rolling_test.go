package e2e_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/testdb"
	"github.com/madbase/madbase/platform/testkit"
)

const (
	// rollingRequests is how many requests there are at least over the rolling restarts.
	rollingRequests = 50_000
	// rollingRounds is how often all processes are restarted.
	rollingRounds = 3
	// rollingClients is how many send requests at once.
	rollingClients = 8

	adminPassword = "an admin's password"
)

// fleet is a control plane, workers that register with it and proxies that follow it.
type fleet struct {
	database string
	key      string
	env      []string
	control  *testkit.Process
	workers  []*testkit.Process

	mu      sync.Mutex
	proxies []*testkit.Process
	ready   map[string]bool // by URL, as the balancer before the proxies sees them
}

func (f *fleet) start(t *testing.T, role string, more ...string) *testkit.Process {
	t.Helper()
	env := append(append([]string{"LISTEN_ADDR=127.0.0.1:0"}, f.env...), more...)
	return testkit.Start(t, binary, env, "serve", "--role", role, "--data-dir", testkit.DataDir(t))
}

func (f *fleet) worker(t *testing.T) *testkit.Process {
	t.Helper()
	return f.start(t, "worker", "MADBASE_WORKER_URL=http://127.0.0.1:{port}")
}

func (f *fleet) proxy(t *testing.T) *testkit.Process {
	t.Helper()
	return f.start(t, "proxy", "CONTROL_UPSTREAM_URL="+f.control.URL)
}

func newFleet(t *testing.T, workers, proxies int) *fleet {
	t.Helper()
	f := &fleet{database: testdb.Empty(t), key: newKeys(t).Service.Reveal(), ready: map[string]bool{}}
	f.env = []string{
		"JWT_SECRET=" + jwtSecret, "DATABASE_URL=" + f.database, "MADBASE_DB_POOL=6", // three workers share a test's server
		"ADMIN_PASSWORD=" + adminPassword, "MADBASE_DRAIN_DELAY=1s", "MADBASE_HEALTH_INTERVAL=200ms", "MADBASE_HEALTH_TIMEOUT=500ms", "MADBASE_SLOW_START=1s",
	}
	f.control = f.start(t, "control")
	for range workers {
		f.workers = append(f.workers, f.worker(t))
	}
	for range proxies {
		f.proxies = append(f.proxies, f.proxy(t))
	}
	ctx, cancel := context.WithCancel(t.Context())
	watched := make(chan struct{})
	go func() { defer close(watched); f.watch(ctx) }()
	t.Cleanup(func() { cancel(); <-watched })
	f.await(t, "the proxies are ready", func() bool { return f.readyProxies() == proxies })
	return f
}

// watch is the part of a balancer that looks after proxies: every 100 ms it asks
// each whether it is ready.
func (f *fleet) watch(ctx context.Context) {
	transport := &http.Transport{DisableKeepAlives: true}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		f.mu.Lock()
		proxies := append([]*testkit.Process{}, f.proxies...)
		f.mu.Unlock()
		for _, p := range proxies {
			r, _ := http.NewRequestWithContext(ctx, http.MethodGet, p.URL+"/readyz", http.NoBody)
			res, err := transport.RoundTrip(r)
			if err == nil {
				res.Body.Close()
			}
			f.mu.Lock()
			f.ready[p.URL] = err == nil && res.StatusCode == http.StatusOK
			f.mu.Unlock()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// pick returns a ready proxy.
func (f *fleet) pick() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ready []string
	for _, p := range f.proxies {
		if f.ready[p.URL] {
			ready = append(ready, p.URL)
		}
	}
	if len(ready) == 0 {
		return ""
	}
	return ready[rand.IntN(len(ready))]
}

func (f *fleet) readyProxies() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.proxies {
		if f.ready[p.URL] {
			n++
		}
	}
	return n
}

func (f *fleet) await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !cond(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// upstreams is how many workers the proxy p finds well.
func upstreams(t *testing.T, p *testkit.Process) int {
	t.Helper()
	_, text := testkit.Get(t, p.URL+"/metrics")
	n := 0
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, `madbase_gateway_upstream_up{group="worker"`) && strings.HasSuffix(line, " 1\n") {
			n++
		}
	}
	return n
}

// awaitWorkers waits until all proxies have as many workers as there are.
func (f *fleet) awaitWorkers(t *testing.T) {
	t.Helper()
	for _, p := range f.proxies {
		f.await(t, "a proxy knows the workers", func() bool { return upstreams(t, p) == len(f.workers) })
	}
}

// load sends requests from several clients until it is told to stop.
type load struct {
	fleet    *fleet
	writes   bool   // also what must not be repeated
	target   string // where to, instead of to the ready proxies
	done     atomic.Int64
	inserted atomic.Int64
	failed   atomic.Int64
	first    atomic.Pointer[string] // the first failure
	stop     context.CancelFunc
	clients  sync.WaitGroup
}

func (f *fleet) load(t *testing.T, writes bool) *load {
	t.Helper()
	return f.loadOn(t, "", writes)
}

func (f *fleet) loadOn(t *testing.T, target string, writes bool) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{fleet: f, target: target, writes: writes, stop: cancel}
	for range rollingClients {
		l.clients.Go(func() {
			transport := &http.Transport{MaxIdleConnsPerHost: 4}
			defer transport.CloseIdleConnections()
			for i := 0; ctx.Err() == nil; i++ {
				l.send(transport, i)
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

func (l *load) end() {
	l.stop()
	l.clients.Wait()
}

// send does one request to its end, even when the load is told to stop meanwhile.
func (l *load) send(transport *http.Transport, i int) {
	method, path, body, want := http.MethodGet, "/rest/v1/ticks?id=lt.5", "", http.StatusOK
	switch {
	case i%4 == 1:
		path = "/auth/v1/health"
	case i%4 == 3 && l.writes:
		method, path, body, want = http.MethodPost, "/rest/v1/ticks", `{"note":"x"}`, http.StatusCreated
	}
	target := l.target
	if target == "" {
		target = l.fleet.pick()
	}
	r, err := http.NewRequestWithContext(context.Background(), method, target+path, strings.NewReader(body))
	if err != nil {
		l.fail(err.Error())
		return
	}
	r.Header.Set("apikey", l.fleet.key)
	r.Header.Set("Content-Type", "application/json")
	r.GetBody = nil // the client must not repeat it by itself
	if body == "" {
		r.Body = nil
	}
	res, err := transport.RoundTrip(r)
	if err != nil {
		l.fail(fmt.Sprintf("%s %s: %v", method, path, err))
		return
	}
	answer, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || res.StatusCode != want {
		l.fail(fmt.Sprintf("%s %s: %d %s %v", method, path, res.StatusCode, answer, err))
		return
	}
	l.done.Add(1)
	if method == http.MethodPost {
		l.inserted.Add(1)
	}
}

func (l *load) fail(reason string) {
	l.failed.Add(1)
	l.first.CompareAndSwap(nil, &reason)
}

func (l *load) check(t *testing.T, what string) {
	t.Helper()
	if n := l.failed.Load(); n > 0 {
		t.Errorf("%s: %d requests failed, first %s", what, n, *l.first.Load())
	}
}

// TestRollingRestartsDropNothing restarts every worker three times and then every
// proxy, while clients read and write through a balancer that asks the proxies
// whether they are ready; then it kills a worker under reads.
func TestRollingRestartsDropNothing(t *testing.T) { // not parallel: it takes all processors
	f := newFleet(t, 3, 2)
	f.prepare(t)
	began := time.Now()
	l := f.load(t, true)
	for range rollingRounds {
		f.restartWorkers(t)
		l.check(t, "a rolling restart of the workers")
	}
	f.restartProxies(t)
	l.check(t, "a rolling restart of the proxies")
	f.restartControl(t)
	l.check(t, "a restart of control")
	f.await(t, "there were enough requests", func() bool { return l.done.Load()+l.failed.Load() >= rollingRequests })
	l.end()
	l.check(t, "rolling restarts")
	if rows := f.rows(t); rows != l.inserted.Load() {
		t.Errorf("%d rows of %d requests", rows, l.inserted.Load())
	}
	t.Logf("%d requests, %d of them writes, in %v", l.done.Load(), l.inserted.Load(), time.Since(began).Round(time.Second))
	f.killWorker(t)
}

func (f *fleet) restartWorkers(t *testing.T) {
	t.Helper()
	for i := range f.workers {
		f.workers[i].Stop(t)
		f.workers[i] = f.worker(t)
		f.awaitWorkers(t)
	}
}

func (f *fleet) restartProxies(t *testing.T) {
	t.Helper()
	for i := range f.proxies {
		f.proxies[i].Stop(t)
		p := f.proxy(t)
		f.mu.Lock()
		f.proxies[i] = p
		f.mu.Unlock()
		f.await(t, "the new proxy is ready", func() bool { return f.readyProxies() == len(f.proxies) })
	}
}

// restartControl has the proxies go on without the control plane, and learn of a
// worker that came meanwhile once it is back.
func (f *fleet) restartControl(t *testing.T) {
	t.Helper()
	f.control.Stop(t)
	f.workers = append(f.workers, f.worker(t))
	f.control = f.start(t, "control", "LISTEN_ADDR="+strings.TrimPrefix(f.control.URL, "http://"))
	f.awaitWorkers(t)
	admin := []string{"Authorization", "Bearer " + adminPassword}
	if status, body := testkit.Get(t, f.control.URL+"/platform/v1/health", admin...); status != http.StatusOK || strings.Count(body, "worker http") != len(f.workers) {
		t.Errorf("control sees %d %s", status, body)
	}
}

// killWorker kills a worker under reads, and freezes another: none may fail.
func (f *fleet) killWorker(t *testing.T) {
	t.Helper()
	l := f.load(t, false)
	f.await(t, "reads", func() bool { return l.done.Load() > 1000 })
	f.workers[0].Kill()
	f.workers = f.workers[1:]
	killed := l.done.Load()
	f.await(t, "more reads", func() bool { return l.done.Load() > killed+2000 })
	f.awaitWorkers(t)
	l.check(t, "kill -9")

	frozen := f.workers[0] // as on a machine that is gone: nobody closes its connections
	if err := syscall.Kill(frozen.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(frozen.PID(), syscall.SIGCONT) }()
	f.workers = f.workers[1:]
	f.awaitWorkers(t)
	frozenAt := l.done.Load()
	f.await(t, "all clients read on", func() bool { return l.done.Load() > frozenAt+1000 })
	l.end()
	l.check(t, "kill -STOP")
}

// prepare makes the table that is read and written, and waits until all know it.
func (f *fleet) prepare(t *testing.T) {
	t.Helper()
	f.query(t, "CREATE TABLE public.ticks (id bigserial PRIMARY KEY, note text); INSERT INTO ticks (note) SELECT 'x' FROM generate_series(1, 10)")
	f.awaitWorkers(t)
	for _, w := range f.workers {
		f.await(t, "the workers know the table", func() bool {
			status, _ := testkit.Get(t, w.URL+"/rest/v1/ticks", "apikey", f.key)
			return status == http.StatusOK
		})
	}
}

// rows is how many rows the load has written.
func (f *fleet) rows(t *testing.T) (n int64) {
	t.Helper()
	f.query(t, "SELECT count(*) - 10 FROM ticks", &n)
	return n
}

func (f *fleet) query(t *testing.T, sql string, into ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), f.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if len(into) == 0 {
		_, err = conn.Exec(t.Context(), sql)
	} else {
		err = conn.QueryRow(t.Context(), sql).Scan(into...)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestSingleProxyRestartsBehindItsSocket restarts the only proxy there is, on a
// socket that something else holds open, as systemd does: clients wait for it.
func TestSingleProxyRestartsBehindItsSocket(t *testing.T) { // not parallel: it takes all processors
	f := newFleet(t, 1, 0)
	f.prepare(t)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	env := append(f.env, "CONTROL_UPSTREAM_URL="+f.control.URL, "WORKER_UPSTREAM_URLS="+f.workers[0].URL, "MADBASE_LISTEN_FD=3")
	start := func() *testkit.Process {
		return testkit.StartWith(t, []*os.File{socket}, binary, env, "serve", "--role", "proxy")
	}
	proxy := start()
	l := f.loadOn(t, "http://"+listener.Addr().String(), true)
	for range 3 {
		before := l.done.Load()
		f.await(t, "requests are served", func() bool { return l.done.Load() > before+500 })
		proxy.Stop(t)
		proxy = start()
	}
	l.end()
	l.check(t, "restarts of the only proxy")
	if rows := f.rows(t); rows != l.inserted.Load() {
		t.Errorf("%d rows of %d requests", rows, l.inserted.Load())
	}
	t.Logf("%d requests", l.done.Load())
}
