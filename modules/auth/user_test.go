package auth_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

func TestSignIn(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	id := s.signup("a@example.com", "secret1").at("user", "id")
	a := s.signin("A@example.com", "secret1").want(200, "")
	equal(t, "user", a.at("user", "id"), id)
	if weak, there := a.body["weak_password"]; !there || weak != nil {
		t.Errorf("weak_password must be there and null: %s", a.text)
	}
	wrong := s.signin("a@example.com", "secret2").want(400, "invalid_credentials")
	unknown := s.signin("b@example.com", "secret2").want(400, "invalid_credentials")
	equal(t, "body", unknown.text, wrong.text)
	s.signin("a@example.com", strings.Repeat("x", 80)).want(400, "invalid_credentials")
	s.signin("", "secret1").want(400, "validation_failed")
	s.call("POST", "/token?grant_type=password", "", map[string]any{"phone": "15551234567", "password": "x"}).want(422, "phone_provider_disabled")
	s.call("POST", "/token?grant_type=magic", "", map[string]any{}).want(400, "invalid_credentials")
	s.call("POST", "/token", "", map[string]any{}).want(400, "invalid_credentials")
	s.call("POST", "/token?grant_type=password", "", "email=a%40example.com", "Content-Type", "application/x-www-form-urlencoded").want(400, "bad_json")
	s.f.Exec(t, `UPDATE auth.users SET banned_until = now() + interval '1 hour'`)
	s.signin("a@example.com", "secret1").want(400, "user_banned")
	s.signin("a@example.com", "secret2").want(400, "invalid_credentials")
}

func TestSignInReportsAWeakPassword(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.PasswordMinLength, cfg.PasswordRequiredCharacters = 8, "abc:0123456789"
	s := start(t, cfg)
	s.call("POST", "/admin/users", s.service(), map[string]any{"email": "a@example.com", "password": "xyz", "email_confirm": true}).want(200, "")
	a := s.signin("a@example.com", "xyz").want(200, "")
	equal(t, "reasons", a.at("weak_password", "reasons"), []string{"length", "characters"})
	s.call("PUT", "/user", a.str("access_token"), map[string]any{"password": "xyz12345"}).want(422, "weak_password")
	s.call("PUT", "/user", a.str("access_token"), map[string]any{"password": "abc12345"}).want(200, "")
}

