package gateway_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/gateway"
)

func TestProxyRoundRobin(t *testing.T) {
	t.Parallel()
	a, b := newWorker(t, ok), newWorker(t, ok)
	d := open(t, config(a.URL, b.URL))
	for range 4 {
		d.get(t, http.MethodGet, "/rest/v1/items")
	}
	if a.Requests.Load() != 2 || b.Requests.Load() != 2 {
		t.Errorf("%d and %d of 4 requests", a.Requests.Load(), b.Requests.Load())
	}
}

func TestProxySkipsUnhealthy(t *testing.T) {
	t.Parallel()
	a, b := newWorker(t, ok), newWorker(t, ok)
	cfg := config(a.URL, b.URL)
	cfg.HealthInterval, cfg.HealthTimeout, cfg.HealthRise, cfg.HealthFall = 10*time.Millisecond, time.Second, 2, 3
	d := open(t, cfg)
	eventually(t, "ready", func() bool { return d.Module.Ready(t.Context()) == nil })
	served := func(w *worker) int64 {
		before := w.Requests.Load()
		for range 4 {
			d.get(t, http.MethodGet, "/rest/v1/items")
		}
		return w.Requests.Load() - before
	}
	a.Down.Store(true)
	eventually(t, "the unready worker gets nothing", func() bool { return served(a) == 0 })
	if n := served(b); n != 4 {
		t.Errorf("the ready worker got %d of 4", n)
	}
	b.Down.Store(true)
	eventually(t, "with all unready the rotation goes on", func() bool { return served(a) == 2 })
	a.Down.Store(false)
	eventually(t, "the worker comes back", func() bool { return served(a) == 4 })
}

