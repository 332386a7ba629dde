package auth_test

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/auth"
	"github.com/madbase/madbase/modules/auth/provider"
	"github.com/madbase/madbase/platform/ratelimit"
)

func TestMagicLink(t *testing.T) {
	t.Parallel()
	s := start(t, confirmConfig())
	a := s.call("POST", "/otp", "", map[string]any{"email": "New@example.com", "data": map[string]any{"name": "Ann"}}).want(200, "")
	equal(t, "answer", a.text, "{}")
	b := s.verifyCode("email", "new@example.com", s.code("new@example.com", "confirmation_token", "new@example.com")).want(200, "")
	equal(t, "user", []any{b.at("user", "user_metadata", "name"), b.at("user", "app_metadata", "provider")}, []any{"Ann", "email"})

	s.call("POST", "/otp", "", map[string]any{"email": "new@example.com", "create_user": false}).want(200, "")
	first := s.code("new@example.com", "recovery_token", "new@example.com")
	s.call("POST", "/magiclink", "", map[string]any{"email": "new@example.com"}).want(200, "")
	second := s.code("new@example.com", "recovery_token", "new@example.com")
	if first != second {
		s.verifyCode("email", "new@example.com", first).want(403, "otp_expired")
	}
	s.verifyCode("magiclink", "new@example.com", second).want(200, "")
	s.verifyCode("magiclink", "new@example.com", second).want(403, "otp_expired")

	s.call("POST", "/otp", "", map[string]any{"email": "ghost@example.com", "create_user": false}).want(422, "otp_disabled")
	s.call("POST", "/otp", "", map[string]any{"email": "a@example.com", "phone": "15551234567"}).want(400, "validation_failed")
	s.call("POST", "/otp", "", map[string]any{"email": "a@example.com", "channel": "sms"}).want(400, "validation_failed")
	s.call("POST", "/otp", "", map[string]any{}).want(400, "validation_failed")
	s.call("POST", "/magiclink", "", map[string]any{}).want(422, "validation_failed")
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users`), 1)
}

func TestMagicLinkBySettings(t *testing.T) {
	t.Parallel()
	cfg := confirmConfig()
	cfg.Flow.MagicLinkEnabled = false
	s := start(t, cfg)
	s.call("POST", "/otp", "", map[string]any{"email": "a@example.com"}).want(422, "email_provider_disabled")
	cfg = confirmConfig()
	cfg.DisableSignup = true
	s = start(t, cfg)
	s.call("POST", "/otp", "", map[string]any{"email": "a@example.com"}).want(422, "signup_disabled")
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users`), 0)

	cfg = config()
	cfg.Mail.MaxFrequency = time.Microsecond
	s = start(t, cfg) // autoconfirm: the user is there and confirmed, and signs in by the mail
	s.call("POST", "/otp", "", map[string]any{"email": "a@example.com"}).want(200, "")
	equal(t, "confirmed", s.count(`SELECT count(*) FROM auth.users WHERE email_confirmed_at IS NOT NULL AND encrypted_password = ''`), 1)
	s.verifyCode("email", "a@example.com", s.code("a@example.com", "recovery_token", "a@example.com")).want(200, "")
}

