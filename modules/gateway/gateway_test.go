package gateway_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/madbase/madbase/modules/gateway"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/httpx"
)

const jwtSecret = "a-secret-of-more-than-32-characters-for-tests"

func testKeys(t testing.TB) *claims.Keys {
	t.Helper()
	keys, err := claims.NewKeys(claims.Config{Secret: jwtSecret})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// headerTimeout is how long a test's client may take to send a header.
const headerTimeout = 500 * time.Millisecond

// door is a gateway that listens on loopback.
type door struct {
	URL    string
	Keys   *claims.Keys
	Client *http.Client
	Module *gateway.Module
	Server *httpx.Server
}

// config are settings with checks off, so that tests see only what they send, and
// upstreams that take turns, so that they know who gets it.
func config(workers ...string) gateway.Config {
	return gateway.Config{
		Workers: workers, AllowedOrigins: []string{"*"}, RequireAPIKey: true,
		UpstreamConfig: gateway.UpstreamConfig{Balance: "turns", EjectAfter: 5, EjectFor: 10 * time.Second, RetryBudget: 20},
	}
}

func open(t testing.TB, cfg gateway.Config, change ...func(*gateway.Deps)) *door {
	t.Helper()
	keys := testKeys(t)
	deps := gateway.Deps{
		Log: slog.New(slog.DiscardHandler), Metrics: metrics.NewSet(), Version: "test",
		Keys:      func(*http.Request) *claims.Keys { return keys },
		Transport: httpx.NewTransport(httpx.TransportConfig{DialTimeout: 2 * time.Second, HeaderTimeout: 30 * time.Second, MaxIdle: 64}),
	}
	for _, f := range change {
		f(&deps)
	}
	m, err := gateway.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := httpx.New(httpx.Deps{Log: deps.Log, Metrics: deps.Metrics, Role: "proxy", Access: httpx.AccessConfig{Level: "info", Sample: 1}})
	s.Mount("", m)
	server := httptest.NewUnstartedServer(nil)
	server.Config = s.HTTP(httpx.Config{MaxHeaderBytes: 256 << 10, ReadHeaderTimeout: headerTimeout, IdleTimeout: 10 * time.Second})
	server.Start()
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := m.Stop(ctx); err != nil {
			t.Error(err)
		}
		server.Close()
		deps.Transport.CloseIdleConnections()
	})
	return &door{URL: server.URL, Keys: keys, Client: client, Module: m, Server: s}
}

// request builds a request with the anon key and the headers given as name, value pairs.
func (d *door) request(t testing.TB, method, path string, body io.Reader, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, d.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("apikey", d.Keys.API().Anon.Reveal())
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func (d *door) do(t testing.TB, r *http.Request) *http.Response {
	t.Helper()
	res, err := d.Client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// get sends a request and reads the whole answer.
func (d *door) get(t testing.TB, method, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	res := d.do(t, d.request(t, method, path, nil, headers...))
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// worker is an upstream that counts its requests and connections.
type worker struct {
	*httptest.Server
	Requests, Connections atomic.Int64
	Down                  atomic.Bool // answers 503 to health checks
	Frozen                atomic.Bool // answers nothing
}

func newWorker(t testing.TB, h http.HandlerFunc) *worker {
	t.Helper()
	w := &worker{}
	w.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.Frozen.Load() {
			_, _ = io.Copy(io.Discard, r.Body) // so that its client's leaving is seen
			<-r.Context().Done()
			return
		}
		if r.URL.Path == "/readyz" {
			if w.Down.Load() {
				rw.WriteHeader(http.StatusServiceUnavailable)
			}
			return
		}
		w.Requests.Add(1)
		h(rw, r)
	}))
	w.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			w.Connections.Add(1)
		}
	}
	w.Start()
	t.Cleanup(w.Close)
	return w
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }

func echoHeaders(w http.ResponseWriter, r *http.Request) {
	for name, values := range r.Header {
		fmt.Fprintf(w, "%s: %s\n", strings.ToLower(name), strings.Join(values, "|"))
	}
	fmt.Fprintf(w, "uri: %s\nhost: %s\n", r.RequestURI, r.Host)
}

// eventually waits for cond without a fixed sleep.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("timed out: %s", what)
		}
	}
}

func readAll(t testing.TB, res *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestStopWaitsForRequests(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	w := newWorker(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		ok(w, r)
	})
	d := open(t, config(w.URL))
	answered := make(chan int, 1)
	go func() {
		res := d.do(t, d.request(t, http.MethodPost, "/rest/v1/items", nil))
		answered <- res.StatusCode
	}()
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := d.Module.Stop(ctx); err == nil {
		t.Error("stopped with a request under way")
	}
	stopped := make(chan error, 1)
	go func() { stopped <- d.Module.Stop(context.Background()) }()
	close(release)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if status := <-answered; status != 200 {
		t.Error(status)
	}
}

// BenchmarkProxyOverhead compares the same small read of the same upstream,
// direct and through the gateway, in one run.
func BenchmarkProxyOverhead(b *testing.B) {
	body := []byte(`[{"id":1,"name":"` + strings.Repeat("x", 200) + `"}]`)
	w := newWorker(b, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
	d := open(b, config(w.URL))
	for name, base := range map[string]string{"direct": w.URL, "proxy": d.URL} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				r := d.request(b, http.MethodGet, "/", nil)
				u, err := r.URL.Parse(base + "/rest/v1/items?id=eq.1")
				if err != nil {
					b.Error(err)
					return
				}
				r.URL = u
				for pb.Next() {
					res, err := d.Client.Do(r)
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
				}
			})
		})
	}
}