func TestAllUpstreamsDown(t *testing.T) {
	t.Parallel()
	a, b := newWorker(t, ok), newWorker(t, ok)
	a.Close()
	b.Close()
	d := open(t, config(a.URL, b.URL))
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		res, body := d.get(t, method, "/rest/v1/items")
		if want := `{"error":"No worker can be reached","code":503}`; res.StatusCode != 503 || body != want {
			t.Errorf("%s: %d %s", method, res.StatusCode, body)
		}
		if res.Header.Get("Access-Control-Allow-Origin") != "*" || res.Header.Get("X-Request-Id") == "" {
			t.Errorf("headers %v", res.Header)
		}
	}
	if res, body := d.get(t, http.MethodGet, "/platform/v1/health"); res.StatusCode != 503 || body != `{"error":"No control is configured","code":503}` {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

func TestProxySingleHTTPClient(t *testing.T) {
	t.Parallel()
	w := newWorker(t, ok)
	cfg := config(w.URL)
	cfg.Control = w.URL
	d := open(t, cfg)
	for range 50 {
		d.get(t, http.MethodGet, "/rest/v1/items")
		d.get(t, http.MethodGet, "/platform/v1/health")
	}
	if n := w.Connections.Load(); n != 1 {
		t.Errorf("100 requests in a row took %d connections", n)
	}
}

// deadURL is the address of a server that is no more.
func deadURL(t *testing.T) string {
	t.Helper()
	w := newWorker(t, ok)
	w.Close()
	return w.URL
}

func TestRetryWhenNothingWasSent(t *testing.T) {
	t.Parallel()
	w := newWorker(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	d := open(t, config(deadURL(t), w.URL))
	for range 10 {
		res := d.do(t, d.request(t, http.MethodPost, "/rest/v1/items", strings.NewReader(`{"a":1}`)))
		if body, _ := io.ReadAll(res.Body); res.StatusCode != 200 || string(body) != `{"a":1}` {
			t.Errorf("%d %s", res.StatusCode, body)
		}
	}
}

// breaking closes the connection instead of answering.
func breaking(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestRetryOnlyOfIdempotentRequests(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		method string
		body   []byte
		want   int
	}{
		{http.MethodGet, nil, 200},
		{http.MethodHead, nil, 200},
		{http.MethodDelete, []byte(`{"prefixes":["a"]}`), 200},
		{http.MethodPut, bytes.Repeat([]byte("x"), 64<<10), 200},
		{http.MethodPut, bytes.Repeat([]byte("x"), 64<<10+1), 502},
		{http.MethodPost, []byte("x"), 502},
		{http.MethodPatch, []byte("x"), 502},
	} {
		var sizes atomic.Int64
		bad := newWorker(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			breaking(w, r)
		})
		good := newWorker(t, func(_ http.ResponseWriter, r *http.Request) {
			n, _ := io.Copy(io.Discard, r.Body)
			sizes.Add(n)
		})
		d := open(t, config(bad.URL, good.URL))
		res := d.do(t, d.request(t, test.method, "/rest/v1/items", bytes.NewReader(test.body)))
		if res.StatusCode != test.want {
			t.Errorf("%s of %d bytes: %d, want %d", test.method, len(test.body), res.StatusCode, test.want)
		}
		if test.want == 200 && sizes.Load() != int64(len(test.body)) {
			t.Errorf("%s: %d of %d bytes arrived", test.method, sizes.Load(), len(test.body))
		}
	}
}

func TestRetryOnlyOnce(t *testing.T) {
	t.Parallel()
	a, b, c := newWorker(t, breaking), newWorker(t, breaking), newWorker(t, breaking)
	d := open(t, config(a.URL, b.URL, c.URL))
	res, body := d.get(t, http.MethodGet, "/rest/v1/items")
	if n := a.Requests.Load() + b.Requests.Load() + c.Requests.Load(); n != 2 || res.StatusCode != 502 {
		t.Errorf("%d attempts, %d %s", n, res.StatusCode, body)
	}
}

func TestEjection(t *testing.T) {
	t.Parallel()
	bad, good := newWorker(t, breaking), newWorker(t, ok)
	cfg := config(bad.URL, good.URL)
	cfg.EjectFor = time.Hour
	d := open(t, cfg)
	for range 40 {
		if res, _ := d.get(t, http.MethodGet, "/rest/v1/items"); res.StatusCode != 200 {
			t.Fatal(res.StatusCode)
		}
	}
	if n := bad.Requests.Load(); n != 5 {
		t.Errorf("%d requests went to the breaking worker before it was ejected", n)
	}
	cfg.Workers = cfg.Workers[:1]
	d = open(t, cfg)
	before := bad.Requests.Load()
	for range 10 {
		d.get(t, http.MethodGet, "/rest/v1/items")
	}
	if n := bad.Requests.Load() - before; n != 10 {
		t.Errorf("the last worker got %d of 10", n)
	}
}

func TestApplicationErrorsDoNotEject(t *testing.T) {
	t.Parallel()
	bad := newWorker(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	good := newWorker(t, ok)
	d := open(t, config(bad.URL, good.URL))
	for range 40 {
		d.get(t, http.MethodGet, "/rest/v1/items")
	}
	if n := bad.Requests.Load(); n != 20 {
		t.Errorf("%d of 40", n)
	}
}

// shortTimeout gives upstreams little time for their header.
func shortTimeout(deps *gateway.Deps) { deps.Transport.ResponseHeaderTimeout = 50 * time.Millisecond }

func TestHeaderTimeoutIs504(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	w := newWorker(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	d := open(t, config(w.URL, w.URL), shortTimeout)
	res, body := d.get(t, http.MethodGet, "/rest/v1/items")
	if res.StatusCode != 504 || w.Requests.Load() != 1 {
		t.Errorf("%d %s after %d attempts", res.StatusCode, body, w.Requests.Load())
	}
}

// TestNoReadFailsWhenAWorkerDies cuts a worker off under load: its listener and
// all its connections at once, as kill -9 does.
func TestNoReadFailsWhenAWorkerDies(t *testing.T) {
	t.Parallel()
	a, b := newWorker(t, ok), newWorker(t, ok)
	cfg := config(a.URL, b.URL)
	cfg.HealthInterval, cfg.HealthTimeout, cfg.HealthRise, cfg.HealthFall = 20*time.Millisecond, time.Second, 2, 3
	d := open(t, cfg)
	var failed, done atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 250 {
				res, err := d.Client.Do(d.request(t, http.MethodGet, "/rest/v1/items", nil))
				if err != nil || res.StatusCode != 200 {
					failed.Add(1)
				}
				if err == nil {
					_, _ = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
				}
				if done.Add(1) == 500 {
					_ = a.Listener.Close()
					a.CloseClientConnections()
				}
			}
		})
	}
	wg.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d of 2000 reads failed", failed.Load())
	}
	if a.Requests.Load() == 0 || b.Requests.Load() < 1000 {
		t.Errorf("%d and %d requests", a.Requests.Load(), b.Requests.Load())
	}
}
