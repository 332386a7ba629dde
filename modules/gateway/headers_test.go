package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/madbase/madbase/modules/gateway"
	"github.com/madbase/madbase/platform/tenant"
)

func TestForwardedHeaders(t *testing.T) {
	t.Parallel()
	w := newWorker(t, echoHeaders)
	spoof := []string{
		"X-Forwarded-For", "6.6.6.6", "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https", "X-Forwarded-Port", "1",
		"X-Forwarded-Prefix", "/evil", "X-Real-Ip", "6.6.6.6", "Forwarded", "for=6.6.6.6",
	}
	t.Run("spoofed", func(t *testing.T) {
		t.Parallel()
		d := open(t, config(w.URL))
		_, got := d.get(t, http.MethodGet, "/rest/v1/items", spoof...)
		host := strings.TrimPrefix(d.URL, "http://")
		_, port, _ := net.SplitHostPort(host)
		for _, want := range []string{
			"x-forwarded-for: 127.0.0.1\n", "x-forwarded-host: " + host + "\n", "x-forwarded-proto: http\n",
			"x-forwarded-port: " + port + "\n", "x-real-ip: 127.0.0.1\n", "host: " + host + "\n",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in\n%s", want, got)
			}
		}
		if strings.Contains(got, "6.6.6.6") || strings.Contains(got, "evil") {
			t.Errorf("believed:\n%s", got)
		}
	})
	t.Run("of a private network", func(t *testing.T) { // which workers take for one of madbase's own proxies
		t.Parallel()
		cfg := config(w.URL)
		cfg.TrustedProxies = []string{"127.0.0.1"}
		_, got := open(t, cfg).get(t, http.MethodGet, "/rest/v1/items", "X-Forwarded-For", "6.6.6.6, 192.168.1.7")
		if !strings.Contains(got, "x-forwarded-for: 192.168.1.7\n") {
			t.Error(got)
		}
	})
	t.Run("trusted", func(t *testing.T) {
		t.Parallel()
		cfg := config(w.URL)
		cfg.TrustedProxies = []string{"127.0.0.0/8", "10.0.0.1"}
		d := open(t, cfg)
		spoof := append([]string(nil), spoof...)
		spoof[1] = "6.6.6.6, 203.0.113.7, 10.0.0.1"
		_, got := d.get(t, http.MethodGet, "/rest/v1/items", spoof...)
		for _, want := range []string{
			"x-forwarded-for: 203.0.113.7\n", "x-forwarded-host: evil.example\n",
			"x-forwarded-proto: https\n", "x-forwarded-prefix: /evil\n", "x-real-ip: 203.0.113.7\n",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in\n%s", want, got)
			}
		}
	})
}

// What a trusted proxy leaves out is as in the public URL, and nothing that others do.
func TestForwardedDefaults(t *testing.T) {
	t.Parallel()
	w := newWorker(t, echoHeaders)
	for _, trusted := range []bool{true, false} {
		cfg := config(w.URL)
		if trusted {
			cfg.TrustedProxies = []string{"127.0.0.1"}
		}
		d := open(t, cfg, func(deps *gateway.Deps) { deps.PublicURL = "https://example.com/supabase/" })
		_, got := d.get(t, http.MethodGet, "/rest/v1/items")
		for _, line := range []string{"x-forwarded-proto: https\n", "x-forwarded-prefix: /supabase\n"} {
			if strings.Contains(got, line) != trusted {
				t.Errorf("trusted %t: %s", trusted, got)
			}
		}
		_, got = d.get(t, http.MethodGet, "/rest/v1/items", "X-Forwarded-Proto", "http", "X-Forwarded-Prefix", "/other")
		if strings.Contains(got, "x-forwarded-prefix: /other\n") != trusted || !strings.Contains(got, "x-forwarded-proto: http\n") {
			t.Errorf("trusted %t, and it says so: %s", trusted, got)
		}
	}
}

