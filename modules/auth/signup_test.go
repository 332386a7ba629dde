package auth_test

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestSignUpSignsInAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	a := s.call("POST", "/signup", "", map[string]any{
		"email": "Ann@Example.com", "password": "correct horse", "data": map[string]any{"name": "Ann", "email": "liar@example.com", "n": 7},
	}).want(200, "")
	id := a.str("user", "id")
	equal(t, "keys", slices.Sorted(maps.Keys(a.body)), []string{"access_token", "expires_at", "expires_in", "refresh_token", "token_type", "user"})
	equal(t, "token type", a.at("token_type"), "bearer")
	equal(t, "email", a.at("user", "email"), "ann@example.com")
	equal(t, "app_metadata", a.at("user", "app_metadata"), map[string]any{"provider": "email", "providers": []string{"email"}})
	equal(t, "user_metadata", a.at("user", "user_metadata"), map[string]any{
		"name": "Ann", "n": 7, "sub": id, "email": "ann@example.com", "email_verified": true, "phone_verified": false,
	})
	equal(t, "identity", a.at("user", "identities", "0", "id"), id)
	for name, want := range map[string]string{
		"Sb-Auth-User-Id": id, "Sb-Auth-Session-Id": payload(t, a.str("access_token"))["session_id"].(string),
		"Sb-Auth-Refresh-Token-Prefix": a.str("refresh_token")[:5],
	} {
		equal(t, name, a.header.Get(name), want)
	}

	claims := payload(t, a.str("access_token"))
	for name, want := range map[string]any{
		"iss": "http://localhost:8000/auth/v1", "sub": id, "aud": "authenticated", "email": "ann@example.com", "phone": "", "role": "authenticated",
		"aal": "aal1", "is_anonymous": false, "app_metadata": a.at("user", "app_metadata"), "user_metadata": a.at("user", "user_metadata"),
	} {
		equal(t, "claim "+name, claims[name], want)
	}
	equal(t, "amr", claims["amr"].([]any)[0].(map[string]any)["method"], "password")

	equal(t, "GET /user", s.call("GET", "/user", a.str("access_token"), nil).want(200, "").at("id"), id)
	equal(t, "audit", s.count(`SELECT count(*) FROM auth.audit_log_entries WHERE payload ->> 'action' IN ('user_signedup', 'login')
		AND payload ->> 'actor_id' = $1`, id), 2)
}

func TestSignUpRefuses(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	s.signup("taken@example.com", "secret1")
	for name, c := range map[string]struct {
		body   any
		status int
		code   string
	}{
		"taken address":          {map[string]any{"email": "TAKEN@example.com", "password": "secret2"}, 422, "user_already_exists"},
		"weak password":          {map[string]any{"email": "a@example.com", "password": "short"}, 422, "weak_password"},
		"long password":          {map[string]any{"email": "a@example.com", "password": strings.Repeat("x", 73)}, 400, "validation_failed"},
		"no password":            {map[string]any{"email": "a@example.com"}, 400, "validation_failed"},
		"bad address":            {map[string]any{"email": "a@b@c", "password": "secret1"}, 400, "validation_failed"},
		"long address":           {map[string]any{"email": strings.Repeat("a", 250) + "@example.com", "password": "secret1"}, 400, "validation_failed"},
		"address and number":     {map[string]any{"email": "a@example.com", "phone": "15551234567", "password": "secret1"}, 400, "validation_failed"},
		"number":                 {map[string]any{"phone": "15551234567", "password": "secret1"}, 400, "phone_provider_disabled"},
		"nobody":                 {map[string]any{}, 422, "anonymous_provider_disabled"},
		"no JSON":                {"email=a@example.com", 400, "bad_json"},
		"empty":                  {"", 400, "bad_json"},
		"another type":           {map[string]any{"email": 1}, 400, "bad_json"},
		"too large":              {map[string]any{"email": "a@example.com", "data": strings.Repeat("x", 1<<20)}, 413, "request_entity_too_large"},
		"zero byte in data":      {map[string]any{"email": "a@example.com", "password": "secret1", "data": map[string]any{"k": "\x00"}}, 400, "validation_failed"},
		"bytes that are no UTF8": {"{\"email\":\"a@example.com\",\"password\":\"s\"," + "\"data\":{\"k\":\"\xff\"}}", 422, "weak_password"},
	} {
		a := s.call("POST", "/signup", "", c.body)
		if got, _ := a.body["error_code"].(string); a.status != c.status || got != c.code {
			t.Errorf("%s: got %d %s, want %d %s", name, a.status, a.text, c.status, c.code)
		}
	}
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users`), 1)
}

func TestSignUpTwiceAtOnceMakesOneUser(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	statuses := make([]int, 6)
	var wg sync.WaitGroup
	for i := range statuses {
		wg.Go(func() {
			statuses[i] = s.call("POST", "/signup", "", map[string]any{"email": "a@example.com", "password": "secret1"}).status
		})
	}
	wg.Wait()
	slices.Sort(statuses)
	equal(t, "statuses", statuses, []int{200, 422, 422, 422, 422, 422})
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users`), 1)
}

func TestSignUpDisabled(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.DisableSignup, cfg.AnonymousUsersEnabled = true, true
	s := start(t, cfg)
	s.call("POST", "/signup", "", map[string]any{"email": "a@example.com", "password": "secret1"}).want(422, "signup_disabled")
	s.call("POST", "/signup", "", map[string]any{}).want(422, "signup_disabled")
}

func TestSignUpOfAnUnconfirmedUserNeedsTheirPassword(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	made := s.call("POST", "/admin/users", s.service(), map[string]any{"email": "a@example.com", "password": "secret1"}).want(200, "")
	s.signin("a@example.com", "secret1").want(400, "email_not_confirmed")
	s.call("POST", "/signup", "", map[string]any{"email": "a@example.com", "password": "secret2"}).want(422, "user_already_exists")
	equal(t, "user", s.signup("a@example.com", "secret1").at("user", "id"), made.at("id"))
	s.signin("a@example.com", "secret1").want(200, "")
}

func TestAnonymousUserBecomesPermanent(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.AnonymousUsersEnabled = true
	s := start(t, cfg)
	a := s.call("POST", "/signup", "", map[string]any{"data": map[string]any{"k": "v"}}).want(200, "")
	equal(t, "anonymous", a.at("user", "is_anonymous"), true)
	equal(t, "claim", payload(t, a.str("access_token"))["is_anonymous"], true)
	equal(t, "metadata", a.at("user", "user_metadata"), map[string]any{"k": "v"})
	token := a.str("access_token")
	s.call("PUT", "/user", token, map[string]any{"password": "secret1"}).want(422, "validation_failed")
	s.signup("taken@example.com", "secret1")
	s.call("PUT", "/user", token, map[string]any{"email": "taken@example.com"}).want(422, "email_exists")
	b := s.call("PUT", "/user", token, map[string]any{"email": "a@example.com", "password": "secret1"}).want(200, "")
	equal(t, "anonymous", b.at("is_anonymous"), false)
	equal(t, "email identity", b.at("identities", "0", "identity_data", "email_verified"), true)
	equal(t, "user", s.signin("a@example.com", "secret1").want(200, "").at("user", "id"), a.at("user", "id"))
}
