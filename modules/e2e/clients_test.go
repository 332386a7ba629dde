package e2e_test

import (
	"net/http"
	"testing"

	"github.com/madbase/madbase/platform/testkit"
)

// Clients behind a trusted proxy are limited each by its own address, wherever that of
// the proxy is, and not by one of their choice, wherever theirs is.
func TestClientsBehindAProxy(t *testing.T) {
	t.Parallel()
	s := alone(t, testkit.DataDir(t), "ADMIN_PASSWORD="+adminPassword, "MADBASE_ADMIN_LOGINS_PER_MINUTE=1",
		"TRUSTED_PROXIES=127.0.0.1", "MADBASE_INTERNAL_PROXIES=10.0.0.0/8")
	for _, guess := range []struct {
		forwarded string
		want      int
	}{
		{"203.0.113.1", http.StatusUnauthorized},
		{"203.0.113.1", http.StatusTooManyRequests},
		{"203.0.113.2", http.StatusUnauthorized},
		{"6.6.6.6, 10.1.1.1", http.StatusUnauthorized},
		{"7.7.7.7, 10.1.1.1", http.StatusTooManyRequests},
	} {
		if status, body := call(t, http.MethodPost, s.url+"/platform/v1/login", `{"password": "a guess"}`, "X-Forwarded-For", guess.forwarded); status != guess.want {
			t.Errorf("%s: %d %s, want %d", guess.forwarded, status, body, guess.want)
		}
	}
}
