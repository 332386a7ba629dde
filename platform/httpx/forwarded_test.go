package httpx_test

import (
	"net/http/httptest"
	"testing"

	"github.com/madbase/madbase/platform/httpx"
)

func TestClientIP(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		proxies   []string
		peer      string
		forwarded []string
		want      string
	}{
		{nil, "192.0.2.1:5", []string{"6.6.6.6"}, "192.0.2.1"},
		{[]string{"192.0.2.1"}, "192.0.2.1:5", []string{"6.6.6.6, 203.0.113.7"}, "203.0.113.7"},
		{[]string{"192.0.2.1"}, "192.0.2.1:5", []string{"203.0.113.7", " 192.0.2.1 "}, "203.0.113.7"},
		{[]string{"192.0.2.0/24"}, "192.0.2.1:5", nil, "192.0.2.1"},
		{[]string{"192.0.2.0/24"}, "192.0.2.1:5", []string{"203.0.113.7, nonsense"}, "192.0.2.1"},
		{[]string{"private_ranges"}, "[::ffff:10.0.0.1]:5", []string{"203.0.113.7"}, "203.0.113.7"},
		{[]string{"private_ranges"}, "[fe80::1%eth0]:5", []string{"2001:db8::1"}, "2001:db8::1"},
		{[]string{"private_ranges"}, "@", []string{"203.0.113.7"}, ""},
	} {
		proxies, err := httpx.ParseProxies(test.proxies)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.RemoteAddr = test.peer
		r.Header["X-Forwarded-For"] = test.forwarded
		if got := proxies.ClientIP(r); got != test.want {
			t.Errorf("%+v: %q", test, got)
		}
	}
	for _, bad := range []string{"", "10.0.0.0/33", "proxy.local", "private"} {
		if _, err := httpx.ParseProxies([]string{bad}); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestSubscriber(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8::1:2": "2001:db8::/64", "fe80::1%eth0": "fe80::/64", "": "", "@": "@",
	} {
		if got := httpx.Subscriber(address); got != want {
			t.Errorf("%s: %s", address, got)
		}
	}
}
