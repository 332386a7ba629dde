package auth_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/madbase/madbase/modules/auth"
	"github.com/madbase/madbase/modules/auth/seal"
	"github.com/madbase/madbase/platform/ratelimit"
	"github.com/madbase/madbase/platform/secret"
)

func mfaConfig() auth.Config {
	cfg := config()
	cfg.MFA = auth.MFAConfig{
		TOTPEnroll: true, TOTPVerify: true, PhoneMaxFrequency: time.Minute, PhoneTemplate: "Your code is {{ .Code }}", MaxEnrolled: 10, MaxVerified: 10, RateLimit: 15,
	}
	return cfg
}

// authenticator is an authenticator app with one account.
type authenticator struct {
	s          *server
	id, secret string
	drift      time.Duration
}

// code is what the app shows, by a clock that may be off.
func (a *authenticator) code() string {
	a.s.t.Helper()
	code, err := totp.GenerateCode(a.secret, time.Now().Add(a.drift))
	if err != nil {
		a.s.t.Fatal(err)
	}
	return code
}

func (s *server) enroll(token, name string) *authenticator {
	s.t.Helper()
	a := s.call("POST", "/factors", token, map[string]any{"factor_type": "totp", "friendly_name": name, "issuer": "Acme"}).want(200, "")
	return &authenticator{s: s, id: a.str("id"), secret: a.str("totp", "secret")}
}

func (s *server) challenge(token, factorID string) string {
	s.t.Helper()
	return s.call("POST", "/factors/"+factorID+"/challenge", token, map[string]any{}).want(200, "").str("id")
}

func (s *server) verify(token string, a *authenticator, code string) answer {
	s.t.Helper()
	return s.call("POST", "/factors/"+a.id+"/verify", token, map[string]any{"challenge_id": s.challenge(token, a.id), "code": code})
}

// forget makes the server take the app's codes again, as half a minute later.
func (a *authenticator) forget() {
	a.s.t.Helper()
	a.s.f.Exec(a.s.t, "UPDATE auth.mfa_challenges SET otp_code = NULL WHERE factor_id = $1", a.id)
}

// twoFactors makes a user with a verified app, and returns the AAL2 session.
func (s *server) twoFactors(email string) (*authenticator, answer) {
	s.t.Helper()
	token := s.signup(email, "secret1").str("access_token")
	a := s.enroll(token, "app")
	raised := s.verify(token, a, a.code()).want(200, "")
	a.forget()
	return a, raised
}

