package egress_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/egress"
)

func TestPublic(t *testing.T) {
	for ip, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1111": true, "127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false,
		"169.254.169.254": false, "100.64.0.1": false, "0.0.0.0": false, "224.0.0.1": false, "255.255.255.255": false, "::1": false, "::": false,
		"::ffff:127.0.0.1": false, "::ffff:8.8.8.8": true, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "fd00::1": false, "fe80::1%eth0": false,
		"::127.0.0.1": false, "::ffff:0:7f00:1": false,
	} {
		if got := egress.Public(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s: got %v", ip, got)
		}
	}
}

func TestGet(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("plain")) }))
	t.Cleanup(plain.Close)
	stop := make(chan struct{})
	target := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/down":
			http.Redirect(w, r, plain.URL, http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/gone":
			w.WriteHeader(http.StatusGone)
		case "/slow":
			<-stop
		default:
			_, _ = w.Write([]byte(strings.Repeat("x", 100)))
		}
	}))
	t.Cleanup(target.Close)
	t.Cleanup(func() { close(stop) })
	client := egress.Client(300*time.Millisecond, true)
	client.Transport.(*http.Transport).TLSClientConfig = target.Client().Transport.(*http.Transport).TLSClientConfig
	if body, err := egress.Get(t.Context(), client, target.URL+"/", "text/xml", 100); err != nil || len(body) != 100 {
		t.Errorf("got %d bytes, %v", len(body), err)
	}
	if _, err := egress.Get(t.Context(), client, target.URL+"/", "text/xml", 99); !errors.Is(err, egress.ErrTooLarge) {
		t.Errorf("too long: %v", err)
	}
	var status egress.StatusError
	if _, err := egress.Get(t.Context(), client, target.URL+"/gone", "text/xml", 99); !errors.As(err, &status) || status != 410 {
		t.Errorf("gone: %v", err)
	}
	for _, path := range []string{"/down", "/loop", "/slow"} {
		if _, err := egress.Get(t.Context(), client, target.URL+path, "text/xml", 100); err == nil {
			t.Errorf("%s is followed", path)
		}
	}
	for _, address := range []string{plain.URL, strings.Replace(plain.URL, "127.0.0.1", "localhost", 1)} {
		if _, err := egress.Get(t.Context(), egress.Client(time.Second, false), address, "*/*", 100); !errors.Is(err, egress.ErrPrivate) {
			t.Errorf("%s: %v", address, err)
		}
	}
}