// A project's path comes behind the one that a trusted proxy takes off.
func TestForwardedPrefixOfAProject(t *testing.T) {
	t.Parallel()
	cfg := config(newWorker(t, echoHeaders).URL)
	cfg.TrustedProxies = []string{"127.0.0.1"}
	d := open(t, cfg, func(deps *gateway.Deps) { deps.PublicURL, deps.Tell = "https://example.com/supabase", tenant.Tell })
	front := httptest.NewServer(tenant.Resolver{Keys: d.Keys}.Front(d.Server.Handler()))
	t.Cleanup(front.Close)
	d.URL = front.URL
	if _, got := d.get(t, http.MethodGet, "/project/blog/rest/v1/items"); !strings.Contains(got, "x-forwarded-prefix: /supabase/project/blog\n") {
		t.Error(got)
	}
}

func TestHopByHopHeaders(t *testing.T) {
	t.Parallel()
	w := newWorker(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Keep-Alive", "timeout=5")
		w.Header().Set("Proxy-Authenticate", "Basic")
		w.Header().Set("X-Upstream", "stays")
		echoHeaders(w, r)
	})
	d := open(t, config(w.URL))
	res, got := d.get(t, http.MethodGet, "/rest/v1/items",
		"Connection", "X-Drop, X-Forwarded-For, keep-alive", "X-Drop", "1", "Keep-Alive", "5",
		"Proxy-Authorization", "Basic eA==", "Proxy-Connection", "close", "Te", "gzip", "X-Keep", "1", "Expect", "100-continue")
	for _, name := range []string{"x-drop", "keep-alive", "proxy-authorization", "proxy-connection", "te", "connection", "expect"} {
		if strings.Contains("\n"+got, "\n"+name+": ") {
			t.Errorf("%s passed:\n%s", name, got)
		}
	}
	for _, want := range []string{"x-keep: 1\n", "x-forwarded-for: 127.0.0.1\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if res.Header.Get("Keep-Alive") != "" || res.Header.Get("Proxy-Authenticate") != "" || res.Header.Get("X-Upstream") != "stays" {
		t.Errorf("answer %v", res.Header)
	}
}

func TestPathQueryAndTracePassUnchanged(t *testing.T) {
	t.Parallel()
	w := newWorker(t, echoHeaders)
	d := open(t, config(w.URL))
	const uri = "/rest/v1/items%2Fx/a%20b?select=a;b&or=(a.eq.1,b.eq.%222%22)&name=eq.J%C3%B6rg+x&%zz"
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	res, got := d.get(t, http.MethodGet, uri, "Traceparent", parent, "Tracestate", "a=b", "Baggage", "k=v", "X-Request-Id", "my-id")
	for _, want := range []string{"uri: " + uri + "\n", "traceparent: " + parent + "\n", "tracestate: a=b\n", "baggage: k=v\n", "x-request-id: my-id\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if ids := res.Header.Values("X-Request-Id"); len(ids) != 1 || ids[0] != "my-id" {
		t.Errorf("request id %v", ids)
	}
	if strings.Contains(got, "user-agent: Go-http-client/1.1|") {
		t.Error("user agent doubled")
	}
}

func TestWebSocketUpgrade(t *testing.T) {
	t.Parallel()
	w := newWorker(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Connection") != "Upgrade" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Key: %t\r\n\r\n", r.Header.Get("X-Api-Key") != "")
		_ = rw.Flush()
		for {
			line, err := rw.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = rw.WriteString("echo " + line)
			_ = rw.Flush()
		}
	})
	d := open(t, config(w.URL))
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(d.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	fmt.Fprintf(conn, "GET /realtime/v1/websocket?apikey=%s&vsn=2.0.0 HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
		d.Keys.API().Publishable.Reveal())
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("X-Key") != "true" {
		t.Fatalf("%+v %v", res, err)
	}
	for _, word := range []string{"one\n", "two\n"} {
		_, _ = io.WriteString(conn, word)
		if line, err := in.ReadString('\n'); err != nil || line != "echo "+word {
			t.Fatalf("%q %v", line, err)
		}
	}
	if err := d.Module.Stop(t.Context()); err != nil { // a drain ends it
		t.Error(err)
	}
	if _, err := in.ReadByte(); err == nil {
		t.Error("the socket is open after the drain")
	}
}
