package auth_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/auth"
	"github.com/madbase/madbase/platform/ratelimit"
)

// confirmConfig asks for confirmations, and sends as often as anybody likes.
func confirmConfig() auth.Config {
	cfg := config()
	cfg.Autoconfirm, cfg.AnonymousUsersEnabled = false, true
	cfg.SiteURL, cfg.URIAllowList = "https://app.example.com", []string{"https://*.allowed.example.com/cb", "myapp://callback"}
	cfg.Mail.MaxFrequency = time.Microsecond
	return cfg
}

// code finds the code that the user with an address has pending in a column of
// auth.users, by trying all: what is stored is the hash for the addressee.
func (s *server) code(email, column, addressee string) string {
	s.t.Helper()
	hash, err := hex.DecodeString(strings.TrimPrefix(s.hash(email, column), "pkce_"))
	if err != nil {
		s.t.Fatal(err)
	}
	text := []byte(addressee + "000000")
	code := text[len(addressee):]
	for i := range 1_000_000 {
		for at, rest := 5, i; at >= 0; at, rest = at-1, rest/10 {
			code[at] = byte('0' + rest%10)
		}
		if sum := sha256.Sum224(text); bytes.Equal(sum[:], hash) {
			return string(code)
		}
	}
	s.t.Fatalf("%s of %s is no hash of a code: %q", column, email, hash)
	return ""
}

// verifyCode types a code.
func (s *server) verifyCode(kind, email, code string) answer {
	s.t.Helper()
	return s.call("POST", "/verify", "", map[string]any{"type": kind, "email": email, "token": code})
}

// hash is what a column of auth.users holds for an address.
func (s *server) hash(email, column string) (hash string) {
	s.t.Helper()
	if err := s.f.Owner.QueryRow(s.t.Context(), `SELECT coalesce(`+column+`, '') FROM auth.users WHERE email = $1`, email).Scan(&hash); err != nil {
		s.t.Fatal(err)
	}
	return hash
}

// confirmed signs a user up and confirms the address; the answer is the session.
func (s *server) confirmed(email, password string) answer {
	s.t.Helper()
	s.signup(email, password)
	return s.verifyCode("signup", email, s.code(email, "confirmation_token", email)).want(200, "")
}

// link answers GET /verify and returns where it leads, with the fragment's parameters.
func (s *server) link(kind, hash, redirectTo string) (to *url.URL, fragment url.Values) {
	s.t.Helper()
	a := s.call("GET", "/verify?"+url.Values{"type": {kind}, "token": {hash}, "redirect_to": {redirectTo}}.Encode(), "", nil)
	return a.leads()
}

// leads is where a 303 leads.
func (a answer) leads() (to *url.URL, fragment url.Values) {
	a.t.Helper()
	if a.status != 303 {
		a.t.Fatalf("got %d, want 303; body: %s", a.status, a.text)
	}
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil {
		a.t.Fatal(err)
	}
	fragment, err = url.ParseQuery(to.EscapedFragment())
	if err != nil {
		a.t.Fatal(err)
	}
	return to, fragment
}

func TestSignupIsConfirmedByCode(t *testing.T) {
	t.Parallel()
	s := start(t, confirmConfig())
	a := s.signup("a@example.com", "secret1")
	equal(t, "answer", []any{a.at("access_token"), a.at("email_confirmed_at"), a.at("confirmation_sent_at") != nil, a.at("role")}, []any{nil, nil, true, "authenticated"})
	s.signin("a@example.com", "secret1").want(400, "email_not_confirmed")
	s.signin("a@example.com", "wrong").want(400, "invalid_credentials")

	code := s.code("a@example.com", "confirmation_token", "a@example.com")
	equal(t, "row", s.count(`SELECT count(*) FROM auth.one_time_tokens t JOIN auth.users u ON u.id = t.user_id
		WHERE t.token_type = 'confirmation_token' AND t.token_hash = u.confirmation_token AND t.relates_to = 'a@example.com'`), 1)
	for _, wrong := range []string{"x" + code, code + "0", "", "0"} {
		if got := s.verifyCode("signup", "a@example.com", wrong); got.status == 200 {
			t.Fatalf("%q is taken for %q", wrong, code)
		}
	}
	s.verifyCode("recovery", "a@example.com", code).want(403, "otp_expired")
	s.verifyCode("signup", "b@example.com", code).want(403, "otp_expired")
	b := s.verifyCode("signup", "A@example.com", code).want(200, "")
	equal(t, "confirmed", []any{b.at("user", "email_confirmed_at") != nil, b.at("user", "user_metadata", "email_verified"), b.at("user", "identities", "0", "identity_data", "email_verified")}, []any{true, true, true})
	equal(t, "amr", payload(t, b.str("access_token"))["amr"].([]any)[0].(map[string]any)["method"], "otp")
	equal(t, "left", []any{s.hash("a@example.com", "confirmation_token"), s.count(`SELECT count(*) FROM auth.one_time_tokens`)}, []any{"", 0})
	s.verifyCode("signup", "a@example.com", code).want(403, "otp_expired")
	s.signin("a@example.com", "secret1").want(200, "")
}