func TestPKCE(t *testing.T) {
	t.Parallel()
	s := start(t, confirmConfig())
	s.confirmed("a@example.com", "secret1")
	verifier := strings.Repeat("abcdefgh", 6)
	ask := map[string]any{"email": "a@example.com", "code_challenge": challengeOf(verifier), "code_challenge_method": "S256"}
	s.call("POST", "/otp", "", ask).want(200, "")
	hash := s.hash("a@example.com", "recovery_token")
	equal(t, "prefix", strings.HasPrefix(hash, "pkce_"), true)
	_, f := s.link("magiclink", strings.TrimPrefix(hash, "pkce_"), "") // the flow cannot be left out
	equal(t, "without the prefix", []any{f.Get("error_code"), f.Has("access_token")}, []any{"otp_expired", false})
	to, f := s.link("magiclink", hash, "https://app.example.com/cb?x=1")
	code := to.Query().Get("code")
	equal(t, "link", []any{to.Query().Get("x"), code != "", len(f)}, []any{"1", true, 0})
	to, f = s.link("magiclink", hash, "")
	equal(t, "used", []string{to.Query().Get("error_code"), f.Get("error_code"), to.Query().Get("error")}, []string{"otp_expired", "otp_expired", "access_denied"})

	exchange := func(code, verifier string) answer {
		return s.call("POST", "/token?grant_type=pkce", "", map[string]any{"auth_code": code, "code_verifier": verifier})
	}
	exchange(code, "").want(400, "validation_failed")
	exchange(code, verifier+"x").want(400, "bad_code_verifier")
	exchange(code, challengeOf(verifier)).want(400, "bad_code_verifier") // the challenge is no verifier: no way down to plain
	exchange("00000000-0000-4000-8000-000000000000", verifier).want(404, "flow_state_not_found")
	statuses := make([]int, 6)
	var all sync.WaitGroup
	for i := range statuses {
		all.Go(func() { statuses[i] = exchange(code, verifier).status })
	}
	all.Wait()
	slices.Sort(statuses)
	equal(t, "once", statuses, []int{200, 404, 404, 404, 404, 404})
	equal(t, "left", s.count(`SELECT count(*) FROM auth.flow_state`), 0)
	equal(t, "method", s.count(`SELECT count(*) FROM auth.mfa_amr_claims WHERE authentication_method = 'magiclink'`), 1)

	s.call("POST", "/otp", "", ask).want(200, "")
	to, _ = s.link("magiclink", s.hash("a@example.com", "recovery_token"), "")
	s.f.Exec(t, `UPDATE auth.flow_state SET auth_code_issued_at = now() - interval '301 seconds'`)
	exchange(to.Query().Get("code"), verifier).want(422, "flow_state_expired")
}

func TestPKCEOfEveryMail(t *testing.T) {
	t.Parallel()
	s := start(t, confirmConfig())
	verifier := strings.Repeat("0123456789", 5)
	with := func(body map[string]any) map[string]any {
		maps.Copy(body, map[string]any{"code_challenge": verifier, "code_challenge_method": "plain"})
		return body
	}
	follow := func(kind, column, email string) answer {
		t.Helper()
		to, _ := s.link(kind, s.hash(email, column), "")
		return s.call("POST", "/token?grant_type=pkce", "", map[string]any{"auth_code": to.Query().Get("code"), "code_verifier": verifier}).want(200, "")
	}
	method := func(a answer) any {
		return payload(t, a.str("access_token"))["amr"].([]any)[0].(map[string]any)["method"]
	}
	s.call("POST", "/signup", "", with(map[string]any{"email": "a@example.com", "password": "secret1"})).want(200, "")
	equal(t, "signup", method(follow("signup", "confirmation_token", "a@example.com")), "email/signup")
	s.call("POST", "/recover", "", with(map[string]any{"email": "a@example.com"})).want(200, "")
	a := follow("recovery", "recovery_token", "a@example.com")
	equal(t, "recovery", method(a), "recovery")
	s.call("PUT", "/user", a.str("access_token"), with(map[string]any{"email": "b@example.com"})).want(200, "")
	_, f := s.link("email_change", s.hash("a@example.com", "email_change_token_current"), "")
	equal(t, "half", f.Get("message"), "Confirmation link accepted. Please proceed to confirm link sent to the other email")
	b := follow("email_change", "email_change_token_new", "a@example.com")
	equal(t, "change", []any{method(b), b.at("user", "email")}, []any{"email_change", "b@example.com"})
	s.signup("c@example.com", "secret1")
	s.call("POST", "/resend", "", with(map[string]any{"type": "signup", "email": "c@example.com"})).want(200, "")
	equal(t, "resend", method(follow("signup", "confirmation_token", "c@example.com")), "email/signup")

	for _, bad := range []map[string]any{
		{"code_challenge": verifier},
		{"code_challenge_method": "s256"},
		{"code_challenge": "abc", "code_challenge_method": "s256"},
		{"code_challenge": strings.Repeat("a/", 30), "code_challenge_method": "s256"},
		{"code_challenge": verifier, "code_challenge_method": "none"},
	} {
		body := map[string]any{"email": "d@example.com", "password": "secret1", "type": "signup"}
		maps.Copy(body, bad)
		for _, path := range []string{"/signup", "/otp", "/magiclink", "/recover", "/resend"} {
			s.call("POST", path, "", body).want(400, "validation_failed")
		}
	}
}

