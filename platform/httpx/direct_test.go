package httpx_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/httpx"
)

func newDirect(t *testing.T) *httpx.Direct {
	d := httpx.NewDirect(httpx.NewTransport(httpx.TransportConfig{DialTimeout: 2 * time.Second, HeaderTimeout: 300 * time.Millisecond, MaxIdle: 8}))
	t.Cleanup(d.CloseIdleConnections)
	return d
}

// counted is a server that counts its connections.
func counted(t *testing.T, h http.HandlerFunc) (*httptest.Server, *atomic.Int64) {
	n := new(atomic.Int64)
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			n.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s, n
}

func ask(ctx context.Context, d http.RoundTripper, method, url string) (*http.Response, string, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, "", err
	}
	r.Header.Set("X-Sent", "yes")
	res, err := d.RoundTrip(r)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

func TestDirectAnswers(t *testing.T) {
	t.Parallel()
	s, connections := counted(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Sent") != "yes" || r.ContentLength != 0 || strings.Contains(fmt.Sprint(r.Header), "Content-Length") {
			w.WriteHeader(http.StatusBadRequest)
		}
		switch r.URL.Path {
		case "/chunked":
			_, _ = io.WriteString(w, "one ")
			w.(http.Flusher).Flush()
			w.Header().Set(http.TrailerPrefix+"X-End", "yes")
			_, _ = io.WriteString(w, "two")
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		case "/unchanged":
			w.WriteHeader(http.StatusNotModified)
		case "/early":
			w.WriteHeader(http.StatusEarlyHints)
			_, _ = io.WriteString(w, "late")
		default:
			_, _ = io.WriteString(w, r.Method+" "+r.RequestURI)
		}
	})
	d := newDirect(t)
	for _, test := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/a%2fb?c=d%20e;f", 200, "GET /a%2fb?c=d%20e;f"},
		{"DELETE", "/a", 200, "DELETE /a"},
		{"HEAD", "/a", 200, ""},
		{"GET", "/chunked", 200, "one two"},
		{"GET", "/empty", 204, ""},
		{"GET", "/unchanged", 304, ""},
		{"GET", "/early", 200, "late"},
		{"OPTIONS", "/a", 200, "OPTIONS /a"},
	} {
		res, body, err := ask(t.Context(), d, test.method, s.URL+test.path)
		if err != nil || res.StatusCode != test.status || body != test.body {
			t.Errorf("%s %s: %v %q %v", test.method, test.path, res, body, err)
		}
		if test.path == "/chunked" && res.Trailer.Get("X-End") != "yes" {
			t.Errorf("trailers %v", res.Trailer)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 20 {
				if _, body, err := ask(t.Context(), d, "GET", s.URL+"/a"); err != nil || body != "GET /a" {
					t.Error(body, err)
				}
			}
		})
	}
	all.Wait()
}

// Connections that ended while they were idle fail no request.
func TestDirectAfterARestart(t *testing.T) {
	t.Parallel()
	s, connections := counted(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	d := newDirect(t)
	for range 3 {
		if _, body, err := ask(t.Context(), d, "GET", s.URL); err != nil || body != "ok" {
			t.Fatal(body, err)
		}
		s.CloseClientConnections()
	}
	if n := connections.Load(); n != 3 {
		t.Errorf("%d connections", n)
	}
	s.Close()
	_, _, err := ask(t.Context(), d, "GET", s.URL)
	if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "dial" {
		t.Errorf("of a server that has gone: %v", err)
	}
}

func TestDirectEndsWithItsRequest(t *testing.T) {
	t.Parallel()
	for _, headerFirst := range []bool{false, true} {
		arrived, gone := make(chan struct{}), make(chan struct{})
		s, _ := counted(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/quick" {
				return
			}
			if headerFirst {
				_, _ = io.WriteString(w, "begun")
				w.(http.Flusher).Flush()
			}
			close(arrived)
			<-r.Context().Done()
			close(gone)
		})
		d := newDirect(t)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-arrived
			cancel()
		}()
		if _, _, err := ask(ctx, d, "GET", s.URL); err == nil || !headerFirst && !errors.Is(err, context.Canceled) {
			t.Errorf("header first %t: %v", headerFirst, err)
		}
		<-gone
		if _, _, err := ask(t.Context(), d, "GET", s.URL+"/quick"); err != nil {
			t.Error(err)
		}
	}
}

// answering is a server that writes the same bytes to each request.
func answering(t *testing.T, text string, keep bool) (url string, connections *atomic.Int64) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	n := new(atomic.Int64)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			n.Add(1)
			go func() {
				defer func() { _ = conn.Close() }()
				in := bufio.NewReader(conn)
				for {
					if _, err := http.ReadRequest(in); err != nil {
						return
					}
					if _, err := io.WriteString(conn, text); err != nil || !keep {
						return
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String(), n
}

func TestDirectBewares(t *testing.T) {
	t.Parallel()
	const whole = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for name, test := range map[string]struct {
		text        string
		keep        bool
		connections int64 // for two requests
		body        string
		fault       bool
	}{
		"kept":               {whole, true, 1, "ok", false},
		"more than asked":    {whole + "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong", true, 2, "ok", false},
		"closing":            {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", true, 2, "ok", false},
		"HTTP/1.0":           {"HTTP/1.0 200 OK\r\n\r\nok", false, 2, "ok", false},
		"cut short":          {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", false, 2, "ok", true},
		"a bad chunk":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", true, 2, "", true},
		"no HTTP":            {"SSH-2.0-OpenSSH_9\r\n\r\n", true, 2, "", true},
		"a header for ever":  {"HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 1<<20), true, 2, "", true},
		"never the answer":   {strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 10), true, 2, "", true},
		"nothing":            {"", true, 2, "", true},
		"switches protocols": {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", false, 2, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, connections := answering(t, test.text, test.keep)
			d := newDirect(t)
			for range 2 {
				_, body, err := ask(t.Context(), d, "GET", url)
				if (err != nil) != test.fault || body != test.body {
					t.Errorf("%q %v", body, err)
				}
			}
			if n := connections.Load(); n != test.connections {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// What an upstream sends while nobody has asked is nobody's answer.
func TestDirectTakesNoAnswerBeforeItAsks(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can tell")
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	more, sent := make(chan struct{}), make(chan struct{})
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				in := bufio.NewReader(conn)
				for {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%s", r.URL.Path[1:])
					if r.URL.Path == "/aa" {
						<-more
						_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
						close(sent)
					}
				}
			}()
		}
	}()
	d, url := newDirect(t), "http://"+l.Addr().String()
	for _, path := range []string{"aa", "bb", "cc"} {
		if _, body, err := ask(t.Context(), d, "GET", url+"/"+path); err != nil || body != path {
			t.Errorf("%s: %q %v", path, body, err)
		}
		if path == "aa" {
			close(more)
			<-sent
		}
	}
}

// What has a body, or is not idempotent, is the Transport's.
func TestDirectLeavesBodiesAlone(t *testing.T) {
	t.Parallel()
	s, _ := counted(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	d := newDirect(t)
	for _, method := range []string{"POST", "GET", "DELETE"} {
		r, err := http.NewRequestWithContext(t.Context(), method, s.URL, strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		res, err := d.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(res.Body); err != nil || string(body) != "body" {
			t.Errorf("%s: %q %v", method, body, err)
		}
		_ = res.Body.Close()
	}
}
