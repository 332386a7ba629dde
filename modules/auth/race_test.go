package auth_test

import (
	"sync"
	"testing"
)

// TestRefreshWhileSigningOut: the two lock the same rows, and neither fails.
func TestRefreshWhileSigningOut(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	s.signup("a@example.com", "secret1")
	for range 10 {
		a := s.signin("a@example.com", "secret1").want(200, "")
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				b := s.refresh(a.str("refresh_token"))
				if code := b.at("error_code"); b.status != 200 && code != "refresh_token_not_found" && code != "session_not_found" {
					t.Errorf("refresh: %d %s", b.status, b.text)
				}
			})
		}
		wg.Go(func() {
			if b := s.call("POST", "/logout", a.str("access_token"), nil); b.status != 204 {
				t.Errorf("logout: %d %s", b.status, b.text)
			}
		})
		wg.Wait()
		s.call("GET", "/user", a.str("access_token"), nil).want(403, "session_not_found")
		equal(t, "tokens left", s.count(`SELECT count(*) FROM auth.refresh_tokens`), 0)
	}
}

// TestDeletionInBetween: a user who is deleted during a request is no reason for a 5xx.
func TestDeletionInBetween(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	for range 10 {
		a := s.signup("a@example.com", "secret1")
		var wg sync.WaitGroup
		for _, call := range []func() answer{
			func() answer { return s.signin("a@example.com", "secret1") },
			func() answer { return s.refresh(a.str("refresh_token")) },
			func() answer {
				return s.call("PUT", "/user", a.str("access_token"), map[string]any{"data": map[string]any{"k": "v"}, "email": "b@example.com"})
			},
			func() answer {
				return s.call("PUT", "/admin/users/"+a.str("user", "id"), s.service(), map[string]any{"email": "c@example.com"})
			},
			func() answer { return s.call("DELETE", "/admin/users/"+a.str("user", "id"), s.service(), nil) },
		} {
			wg.Go(func() {
				if b := call(); b.status >= 500 {
					t.Errorf("%d %s", b.status, b.text)
				}
			})
		}
		wg.Wait()
		s.f.Exec(t, `DELETE FROM auth.users`)
	}
}
