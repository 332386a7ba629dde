package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/gateway"
	"github.com/madbase/madbase/platform/ratelimit"
	"github.com/madbase/madbase/platform/redisx"
	"github.com/madbase/madbase/platform/secret"
	"github.com/madbase/madbase/platform/testkit"
)

// refusal is an error in the platform's dialect.
type refusal struct {
	Error string `json:"error"`
	Code  int    `json:"code"`
}

// wantRefusal checks that res is a refusal that a browser's page can read.
func wantRefusal(t *testing.T, res *http.Response, body string, status int) {
	t.Helper()
	var said refusal
	if err := json.Unmarshal([]byte(body), &said); err != nil || said.Error == "" || said.Code != status || res.StatusCode != status {
		t.Errorf("%s %q %v, want %d", res.Status, body, err, status)
	}
	if res.Header.Get("Access-Control-Allow-Origin") != "*" || res.Header.Get("X-Request-Id") == "" {
		t.Errorf("%d without CORS or id: %v", status, res.Header)
	}
}

func TestBodyLimits(t *testing.T) {
	t.Parallel()
	w := newWorker(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%d %v", n, err)
	})
	cfg := config(w.URL)
	cfg.Control = w.URL
	cfg.Limits = gateway.Limits{BodyAuth: 10, BodyREST: 20, BodyPlatform: 30, BodyTimeout: time.Second}
	d := open(t, cfg)
	for path, most := range map[string]int{"/auth/v1/token": 10, "/rest/v1/a": 20, "/functions/v1/f": 20, "/platform/v1/login": 30, "/storage/v1/object/b/k": 0} {
		for _, size := range []int{most, most + 1, 2 << 20} {
			for _, length := range []int64{int64(size), -1} {
				r := d.request(t, http.MethodPost, path, io.NopCloser(bytes.NewReader(make([]byte, size))))
				if r.ContentLength = length; length == 0 {
					r.Body = http.NoBody
				}
				res, err := d.Client.Do(r)
				if err != nil {
					t.Errorf("%s: %d bytes, announced as %d: %v", path, size, length, err)
					continue
				}
				body := readAll(t, res)
				_ = res.Body.Close()
				if most > 0 && size > most {
					wantRefusal(t, res, body, http.StatusRequestEntityTooLarge)
				} else if body != fmt.Sprintf("%d <nil>", size) {
					t.Errorf("%s: %d bytes, announced as %d: %s %q", path, size, length, res.Status, body)
				}
			}
		}
	}
}

func TestHeaderLimit(t *testing.T) {
	t.Parallel()
	w := newWorker(t, ok)
	cfg := config(w.URL)
	cfg.Limits = gateway.Limits{Header: 8 << 10}
	d := open(t, cfg)
	if res, body := d.get(t, http.MethodGet, "/rest/v1/a", "X-A", strings.Repeat("a", 4<<10)); res.StatusCode != http.StatusOK {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	for path, value := range map[string]string{"/rest/v1/a": strings.Repeat("a", 9<<10), "/rest/v1/a?id=in.(" + strings.Repeat("1,", 5<<10) + ")": "a"} {
		res, body := d.get(t, http.MethodGet, path, "X-A", value)
		wantRefusal(t, res, body, http.StatusRequestHeaderFieldsTooLarge)
	}
	if n := w.Requests.Load(); n != 1 {
		t.Errorf("%d requests passed", n)
	}
}

// A client behind a trusted proxy is one by its own address.
func TestRatePerClient(t *testing.T) {
	t.Parallel()
	w := newWorker(t, ok)
	cfg := config(w.URL)
	cfg.TrustedProxies = []string{"127.0.0.1"}
	cfg.Limits = gateway.Limits{PerIP: 1, IPBurst: 2}
	d := open(t, cfg)
	for _, client := range [][]string{{"203.0.113.1", "203.0.113.1"}, {"2001:db8:0:1::1", "2001:db8:0:1:ffff::2"}, {"2001:db8:0:2::1", "2001:db8:0:2::1"}} {
		for i := range 2 { // a bad key counts as well
			if res, body := d.get(t, http.MethodGet, "/rest/v1/a", "X-Forwarded-For", client[0], "apikey", "guess"); res.StatusCode != http.StatusUnauthorized {
				t.Errorf("%v, request %d: %d %s", client, i, res.StatusCode, body)
			}
		}
		res, body := d.get(t, http.MethodGet, "/rest/v1/a", "X-Forwarded-For", client[1])
		wantRefusal(t, res, body, http.StatusTooManyRequests)
		if after := res.Header.Get("Retry-After"); after != "1" {
			t.Errorf("Retry-After %q", after)
		}
	}
	if res, _ := d.get(t, http.MethodGet, "/readyz", "X-Forwarded-For", "203.0.113.1"); res.StatusCode == http.StatusTooManyRequests {
		t.Error("a health check is counted")
	}
}

func TestRatePerKey(t *testing.T) {
	t.Parallel()
	w := newWorker(t, ok)
	cfg := config(w.URL)
	cfg.Limits = gateway.Limits{PerKey: 1}
	d := open(t, cfg)
	api := d.Keys.API()
	for _, key := range []string{api.Anon.Reveal(), api.Publishable.Reveal()} {
		for range 2 {
			if res, body := d.get(t, http.MethodGet, "/rest/v1/a", "apikey", key); res.StatusCode != http.StatusOK {
				t.Errorf("%d %s", res.StatusCode, body)
			}
		}
		res, body := d.get(t, http.MethodGet, "/rest/v1/a", "apikey", key)
		wantRefusal(t, res, body, http.StatusTooManyRequests)
	}
}

func TestConcurrentRequestsOfAProject(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}, 4), make(chan struct{})
	w := newWorker(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		ok(w, r)
	})
	cfg := config(w.URL)
	cfg.Limits = gateway.Limits{Concurrent: 2}
	d := open(t, cfg, func(deps *gateway.Deps) {
		deps.Project = func(r *http.Request) string { return r.Header.Get("X-Project") }
	})
	answers := make(chan int, 3)
	for _, project := range []string{"a", "a", "b"} {
		go func() {
			res, err := d.Client.Do(d.request(t, http.MethodGet, "/rest/v1/a", nil, "X-Project", project))
			if err != nil {
				answers <- 0
				return
			}
			_ = res.Body.Close()
			answers <- res.StatusCode
		}()
		<-arrived
	}
	res, body := d.get(t, http.MethodGet, "/rest/v1/a", "X-Project", "a")
	wantRefusal(t, res, body, http.StatusTooManyRequests)
	res, body = d.get(t, http.MethodGet, "/rest/v1/a", "X-Project", "a", "Connection", "Upgrade", "Upgrade", "websocket")
	wantRefusal(t, res, body, http.StatusTooManyRequests)
	close(release)
	for range 3 {
		if status := <-answers; status != http.StatusOK {
			t.Error(status)
		}
	}
	if res, _ := d.get(t, http.MethodGet, "/rest/v1/a", "X-Project", "a"); res.StatusCode != http.StatusOK || res.Header.Get("Retry-After") != "" {
		t.Errorf("after the others: %s", res.Status)
	}
}

