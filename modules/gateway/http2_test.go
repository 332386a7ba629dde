package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/gateway"
	"github.com/madbase/madbase/platform/httpx"
)

// TestHTTP2 has the same limits and answers on a stream as on a connection.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	w := newWorker(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%d %v %s %s", n, err, r.Host, r.Header.Get("X-Forwarded-Proto"))
	})
	cfg := config(w.URL)
	cfg.Limits = gateway.Limits{Header: 16 << 10, BodyAuth: 1000, BodyTimeout: 200 * time.Millisecond, BodyRate: 1}
	d := open(t, cfg)
	server := httptest.NewUnstartedServer(nil)
	server.Config = d.Server.HTTP(httpx.Config{MaxHeaderBytes: 256 << 10, ReadHeaderTimeout: headerTimeout, IdleTimeout: 10 * time.Second})
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	d.URL, d.Client = server.URL, server.Client()
	host := strings.TrimPrefix(server.URL, "https://")

	still, stop := io.Pipe() // never sends anything
	defer func() { _ = stop.Close() }()
	for _, test := range []struct {
		path    string
		body    io.Reader
		headers []string
		status  int
		want    string
	}{
		{"/storage/v1/object/b/k", bytes.NewReader(make([]byte, 5<<20)), nil, 200, fmt.Sprintf("%d <nil> %s https", 5<<20, host)},
		{"/storage/v1/object/b/k", io.NopCloser(bytes.NewReader(make([]byte, 3<<20))), nil, 200, fmt.Sprintf("%d <nil> %s https", 3<<20, host)},
		{"/auth/v1/token", io.NopCloser(bytes.NewReader(make([]byte, 1001))), nil, 413, ""},
		{"/auth/v1/token", bytes.NewReader(make([]byte, 1001)), nil, 413, ""},
		{"/rest/v1/a", still, nil, 408, ""},
		{"/rest/v1/a", nil, []string{"X-A", strings.Repeat("a", 17<<10)}, 431, ""},
	} {
		res := d.do(t, d.request(t, http.MethodPost, test.path, test.body, test.headers...))
		body := readAll(t, res)
		if res.ProtoMajor != 2 {
			t.Fatal(res.Proto)
		}
		if test.status == 200 && (res.StatusCode != 200 || body != test.want) {
			t.Errorf("%s: %s %q, want %q", test.path, res.Status, body, test.want)
		} else if test.status != 200 {
			wantRefusal(t, res, body, test.status)
		}
	}
}
