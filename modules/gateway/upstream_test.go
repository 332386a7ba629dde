package gateway_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/madbase/madbase/modules/gateway"
	"github.com/madbase/madbase/platform/topology"
)

// following are settings of a gateway that knows workers from its control plane only.
func following() gateway.Config {
	cfg := config()
	cfg.Control = "http://127.0.0.1:1"
	cfg.HealthInterval, cfg.HealthTimeout, cfg.HealthRise, cfg.HealthFall = 10*time.Millisecond, time.Second, 2, 3
	return cfg
}

func list(workers ...*worker) topology.Topology {
	var t topology.Topology
	for _, w := range workers {
		t.Workers = append(t.Workers, topology.Worker{ID: w.URL, URL: w.URL})
	}
	return t
}

// counting keeps the metrics of the gateway in set.
func counting(set *metrics.Set) func(*gateway.Deps) {
	return func(d *gateway.Deps) { d.Metrics = set }
}

func text(set *metrics.Set) string {
	var b bytes.Buffer
	set.WritePrometheus(&b)
	return b.String()
}

// served is how many of n reads w serves.
func (d *door) served(t *testing.T, w *worker, n int) int {
	t.Helper()
	before := w.Requests.Load()
	for range n {
		if res, body := d.get(t, http.MethodGet, "/rest/v1/items"); res.StatusCode != http.StatusOK {
			t.Fatal(res.StatusCode, body)
		}
	}
	return int(w.Requests.Load() - before)
}

func TestWorkersJoinAndLeave(t *testing.T) {
	t.Parallel()
	held := make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	defer release()
	a := newWorker(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/rest/v1/slow" {
			<-held
		}
		ok(w, r)
	})
	b, set := newWorker(t, ok), metrics.NewSet()
	d := open(t, following(), counting(set))
	if res, body := d.get(t, http.MethodGet, "/rest/v1/items"); res.StatusCode != http.StatusServiceUnavailable || d.Module.Ready(t.Context()) == nil {
		t.Fatalf("before there are workers: %d %s", res.StatusCode, body)
	}
	d.Module.Apply(list(a))
	eventually(t, "ready", func() bool { return d.Module.Ready(t.Context()) == nil })
	slow := make(chan int, 1)
	go func() {
		res, _ := d.get(t, http.MethodGet, "/rest/v1/slow")
		slow <- res.StatusCode
	}()
	eventually(t, "the slow request is under way", func() bool { return a.Requests.Load() > 0 })
	d.Module.Apply(list(a, b))
	eventually(t, "both share", func() bool { return d.served(t, b, 4) == 2 })
	d.Module.Apply(list(b))
	if n := d.served(t, a, 4); n != 2 {
		t.Errorf("a worker that is well and only missing gets %d of 4", n)
	}
	a.Down.Store(true)
	eventually(t, "it leaves", func() bool { return !strings.Contains(text(set), strings.TrimPrefix(a.URL, "http://")) })
	if n := d.served(t, b, 4); n != 4 {
		t.Errorf("the one left gets %d of 4", n)
	}
	d.Module.Apply(topology.Topology{})
	if n := d.served(t, b, 2); n != 2 {
		t.Error("an empty list was believed")
	}
	release()
	if status := <-slow; status != http.StatusOK {
		t.Errorf("the request that was under way: %d", status)
	}
}

func TestDrainingWorkersGetNothing(t *testing.T) {
	t.Parallel()
	a, b := newWorker(t, ok), newWorker(t, ok)
	cfg := following()
	cfg.HealthInterval = 0
	d := open(t, cfg)
	d.Module.Apply(list(a, b))
	if n := d.served(t, a, 4); n != 2 {
		t.Fatalf("%d of 4", n)
	}
	draining := list(a, b)
	draining.Workers[0].Draining = true
	d.Module.Apply(draining)
	if n := d.served(t, a, 4); n != 0 {
		t.Errorf("a draining worker got %d of 4", n)
	}
	d.Module.Apply(list(a, b)) // another process there
	if n := d.served(t, a, 4); n != 2 {
		t.Errorf("its successor got %d of 4", n)
	}
}