func TestTOTPLife(t *testing.T) {
	t.Parallel()
	s := start(t, mfaConfig())
	first := s.signup("a@example.com", "secret1")
	token := first.str("access_token")
	other := s.signin("a@example.com", "secret1").want(200, "")
	enrolled := s.call("POST", "/factors", token, map[string]any{"factor_type": "totp", "friendly_name": "app", "issuer": "Acme"}).want(200, "")
	app := &authenticator{s: s, id: enrolled.str("id"), secret: enrolled.str("totp", "secret")}
	uri, err := url.Parse(enrolled.str("totp", "uri"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "uri", []string{uri.Scheme, uri.Host, uri.Path, uri.RawQuery}, []string{"otpauth", "totp", "/Acme:a@example.com", "algorithm=SHA1&digits=6&issuer=Acme&period=30&secret=" + app.secret})
	if svg := enrolled.str("totp", "qr_code"); !strings.HasPrefix(svg, "<svg") || strings.ContainsRune(svg, '#') {
		t.Errorf("QR code: %.200s", svg)
	}
	s.enroll(token, "never used")

	raised := s.verify(token, app, app.code()).want(200, "")
	claims := payload(t, raised.str("access_token"))
	equal(t, "aal", claims["aal"], "aal2")
	equal(t, "amr", []any{len(claims["amr"].([]any)), claims["session_id"] == payload(t, token)["session_id"]}, []any{2, true})
	equal(t, "factors", []any{len(raised.at("user", "factors").([]any)), raised.at("user", "factors", "0", "status")}, []any{1, "verified"})
	s.call("GET", "/user", other.str("access_token"), nil).want(403, "session_not_found")
	equal(t, "session", s.count("SELECT count(*) FROM auth.sessions WHERE aal = 'aal2' AND factor_id = $1", app.id), 1)
	equal(t, "audit", s.count("SELECT count(*) FROM auth.audit_log_entries WHERE payload->>'action' IN ('factor_in_progress', 'challenge_created', 'verification_attempted')"), 4)

	next := s.refresh(raised.str("refresh_token")).want(200, "")
	equal(t, "aal after refresh", payload(t, next.str("access_token"))["aal"], "aal2")
	s.call("DELETE", "/factors/"+app.id, next.str("access_token"), nil).want(200, "")
	s.call("DELETE", "/factors/"+app.id, next.str("access_token"), nil).want(404, "mfa_factor_not_found")
	last := s.refresh(next.str("refresh_token")).want(200, "")
	equal(t, "aal after unenrolling", payload(t, last.str("access_token"))["aal"], "aal1")
	equal(t, "session", s.count("SELECT count(*) FROM auth.sessions WHERE aal = 'aal1' AND factor_id IS NULL"), 1)
}

// A refresh token of before the second factor was proven must not come by the
// session that it raised, nor an access token of before.
func TestOldTokensDoNotRise(t *testing.T) {
	t.Parallel()
	s := start(t, mfaConfig())
	old := s.signup("a@example.com", "secret1")
	older := old.str("refresh_token")
	old = s.refresh(older).want(200, "")
	app := s.enroll(old.str("access_token"), "app")
	raised := s.verify(old.str("access_token"), app, app.code()).want(200, "")
	for range 2 {
		s.refresh(old.str("refresh_token")).want(400, "refresh_token_not_found")
		s.refresh(older).want(400, "refresh_token_not_found")
	}
	equal(t, "new one lives", payload(t, s.refresh(raised.str("refresh_token")).want(200, "").str("access_token"))["aal"], "aal2")
	s.call("PUT", "/user", old.str("access_token"), map[string]any{"password": "another1"}).want(401, "insufficient_aal")
	s.call("DELETE", "/factors/"+app.id, old.str("access_token"), nil).want(422, "insufficient_aal")
	s.call("PUT", "/user", raised.str("access_token"), map[string]any{"password": "another1"}).want(200, "")
}

// Refreshes that race the raise do not come by it either.
func TestRefreshDoesNotRaceTheRaise(t *testing.T) {
	t.Parallel()
	cfg := mfaConfig()
	cfg.RateLimitTokenRefresh = 0
	s := start(t, cfg)
	old := s.signup("a@example.com", "secret1")
	app := s.enroll(old.str("access_token"), "app")
	id, code := s.challenge(old.str("access_token"), app.id), app.code()
	var wait sync.WaitGroup
	refreshed := [8]answer{}
	for i := range refreshed {
		wait.Go(func() { refreshed[i] = s.refresh(old.str("refresh_token")) })
	}
	raised := s.call("POST", "/factors/"+app.id+"/verify", old.str("access_token"), map[string]any{"challenge_id": id, "code": code}).want(200, "")
	wait.Wait()
	for _, a := range refreshed {
		if a.status != 200 {
			continue
		}
		equal(t, "aal", payload(t, a.str("access_token"))["aal"], "aal1")
		s.refresh(a.str("refresh_token")).want(400, "refresh_token_not_found")
	}
	s.refresh(raised.str("refresh_token")).want(200, "")
}

func TestLowAAL(t *testing.T) {
	t.Parallel()
	s := start(t, mfaConfig())
	app, _ := s.twoFactors("a@example.com")
	low := s.signin("a@example.com", "secret1").want(200, "").str("access_token")
	equal(t, "aal", payload(t, low)["aal"], "aal1")
	s.call("POST", "/factors", low, map[string]any{"factor_type": "totp", "friendly_name": "two"}).want(403, "insufficient_aal")
	s.call("DELETE", "/factors/"+app.id, low, nil).want(422, "insufficient_aal")
	s.call("PUT", "/user", low, map[string]any{"email": "b@example.com"}).want(401, "insufficient_aal")
	s.call("PUT", "/user", low, map[string]any{"data": map[string]any{"k": 1}}).want(200, "")
	high := s.verify(low, app, app.code()).want(200, "").str("access_token")
	two := s.enroll(high, "two")
	s.verify(high, two, two.code()).want(200, "")
	equal(t, "factors", s.count("SELECT count(*) FROM auth.mfa_factors WHERE status = 'verified'"), 2)
}

// With the setting, a session without the second factor ends, and its tokens with it.
func TestLowAALEnds(t *testing.T) {
	t.Parallel()
	cfg := mfaConfig()
	cfg.Sessions.AllowLowAAL = 10 * time.Minute
	s := start(t, cfg)
	_, raised := s.twoFactors("a@example.com")
	low, plain := s.signin("a@example.com", "secret1").want(200, ""), s.signup("b@example.com", "secret1")
	if left, _ := low.at("expires_in").(float64); left > 600 {
		t.Errorf("the token lasts %v s", left)
	}
	low = s.refresh(low.str("refresh_token")).want(200, "")
	s.f.Exec(t, "UPDATE auth.sessions SET created_at = created_at - interval '11 minutes'")
	refused := s.refresh(low.str("refresh_token")).want(400, "session_expired")
	equal(t, "why", refused.str("msg"), "Invalid Refresh Token: Session Expired (Low AAL: User Needs MFA Verification)")
	s.refresh(raised.str("refresh_token")).want(200, "")
	s.refresh(plain.str("refresh_token")).want(200, "") // has no second factor to use
}

// Whoever has the password and enrolled a factor before the user had one must not
// get past the user's factor with it.
func TestForeignFactorDoesNotRise(t *testing.T) {
	t.Parallel()
	s := start(t, mfaConfig())
	thief := s.signup("a@example.com", "secret1").str("access_token")
	planted := s.enroll(thief, "planted")
	s.f.Exec(t, "UPDATE auth.mfa_factors SET factor_type = 'phone' WHERE id = $1", planted.id) // of another type, so that the next line leaves it
	owner := s.signin("a@example.com", "secret1").str("access_token")
	app := s.enroll(owner, "app")
	s.verify(owner, app, app.code()).want(200, "")
	s.f.Exec(t, "UPDATE auth.mfa_factors SET factor_type = 'totp' WHERE id = $1", planted.id)
	thief = s.signin("a@example.com", "secret1").str("access_token")
	s.verify(thief, planted, planted.code()).want(403, "insufficient_aal")
	equal(t, "thief", s.count("SELECT count(*) FROM auth.mfa_factors WHERE status = 'verified'"), 1)
}

func TestTOTPCodeCountsOnce(t *testing.T) {
	t.Parallel()
	s := start(t, mfaConfig())
	token := s.signup("a@example.com", "secret1").str("access_token")
	app := s.enroll(token, "app")
	code := app.code()
	token = s.verify(token, app, code).want(200, "").str("access_token")
	s.verify(token, app, code).want(422, "mfa_verification_failed")
	low := s.signin("a@example.com", "secret1").str("access_token")
	s.verify(low, app, code).want(422, "mfa_verification_failed")
	app.drift = -30 * time.Second // one that was never used, but is of before
	s.verify(low, app, app.code()).want(422, "mfa_verification_failed")
	app.drift = 30 * time.Second
	s.verify(low, app, app.code()).want(200, "")
}

// Of many who come with the same code at once, one gets in.
func TestTOTPCodeCountsOnceAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, mfaConfig())
	app, _ := s.twoFactors("a@example.com")
	const n = 6
	tokens, challenges, statuses := [n]string{}, [n]string{}, [n]int{}
	for i := range n {
		tokens[i] = s.signin("a@example.com", "secret1").str("access_token")
		challenges[i] = s.challenge(tokens[i], app.id)
	}
	code := app.code()
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			statuses[i] = s.call("POST", "/factors/"+app.id+"/verify", tokens[i], map[string]any{"challenge_id": challenges[i], "code": code}).status
		})
	}
	wait.Wait()
	counts := map[int]int{}
	for _, status := range statuses {
		counts[status]++
	}
	if counts[200] != 1 || counts[422]+counts[403] != n-1 {
		t.Errorf("statuses: %v", counts)
	}
}

