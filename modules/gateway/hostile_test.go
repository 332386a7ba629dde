package gateway_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/gateway"
)

// dial opens a connection to the gateway that ends with the test.
func (d *door) dial(t testing.TB) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(d.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// raw sends bytes as they are, with KEY for the anon key, and returns the answers
// that come before the gateway closes the connection or is silent for a while.
func (d *door) raw(t testing.TB, text string) []*http.Response {
	t.Helper()
	conn := d.dial(t)
	if _, err := io.WriteString(conn, strings.ReplaceAll(text, "KEY", d.Keys.API().Anon.Reveal())); err != nil {
		t.Fatal(err)
	}
	var answers []*http.Response
	in := bufio.NewReader(conn)
	for {
		if len(answers) > 0 { // what is kept alive does not end
			_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			return answers
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return answers
		}
		res.Body = io.NopCloser(strings.NewReader(string(body)))
		answers = append(answers, res)
	}
}

// journal is a worker's record of what reached it.
type journal struct {
	mu      sync.Mutex
	entries []string
}

func (j *journal) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // cut off by the gateway, which streams
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, fmt.Sprintf("%s %s %q", r.Method, r.RequestURI, body))
	_, _ = io.WriteString(w, "ok")
}

func (j *journal) take() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := strings.Join(j.entries, "\n")
	j.entries = nil
	return all
}

const post = "POST /rest/v1/a HTTP/1.1\r\nHost: x\r\napikey: KEY\r\n"