// A worker that the settings name stays, whatever the topology says; addresses
// that are none are left out.
func TestNamedWorkersStay(t *testing.T) {
	t.Parallel()
	a, b := newWorker(t, ok), newWorker(t, ok)
	cfg := config(a.URL)
	d := open(t, cfg)
	told := list(b)
	told.Workers = append(told.Workers, topology.Worker{URL: "http://w/path"}, topology.Worker{URL: "file:///etc"}, topology.Worker{})
	d.Module.Apply(told)
	if n := d.served(t, a, 4); n != 2 {
		t.Errorf("%d of 4", n)
	}
}

func TestTheLessBusyOfTwo(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	a := newWorker(t, func(w http.ResponseWriter, r *http.Request) { <-release; ok(w, r) })
	b := newWorker(t, ok)
	cfg, set := config(a.URL, b.URL), metrics.NewSet()
	cfg.Balance = "least"
	d := open(t, cfg, counting(set))
	var all sync.WaitGroup
	defer all.Wait()
	defer close(release)
	sent := int64(0)
	for ; a.Requests.Load() == 0; sent++ { // until one is held there
		all.Go(func() { d.get(t, http.MethodGet, "/rest/v1/items") })
		<-time.After(time.Millisecond)
	}
	eventually(t, "the others have their answers", func() bool {
		return a.Requests.Load()+b.Requests.Load() == sent && strings.Contains(text(set), `in_flight{group="worker",upstream="`+strings.TrimPrefix(b.URL, "http://")+`"} 0`)
	})
	before := a.Requests.Load()
	if n := d.served(t, b, 50); n != 50 || a.Requests.Load() != before {
		t.Errorf("the idle one got %d of 50", n)
	}
}

func TestSlowStart(t *testing.T) {
	t.Parallel()
	a, b := newWorker(t, ok), newWorker(t, ok)
	cfg := config(a.URL, b.URL)
	cfg.HealthInterval, cfg.HealthTimeout, cfg.HealthRise, cfg.HealthFall = 10*time.Millisecond, time.Second, 2, 3
	cfg.SlowStart = time.Hour
	d := open(t, cfg)
	eventually(t, "ready", func() bool { return d.Module.Ready(t.Context()) == nil })
	if n := d.served(t, a, 40); n != 20 {
		t.Errorf("at the start each has its share, not %d of 40", n)
	}
	a.Down.Store(true)
	eventually(t, "one is out", func() bool { return d.served(t, a, 4) == 0 })
	a.Down.Store(false)
	eventually(t, "it is back", func() bool { return d.served(t, a, 10) > 0 })
	if n := d.served(t, a, 1000); n < 10 || n > 150 { // a tenth of a half is 50
		t.Errorf("back, it got %d of 1000", n)
	}
}

func TestRetryBudget(t *testing.T) {
	t.Parallel()
	bad, good := newWorker(t, breaking), newWorker(t, ok)
	cfg, set := config(bad.URL, good.URL), metrics.NewSet()
	cfg.EjectAfter, cfg.RetryBudget = 0, 10
	d := open(t, cfg, counting(set))
	failed := 0
	for range 1400 { // half of them break; 500 retries are saved up, and 140 earned
		if res, _ := d.get(t, http.MethodGet, "/rest/v1/items"); res.StatusCode != http.StatusOK {
			failed++
		}
	}
	if failed < 40 || failed > 120 {
		t.Errorf("%d of 1400 failed", failed)
	}
	if got := text(set); !strings.Contains(got, `madbase_gateway_retries_denied_total{group="worker"}`) || strings.Contains(got, `madbase_gateway_retries_denied_total{group="worker"} 0`) {
		t.Errorf("no denied retries in\n%s", got)
	}
}