func TestTOTPReuse(t *testing.T) {
	t.Parallel()
	cfg := mfaConfig()
	cfg.MFA.TOTPReuse = true
	s := start(t, cfg)
	token := s.signup("a@example.com", "secret1").str("access_token")
	app := s.enroll(token, "app")
	for range 2 {
		token = s.verify(token, app, app.code()).want(200, "").str("access_token")
	}
}

func TestChallengeRules(t *testing.T) {
	t.Parallel()
	address := "192.0.2.1"
	s := start(t, mfaConfig(), func(d *auth.Deps) { d.ClientIP = func(*http.Request) string { return address } })
	token := s.signup("a@example.com", "secret1").str("access_token")
	app, stranger := s.enroll(token, "app"), s.signup("b@example.com", "secret1").str("access_token")
	theirs := s.enroll(stranger, "app")
	path := "/factors/" + app.id

	s.call("POST", path+"/challenge", stranger, nil).want(404, "mfa_factor_not_found")
	s.call("POST", path+"/verify", stranger, map[string]any{"challenge_id": s.challenge(token, app.id), "code": app.code()}).want(404, "mfa_factor_not_found")
	s.call("DELETE", path, stranger, nil).want(404, "mfa_factor_not_found")
	s.call("POST", "/factors/x/challenge", token, nil).want(404, "validation_failed")
	foreign := map[string]any{"challenge_id": s.challenge(stranger, theirs.id), "code": app.code()}
	s.call("POST", path+"/verify", token, foreign).want(422, "mfa_factor_not_found")
	s.call("POST", path+"/verify", token, map[string]any{"challenge_id": "x", "code": "1"}).want(400, "bad_json")
	s.call("POST", path+"/verify", token, map[string]any{"challenge_id": s.challenge(token, app.id)}).want(400, "validation_failed")
	s.call("POST", path+"/verify", token, `{"code":"`+strings.Repeat("1", 1<<20)+`"}`).want(413, "request_entity_too_large")
	for _, code := range []string{"000000", "12345", "1234567", "abcdef", "١٢٣٤٥٦", " ", strings.Repeat("9", 5000)} {
		if code != app.code() {
			s.verify(token, app, code).want(422, "mfa_verification_failed")
		}
	}

	id := s.challenge(token, app.id)
	address = "192.0.2.2"
	s.call("POST", path+"/verify", token, map[string]any{"challenge_id": id, "code": app.code()}).want(422, "mfa_ip_address_mismatch")
	address = "192.0.2.1"
	s.f.Exec(t, "UPDATE auth.mfa_challenges SET created_at = now() - interval '301 seconds' WHERE id = $1", id)
	s.call("POST", path+"/verify", token, map[string]any{"challenge_id": id, "code": app.code()}).want(422, "mfa_challenge_expired")
	s.call("POST", path+"/verify", token, map[string]any{"challenge_id": id, "code": app.code()}).want(422, "mfa_factor_not_found")

	id = s.challenge(token, app.id)
	body := map[string]any{"challenge_id": id, "code": app.code()}
	token = s.call("POST", path+"/verify", token, body).want(200, "").str("access_token")
	s.call("POST", path+"/verify", token, body).want(422, "mfa_ip_address_mismatch")
}