func TestRecover(t *testing.T) {
	t.Parallel()
	s := start(t, confirmConfig())
	old := s.confirmed("a@example.com", "secret1").str("access_token")
	s.call("POST", "/recover", "", map[string]any{"email": "A@example.com"}).want(200, "")
	a := s.verifyCode("recovery", "a@example.com", s.code("a@example.com", "recovery_token", "a@example.com")).want(200, "")
	s.call("PUT", "/user", a.str("access_token"), map[string]any{"password": "secret2"}).want(200, "")
	s.call("GET", "/user", old, nil).want(403, "session_not_found")
	s.signin("a@example.com", "secret1").want(400, "invalid_credentials")
	s.signin("a@example.com", "secret2").want(200, "")
	s.call("POST", "/recover", "", map[string]any{}).want(400, "validation_failed")
	s.call("POST", "/recover", "", map[string]any{"email": "nope"}).want(400, "validation_failed")

	cfg := confirmConfig()
	cfg.RequireCurrentPassword = true
	s = start(t, cfg) // who has forgotten the password need not show it
	s.confirmed("a@example.com", "secret1")
	in := s.signin("a@example.com", "secret1").want(200, "").str("access_token")
	s.call("PUT", "/user", in, map[string]any{"password": "secret2"}).want(400, "current_password_required")
	s.call("POST", "/recover", "", map[string]any{"email": "a@example.com"}).want(200, "")
	a = s.verifyCode("recovery", "a@example.com", s.code("a@example.com", "recovery_token", "a@example.com")).want(200, "")
	s.call("PUT", "/user", a.str("access_token"), map[string]any{"password": "secret2"}).want(200, "")
}

// TestAnswersDoNotTellWhoIsThere compares what strangers hear of a known and of an unknown
// address, and when.
func TestAnswersDoNotTellWhoIsThere(t *testing.T) {
	t.Parallel()
	cfg := confirmConfig()
	cfg.Mail.MaxFrequency = time.Minute
	s := start(t, cfg, func(d *auth.Deps) { d.Limiter = ratelimit.NewMemory(100) })
	s.confirmed("known@example.com", "secret1")
	s.signup("waiting@example.com", "secret1")
	s.f.Exec(t, `UPDATE auth.users SET confirmation_sent_at = now() - interval '1 hour'`)
	for _, c := range []struct{ path, known, kind string }{{"/recover", "known@example.com", ""}, {"/resend", "waiting@example.com", "signup"}} {
		var texts []string
		for _, email := range []string{c.known, "ghost@example.com"} {
			for range 2 { // the second one is too soon for both
				began := time.Now()
				a := s.call("POST", c.path, "", map[string]any{"email": email, "type": c.kind})
				if took := time.Since(began); took < 100*time.Millisecond {
					t.Errorf("%s of %s answers after %s", c.path, email, took)
				}
				texts = append(texts, a.text)
			}
		}
		seconds := strings.NewReplacer("59", "60").Replace
		equal(t, c.path, seconds(texts[2]), seconds(texts[0]))
		equal(t, c.path+" again", seconds(texts[3]), seconds(texts[1]))
	}
	began := time.Now()
	taken := s.call("POST", "/signup", "", map[string]any{"email": "known@example.com", "password": "another1", "data": map[string]any{"a": 1}}).want(200, "")
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Errorf("a taken address is told after %s", took)
	}
	fresh := s.call("POST", "/signup", "", map[string]any{"email": "fresh@example.com", "password": "another1", "data": map[string]any{"a": 1}}).want(200, "")
	equal(t, "names", slices.Sorted(maps.Keys(taken.body)), slices.Sorted(maps.Keys(fresh.body)))
	equal(t, "identities", taken.at("identities"), []any{})
	equal(t, "id", s.count(`SELECT count(*) FROM auth.users WHERE id = $1`, taken.at("id")), 0)
	for _, email := range []string{"known@example.com", "fresh@example.com"} { // too soon for both
		s.call("POST", "/signup", "", map[string]any{"email": email, "password": "another1"}).want(429, "over_email_send_rate_limit")
	}
	s.signin("known@example.com", "secret1").want(200, "")
}