func TestTheLastUpstreamIsNotEjected(t *testing.T) {
	t.Parallel()
	a, b := newWorker(t, breaking), newWorker(t, breaking)
	cfg, set := config(a.URL, b.URL), metrics.NewSet()
	cfg.EjectFor = time.Hour
	d := open(t, cfg, counting(set))
	for range 40 {
		d.get(t, http.MethodPost, "/rest/v1/items")
	}
	up, ejections := 0, 0
	for line := range strings.Lines(text(set)) {
		if strings.HasPrefix(line, "madbase_gateway_upstream_up") && strings.HasSuffix(line, " 1\n") {
			up++
		}
		if strings.HasPrefix(line, "madbase_gateway_upstream_ejections_total") && strings.HasSuffix(line, " 1\n") {
			ejections++
		}
	}
	if up != 1 || ejections != 1 {
		t.Errorf("%d up, %d ejected", up, ejections)
	}
}

// The time for an answer's header is each route class's own, and begins when the
// request has been sent.
func TestHeaderTimeoutOfItsClass(t *testing.T) {
	t.Parallel()
	w := newWorker(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Query().Has("late") {
			<-time.After(400 * time.Millisecond)
		}
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		if r.URL.Query().Has("long") {
			<-time.After(400 * time.Millisecond)
		}
		_, _ = io.WriteString(w, "end")
	})
	cfg := config(w.URL)
	cfg.RestTimeout, cfg.StorageTimeout = 200*time.Millisecond, 10*time.Second
	d := open(t, cfg)
	for path, want := range map[string]int{"/rest/v1/a?late": 504, "/storage/v1/a?late": 200, "/functions/v1/a?late": 200, "/rest/v1/a?long": 200} {
		if res, body := d.get(t, http.MethodGet, path); res.StatusCode != want || want == 200 && body != "end" {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
	}
	body, feed := io.Pipe()
	go func() {
		for range 4 {
			<-time.After(100 * time.Millisecond)
			_, _ = io.WriteString(feed, "slowly")
		}
		_ = feed.Close()
	}()
	if res := d.do(t, d.request(t, http.MethodPost, "/rest/v1/a", body)); res.StatusCode != http.StatusOK {
		t.Errorf("a slow upload: %d", res.StatusCode)
	}
	if res := d.do(t, d.request(t, http.MethodPost, "/rest/v1/a?late", strings.NewReader("body"))); res.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("a late answer to a body: %d", res.StatusCode)
	}
}

// Reads that wait for a worker whose machine is gone are sent to another one when
// checks have found that; what must not be repeated fails then.
func TestSilentUpstream(t *testing.T) {
	t.Parallel()
	a, b := newWorker(t, ok), newWorker(t, ok)
	cfg := config(a.URL, b.URL)
	cfg.HealthInterval, cfg.HealthTimeout, cfg.HealthRise, cfg.HealthFall = 200*time.Millisecond, 100*time.Millisecond, 2, 3
	d := open(t, cfg)
	eventually(t, "ready", func() bool { return d.Module.Ready(t.Context()) == nil })
	d.served(t, a, 4)
	a.Frozen.Store(true)
	var all sync.WaitGroup
	for _, method := range []string{http.MethodGet, http.MethodGet, http.MethodPost, http.MethodPost} { // two in turn to each worker
		all.Go(func() {
			res, body := d.get(t, method, "/rest/v1/items")
			if res.StatusCode != http.StatusOK && (method == http.MethodGet || res.StatusCode != http.StatusBadGateway) {
				t.Errorf("%s: %d %s", method, res.StatusCode, body)
			}
		})
	}
	all.Wait()
	if n := d.served(t, b, 4); n != 4 {
		t.Errorf("the one left got %d of 4", n)
	}
	a.Frozen.Store(false)
	eventually(t, "it is back", func() bool { return d.served(t, a, 4) > 0 })
}