func TestEnrollRules(t *testing.T) {
	t.Parallel()
	cfg := mfaConfig()
	cfg.AnonymousUsersEnabled, cfg.MFA.MaxEnrolled, cfg.MFA.MaxVerified = true, 3, 1
	s := start(t, cfg)
	token := s.signup("a@example.com", "secret1").str("access_token")
	enroll := func(body map[string]any) answer { return s.call("POST", "/factors", token, body) }
	enroll(map[string]any{}).want(400, "validation_failed")
	enroll(map[string]any{"factor_type": "smell"}).want(400, "validation_failed")
	enroll(map[string]any{"factor_type": "phone", "phone": "15550001234"}).want(422, "mfa_phone_enroll_not_enabled")
	enroll(map[string]any{"factor_type": "webauthn"}).want(422, "mfa_webauthn_enroll_not_enabled")
	enroll(map[string]any{"factor_type": "totp", "friendly_name": strings.Repeat("n", 256)}).want(400, "validation_failed")
	enroll(map[string]any{"factor_type": "totp", "issuer": strings.Repeat("é", 127), "friendly_name": "long"}).want(200, "")
	s.call("POST", "/factors", "", map[string]any{"factor_type": "totp"}).want(401, "no_authorization")
	s.call("POST", "/factors", "", map[string]any{"factor_type": "totp"}, "apikey", s.service()).want(401, "no_authorization")
	equal(t, "list", s.call("GET", "/factors", token, nil).status, 405)
	anonymous := s.call("POST", "/signup", "", map[string]any{}).want(200, "").str("access_token")
	s.call("POST", "/factors", anonymous, map[string]any{"factor_type": "totp"}).want(403, "no_authorization")

	enroll(map[string]any{"factor_type": "totp", "friendly_name": "long"}).want(422, "mfa_factor_name_conflict")
	enroll(map[string]any{"factor_type": "totp"}).want(200, "")
	app := s.enroll(token, "third")
	enroll(map[string]any{"factor_type": "totp", "friendly_name": "fourth"}).want(422, "too_many_enrolled_mfa_factors")
	s.f.Exec(t, "UPDATE auth.mfa_factors SET created_at = now() - interval '6 minutes' WHERE id <> $1", app.id)
	s.enroll(token, "fourth") // the stale ones are gone
	equal(t, "factors", s.count("SELECT count(*) FROM auth.mfa_factors"), 2)
	token = s.verify(token, app, app.code()).want(200, "").str("access_token")
	enroll(map[string]any{"factor_type": "totp", "friendly_name": "fifth"}).want(422, "too_many_enrolled_mfa_factors")
}

