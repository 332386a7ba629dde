package gateway_test

import (
	"io"
	"net/http"
	"testing"
)

// Clients put the issuer's path behind that of the document (RFC 8414, section 3.1).
func TestDiscovery(t *testing.T) {
	t.Parallel()
	w := newWorker(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RequestURI) })
	d := open(t, config(w.URL))
	for path, want := range map[string]string{
		"/.well-known/oauth-authorization-server":             "/auth/v1/.well-known/oauth-authorization-server",
		"/.well-known/oauth-authorization-server/auth/v1":     "/auth/v1/.well-known/oauth-authorization-server",
		"/.well-known/oauth-authorization-server/auth/v1?a=b": "/auth/v1/.well-known/oauth-authorization-server?a=b",
		"/.well-known/openid-configuration/auth/v1":           "/auth/v1/.well-known/openid-configuration",
	} {
		if res, body := d.get(t, "GET", path); res.StatusCode != http.StatusOK || body != want {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
	}
	for _, path := range []string{"/.well-known/oauth-authorization-server/rest/v1", "/.well-known/oauth-authorization-server/auth/v1/../../admin/users"} {
		if res, body := d.get(t, "GET", path); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
	}
}