func TestCodesEnd(t *testing.T) {
	t.Parallel()
	s := start(t, confirmConfig())
	s.signup("a@example.com", "secret1")
	code, hash := s.code("a@example.com", "confirmation_token", "a@example.com"), s.hash("a@example.com", "confirmation_token")
	s.f.Exec(t, `UPDATE auth.users SET confirmation_sent_at = now() - interval '86401 seconds'`)
	s.verifyCode("signup", "a@example.com", code).want(403, "otp_expired")
	s.call("POST", "/verify", "", map[string]any{"type": "signup", "token_hash": hash}).want(403, "otp_expired")
	_, f := s.link("signup", hash, "")
	equal(t, "error", []string{f.Get("error"), f.Get("error_code"), f.Get("error_description")}, []string{"access_denied", "otp_expired", "Email link is invalid or has expired"})
	s.f.Exec(t, `UPDATE auth.users SET confirmation_sent_at = now() - interval '86300 seconds', banned_until = now() + interval '1 hour'`)
	s.verifyCode("signup", "a@example.com", "wrong!").want(403, "otp_expired") // a ban shows to who has the code only
	s.verifyCode("signup", "a@example.com", code).want(403, "user_banned")
	s.f.Exec(t, `UPDATE auth.users SET banned_until = NULL`)
	s.verifyCode("signup", "a@example.com", code).want(200, "")
}

func TestOneCodeOneSession(t *testing.T) {
	t.Parallel()
	s := start(t, confirmConfig())
	s.signup("a@example.com", "secret1")
	code := s.code("a@example.com", "confirmation_token", "a@example.com")
	statuses := make([]int, 8)
	var all sync.WaitGroup
	for i := range statuses {
		all.Go(func() { statuses[i] = s.verifyCode("email", "a@example.com", code).status })
	}
	all.Wait()
	counts := map[int]int{}
	for _, status := range statuses {
		counts[status]++
	}
	equal(t, "statuses", counts, map[int]int{200: 1, 403: 7})
	equal(t, "sessions", s.count(`SELECT count(*) FROM auth.sessions`), 1)
}

func TestLinkLeadsOn(t *testing.T) {
	t.Parallel()
	s := start(t, confirmConfig())
	s.signup("a@example.com", "secret1")
	hash := s.hash("a@example.com", "confirmation_token")
	head := s.call("HEAD", "/verify?type=signup&token="+hash, "", nil)
	equal(t, "after HEAD", []any{head.status, s.hash("a@example.com", "confirmation_token")}, []any{405, hash})
	to, f := s.link("signup", hash, "https://x.allowed.example.com/cb#old")
	equal(t, "to", to.Host+to.Path+to.RawQuery, "x.allowed.example.com/cb")
	equal(t, "fragment", []any{f.Get("type"), f.Get("token_type"), f.Get("expires_in"), f.Has("sb"), len(f.Get("refresh_token"))}, []any{"signup", "bearer", "3600", true, 12})
	s.call("GET", "/user", f.Get("access_token"), nil).want(200, "")
	to, f = s.link("signup", hash, "https://x.allowed.example.com/cb?x=1")
	equal(t, "again", []any{to.Host, to.RawQuery, f.Get("error_code"), f.Has("sb"), f.Has("access_token")}, []any{"app.example.com", "", "otp_expired", true, false})
	for _, elsewhere := range []string{"https://evil.example/", "//evil.example/", `https://app.example.com\@evil.example`, "https://app.example.com@evil.example/", "javascript:alert(1)", "https://app.example.com/\r\nSet-Cookie: a=b"} {
		to, _ = s.link("signup", hash, elsewhere)
		equal(t, elsewhere, to.Host, "app.example.com")
	}
	s.call("GET", "/verify?type=signup", "", nil).want(400, "validation_failed")
	s.call("GET", "/verify?token=x", "", nil).want(400, "validation_failed")
	_, f = s.link("bogus", "x", "")
	equal(t, "unknown type", f.Get("error_code"), "validation_failed")
	_, f = s.link("signup", "\x00", "")
	equal(t, "a NUL", f.Get("error_code"), "validation_failed")
}

func TestConfirmPage(t *testing.T) {
	t.Parallel()
	cfg := confirmConfig()
	cfg.Flow.ConfirmPage = true
	s := start(t, cfg)
	s.signup("a@example.com", "secret1")
	hash := s.hash("a@example.com", "confirmation_token")
	page := s.call("GET", "/verify?type=signup&token="+hash+"&redirect_to="+url.QueryEscape(`https://app.example.com/"><script>alert(1)</script>`), "", nil)
	equal(t, "page", []any{page.status, page.header.Get("Cache-Control"), strings.Contains(page.text, hash), strings.Contains(page.text, "<script>")}, []any{200, "no-store", true, false})
	equal(t, "unused", s.hash("a@example.com", "confirmation_token"), hash)
	form := url.Values{"type": {"signup"}, "token": {hash}, "redirect_to": {"https://evil.example/"}}.Encode()
	to, f := s.call("POST", "/verify", "", form, "Content-Type", "application/x-www-form-urlencoded").leads()
	equal(t, "pressed", []any{to.Host, f.Get("access_token") != ""}, []any{"app.example.com", true})
	_, f = s.call("POST", "/verify", "", form, "Content-Type", "application/x-www-form-urlencoded").leads()
	equal(t, "twice", f.Get("error_code"), "otp_expired")
	s.call("POST", "/verify", "", map[string]any{"type": "signup", "token_hash": hash}).want(403, "otp_expired")

	plain := start(t, confirmConfig())
	plain.call("POST", "/verify", "", form, "Content-Type", "application/x-www-form-urlencoded").want(400, "bad_json")
}