func TestEnrollLimitAtOnce(t *testing.T) {
	t.Parallel()
	cfg := mfaConfig()
	cfg.MFA.MaxEnrolled = 2
	s := start(t, cfg)
	token := s.signup("a@example.com", "secret1").str("access_token")
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			s.call("POST", "/factors", token, map[string]any{"factor_type": "totp", "friendly_name": string(rune('a' + i))})
		})
	}
	wait.Wait()
	equal(t, "factors", s.count("SELECT count(*) FROM auth.mfa_factors"), 2)
}

func TestTOTPDisabled(t *testing.T) {
	t.Parallel()
	cfg := mfaConfig()
	cfg.MFA.TOTPVerify = false
	s := start(t, cfg)
	token := s.signup("a@example.com", "secret1").str("access_token")
	app := s.enroll(token, "app")
	s.call("POST", "/factors/"+app.id+"/challenge", token, nil).want(422, "mfa_totp_verify_not_enabled")
	s.call("POST", "/factors/"+app.id+"/verify", token, map[string]any{"code": "123456"}).want(422, "mfa_totp_verify_not_enabled")
}

// Guessing codes stops after some, from however many addresses, and for that factor only.
func TestGuessesAreLimited(t *testing.T) {
	t.Parallel()
	calls := 0
	s := start(t, mfaConfig(), func(d *auth.Deps) {
		d.Limiter = onlyFactors{ratelimit.NewMemory(100)}
		d.ClientIP = func(*http.Request) string { return "192.0.2." + string(rune('1'+calls%9)) }
	})
	app, _ := s.twoFactors("a@example.com")
	low := s.signin("a@example.com", "secret1").str("access_token")
	id := s.challenge(low, app.id)
	wrong := "000000"
	if app.code() == wrong {
		wrong = "000001"
	}
	guesses := 0
	for a := (answer{}); a.status != 429; guesses++ {
		if a = s.call("POST", "/factors/"+app.id+"/verify", low, map[string]any{"challenge_id": id, "code": wrong}); a.status == 429 {
			equal(t, "code", []any{a.at("error_code"), a.header.Get("Retry-After") != ""}, []any{"over_request_rate_limit", true})
		}
	}
	if guesses > 16 {
		t.Errorf("%d guesses", guesses)
	}
	s.twoFactors("b@example.com")
}

