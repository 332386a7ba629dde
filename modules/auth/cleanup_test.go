package auth_test

import (
	"testing"
	"time"

	"github.com/madbase/madbase/modules/auth/store"
)

// TestCleanUp makes of each table one row that is old and one that is not.
func TestCleanUp(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	for _, email := range []string{"old@example.com", "late@example.com", "new@example.com"} {
		s.refresh(s.signup(email, "secret1").str("refresh_token")).want(200, "")
	}
	for _, sql := range []string{
		`UPDATE auth.refresh_tokens SET updated_at = now() - interval '25 hours' WHERE user_id = (SELECT id::text FROM auth.users WHERE email = 'new@example.com')`,
		`UPDATE auth.sessions SET not_after = now() - interval '73 hours' WHERE user_id = (SELECT id FROM auth.users WHERE email = 'old@example.com')`,
		`UPDATE auth.sessions SET not_after = now() - interval '71 hours' WHERE user_id = (SELECT id FROM auth.users WHERE email = 'late@example.com')`,
		`INSERT INTO auth.flow_state (id, provider_type, authentication_method, created_at)
			SELECT gen_random_uuid(), 'email', 'magiclink', now() - age FROM (VALUES (interval '25 hours'), ('23 hours')) a (age)`,
		`INSERT INTO auth.oauth_client_states (id, provider_type, created_at)
			SELECT gen_random_uuid(), 'used', now() - age FROM (VALUES (interval '25 hours'), ('23 hours')) a (age)`,
		`INSERT INTO auth.webauthn_challenges (id, challenge_type, session_data, created_at, expires_at)
			SELECT gen_random_uuid(), 'authentication', '{}', now() - interval '1 hour', now() + age FROM (VALUES (interval '-1 minute'), ('1 minute')) a (age)`,
		`INSERT INTO auth.mfa_factors (id, user_id, factor_type, status, friendly_name, created_at, updated_at)
			SELECT gen_random_uuid(), u.id, 'totp', a.status::auth.factor_status, a.status || a.age, now() - a.age, now()
			FROM auth.users u, (VALUES ('unverified', interval '25 hours'), ('unverified', '23 hours'), ('verified', '25 hours')) a (status, age)
			WHERE u.email = 'new@example.com'`,
		`INSERT INTO auth.mfa_challenges (id, factor_id, created_at, ip_address) SELECT gen_random_uuid(), f.id, now() - a.age, '192.0.2.1'
			FROM auth.mfa_factors f, (VALUES (interval '25 hours'), ('23 hours')) a (age) WHERE f.status = 'verified'`,
		`INSERT INTO auth.users (instance_id, id, aud, role, is_anonymous, created_at, updated_at)
			SELECT '00000000-0000-0000-0000-000000000000', gen_random_uuid(), 'authenticated', 'authenticated', true, now() - a.age, now()
			FROM (VALUES (interval '31 days'), ('29 days')) a (age)`,
	} {
		s.f.Exec(t, sql)
	}
	left := func(want map[string]int) {
		t.Helper()
		for _, table := range []string{"users", "sessions", "refresh_tokens", "flow_state", "oauth_client_states", "webauthn_challenges", "mfa_factors", "mfa_challenges"} {
			equal(t, table, s.count(`SELECT count(*) FROM auth.`+table), want[table])
		}
	}
	clean := func(c store.Cleanup) {
		t.Helper()
		if _, err := store.CleanUp(t.Context(), s.f.DB.Auth, c); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]int{
		"users": 5, "sessions": 2, "refresh_tokens": 3, "flow_state": 1, "oauth_client_states": 1, "webauthn_challenges": 1, "mfa_factors": 2, "mfa_challenges": 1,
	}
	clean(store.Cleanup{})
	left(want)
	clean(store.Cleanup{AnonymousAge: 30 * 24 * time.Hour})
	want["users"] = 4
	left(want)
	s.f.Exec(t, `UPDATE auth.sessions SET created_at = now() - interval '26 hours' WHERE user_id = (SELECT id FROM auth.users WHERE email = 'late@example.com')`)
	clean(store.Cleanup{Timebox: 3 * time.Hour, Inactivity: time.Hour})
	left(want) // a day must pass after its end
	clean(store.Cleanup{Timebox: time.Hour, Inactivity: time.Hour})
	want["sessions"], want["refresh_tokens"] = 1, 1
	left(want)
	s.f.Exec(t, `UPDATE auth.sessions SET refreshed_at = (now() - interval '26 hours') AT TIME ZONE 'utc'`)
	clean(store.Cleanup{Inactivity: 3 * time.Hour})
	left(want)
	clean(store.Cleanup{Inactivity: time.Hour})
	want["sessions"], want["refresh_tokens"] = 0, 0
	left(want)
}
