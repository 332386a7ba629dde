package auth_test

import (
	"sync"
	"testing"
)

func TestRefreshGivesTheNextToken(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	first := s.signup("a@example.com", "secret1")
	second := s.refresh(first.str("refresh_token")).want(200, "")
	if second.str("refresh_token") == first.str("refresh_token") {
		t.Error("the refresh token did not change")
	}
	equal(t, "reuse", second.header.Get("Sb-Auth-Refresh-Token-Reuse"), "false")
	before, after := payload(t, first.str("access_token")), payload(t, second.str("access_token"))
	for _, name := range []string{"iss", "sub", "aud", "email", "role", "aal", "amr", "session_id", "user_metadata", "app_metadata"} {
		equal(t, "claim "+name, after[name], before[name])
	}
	s.call("GET", "/user", second.str("access_token"), nil).want(200, "")
	equal(t, "parent", s.count(`SELECT count(*) FROM auth.refresh_tokens WHERE parent = $1 AND token = $2 AND NOT revoked`,
		first.str("refresh_token"), second.str("refresh_token")), 1)
	equal(t, "audit", s.count(`SELECT count(*) FROM auth.audit_log_entries WHERE payload ->> 'action' IN ('token_refreshed', 'token_revoked')
		AND payload ->> 'actor_username' = 'a@example.com' AND payload ->> 'log_type' = 'token'`), 2)
	equal(t, "refreshed", s.count(`SELECT count(*) FROM auth.sessions WHERE refreshed_at > now() AT TIME ZONE 'utc' - interval '1 minute'
		AND ip = '127.0.0.1'`), 1)
}

func TestRefreshAtOnceGivesAllTheSameToken(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	first := s.signup("a@example.com", "secret1").str("refresh_token")
	answers := make([]answer, 6)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = s.refresh(first) })
	}
	wg.Wait()
	for _, a := range answers {
		a.want(200, "")
		equal(t, "token", a.at("refresh_token"), answers[0].at("refresh_token"))
	}
	equal(t, "tokens", s.count(`SELECT count(*) FROM auth.refresh_tokens`), 2)
}

func TestRefreshWithTheParentOfTheActiveTokenGivesTheActiveOne(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.RefreshReuseInterval = 0
	s := start(t, cfg)
	first := s.signup("a@example.com", "secret1").str("refresh_token")
	second := s.refresh(first).want(200, "").str("refresh_token")
	s.f.Exec(t, `UPDATE auth.refresh_tokens SET updated_at = now() - interval '1 day'`)
	equal(t, "active", s.refresh(first).want(200, "").at("refresh_token"), second)
}

func TestRefreshReuseWithinTheInterval(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	first := s.signup("a@example.com", "secret1").str("refresh_token")
	second := s.refresh(first).want(200, "").str("refresh_token")
	third := s.refresh(second).want(200, "").str("refresh_token")
	fourth := s.refresh(first).want(200, "").str("refresh_token")
	if fourth == third || fourth == second {
		t.Error("no new child was made")
	}
	s.refresh(fourth).want(200, "")
}

func TestRefreshReuseRevokesTheFamily(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	a := s.signup("a@example.com", "secret1")
	other := s.signin("a@example.com", "secret1").want(200, "").str("refresh_token")
	first := a.str("refresh_token")
	second := s.refresh(first).want(200, "").str("refresh_token")
	third := s.refresh(second).want(200, "").str("refresh_token")
	s.f.Exec(t, `UPDATE auth.refresh_tokens SET updated_at = now() - interval '11 seconds' WHERE token = $1`, first)
	s.refresh(first).want(400, "refresh_token_already_used")
	for _, stolen := range []string{first, second, third, third} {
		s.refresh(stolen).want(400, "refresh_token_already_used")
	}
	s.refresh(other).want(200, "")
}

func TestRefreshReuseWithoutRotationOnlyRefuses(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.RefreshRotation, cfg.RefreshReuseInterval = false, 0
	s := start(t, cfg)
	first := s.signup("a@example.com", "secret1").str("refresh_token")
	second := s.refresh(first).want(200, "").str("refresh_token")
	third := s.refresh(second).want(200, "").str("refresh_token")
	s.refresh(first).want(400, "refresh_token_already_used")
	s.refresh(third).want(200, "")
}

func TestRefreshRefuses(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	for _, bad := range []any{
		map[string]any{"refresh_token": "short"}, map[string]any{"refresh_token": "UPPERCASE123"}, map[string]any{}, map[string]any{"refresh_token": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
	} {
		s.call("POST", "/token?grant_type=refresh_token", "", bad).want(400, "validation_failed")
	}
	s.refresh("abcdefghijkl").want(400, "refresh_token_not_found")

	a := s.signup("a@example.com", "secret1")
	id, token := a.str("user", "id"), a.str("refresh_token")
	s.f.Exec(t, `UPDATE auth.users SET banned_until = now() + interval '1 hour' WHERE id = $1`, id)
	s.refresh(token).want(400, "user_banned")
	s.f.Exec(t, `UPDATE auth.users SET banned_until = now() - interval '1 hour' WHERE id = $1`, id)
	s.f.Exec(t, `UPDATE auth.sessions SET not_after = now() - interval '1 second'`)
	s.refresh(token).want(400, "session_expired")
	s.f.Exec(t, `UPDATE auth.sessions SET not_after = now() + interval '1 hour'`)
	s.refresh(token).want(200, "")
	s.f.Exec(t, `INSERT INTO auth.refresh_tokens (instance_id, token, user_id, revoked) VALUES ('00000000-0000-0000-0000-000000000000', 'nosession123', $1, false)`, id)
	s.refresh("nosession123").want(400, "session_not_found")
	s.refresh("nosession123").want(400, "refresh_token_not_found")
}

func TestRefreshEndsWithTheSessionsLife(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.SessionsTimebox, cfg.SessionsInactivity = 3_600_000_000_000, 60_000_000_000
	s := start(t, cfg)
	token := s.signup("a@example.com", "secret1").str("refresh_token")
	token = s.refresh(token).want(200, "").str("refresh_token")
	s.f.Exec(t, `UPDATE auth.sessions SET refreshed_at = now() AT TIME ZONE 'utc' - interval '2 minutes'`)
	s.refresh(token).want(400, "session_expired")
	s.f.Exec(t, `UPDATE auth.sessions SET refreshed_at = now() AT TIME ZONE 'utc'`)
	token = s.refresh(token).want(200, "").str("refresh_token")
	s.f.Exec(t, `UPDATE auth.sessions SET created_at = now() - interval '2 hours'`)
	s.refresh(token).want(400, "session_expired")
}