// Nor do they when the server has no mail left, or an address may get none.
func TestMailLimitsDoNotTellWhoIsThere(t *testing.T) {
	t.Parallel()
	cfg := confirmConfig()
	cfg.Mail.RateLimit = "4"
	limiter := func(d *auth.Deps) { d.Limiter = ratelimit.NewMemory(100) }
	s := start(t, cfg, limiter)
	s.confirmed("known@example.com", "secret1")
	recover := func(s *server, email string) answer {
		return s.call("POST", "/recover", "", map[string]any{"email": email})
	}
	for _, email := range []string{"known@example.com", "ghost@example.com", "known@example.com"} {
		recover(s, email).want(200, "")
	}
	for _, email := range []string{"known@example.com", "ghost@example.com"} {
		a := recover(s, email).want(429, "over_email_send_rate_limit")
		equal(t, email, a.str("msg"), "email rate limit exceeded")
		s.call("POST", "/signup", "", map[string]any{"email": email, "password": "another1"}).want(429, "over_email_send_rate_limit")
	}
	cfg.Mail.Authorized = []string{"ann@example.com"}
	s = s.again(cfg)
	for _, email := range []string{"known@example.com", "ghost@example.com"} {
		recover(s, email).want(400, "email_address_not_authorized")
	}
}