// WebSockets are counted for themselves, for as long as they last.
func TestSocketsOfAProject(t *testing.T) {
	t.Parallel()
	w := newWorker(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = rw.Flush()
		_, _ = io.Copy(io.Discard, rw) // until the client goes
		_ = conn.Close()
	})
	cfg := config(w.URL)
	cfg.Limits = gateway.Limits{Concurrent: 1, Sockets: 2}
	d := open(t, cfg)
	first, _ := openSocket(t, d)
	openSocket(t, d)
	ask := func() *http.Response {
		res := d.do(t, d.request(t, http.MethodGet, "/realtime/v1/websocket", nil, "Connection", "Upgrade", "Upgrade", "websocket"))
		_ = res.Body.Close()
		return res
	}
	if res := ask(); res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" {
		t.Errorf("a third one: %s", res.Status)
	}
	_ = first.Close()
	for deadline := time.Now().Add(5 * time.Second); ; {
		res := ask()
		if res.StatusCode == http.StatusSwitchingProtocols {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after one has gone: %s", res.Status)
		}
	}
}

// Every failure between gateway and upstream is JSON that a page may read.
func TestUpstreamFailuresAreJSON(t *testing.T) {
	t.Parallel()
	for status, start := range map[int]func(*testing.T) *door{
		http.StatusServiceUnavailable: func(t *testing.T) *door { return open(t, config(deadURL(t))) },
		http.StatusBadGateway:         func(t *testing.T) *door { return open(t, config(newWorker(t, breaking).URL)) },
		http.StatusGatewayTimeout: func(t *testing.T) *door {
			w := newWorker(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
			return open(t, config(w.URL), shortTimeout)
		},
	} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			d := start(t)
			res, body := d.get(t, http.MethodPost, "/rest/v1/a")
			wantRefusal(t, res, body, status)
		})
	}
}

// Several proxies count together in Redis, and each alone while it is away.
func TestRateOfSeveralProxies(t *testing.T) {
	t.Parallel()
	w := newWorker(t, ok)
	cfg := config(w.URL)
	cfg.Limits = gateway.Limits{PerIP: 1, IPBurst: 4}
	url := testkit.Redis(t)
	var doors []*door
	var clients []*redisx.Client
	for range 2 {
		client, err := redisx.Open(redisx.Config{URL: secret.String(url), Prefix: "madbase", Timeout: 2 * time.Second}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		clients = append(clients, client)
		doors = append(doors, open(t, cfg, func(deps *gateway.Deps) { deps.Limiter = ratelimit.NewRedis(client, ratelimit.NewMemory(10)) }))
	}
	statuses := func() (all []int) {
		for i := range 6 {
			res, _ := doors[i%2].get(t, http.MethodGet, "/rest/v1/a")
			all = append(all, res.StatusCode)
		}
		return all
	}
	if got := statuses(); fmt.Sprint(got[:4]) != "[200 200 200 200]" || got[5] != http.StatusTooManyRequests {
		t.Errorf("together: %v", got)
	}
	for _, client := range clients {
		client.Close()
	}
	if got := statuses(); fmt.Sprint(got) != "[200 200 200 200 200 200]" { // three of each, with buckets of their own
		t.Errorf("alone: %v", got)
	}
}
