package egress_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/egress"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	names := map[string]string{
		"good.example": "93.184.216.34", "inside.example": "10.0.0.7", "meta.example": "169.254.169.254", "loop.example": "127.0.0.1",
		"six.example": "::ffff:127.0.0.1", "both.example": "93.184.216.34 192.168.1.1",
	}
	guard := &egress.Guard{Lookup: func(_ context.Context, host string) (addrs []netip.Addr, err error) {
		text, ok := names[host]
		if !ok {
			return nil, errors.New("no such host")
		}
		for one := range strings.FieldsSeq(text) {
			addrs = append(addrs, netip.MustParseAddr(one))
		}
		return addrs, nil
	}}
	for text, want := range map[string]error{
		"https://good.example/x":         nil,
		"https://192.0.2.10/x":           nil,
		"https://[2606:2800::1]/":        nil,
		"http://good.example/":           egress.ErrScheme,
		"file:///etc/passwd":             egress.ErrScheme,
		"https:///x":                     egress.ErrHost,
		"https://a:b@good.example/":      egress.ErrHost,
		"https://good.example\x00/":      egress.ErrURL,
		"https://localhost/":             egress.ErrLocalhost,
		"https://LOCALHOST./":            egress.ErrLocalhost,
		"https://a.localhost/":           egress.ErrLocalhost,
		"https://127.0.0.1/":             egress.ErrLoopback,
		"https://127.8.8.8:8443/":        egress.ErrLoopback,
		"https://[::1]/":                 egress.ErrLoopback,
		"https://[::ffff:127.0.0.1]/":    egress.ErrLoopback,
		"https://[::ffff:a9fe:a9fe]/":    egress.ErrLinkLocal,
		"https://169.254.169.254/latest": egress.ErrLinkLocal,
		"https://10.1.2.3/":              egress.ErrPrivate,
		"https://172.16.0.1/":            egress.ErrPrivate,
		"https://192.168.0.1/":           egress.ErrPrivate,
		"https://[fd00::1]/":             egress.ErrPrivate,
		"https://100.64.0.1/":            egress.ErrPrivate,
		"https://[64:ff9b::7f00:1]/":     egress.ErrPrivate,
		"https://[2002:7f00:1::]/":       egress.ErrPrivate,
		"https://[fe80::1%25eth0]/":      egress.ErrLinkLocal,
		"https://[fe80::1]/":             egress.ErrLinkLocal,
		"https://224.0.0.1/":             egress.ErrLinkLocal,
		"https://239.1.1.1/":             egress.ErrMulticast,
		"https://0.0.0.0/":               egress.ErrUnspecified,
		"https://[::]/":                  egress.ErrUnspecified,
		"https://0.1.2.3/":               egress.ErrPrivate,
		"https://2130706433/":            egress.ErrUnresolved, // a resolver that takes it as 127.0.0.1 answers with that
		"https://inside.example/":        egress.ErrPrivate,
		"https://meta.example/":          egress.ErrLinkLocal,
		"https://loop.example/":          egress.ErrLoopback,
		"https://six.example/":           egress.ErrLoopback,
		"https://both.example/":          egress.ErrPrivate,
		"https://nowhere.example/":       egress.ErrUnresolved,
	} {
		if got := guard.Check(t.Context(), text); !errors.Is(got, want) || (got == nil) != (want == nil) {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
	open := &egress.Guard{AllowPrivate: true}
	if err := open.Check(t.Context(), "https://10.0.0.1/"); err != nil {
		t.Error(err)
	}
	if err := open.Check(t.Context(), "http://10.0.0.1/"); !errors.Is(err, egress.ErrScheme) {
		t.Error(err)
	}
}

// A name that was public when it was checked and is private when it is dialled
// does not lead inside, nor does an address that nobody checked.
func TestClientChecksWhatItDials(t *testing.T) {
	t.Parallel()
	inside := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
	defer inside.Close()
	client := (&egress.Guard{TLS: trust(inside)}).Client(5 * time.Second)
	_, err := get(t, client, inside.URL)
	if !errors.Is(err, egress.ErrLoopback) {
		t.Error(err)
	}
}

func TestClientChecksRedirects(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/plain":
			http.Redirect(w, r, "http://example.com/", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		}
	}))
	defer server.Close()
	client := (&egress.Guard{AllowPrivate: true, TLS: trust(server)}).Client(5 * time.Second)
	if _, err := get(t, client, server.URL+"/plain"); !errors.Is(err, egress.ErrScheme) {
		t.Error(err)
	}
	if _, err := get(t, client, server.URL+"/loop"); err == nil {
		t.Error("followed a loop")
	}
	if status, err := get(t, client, server.URL+"/ok"); err != nil || status != http.StatusOK {
		t.Error(status, err)
	}
}

func trust(s *httptest.Server) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return &tls.Config{RootCAs: pool}
}

func get(t *testing.T, client *http.Client, url string) (int, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