func TestRowsOfADumpSignIn(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	hash, err := bcrypt.GenerateFromPassword([]byte("secret1"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	made := s.call("POST", "/admin/users", s.service(), map[string]any{
		"email": "a@example.com", "password_hash": string(hash), "email_confirm": true,
	}).want(200, "")
	// As inserted by SQL, with NULL where GoTrue has empty texts.
	s.f.Exec(t, `UPDATE auth.users SET confirmation_token = NULL, recovery_token = NULL, email_change = NULL, email_change_token_new = NULL,
		phone_change = NULL, phone_change_token = NULL, raw_app_meta_data = NULL, raw_user_meta_data = NULL, created_at = NULL, updated_at = NULL, role = NULL`)
	equal(t, "user", s.call("GET", "/admin/users/"+made.str("id"), s.service(), nil).want(200, "").at("app_metadata"), map[string]any{})
	s.call("GET", "/admin/users", s.service(), nil).want(200, "")
	session := s.signin("a@example.com", "secret1").want(200, "")
	s.call("GET", "/user", session.str("access_token"), nil).want(200, "")
	s.refresh(session.str("refresh_token")).want(200, "")
}

func TestAccessTokensAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	a := s.signup("a@example.com", "secret1")
	claims := payload(t, a.str("access_token"))
	sign := func(change func(map[string]any)) string {
		c := map[string]any{}
		for k, v := range claims {
			c[k] = v
		}
		change(c)
		text, _ := json.Marshal(c)
		token, err := s.f.Keys.Sign(text)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	const nobody = "11111111-1111-4111-8111-111111111111"
	for name, c := range map[string]struct {
		token  string
		status int
		code   string
	}{
		"none":            {"", 401, "no_authorization"},
		"rubbish":         {"rubbish", 403, "bad_jwt"},
		"forged":          {a.str("access_token")[:len(a.str("access_token"))-6] + "AAAAAA", 403, "bad_jwt"},
		"alg none":        {"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + strings.Split(a.str("access_token"), ".")[1] + ".", 403, "bad_jwt"},
		"service key":     {s.service(), 403, "bad_jwt"},
		"secret key":      {s.f.Keys.API().Secret.Reveal(), 403, "bad_jwt"},
		"unknown key":     {"sb_secret_unknown", 403, "bad_jwt"},
		"expired":         {sign(func(c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() }), 403, "bad_jwt"},
		"no exp":          {sign(func(c map[string]any) { delete(c, "exp") }), 403, "bad_jwt"},
		"no session":      {sign(func(c map[string]any) { delete(c, "session_id") }), 403, "bad_jwt"},
		"session no uuid": {sign(func(c map[string]any) { c["session_id"] = "x" }), 403, "bad_jwt"},
		"dead session":    {sign(func(c map[string]any) { c["session_id"] = nobody }), 403, "session_not_found"},
		"sub no uuid":     {sign(func(c map[string]any) { c["sub"] = "x" }), 400, "bad_jwt"},
		"sub a number":    {sign(func(c map[string]any) { c["sub"] = 7 }), 403, "bad_jwt"},
		"unknown user":    {sign(func(c map[string]any) { c["sub"] = nobody }), 403, "user_not_found"},
		"other audience":  {sign(func(c map[string]any) { c["aud"] = "other" }), 400, "validation_failed"},
	} {
		for _, route := range []string{"GET /user", "PUT /user", "POST /logout"} {
			method, path, _ := strings.Cut(route, " ")
			b := s.call(method, path, c.token, map[string]any{})
			if got, _ := b.body["error_code"].(string); b.status != c.status || got != c.code {
				t.Errorf("%s, %s: got %d %s, want %d %s", name, route, b.status, b.text, c.status, c.code)
			}
		}
	}
	s.call("GET", "/user", a.str("access_token"), nil, "X-JWT-AUD", "other").want(400, "validation_failed")
	s.f.Exec(t, `UPDATE auth.users SET banned_until = now() + interval '1 hour'`)
	s.call("GET", "/user", a.str("access_token"), nil).want(403, "user_banned")
}

func TestUserUpdate(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	a := s.signup("a@example.com", "secret1")
	token := a.str("access_token")
	s.call("PUT", "/user", token, map[string]any{"data": map[string]any{"k": "v", "deep": map[string]any{"a": 1, "b": 2}}}).want(200, "")
	b := s.call("PUT", "/user", token, map[string]any{"data": map[string]any{"k": nil, "deep": map[string]any{"b": 3}}}).want(200, "")
	equal(t, "deleted", b.at("user_metadata", "k"), nil)
	equal(t, "one level", b.at("user_metadata", "deep"), map[string]any{"b": 3})
	s.call("PUT", "/user", token, map[string]any{"app_metadata": map[string]any{"admin": true}}).want(403, "not_admin")
	s.call("PUT", "/user", token, map[string]any{"role": "service_role", "aud": "x", "id": "y", "is_anonymous": true}).want(200, "")
	c := s.call("GET", "/user", token, nil).want(200, "")
	equal(t, "role", c.at("role"), "authenticated")
	equal(t, "app_metadata", c.at("app_metadata"), a.at("user", "app_metadata"))

	s.signup("taken@example.com", "secret1")
	s.call("PUT", "/user", token, map[string]any{"email": "Taken@example.com"}).want(422, "email_exists")
	d := s.call("PUT", "/user", token, map[string]any{"email": "B@example.com"}).want(200, "")
	equal(t, "email", []any{d.at("email"), d.at("new_email")}, []any{"a@example.com", "b@example.com"})
	e := s.verifyCode("email_change", "b@example.com", s.code("a@example.com", "email_change_token_new", "b@example.com")).want(200, "")
	equal(t, "email", []any{e.at("user", "email"), e.at("user", "new_email")}, []any{"b@example.com", nil})
	equal(t, "identity", e.at("user", "identities", "0", "identity_data", "email"), "b@example.com")
	s.signin("a@example.com", "secret1").want(400, "invalid_credentials")
	s.signin("b@example.com", "secret1").want(200, "")
	s.call("PUT", "/user", token, map[string]any{"phone": "15551234567"}).want(400, "phone_provider_disabled")
	s.call("PUT", "/user", token, map[string]any{"phone": "none"}).want(400, "validation_failed")
}

func TestPasswordChangeEndsOtherSessions(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.RequireCurrentPassword = true
	s := start(t, cfg)
	here := s.signup("a@example.com", "secret1")
	there := s.signin("a@example.com", "secret1").want(200, "")
	token := here.str("access_token")
	s.call("PUT", "/user", token, map[string]any{"password": "secret2"}).want(400, "current_password_required")
	s.call("PUT", "/user", token, map[string]any{"password": "secret2", "current_password": "secret3"}).want(400, "current_password_invalid")
	s.call("PUT", "/user", token, map[string]any{"password": "secret1", "current_password": "secret1"}).want(422, "same_password")
	s.call("PUT", "/user", token, map[string]any{"password": "secret2", "current_password": "secret1"}).want(200, "")
	s.call("GET", "/user", token, nil).want(200, "")
	s.call("GET", "/user", there.str("access_token"), nil).want(403, "session_not_found")
	s.refresh(there.str("refresh_token")).want(400, "refresh_token_not_found")
	s.signin("a@example.com", "secret1").want(400, "invalid_credentials")
	s.signin("a@example.com", "secret2").want(200, "")
}

func TestSecondFactorGuardsAddressAndPassword(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	a := s.signup("a@example.com", "secret1")
	s.f.Exec(t, `INSERT INTO auth.mfa_factors (id, user_id, factor_type, status, created_at, updated_at)
		VALUES (gen_random_uuid(), $1, 'totp', 'verified', now(), now())`, a.str("user", "id"))
	token := a.str("access_token")
	s.call("PUT", "/user", token, map[string]any{"password": "secret2"}).want(401, "insufficient_aal")
	s.call("PUT", "/user", token, map[string]any{"email": "b@example.com"}).want(401, "insufficient_aal")
	b := s.call("PUT", "/user", token, map[string]any{"data": map[string]any{"k": 1}}).want(200, "")
	equal(t, "factor", b.at("factors", "0", "status"), "verified")
}

func TestLogoutScopes(t *testing.T) {
	t.Parallel()
	for scope, live := range map[string][3]int{"": {403, 403, 403}, "global": {403, 403, 403}, "local": {403, 200, 200}, "others": {200, 403, 403}} {
		t.Run("scope "+scope, func(t *testing.T) {
			t.Parallel()
			s := start(t, config())
			sessions := []answer{s.signup("a@example.com", "secret1"), s.signin("a@example.com", "secret1"), s.signin("a@example.com", "secret1")}
			path := "/logout"
			if scope != "" {
				path += "?scope=" + scope
			}
			s.call("POST", "/logout?scope=none", sessions[0].str("access_token"), nil).want(400, "validation_failed")
			out := s.call("POST", path, sessions[0].str("access_token"), nil)
			equal(t, "status", []any{out.status, out.text}, []any{204, ""})
			for i, session := range sessions {
				if got := s.call("GET", "/user", session.str("access_token"), nil).status; got != live[i] {
					t.Errorf("session %d: got %d, want %d", i, got, live[i])
				}
			}
			equal(t, "audit", s.count(`SELECT count(*) FROM auth.audit_log_entries WHERE payload ->> 'action' = 'logout'`), 1)
		})
	}
}

func TestTriggersOfTheAppAreHeard(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	s.f.Exec(t, `CREATE TABLE public.profiles (id uuid PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE, name text)`)
	s.f.Exec(t, `CREATE FUNCTION public.on_user() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
		BEGIN
			IF new.email LIKE 'bad%' THEN RAISE EXCEPTION 'not you' USING HINT = 'go away'; END IF;
			IF new.email LIKE 'worse%' THEN RAISE EXCEPTION 'no' USING ERRCODE = 'PT418'; END IF;
			IF new.email LIKE 'broken%' THEN PERFORM 1 / 0; END IF;
			INSERT INTO public.profiles VALUES (new.id, new.raw_user_meta_data ->> 'name'); RETURN new;
		END $$`)
	s.f.Exec(t, `CREATE TRIGGER on_user AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.on_user()`)
	s.call("POST", "/signup", "", map[string]any{"email": "a@example.com", "password": "secret1", "data": map[string]any{"name": "Ann"}}).want(200, "")
	equal(t, "profile", s.count(`SELECT count(*) FROM public.profiles WHERE name = 'Ann'`), 1)
	bad := s.call("POST", "/signup", "", map[string]any{"email": "bad@example.com", "password": "secret1"})
	equal(t, "raised", []any{bad.status, bad.body}, []any{500, map[string]any{"code": "P0001", "message": "not you", "hint": "go away"}})
	worse := s.call("POST", "/signup", "", map[string]any{"email": "worse@example.com", "password": "secret1"})
	equal(t, "raised with a status", worse.status, 418)
	broken := s.call("POST", "/signup", "", map[string]any{"email": "broken@example.com", "password": "secret1"}).want(500, "unexpected_failure")
	equal(t, "message", broken.at("msg"), "Database error saving new user")
	if strings.Contains(broken.text, "division") {
		t.Errorf("the database's words got out: %s", broken.text)
	}
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users`), 1)
}