// onlyFactors limits factors, not callers.
type onlyFactors struct{ memory *ratelimit.Memory }

func (l onlyFactors) Allow(ctx context.Context, key string, limit ratelimit.Limit) (ratelimit.Decision, error) {
	if !strings.Contains(key, "/factor/") {
		limit = ratelimit.Limit{}
	}
	return l.memory.Allow(ctx, key, limit)
}

func TestAdminFactors(t *testing.T) {
	t.Parallel()
	s := start(t, mfaConfig())
	app, raised := s.twoFactors("a@example.com")
	path := "/admin/users/" + raised.str("user", "id") + "/factors"
	s.call("GET", path, raised.str("access_token"), nil).want(403, "not_admin")
	list := s.call("GET", path, s.service(), nil).want(200, "")
	if !strings.Contains(list.text, app.id) || strings.Contains(list.text, app.secret) {
		t.Error(list.text)
	}
	two := s.enroll(raised.str("access_token"), "two")
	s.call("PUT", path+"/"+two.id, s.service(), map[string]any{"friendly_name": "app"}).want(422, "mfa_factor_name_conflict")
	renamed := s.call("PUT", path+"/"+app.id, s.service(), map[string]any{"friendly_name": "b", "phone": "15550001234"}).want(200, "")
	equal(t, "renamed", []any{renamed.str("friendly_name"), renamed.str("phone"), renamed.str("status")}, []any{"b", "", "verified"})
	s.call("DELETE", path+"/"+app.id, s.service(), nil).want(200, "")
	s.call("DELETE", path+"/"+app.id, s.service(), nil).want(404, "mfa_factor_not_found")
	s.call("DELETE", path+"/"+two.id, s.service(), nil).want(200, "")
	equal(t, "empty list", s.call("GET", path, s.service(), nil).text, "[]")
	after := s.refresh(raised.str("refresh_token")).want(200, "")
	equal(t, "aal", payload(t, after.str("access_token"))["aal"], "aal1")
}