func TestVerifyAsksForOneThing(t *testing.T) {
	t.Parallel()
	s := start(t, confirmConfig())
	for _, c := range []struct {
		body   map[string]any
		status int
		code   string
	}{
		{map[string]any{"email": "a@example.com", "token": "123456"}, 400, "validation_failed"},
		{map[string]any{"type": "signup", "email": "a@example.com"}, 400, "validation_failed"},
		{map[string]any{"type": "signup", "email": "a@example.com", "token": "1", "token_hash": "x"}, 400, "validation_failed"},
		{map[string]any{"type": "signup", "email": "a@example.com", "token_hash": "x"}, 400, "validation_failed"},
		{map[string]any{"type": "signup", "token_hash": "x", "redirect_to": "y"}, 400, "validation_failed"},
		{map[string]any{"type": "signup", "token": "1"}, 400, "validation_failed"},
		{map[string]any{"type": "signup", "email": "a@example.com", "phone": "15551234567", "token": "1"}, 400, "validation_failed"},
		{map[string]any{"type": "signup", "email": "nope", "token": "1"}, 422, "validation_failed"},
		{map[string]any{"type": "bogus", "token_hash": "x"}, 400, "validation_failed"},
		{map[string]any{"type": "bogus", "email": "a@example.com", "token": "1"}, 403, "otp_expired"},
		{map[string]any{"type": "signup", "email": "a@example.com", "token": "1"}, 403, "otp_expired"},
		{map[string]any{"type": "email_change", "email": "a@example.com", "token": "1"}, 403, "otp_expired"},
	} {
		s.call("POST", "/verify", "", c.body).want(c.status, c.code)
	}
}

// TestEmptyTokensOpenNothing is about users whose columns are empty or NULL.
func TestEmptyTokensOpenNothing(t *testing.T) {
	t.Parallel()
	s := start(t, confirmConfig())
	s.confirmed("a@example.com", "secret1")
	s.f.Exec(t, `UPDATE auth.users SET confirmation_token = NULL, recovery_token = NULL, recovery_sent_at = now(), confirmation_sent_at = now()`)
	for _, kind := range []string{"signup", "invite", "recovery", "magiclink", "email", "email_change"} {
		s.verifyCode(kind, "a@example.com", " ").want(403, "otp_expired")
		s.call("POST", "/verify", "", map[string]any{"type": kind, "token_hash": "pkce_"}).want(403, "otp_expired")
	}
}

func TestVerifyIsLimited(t *testing.T) {
	t.Parallel()
	cfg := confirmConfig()
	cfg.Flow.RateLimitVerify = 30
	s := start(t, cfg, func(d *auth.Deps) {
		d.Limiter = limiter{ratelimit.NewMemory(100)}
		d.ClientIP = func(r *http.Request) string { return r.Header.Get("X-Test-IP") }
	})
	for i := range 4 {
		a := s.call("GET", "/verify?type=signup", "", nil, "X-Test-IP", "192.0.2.1")
		equal(t, "status", []int{i, a.status}, []int{i, map[bool]int{true: 400, false: 429}[i < 3]})
	}
	s.call("POST", "/verify", "", map[string]any{}, "X-Test-IP", "192.0.2.1").want(429, "over_request_rate_limit")
	s.call("POST", "/verify", "", map[string]any{}, "X-Test-IP", "192.0.2.2").want(400, "validation_failed")
}

// TestAddressOfAnIdentity is about an address that a user has at a provider only.
func TestAddressOfAnIdentity(t *testing.T) {
	t.Parallel()
	s := start(t, confirmConfig())
	id := s.signup("a@example.com", "secret1").str("id")
	s.f.Exec(t, `INSERT INTO auth.identities (provider_id, user_id, identity_data, provider, created_at)
		VALUES ('1', $1::uuid, '{"sub": "1", "email": "b@example.com"}', 'github', now())`, id)
	before := s.hash("a@example.com", "confirmation_token")
	b := s.signup("b@example.com", "secret1")
	equal(t, "another", b.str("id") != id, true)
	s.call("POST", "/otp", "", map[string]any{"email": "b@example.com"}).want(200, "")
	equal(t, "no mail", s.hash("a@example.com", "confirmation_token"), before)
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users`), 1)
}