func TestUnconfirmedSignupIsKept(t *testing.T) {
	t.Parallel()
	s := start(t, confirmConfig())
	a := s.signup("a@example.com", "secret1")
	b := s.signup("a@example.com", "secret2")
	equal(t, "id", b.at("id"), a.at("id"))
	s.verifyCode("signup", "a@example.com", s.code("a@example.com", "confirmation_token", "a@example.com")).want(200, "")
	s.signin("a@example.com", "secret1").want(200, "")
	s.signin("a@example.com", "secret2").want(400, "invalid_credentials")

	statuses := map[int]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 6 { // none of several at once fails, and one user comes of them
		all.Go(func() {
			got := s.call("POST", "/signup", "", map[string]any{"email": "b@example.com", "password": "secret1"}).status
			mu.Lock()
			defer mu.Unlock()
			statuses[got]++
		})
	}
	all.Wait()
	equal(t, "statuses", statuses[200]+statuses[429], 6)
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users WHERE email = 'b@example.com'`), 1)
}

// TestSquattersLoseAnAddress is the account pre-hijacking of somebody's address: what its first,
// unconfirmed user set up must not work once the owner is in by a mail of their own asking.
func TestSquattersLoseAnAddress(t *testing.T) {
	t.Parallel()
	s := start(t, confirmConfig())
	for _, way := range []struct {
		kind, column string
		ask          func(email string)
	}{
		{"email", "recovery_token", func(email string) { s.call("POST", "/otp", "", map[string]any{"email": email}).want(200, "") }},
		{"recovery", "recovery_token", func(email string) { s.call("POST", "/recover", "", map[string]any{"email": email}).want(200, "") }},
		{"invite", "confirmation_token", func(email string) {
			s.call("POST", "/invite", s.service(), map[string]any{"email": email}).want(200, "")
		}},
	} {
		email := way.kind + "@example.com"
		id := s.signup(email, "squatter").str("id")
		s.f.Exec(t, `INSERT INTO auth.identities (provider_id, user_id, identity_data, provider, created_at) VALUES ($1::text, $1::text::uuid, '{"sub": "x"}', 'github', now())`, id)
		way.ask(email)
		a := s.verifyCode(way.kind, email, s.code(email, way.column, email)).want(200, "")
		equal(t, way.kind, []any{a.at("user", "id"), a.at("user", "app_metadata", "providers")}, []any{id, []any{"email"}})
		s.signin(email, "squatter").want(400, "invalid_credentials")
		equal(t, "identities", s.count(`SELECT count(*) FROM auth.identities WHERE user_id = $1`, id), 1)
		s.call("PUT", "/user", a.str("access_token"), map[string]any{"password": "owners-own"}).want(200, "")
		s.signin(email, "owners-own").want(200, "")
	}
}

func TestResend(t *testing.T) {
	t.Parallel()
	s := start(t, confirmConfig())
	s.signup("a@example.com", "secret1")
	first := s.hash("a@example.com", "confirmation_token")
	s.call("POST", "/resend", "", map[string]any{"type": "signup", "email": "a@example.com"}).want(200, "")
	if s.hash("a@example.com", "confirmation_token") == first {
		t.Error("the same code again")
	}
	s.verifyCode("signup", "a@example.com", s.code("a@example.com", "confirmation_token", "a@example.com")).want(200, "")
	s.call("POST", "/resend", "", map[string]any{"type": "signup", "email": "a@example.com"}).want(200, "")
	equal(t, "confirmed", s.hash("a@example.com", "confirmation_token"), "")
	for _, bad := range []map[string]any{
		{"email": "a@example.com"},
		{"type": "recovery", "email": "a@example.com"},
		{"type": "signup"},
		{"type": "email_change"},
		{"type": "sms"},
		{"type": "signup", "email": "a@example.com", "phone": "15551234567"},
		{"type": "signup", "email": "nope"},
	} {
		s.call("POST", "/resend", "", bad).want(400, "validation_failed")
	}
}

func TestEmailChangeByBothAddresses(t *testing.T) {
	t.Parallel()
	s := start(t, confirmConfig())
	token := s.confirmed("a@example.com", "secret1").str("access_token")
	a := s.call("PUT", "/user", token, map[string]any{"email": "B@example.com"}).want(200, "")
	equal(t, "wanted", []any{a.at("email"), a.at("new_email")}, []any{"a@example.com", "b@example.com"})
	fresh := s.code("a@example.com", "email_change_token_new", "b@example.com")
	current := s.code("a@example.com", "email_change_token_current", "a@example.com")
	s.verifyCode("email_change", "a@example.com", fresh).want(403, "otp_expired")
	half := s.verifyCode("email_change", "b@example.com", fresh).want(200, "")
	equal(t, "half", []any{half.at("code"), half.at("access_token")}, []any{"200", nil})
	s.verifyCode("email_change", "b@example.com", fresh).want(403, "otp_expired") // one address is not both
	s.signin("a@example.com", "secret1").want(200, "")
	b := s.verifyCode("email_change", "a@example.com", current).want(200, "")
	equal(t, "changed", []any{b.at("user", "email"), b.at("user", "new_email"), b.at("user", "identities", "0", "identity_data", "email")}, []any{"b@example.com", nil, "b@example.com"})
	s.signin("b@example.com", "secret1").want(200, "")

	s.call("PUT", "/user", token, map[string]any{"email": "c@example.com"}).want(200, "")
	void := s.hash("b@example.com", "email_change_token_current")
	s.call("PUT", "/user", token, map[string]any{"email": "d@example.com"}).want(200, "") // consent to c is none to d
	s.call("POST", "/verify", "", map[string]any{"type": "email_change", "token_hash": void}).want(403, "otp_expired")
	s.call("POST", "/resend", "", map[string]any{"type": "email_change", "email": "b@example.com"}).want(200, "")
	s.verifyCode("email_change", "b@example.com", s.code("b@example.com", "email_change_token_current", "b@example.com")).want(200, "")
	last := s.code("b@example.com", "email_change_token_new", "d@example.com")
	s.confirmed("d@example.com", "secret1") // somebody was faster
	s.verifyCode("email_change", "d@example.com", last).want(422, "email_exists")
	s.call("PUT", "/user", token, map[string]any{"email": "d@example.com"}).want(422, "email_exists")
}

func TestEmailChangeByTheNewAddress(t *testing.T) {
	t.Parallel()
	cfg := confirmConfig()
	cfg.Flow.SecureEmailChange = false
	s := start(t, cfg)
	token := s.confirmed("a@example.com", "secret1").str("access_token")
	s.call("PUT", "/user", token, map[string]any{"email": "b@example.com"}).want(200, "")
	equal(t, "current", s.hash("a@example.com", "email_change_token_current"), "")
	_, f := s.link("email_change", s.hash("a@example.com", "email_change_token_new"), "")
	c := s.call("GET", "/user", f.Get("access_token"), nil).want(200, "")
	equal(t, "changed", c.at("email"), "b@example.com")
	s.call("POST", "/admin/generate_link", s.service(), map[string]any{"type": "email_change_current", "email": "b@example.com", "new_email": "c@example.com"}).want(400, "validation_failed")
}

func TestAnonymousGetsAnAddress(t *testing.T) {
	t.Parallel()
	s := start(t, confirmConfig())
	a := s.call("POST", "/signup", "", map[string]any{}).want(200, "")
	s.call("PUT", "/user", a.str("access_token"), map[string]any{"email": "a@example.com"}).want(200, "")
	var hash string
	if err := s.f.Owner.QueryRow(t.Context(), `SELECT token_hash FROM auth.one_time_tokens WHERE relates_to = 'a@example.com'`).Scan(&hash); err != nil {
		t.Fatal(err)
	}
	b := s.call("POST", "/verify", "", map[string]any{"type": "email_change", "token_hash": hash}).want(200, "")
	equal(t, "user", []any{b.at("user", "id"), b.at("user", "email"), b.at("user", "is_anonymous"), b.at("user", "email_confirmed_at") != nil, b.at("user", "app_metadata", "provider")},
		[]any{a.at("user", "id"), "a@example.com", false, true, "email"})
}

func TestReauthenticate(t *testing.T) {
	t.Parallel()
	cfg := confirmConfig()
	cfg.Flow.RequireReauth = true
	s := start(t, cfg)
	token := s.confirmed("a@example.com", "secret1").str("access_token")
	s.call("PUT", "/user", token, map[string]any{"password": "secret2"}).want(200, "") // the session is young
	s.f.Exec(t, `UPDATE auth.sessions SET created_at = now() - interval '25 hours'`)
	s.call("PUT", "/user", token, map[string]any{"password": "secret3"}).want(400, "reauthentication_needed")
	s.call("PUT", "/user", token, map[string]any{"password": "secret3", "nonce": "123456"}).want(422, "reauthentication_not_valid")
	s.call("PUT", "/user", token, map[string]any{"password": "secret2", "nonce": "123456"}).want(422, "reauthentication_not_valid") // it does not tell the present password
	s.call("GET", "/reauthenticate", token, nil).want(200, "")
	nonce := s.code("a@example.com", "reauthentication_token", "a@example.com")
	s.call("PUT", "/user", token, map[string]any{"password": "secret3", "nonce": nonce}).want(200, "")
	s.call("PUT", "/user", token, map[string]any{"password": "secret4", "nonce": nonce}).want(422, "reauthentication_not_valid")
	s.signin("a@example.com", "secret3").want(200, "")
	s.call("GET", "/reauthenticate", "", nil).want(401, "no_authorization")
	anonymous := s.call("POST", "/signup", "", map[string]any{}).want(200, "").str("access_token")
	s.call("GET", "/reauthenticate", anonymous, nil).want(400, "validation_failed")
}

func TestInvite(t *testing.T) {
	t.Parallel()
	s := start(t, confirmConfig())
	a := s.call("POST", "/invite", s.service(), map[string]any{"email": "A@example.com", "data": map[string]any{"team": "x"}, "role": "service_role"}).want(200, "")
	equal(t, "user", []any{a.at("email"), a.at("role"), a.at("invited_at") != nil, a.at("user_metadata")}, []any{"a@example.com", "authenticated", true, map[string]any{"team": "x"}})
	again := s.signup("a@example.com", "secret1") // a stranger learns nothing of the invitation
	equal(t, "seen", []any{again.at("user_metadata"), again.at("identities")}, []any{map[string]any{}, []any{}})
	s.call("POST", "/invite", s.service(), map[string]any{"email": "a@example.com"}).want(200, "")
	_, f := s.link("invite", s.hash("a@example.com", "confirmation_token"), "")
	s.call("PUT", "/user", f.Get("access_token"), map[string]any{"password": "secret2"}).want(200, "")
	s.signin("a@example.com", "secret2").want(200, "")
	s.call("POST", "/invite", s.service(), map[string]any{"email": "a@example.com"}).want(422, "email_exists")
	s.call("POST", "/invite", s.service(), map[string]any{"email": "nope"}).want(400, "validation_failed")
	s.call("POST", "/invite", f.Get("access_token"), map[string]any{"email": "b@example.com"}).want(403, "not_admin")
	s.call("POST", "/invite", "", map[string]any{"email": "b@example.com"}).want(401, "no_authorization")
}

func TestGenerateLink(t *testing.T) {
	t.Parallel()
	s := start(t, confirmConfig())
	generate := func(body map[string]any) answer {
		t.Helper()
		return s.call("POST", "/admin/generate_link", s.service(), body)
	}
	a := generate(map[string]any{"type": "signup", "email": "a@example.com", "password": "secret1", "data": map[string]any{"k": 1}, "redirect_to": "myapp://callback"}).want(200, "")
	action, err := url.Parse(a.str("action_link"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "link", []any{action.Path, action.Query().Get("token"), action.Query().Get("type"), action.Query().Get("redirect_to"), a.str("redirect_to"), a.str("verification_type")},
		[]any{"/auth/v1/verify", a.str("hashed_token"), "signup", "myapp://callback", "myapp://callback", "signup"})
	s.verifyCode("signup", "a@example.com", a.str("email_otp")).want(200, "")
	s.signin("a@example.com", "secret1").want(200, "")
	for _, kind := range []string{"magiclink", "recovery"} {
		b := generate(map[string]any{"type": kind, "email": "a@example.com", "redirect_to": "https://evil.example/"}).want(200, "")
		equal(t, "redirect", b.str("redirect_to"), "https://app.example.com")
		s.verifyCode(kind, "a@example.com", b.str("email_otp")).want(200, "")
	}
	c := generate(map[string]any{"type": "magiclink", "email": "b@example.com"}).want(200, "")
	equal(t, "unknown", c.str("verification_type"), "signup")
	d := generate(map[string]any{"type": "invite", "email": "c@example.com"}).want(200, "")
	s.call("POST", "/verify", "", map[string]any{"type": "invite", "token_hash": d.str("hashed_token")}).want(200, "")
	change := map[string]any{"type": "email_change_current", "email": "a@example.com", "new_email": "d@example.com"}
	current := generate(change).want(200, "")
	change["type"] = "email_change_new"
	fresh := generate(change).want(200, "")
	s.call("POST", "/verify", "", map[string]any{"type": "email_change", "token_hash": fresh.str("hashed_token")}).want(200, "")
	e := s.call("POST", "/verify", "", map[string]any{"type": "email_change", "token_hash": current.str("hashed_token")}).want(200, "")
	equal(t, "changed", e.at("user", "email"), "d@example.com")
	equal(t, "mails", s.count(`SELECT count(*) FROM madbase.auth_outbox`), 0)

	generate(map[string]any{"email": "d@example.com"}).want(400, "validation_failed")
	generate(map[string]any{"type": "signup", "email": "d@example.com", "password": "secret1"}).want(422, "email_exists")
	generate(map[string]any{"type": "invite", "email": "d@example.com"}).want(422, "email_exists")
	generate(map[string]any{"type": "signup", "email": "x@example.com"}).want(400, "validation_failed")
	generate(map[string]any{"type": "signup", "email": "x@example.com", "password": "x"}).want(422, "weak_password")
	generate(map[string]any{"type": "recovery", "email": "x@example.com"}).want(404, "user_not_found")
	s.call("POST", "/admin/generate_link", e.str("access_token"), map[string]any{"type": "magiclink", "email": "d@example.com"}).want(403, "not_admin")
}

// TestGuessingCodes is about who tries codes from many addresses.
func TestGuessingCodes(t *testing.T) {
	t.Parallel()
	cfg := confirmConfig()
	cfg.Flow.RateLimitCode = 5
	s := start(t, cfg, func(d *auth.Deps) { d.Limiter = ratelimit.NewMemory(100) })
	s.signup("a@example.com", "secret1")
	code, hash := s.code("a@example.com", "confirmation_token", "a@example.com"), s.hash("a@example.com", "confirmation_token")
	for _, email := range []string{"a@example.com", "ghost@example.com"} {
		for range 5 {
			s.verifyCode("signup", email, "wrong!").want(403, "otp_expired")
		}
		a := s.verifyCode("signup", email, code).want(429, "over_request_rate_limit")
		equal(t, "Retry-After", a.header.Get("Retry-After") != "", true)
	}
	_, f := s.link("signup", hash, "") // the owner's link is not in the way of it
	equal(t, "link", f.Get("access_token") != "", true)
}

// TestGuessingLinks is about who makes the hashes of all codes of an address, and
// tries them as links.
func TestGuessingLinks(t *testing.T) {
	t.Parallel()
	cfg := confirmConfig()
	cfg.Flow.RateLimitCode = 5
	cfg.External.GitHub = provider.Config{Enabled: true, ClientID: []string{"client"}, Secret: "secret", URL: "https://hub.example.com"}
	s := start(t, cfg, func(d *auth.Deps) { d.Limiter = ratelimit.NewMemory(100) })
	s.signup("a@example.com", "secret1")
	hash := s.hash("a@example.com", "confirmation_token")
	linked := s.call("POST", "/admin/generate_link", s.service(), map[string]any{"type": "magiclink", "email": "a@example.com"}).want(200, "").str("hashed_token")
	if linked == s.hash("a@example.com", "recovery_token") || len(linked) != 56 {
		t.Errorf("the link carries %q", linked)
	}
	try := func(kind, token string) answer {
		return s.call("POST", "/verify", "", map[string]any{"type": kind, "token_hash": token})
	}
	authorize := func(token string) answer {
		return s.call("GET", "/authorize?provider=github&invite_token="+token, "", nil)
	}
	for i := range 2 {
		try("signup", strings.Repeat(strconv.Itoa(i), 56)).want(403, "otp_expired")
	}
	for i := range 3 {
		authorize(strings.Repeat(strconv.Itoa(i), 56)).want(404, "user_not_found")
	}
	authorize(hash).want(404, "user_not_found") // which would tell that the code is the right one
	invited := s.call("POST", "/admin/generate_link", s.service(), map[string]any{"type": "invite", "email": "b@example.com"}).want(200, "").str("hashed_token")
	equal(t, "an invitation's link", authorize(invited).status, 302)
	try("signup", hash).want(403, "otp_expired")
	if _, f := s.link("signup", hash, ""); f.Get("error_code") != "otp_expired" {
		t.Errorf("%v", f)
	}
	try("magiclink", linked).want(200, "")
}

// TestRequestsSetNothingElse sends members that are not for strangers to set.
func TestRequestsSetNothingElse(t *testing.T) {
	t.Parallel()
	s := start(t, confirmConfig())
	evil := map[string]any{
		"role": "service_role", "aud": "admin", "id": "00000000-0000-4000-8000-000000000001", "email_confirm": true, "is_super_admin": true, "is_anonymous": true,
		"app_metadata": map[string]any{"role": "admin"}, "raw_app_meta_data": map[string]any{"role": "admin"}, "user_metadata": map[string]any{"x": 1},
		"email_confirmed_at": "2020-01-01T00:00:00Z", "password": "secret1",
		"data": map[string]any{"sub": "someone", "email": "other@example.com", "email_verified": true, "phone_verified": true, "app_metadata": map[string]any{"role": "admin"}},
	}
	for i, path := range []string{"/signup", "/otp", "/magiclink"} {
		email := string(rune('a'+i)) + "@example.com"
		evil["email"] = email
		s.call("POST", path, "", evil).want(200, "")
		a := s.verifyCode("email", email, s.code(email, "confirmation_token", email)).want(200, "")
		claims := payload(t, a.str("access_token"))
		equal(t, path, []any{claims["role"], claims["aud"], claims["app_metadata"], a.at("user", "user_metadata", "sub") == a.at("user", "id"), a.at("user", "user_metadata", "email"), a.at("user", "user_metadata", "phone_verified")},
			[]any{"authenticated", "authenticated", map[string]any{"provider": "email", "providers": []any{"email"}}, true, email, false})
	}
	equal(t, "super", s.count(`SELECT count(*) FROM auth.users WHERE is_super_admin OR is_anonymous`), 0)
}

// TestAddressesAreNoHeaders sends addresses that would add a header or a recipient to a mail.
func TestAddressesAreNoHeaders(t *testing.T) {
	t.Parallel()
	s := start(t, confirmConfig())
	token := s.confirmed("a@example.com", "secret1").str("access_token")
	for _, email := range []string{
		"x@example.com\r\nBcc: y@example.com", "x@example.com\n", "x@example.com,y@example.com", "x@example.com>", "\"x\r\n\"@example.com",
		"x@example.com\x00", "x y@example.com", "<x@example.com>", "x@example.com;y@example.com", "х@example.com", strings.Repeat("a", 250) + "@example.com",
	} {
		for _, path := range []string{"/signup", "/otp", "/magiclink", "/recover"} {
			s.call("POST", path, "", map[string]any{"email": email, "password": "secret1"}).want(400, "validation_failed")
		}
		s.call("POST", "/resend", "", map[string]any{"type": "signup", "email": email}).want(400, "validation_failed")
		s.call("POST", "/invite", s.service(), map[string]any{"email": email}).want(400, "validation_failed")
		s.call("PUT", "/user", token, map[string]any{"email": email}).want(400, "validation_failed")
		body, _ := json.Marshal(map[string]any{"type": "magiclink", "email": email})
		s.call("POST", "/admin/generate_link", s.service(), string(body)).want(400, "validation_failed")
	}
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users`), 1)
}