// An app that a user signed in to does not add ways of signing in, nor remove any.
func TestAppsDoNotTakeAccounts(t *testing.T) {
	t.Parallel()
	s := start(t, passkeyConfig())
	app, raised := s.twoFactors("a@example.com")
	token := raised.str("access_token")
	s.f.Exec(t, `INSERT INTO auth.oauth_clients (id, registration_type, redirect_uris, grant_types, token_endpoint_auth_method)
		VALUES ('00000000-0000-4000-8000-00000000000a', 'manual', 'https://b.example/cb', 'authorization_code', 'none')`)
	s.f.Exec(t, `UPDATE auth.sessions SET oauth_client_id = '00000000-0000-4000-8000-00000000000a'`)
	for _, route := range []string{
		"GET /reauthenticate", "GET /user/sessions", "DELETE /user/sessions/x", "GET /user/identities/authorize", "DELETE /user/identities/x",
		"POST /logout?scope=others", "POST /factors", "DELETE /factors/" + app.id, "POST /factors/" + app.id + "/challenge", "POST /factors/" + app.id + "/verify",
		"POST /passkeys/registration/options", "POST /passkeys/registration/verify", "GET /passkeys", "PATCH /passkeys/x", "DELETE /passkeys/x",
	} {
		method, path, _ := strings.Cut(route, " ")
		s.call(method, path, token, map[string]any{"factor_type": "totp"}).want(403, "bad_jwt")
	}
	s.call("PUT", "/user", token, map[string]any{"password": "secret2"}).want(403, "bad_jwt")
	s.f.Exec(t, `UPDATE auth.users SET role = 'service_role'`)
	s.f.Exec(t, `UPDATE auth.sessions SET oauth_client_id = NULL`)
	own := s.signin("a@example.com", "secret1").want(200, "").str("access_token")
	s.call("GET", "/admin/users", own, nil).want(200, "")
	s.f.Exec(t, `UPDATE auth.sessions SET oauth_client_id = '00000000-0000-4000-8000-00000000000a'`)
	s.call("GET", "/admin/users", own, nil).want(403, "bad_jwt")
	s.call("GET", "/user", own, nil).want(200, "")
	s.call("POST", "/logout", own, nil).want(204, "") // global: but only the app's own session
	s.call("GET", "/user", own, nil).want(403, "session_not_found")
	s.call("GET", "/user", token, nil).want(200, "")
}

func TestTOTPFactorWithoutSecret(t *testing.T) {
	t.Parallel()
	s := start(t, mfaConfig())
	app, _ := s.twoFactors("a@example.com")
	s.f.Exec(t, "UPDATE auth.mfa_factors SET secret = ''")
	app.secret = ""
	s.verify(s.signin("a@example.com", "secret1").str("access_token"), app, app.code()).want(422, "mfa_verification_failed")
}

// Counted refresh tokens of before the raise are dead as well.
func TestOldCountedTokensDoNotRise(t *testing.T) {
	t.Parallel()
	cfg := mfaConfig()
	cfg.Refresh.Version = 2
	s := start(t, cfg)
	old := s.signup("a@example.com", "secret1")
	app := s.enroll(old.str("access_token"), "app")
	raised := s.verify(old.str("access_token"), app, app.code()).want(200, "")
	if len(raised.str("refresh_token")) < 40 {
		t.Errorf("not counted: %q", raised.str("refresh_token"))
	}
	next := s.refresh(raised.str("refresh_token")).want(200, "")
	equal(t, "aal", payload(t, next.str("access_token"))["aal"], "aal2")
	s.refresh(old.str("refresh_token")).want(400, "refresh_token_not_found")
	s.refresh(next.str("refresh_token")).want(200, "")
}

// With encryption at rest no secret is in the database in the clear, and one of before still works.
func TestTOTPSecretAtRest(t *testing.T) {
	t.Parallel()
	cfg := mfaConfig()
	cfg.Seal = seal.Config{Encrypt: true, KeyID: "k1", Key: secret.String(strings.Repeat("A", 43)), DecryptionKeys: secret.String("k1:" + strings.Repeat("A", 43))}
	s := start(t, cfg)
	app, _ := s.twoFactors("a@example.com")
	equal(t, "in the clear", s.count("SELECT count(*) FROM auth.mfa_factors WHERE secret LIKE '%' || $1 || '%'", app.secret), 0)
	s.f.Exec(t, "UPDATE auth.mfa_factors SET secret = $1", app.secret)
	s.verify(s.signin("a@example.com", "secret1").str("access_token"), app, app.code()).want(200, "")
}