// What the gateway takes for one request, the worker takes for the same one: the
// gateway frames every message anew, and refuses what has two readings.
func TestRequestSmuggling(t *testing.T) { //nolint:tparallel // the cases share a journal
	t.Parallel()
	const inner = "GET /rest/v1/secret HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	j := &journal{}
	d := open(t, config(newWorker(t, j.serve).URL))
	for name, test := range map[string]struct {
		send     string
		statuses []int
		arrives  string
	}{
		// Chunks count, and what is behind them is nobody's request.
		"both lengths":            {post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner, []int{200}, `POST /rest/v1/a ""`},
		"both, the other way":     {post + "Transfer-Encoding: chunked\r\nContent-Length: 60\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + inner, []int{200}, `POST /rest/v1/a "abc"`},
		"two lengths":             {post + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", []int{400}, ""},
		"two equal lengths":       {post + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", []int{200}, `POST /rest/v1/a "abc"`},
		"two lengths in one":      {post + "Content-Length: 3, 4\r\n\r\nabcd", []int{400}, ""},
		"signed length":           {post + "Content-Length: +3\r\n\r\nabc", []int{400}, ""},
		"hexadecimal length":      {post + "Content-Length: 0x3\r\n\r\nabc", []int{400}, ""},
		"unknown coding":          {post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + inner, []int{501}, ""},
		"two codings":             {post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + inner, []int{501}, ""},
		"coding twice":            {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + inner, []int{501}, ""},
		"space before the colon":  {post + "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + inner, []int{400}, ""},
		"tab before the coding":   {post + "Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n", []int{200}, `POST /rest/v1/a ""`},
		"control in the coding":   {post + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + inner, []int{400}, ""},
		"folded coding":           {post + "Transfer-Encoding:\r\n chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", []int{200}, `POST /rest/v1/a ""`},
		"fold before any field":   {"POST /rest/v1/a HTTP/1.1\r\n Transfer-Encoding: chunked\r\nHost: x\r\n\r\n0\r\n\r\n", []int{400}, ""},
		"bare line feeds":         {strings.ReplaceAll(post, "\r", "") + "Content-Length: 3\n\nabc", []int{200}, `POST /rest/v1/a "abc"`},
		"bare carriage return":    {"POST /rest/v1/a HTTP/1.1\r\nHost: x\rTransfer-Encoding: chunked\r\n\r\n", []int{400}, ""},
		"line feed in a chunk":    {post + "Transfer-Encoding: chunked\r\n\r\n3;a\nabc\r\n0\r\n\r\n", []int{400}, ""},
		"a chunk too long":        {post + "Transfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n", []int{400}, ""},
		"null in a value":         {post + "X-A: a\x00b\r\n\r\n", []int{400}, ""},
		"no host":                 {"GET /rest/v1/a HTTP/1.1\r\napikey: KEY\r\n\r\n", []int{400}, ""},
		"two hosts":               {"GET /rest/v1/a HTTP/1.1\r\nHost: x\r\nHost: y\r\napikey: KEY\r\n\r\n", []int{400}, ""},
		"a path as host":          {"GET /rest/v1/a HTTP/1.1\r\nHost: x/y\r\napikey: KEY\r\n\r\n", []int{400}, ""},
		"HTTP/2 without notice":   {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{404}, ""},
		"chunked in HTTP/1.0":     {"POST /rest/v1/a HTTP/1.0\r\nHost: x\r\napikey: KEY\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner, []int{200}, `POST /rest/v1/a ""`},
		"two requests, one write": {strings.Replace(post, "POST", "GET", 1) + "\r\n" + inner, []int{200, 401}, `GET /rest/v1/a ""`},
	} {
		t.Run(name, func(t *testing.T) {
			var statuses []int
			for _, res := range d.raw(t, test.send) {
				statuses = append(statuses, res.StatusCode)
			}
			if got := j.take(); got != test.arrives || fmt.Sprint(statuses) != fmt.Sprint(test.statuses) {
				t.Errorf("answered %v, want %v; the worker got\n%s\nwant\n%s", statuses, test.statuses, got, test.arrives)
			}
		})
	}
}

// An upgrade to anything but a WebSocket is not heard of behind the gateway.
func TestOtherUpgradesAreLeftOut(t *testing.T) {
	t.Parallel()
	d := open(t, config(newWorker(t, echoHeaders).URL))
	for _, protocol := range []string{"h2c", "TLS/1.0", "websocket, h2c"} {
		answers := d.raw(t, "GET /rest/v1/a HTTP/1.1\r\nHost: x\r\napikey: KEY\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: "+protocol+"\r\nHTTP2-Settings: AAMAAABk\r\n\r\n")
		if len(answers) != 1 || answers[0].StatusCode != http.StatusOK {
			t.Fatalf("%s: %v", protocol, answers)
		}
		for line := range strings.Lines(readAll(t, answers[0])) {
			if name, _, _ := strings.Cut(line, ":"); name == "upgrade" || name == "connection" || name == "http2-settings" {
				t.Errorf("%s: %s", protocol, line)
			}
		}
	}
}

// A whole URL as target names its host, and reaches nobody but the worker.
func TestAbsoluteTarget(t *testing.T) {
	t.Parallel()
	other := newWorker(t, ok)
	d := open(t, config(newWorker(t, echoHeaders).URL))
	host := strings.TrimPrefix(other.URL, "http://")
	for _, target := range []string{other.URL + "/rest/v1/a", "https://" + host + "/rest/v1/a"} {
		answers := d.raw(t, "GET "+target+" HTTP/1.1\r\nHost: said.example\r\napikey: KEY\r\nConnection: close\r\n\r\n")
		if len(answers) != 1 {
			t.Fatalf("%s: %v", target, answers)
		}
		got := readAll(t, answers[0])
		for _, want := range []string{"uri: /rest/v1/a\n", "host: " + host + "\n", "x-forwarded-host: " + host + "\n", "x-forwarded-proto: http\n"} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %q in\n%s", target, want, got)
			}
		}
	}
	for _, target := range []string{"http:rest/v1/a", "*", "@" + host + "/", "rest/v1/a", "///" + host + "/rest/v1/a"} {
		for _, res := range d.raw(t, "GET "+target+" HTTP/1.1\r\nHost: x\r\napikey: KEY\r\nConnection: close\r\n\r\n") {
			if res.StatusCode != http.StatusBadRequest && res.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %s", target, res.Status)
			}
		}
	}
	if n := other.Requests.Load(); n != 0 {
		t.Errorf("%d requests reached another host", n)
	}
}

func TestMethodsThatNobodyMeans(t *testing.T) {
	t.Parallel()
	w := newWorker(t, ok)
	d := open(t, config(w.URL))
	for _, line := range []string{"CONNECT 127.0.0.1:22", "CONNECT /rest/v1/a", "TRACE /rest/v1/a", "TRACK /rest/v1/a", "PROPFIND /rest/v1/a", "PURGE /auth/v1/user", "TRACE /", "CONNECT /platform/v1/x"} {
		answers := d.raw(t, line+" HTTP/1.1\r\nHost: x\r\napikey: KEY\r\nCookie: a=geheim\r\nConnection: close\r\n\r\n")
		if len(answers) != 1 || answers[0].StatusCode < 400 || answers[0].StatusCode >= 500 || strings.Contains(readAll(t, answers[0]), "geheim") {
			t.Errorf("%s: %v", line, answers)
		}
	}
	if n := w.Requests.Load(); n != 0 {
		t.Errorf("%d requests passed", n)
	}
}

// Connection cannot strip what says who calls and from where.
func TestConnectionStripsNoIdentity(t *testing.T) {
	t.Parallel()
	cfg := config(newWorker(t, echoHeaders).URL)
	cfg.TrustedProxies = []string{"127.0.0.1"}
	d := open(t, cfg)
	user := sign(t, d.Keys, map[string]any{"role": "authenticated", "sub": "u", "exp": time.Now().Add(time.Hour).Unix()})
	_, got := d.get(t, http.MethodGet, "/rest/v1/a", "Authorization", "Bearer "+user, "X-Forwarded-For", "203.0.113.7", "X-Hop", "1", "Cookie", "a=b",
		"Connection", "close, authorization, apikey, x-forwarded-for, X-Forwarded-Proto, x-real-ip, cookie, x-request-id, x-hop")
	for _, want := range []string{
		"authorization: Bearer " + user + "\n", "apikey: " + d.Keys.API().Anon.Reveal() + "\n", "x-forwarded-for: 203.0.113.7\n",
		"x-real-ip: 203.0.113.7\n", "x-forwarded-proto: http\n", "cookie: a=b\n", "x-request-id: ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "x-hop") {
		t.Error("a header of the connection passed")
	}
}

// The worker gets the path that was judged, byte for byte, and none by which an
// open route leads to another one.
func TestPathsPassAsJudged(t *testing.T) {
	t.Parallel()
	d := open(t, config(newWorker(t, echoHeaders).URL))
	for path, status := range map[string]int{
		"/rest/v1//a": 200, "/rest/v1/../../auth/v1/admin/users": 200, "/rest/v1/%2e%2e/a": 200, "/rest/v1/a%2fb": 200, "/rest/v1/a%5Cb": 200,
		"/rest/v1/./a": 200, "/rest/v1/a;b=c": 200, "/rest/v1/%00": 200, "/rest/v1/b?a=../..": 200, "/storage/v1/object/b/a%2F..%2Fb": 200,
		"//rest/v1/a": 404, "/rest/v1%2fa": 404, "/x/../rest/v1/a": 404, "\\rest\\v1\\a": 400, "/rest/v1/%zz": 400,
	} {
		answers := d.raw(t, "GET "+path+" HTTP/1.1\r\nHost: x\r\napikey: KEY\r\nConnection: close\r\n\r\n")
		if len(answers) != 1 || answers[0].StatusCode != status {
			t.Errorf("%s: %v, want %d", path, answers, status)
			continue
		}
		if got := readAll(t, answers[0]); status == 200 && !strings.Contains(got, "uri: "+path+"\n") {
			t.Errorf("%s arrives as\n%s", path, got)
		}
	}
	for _, path := range []string{
		"/auth/v1/verify/../user", "/auth/v1/%76erify", "/auth/v1/sso%2Fsaml/acs", "/auth/v1/sso/saml/./acs", "/auth/v1//verify", "/auth/v1/verify/", "/auth/v1/verify%00",
		"/auth/v1/sso/saml/%2e%2e/user", "/storage/v1/object/../bucket", "/functions/v1/../rest/v1/a", "/auth/v1/verify;/../user", "/storage/v1/object%2F",
	} {
		for _, res := range d.raw(t, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") {
			if res.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s without a key: %s", path, res.Status)
			}
		}
	}
}

// Nothing that the gateway writes by itself leads anywhere by what a client says its host is.
func TestHostReachesNoAnswer(t *testing.T) {
	t.Parallel()
	d := open(t, config(newWorker(t, ok).URL))
	for _, path := range []string{"/", "//evil.example/", "/rest/v1", "/nowhere", "//evil.example/..", "/graphql/v1/"} {
		for _, res := range d.raw(t, "GET "+path+" HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Prefix: //evil.example\r\n\r\n") {
			if res.StatusCode >= 300 && res.StatusCode < 400 || res.Header.Get("Location") != "" || strings.Contains(readAll(t, res), "evil") {
				t.Errorf("%s: %s %v", path, res.Status, res.Header)
			}
		}
	}
}

func TestSlowHeaderIsCut(t *testing.T) {
	t.Parallel()
	w := newWorker(t, ok)
	d := open(t, config(w.URL))
	conn := d.dial(t)
	began := time.Now()
	stop := make(chan struct{})
	defer close(stop)
	go func() { // a byte at a time, never silent
		tick := time.NewTicker(headerTimeout / 20)
		defer tick.Stop()
		text := "GET /rest/v1/a HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 1<<10)
		for i := range len(text) {
			if _, err := io.WriteString(conn, text[i:i+1]); err != nil {
				return
			}
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	_, err := io.Copy(io.Discard, conn)
	if took := time.Since(began); errors.Is(err, os.ErrDeadlineExceeded) || took > 5*time.Second || w.Requests.Load() != 0 {
		t.Errorf("%v after %v, %d requests passed", err, took, w.Requests.Load())
	}
}

func TestSlowBodies(t *testing.T) {
	t.Parallel()
	w := newWorker(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%d bytes", n)
	})
	for name, test := range map[string]struct {
		limits gateway.Limits
		pause  time.Duration // before each of the body's 20 bytes
		status int
	}{
		"stands still":     {gateway.Limits{BodyTimeout: 100 * time.Millisecond}, 5 * time.Second, 408},
		"trickles":         {gateway.Limits{BodyTimeout: 100 * time.Millisecond, BodyRate: 1000}, 20 * time.Millisecond, 408},
		"slow but allowed": {gateway.Limits{BodyTimeout: 2 * time.Second, BodyRate: 2}, 20 * time.Millisecond, 200},
		"any pace":         {gateway.Limits{}, 20 * time.Millisecond, 200},
	} {
		for framing, lines := range map[string]string{"length": "Content-Length: 20\r\n", "chunked": "Transfer-Encoding: chunked\r\n"} {
			t.Run(name+" "+framing, func(t *testing.T) {
				t.Parallel()
				cfg := config(w.URL)
				cfg.Limits = test.limits
				d := open(t, cfg)
				conn := d.dial(t)
				stop := make(chan struct{})
				defer close(stop)
				go func() {
					timer := time.NewTicker(test.pause)
					defer timer.Stop()
					_, _ = io.WriteString(conn, strings.ReplaceAll(post, "KEY", d.Keys.API().Anon.Reveal())+lines+"\r\n")
					for i := range 21 {
						select {
						case <-timer.C:
						case <-stop:
							return
						}
						piece := "1\r\na\r\n"
						switch {
						case i == 20 && framing == "length":
							return
						case i == 20:
							piece = "0\r\n\r\n"
						case framing == "length":
							piece = "a"
						}
						if _, err := io.WriteString(conn, piece); err != nil {
							return
						}
					}
				}()
				res, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				body := readAll(t, res)
				if test.status != 200 {
					wantRefusal(t, res, body, test.status)
					if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) || !res.Close {
						t.Errorf("the connection stays: %v", err)
					}
				} else if res.StatusCode != 200 || body != "20 bytes" {
					t.Errorf("%s %q", res.Status, body)
				}
			})
		}
	}
}

// The deadline of a body is none for what follows on its connection.
func TestPaceEndsWithTheBody(t *testing.T) {
	t.Parallel()
	w := newWorker(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		timer := time.NewTimer(300 * time.Millisecond)
		defer timer.Stop()
		select {
		case <-timer.C:
			_, _ = io.WriteString(w, "ok")
		case <-r.Context().Done():
		}
	})
	cfg := config(w.URL)
	cfg.Limits = gateway.Limits{BodyTimeout: 100 * time.Millisecond, BodyRate: 1}
	d := open(t, cfg)
	for range 2 {
		res := d.do(t, d.request(t, http.MethodPost, "/rest/v1/a", strings.NewReader(strings.Repeat("a", 8<<10))))
		if body := readAll(t, res); res.StatusCode != 200 || body != "ok" {
			t.Errorf("%s %q", res.Status, body)
		}
	}
}
