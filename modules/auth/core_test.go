package auth_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/auth"
	"github.com/madbase/madbase/platform/ratelimit"
	"github.com/madbase/madbase/platform/secret"
)

// transport answers requests to other services.
type transport func(*http.Request) (int, string)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := f(r)
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// hooked is a receiver of hooks that keeps the last payload and answers with what is set.
type hooked struct {
	mu     sync.Mutex
	last   map[string]any
	answer string
	url    string
}

func (h *hooked) set(answer string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = answer
}

func receiver(t *testing.T) *hooked {
	h := &hooked{answer: `{}`}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.last = map[string]any{}
		_ = json.NewDecoder(r.Body).Decode(&h.last)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, h.answer)
	}))
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

func TestHooksAroundNewUsers(t *testing.T) {
	t.Parallel()
	before, after := receiver(t), receiver(t)
	cfg := config()
	cfg.Hooks.BeforeUserCreatedEnabled, cfg.Hooks.BeforeUserCreatedURI = true, before.url
	cfg.Hooks.AfterUserCreatedEnabled, cfg.Hooks.AfterUserCreatedURI = true, after.url
	s := start(t, cfg)
	before.set(`{"error":{"http_code":403,"message":"not you"}}`)
	s.call("POST", "/signup", "", map[string]any{"email": "a@example.com", "password": "secret1"}).want(403, "unknown")
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users`), 0)
	before.set(`{}`)
	user := s.signup("a@example.com", "secret1")
	equal(t, "before", before.last["user"].(map[string]any)["id"], user.str("user", "id"))
	equal(t, "after", after.last["user"].(map[string]any)["id"], user.str("user", "id"))
	equal(t, "ip", before.last["metadata"].(map[string]any)["ip_address"], "127.0.0.1")

	for _, kind := range []string{"signup", "magiclink", "invite"} {
		link := map[string]any{"type": kind, "email": kind + "@example.com", "password": "secret1"}
		before.set(`{"error":{"http_code":403,"message":"not you"}}`)
		s.call("POST", "/admin/generate_link", s.service(), link).want(403, "unknown")
		before.set(`{}`)
		id := s.call("POST", "/admin/generate_link", s.service(), link).want(200, "").str("id")
		equal(t, kind+" before", before.last["user"].(map[string]any)["id"], id)
		equal(t, kind+" after", after.last["user"].(map[string]any)["id"], id)
	}
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users`), 4)
	s.call("POST", "/admin/generate_link", s.service(), map[string]any{"type": "recovery", "email": "a@example.com"}).want(200, "")
	equal(t, "nobody new", after.last["user"].(map[string]any)["email"], "invite@example.com")
}

func TestHookChangesAccessTokens(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Hooks.CustomAccessTokenEnabled, cfg.Hooks.CustomAccessTokenURI = true, "pg-functions://postgres/public/claims"
	s := start(t, cfg)
	s.f.Exec(t, `CREATE FUNCTION public.claims(event jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN
		IF event ->> 'authentication_method' = 'token_refresh' AND event #>> '{claims,email}' = 'late@example.com' THEN
			RETURN jsonb_build_object('error', jsonb_build_object('http_code', 403, 'message', 'too late'));
		END IF;
		IF event #>> '{claims,email}' = 'slow@example.com' THEN PERFORM pg_sleep(10); END IF;
		IF event #>> '{claims,email}' = 'bare@example.com' THEN RETURN jsonb_build_object('claims', (event -> 'claims') - 'aal'); END IF;
		RETURN jsonb_set(event, '{claims,seen}', to_jsonb((SELECT count(*) FROM auth.users WHERE id::text = event ->> 'user_id')));
	END $$`)
	s.f.Exec(t, `GRANT EXECUTE ON FUNCTION public.claims TO supabase_auth_admin`)
	a := s.signup("a@example.com", "secret1")
	equal(t, "claim of the function, which sees the new user", payload(t, a.str("access_token"))["seen"], 1)
	equal(t, "on refresh", payload(t, s.refresh(a.str("refresh_token")).want(200, "").str("access_token"))["seen"], 1)
	for _, email := range []string{"slow@example.com", "bare@example.com"} {
		s.call("POST", "/signup", "", map[string]any{"email": email, "password": "secret1"}).want(500, "unexpected_failure")
	}
	equal(t, "sessions", s.count(`SELECT count(*) FROM auth.sessions`), 1)
	late := s.signup("late@example.com", "secret1").str("refresh_token")
	s.refresh(late).want(403, "unknown")
	equal(t, "the token is still the active one", s.count(`SELECT count(*) FROM auth.refresh_tokens WHERE token = $1 AND NOT revoked`, late), 1)
}

func TestHookJudgesPasswords(t *testing.T) {
	t.Parallel()
	h := receiver(t)
	cfg := config()
	cfg.Hooks.PasswordVerificationEnabled, cfg.Hooks.PasswordVerificationURI = true, h.url
	s := start(t, cfg)
	a := s.signup("a@example.com", "secret1")
	h.set(`{"decision":"continue"}`)
	s.signin("a@example.com", "secret1").want(200, "")
	equal(t, "valid", h.last["valid"], true)
	s.signin("a@example.com", "wrong").want(400, "invalid_credentials")
	equal(t, "valid", h.last["valid"], false)
	h.set(`{"decision":"reject","message":"stop","should_logout_user":true}`)
	equal(t, "message", s.signin("a@example.com", "secret1").want(400, "invalid_credentials").str("msg"), "stop")
	s.call("GET", "/user", a.str("access_token"), nil).want(403, "session_not_found")
}

func TestCaptcha(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Captcha = auth.CaptchaConfig{Enabled: true, Provider: "turnstile", Secret: "hush", Timeout: time.Second}
	s := start(t, cfg, func(d *auth.Deps) {
		d.Transport = transport(func(r *http.Request) (int, string) {
			_ = r.ParseForm()
			if r.URL.String() != "https://challenges.cloudflare.com/turnstile/v0/siteverify" || r.PostForm.Get("secret") != "hush" || r.PostForm.Get("remoteip") != "127.0.0.1" {
				t.Errorf("asked %s %v", r.URL, r.PostForm)
			}
			switch r.PostForm.Get("response") {
			case "solved":
				return 200, `{"success":true}`
			case "broken":
				return 502, `<html>`
			}
			return 200, `{"success":false,"error-codes":["invalid-input-response"]}`
		})
	})
	body := func(token string) map[string]any {
		return map[string]any{"email": "a@example.com", "password": "secret1", "gotrue_meta_security": map[string]any{"captcha_token": token}}
	}
	s.call("POST", "/signup", "", body(" ")).want(400, "captcha_failed")
	equal(t, "reason", strings.Contains(s.call("POST", "/signup", "", body("bad")).want(400, "captcha_failed").str("msg"), "invalid-input-response"), true)
	s.call("POST", "/signup", "", body("broken")).want(500, "unexpected_failure")
	a := s.call("POST", "/signup", "", body("solved")).want(200, "")
	s.call("POST", "/token?grant_type=password", "", body("")).want(400, "captcha_failed")
	s.call("POST", "/token?grant_type=password", "", body("solved")).want(200, "")
	s.call("POST", "/token?grant_type=password", s.service(), body("")).want(200, "")
	s.refresh(a.str("refresh_token")).want(200, "")
}

func TestPwnedPasswords(t *testing.T) {
	t.Parallel()
	down := false
	answer := transport(func(r *http.Request) (int, string) {
		if down {
			return 503, ""
		}
		if r.URL.Path != "/range/5BAA6" { // "password"
			return 200, "00000000000000000000000000000000000:0\r\n"
		}
		return 200, "1E4C9B93F3F0682250B6CF8331B7EE68FD8:9\r\n"
	})
	cfg := config()
	cfg.Pwned = auth.PwnedConfig{Enabled: true}
	s := start(t, cfg, func(d *auth.Deps) { d.Transport = answer })
	weak := s.call("POST", "/signup", "", map[string]any{"email": "a@example.com", "password": "password"}).want(422, "weak_password")
	equal(t, "reasons", weak.at("weak_password", "reasons"), []string{"pwned"})
	s.signup("b@example.com", "another password")
	down = true
	s.signup("c@example.com", "password")
	cfg.Pwned.FailClosed, cfg.Pwned.Bloom, cfg.Pwned.BloomItems, cfg.Pwned.BloomFalsePositives = true, true, 1000, 0.0000099
	strict := start(t, cfg, func(d *auth.Deps) { d.Transport = answer })
	try := map[string]any{"email": "a@example.com", "password": "password"}
	strict.call("POST", "/signup", "", try).want(500, "unexpected_failure")
	down = false
	strict.call("POST", "/signup", "", try).want(422, "weak_password")
	strict.signup("b@example.com", "another password") // whose answer is padding, which is not remembered
	down = true
	strict.call("POST", "/signup", "", try).want(422, "weak_password")
	strict.call("POST", "/signup", "", map[string]any{"email": "c@example.com", "password": "another password"}).want(500, "unexpected_failure")

	cfg.Pwned.BloomItems, cfg.Pwned.BloomFalsePositives = 1, 1
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "BLOOM_ITEMS") || !strings.Contains(err.Error(), "BLOOM_FALSE_POSITIVES") {
		t.Error(err)
	}
}

func TestCountedRefreshTokens(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Refresh.Version, cfg.RefreshReuseInterval = 2, 0
	s := start(t, cfg)
	a := s.signup("a@example.com", "secret1")
	first := a.str("refresh_token")
	equal(t, "counter", a.header.Get("Sb-Auth-Refresh-Token-Counter"), "0")
	equal(t, "rows", s.count(`SELECT count(*) FROM auth.refresh_tokens`), 0)
	second := s.refresh(first).want(200, "")
	equal(t, "counter", second.header.Get("Sb-Auth-Refresh-Token-Counter"), "1")
	again := s.refresh(first).want(200, "")
	equal(t, "the missed answer", again.str("refresh_token"), second.str("refresh_token"))
	equal(t, "cause", again.header.Get("Sb-Auth-Refresh-Token-Reuse-Cause"), "fail-to-save")
	third := s.refresh(second.str("refresh_token")).want(200, "")
	forged := []byte(third.str("refresh_token"))
	forged[30] ^= 1
	s.refresh(string(forged)).want(400, "validation_failed")
	refused := s.refresh(first).want(400, "refresh_token_already_used")
	equal(t, "rotated", refused.header.Get("Sb-Auth-Refresh-Token-Rotated"), "true")
	s.refresh(third.str("refresh_token")).want(400, "refresh_token_not_found")
	s.call("GET", "/user", third.str("access_token"), nil).want(403, "session_not_found")
}

func TestRefreshTokensAreUpgraded(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.RefreshReuseInterval = 0
	s := start(t, cfg)
	old := s.signup("a@example.com", "secret1").str("refresh_token")
	cfg.Refresh.Version, cfg.Refresh.UpgradePercentage = 2, 100
	s = s.again(cfg)
	next := s.refresh(old).want(200, "").str("refresh_token")
	if len(next) < 40 {
		t.Fatal("not upgraded:", next)
	}
	last := s.refresh(next).want(200, "").str("refresh_token")
	s.f.Exec(t, `UPDATE auth.refresh_tokens SET updated_at = now() - interval '1 hour'`)
	s.refresh(old).want(400, "refresh_token_already_used")
	s.refresh(last).want(400, "refresh_token_not_found")
}

func TestOneSessionPerUser(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Sessions.SinglePerUser = true
	s := start(t, cfg)
	first := s.signup("a@example.com", "secret1").str("refresh_token")
	second := s.signin("a@example.com", "secret1").want(200, "").str("refresh_token")
	s.refresh(first).want(400, "session_expired")
	s.refresh(second).want(200, "")

	// The app's trigger says of what kind a session is, and each kind has one.
	cfg.Sessions.Tags = []string{"web", "app"}
	s = s.again(cfg)
	s.f.Exec(t, `CREATE FUNCTION auth.kind() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.tag := split_part(NEW.user_agent, '/', 1); RETURN NEW; END $$`)
	s.f.Exec(t, `CREATE TRIGGER kind BEFORE INSERT ON auth.sessions FOR EACH ROW EXECUTE FUNCTION auth.kind()`)
	in := func(agent string) string {
		a := s.call("POST", "/token?grant_type=password", "", map[string]any{"email": "a@example.com", "password": "secret1"}, "User-Agent", agent)
		return a.want(200, "").str("refresh_token")
	}
	app, web, other := in("app/1"), in("web/1"), in("curl/8")
	s.refresh(app).want(200, "")
	s.refresh(web).want(400, "session_expired") // the other is of the first kind
	s.refresh(other).want(200, "")
}

func TestOwnSessions(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	a := s.signup("a@example.com", "secret1")
	b := s.signin("a@example.com", "secret1").want(200, "")
	foreign := payload(t, s.signup("b@example.com", "secret1").str("access_token"))["session_id"].(string)
	list := s.call("GET", "/user/sessions", b.str("access_token"), nil).want(200, "")
	equal(t, "sessions", len(list.at("sessions").([]any)), 2)
	equal(t, "current first", list.at("sessions", "0", "current"), true)
	other := list.str("sessions", "1", "id")
	s.call("DELETE", "/user/sessions/"+foreign, b.str("access_token"), nil).want(404, "session_not_found")
	s.call("DELETE", "/user/sessions/x", b.str("access_token"), nil).want(404, "validation_failed")
	s.call("DELETE", "/user/sessions/"+other, b.str("access_token"), nil).want(204, "")
	s.call("GET", "/user", a.str("access_token"), nil).want(403, "session_not_found")
}

func TestAuditLog(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	a := s.signup("a@example.com", "secret1")
	s.signup("b@example.com", "secret1")
	s.call("GET", "/admin/audit", a.str("access_token"), nil).want(403, "not_admin")
	all := s.call("GET", "/admin/audit?per_page=3", s.service(), nil).want(200, "")
	equal(t, "total", all.header.Get("X-Total-Count"), "4")
	var rows []map[string]any
	for query, want := range map[string]int{"author:B@": 2, "action:login": 2, "type:team": 2, "author:%25": 4, "author:nobody": 0} {
		got := s.call("GET", "/admin/audit?query="+query, s.service(), nil).want(200, "")
		if err := json.NewDecoder(bytes.NewReader([]byte(got.text))).Decode(&rows); err != nil || len(rows) != want {
			t.Errorf("%s: %d rows, want %d: %v", query, len(rows), want, err)
		}
	}
	s.call("GET", "/admin/audit?query=payload:x", s.service(), nil).want(400, "validation_failed")
}

// The caller's address is kept with the actions with which GoTrue keeps it.
func TestAuditAddresses(t *testing.T) {
	t.Parallel()
	s := start(t, mfaConfig(), func(d *auth.Deps) { d.ClientIP = func(*http.Request) string { return "2001:db8::7" } })
	s.twoFactors("a@example.com")
	for action, want := range map[string]string{
		"factor_in_progress": "2001:db8::7", "challenge_created": "2001:db8::7", "verification_attempted": "2001:db8::7", "login": "", "user_signedup": "",
	} {
		equal(t, action, s.count(`SELECT count(*) FROM auth.audit_log_entries WHERE payload ->> 'action' = $1 AND ip_address = $2`, action, want), 1)
	}
}

func TestSecretsAreEncryptedAtRest(t *testing.T) {
	t.Parallel()
	key := secret.String("pwFoiPyybQMqNmYVN0gUnpbfpGQV2sDv9vp0ZAxi_Y4")
	cfg := config()
	cfg.Seal.Encrypt, cfg.Seal.KeyID, cfg.Seal.Key, cfg.Seal.DecryptionKeys = true, "k", key, "k:"+key
	cfg.Refresh.Version = 2
	s := start(t, cfg)
	token := s.signup("a@example.com", "secret1").str("refresh_token")
	equal(t, "sealed", s.count(`SELECT count(*) FROM auth.users JOIN auth.sessions ON user_id = users.id
		WHERE encrypted_password LIKE '{%aes-gcm-hkdf%' AND refresh_token_hmac_key LIKE '{%aes-gcm-hkdf%'`), 1)
	s.signin("a@example.com", "secret1").want(200, "")
	s.signin("a@example.com", "secret2").want(400, "invalid_credentials")
	s.refresh(token).want(200, "")
}

func TestPasswordsHashedElsewhere(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	for email, known := range map[string][2]string{
		"i@example.com":  {"$argon2i$v=19$m=16,t=2,p=1$bGJRWThNOHJJTVBSdHl2dQ$NfEnUOuUpb7F2fQkgFUG4g", "test"},
		"id@example.com": {"$argon2id$v=19$m=32,t=3,p=2$SFVpOWJ0eXhjRzVkdGN1RQ$RXnb8rh7LaDcn07xsssqqulZYXOM/EUCEFMVcAcyYVk", "test"},
		"fb@example.com": {"$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=ou9tdYTGyYm8kuR6Dt0Bp0kDuAYoXrK16mbZO4yGwAn3oLspjnN0/c41v8xZnO1n14J3MjKj1b2g6AUCAlFwMw==$C0sHCg9ek77hsg==$zKVTMvnWVw5BBOZNUdnsalx4c4c7y/w7IS5p6Ut2+CfEFFlz37J9huyQfov4iizN8dbjvEJlM5tQaJP84+hfTw==", "mytestpassword"},
	} {
		s.call("POST", "/admin/users", s.service(), map[string]any{"email": email, "password_hash": known[0], "email_confirm": true}).want(200, "")
		s.signin(email, known[1]).want(200, "")
		s.signin(email, known[1]+"x").want(400, "invalid_credentials")
	}
	for _, hostile := range []string{
		"$argon2id$v=19$m=1048576,t=3,p=2$SFVpOWJ0eXhjRzVkdGN1RQ$RXnb8rh7LaDcn07xsssqqulZYXOM/EUCEFMVcAcyYVk",
		"$argon2id$v=19$m=32,t=0,p=2$SFVpOWJ0eXhjRzVkdGN1RQ$RXnb8rh7LaDcn07xsssqqulZYXOM/EUCEFMVcAcyYVk",
		"$fbscrypt$v=1,n=30,r=8,p=1,ss=Bw==,sk=ou9tdQ==$C0sHCg9ek77hsg==$zKVT", "$2a$31$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	} {
		if got := s.call("POST", "/admin/users", s.service(), map[string]any{"email": "h@example.com", "password_hash": hostile}); got.status/100 != 4 {
			t.Errorf("%s: %d", hostile, got.status)
		}
	}
}

func TestSbForwardedFor(t *testing.T) {
	t.Parallel()
	limited := func(on bool) int {
		cfg := config()
		cfg.SBForwardedFor, cfg.RateLimitOTP = on, 1
		s := start(t, cfg, func(d *auth.Deps) { d.Limiter = ratelimit.NewMemory(100) })
		refused := 0
		for range 40 {
			got := s.call("POST", "/signup", "", map[string]any{"email": "not an address", "password": "secret1"}, "Sb-Forwarded-For", "192.0.2.7, 10.0.0.1")
			if got.status == 429 && got.header.Get("Retry-After") != "" {
				refused++
			}
		}
		return refused
	}
	equal(t, "off: the caller is on this machine and has no limit", limited(false), 0)
	if n := limited(true); n < 5 {
		t.Errorf("%d of 40 were refused", n)
	}
}

func TestUsersByCursor(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.CursorPaging = true
	s := start(t, cfg)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		s.signup(name+"@example.com", "secret1")
	}
	for sort, want := range map[string]string{"": "edcba", "&sort=created_at+asc": "abcde"} {
		seen, next := "", ""
		for range 4 {
			page := s.call("GET", "/admin/users?limit=2"+sort+"&cursor="+next, s.service(), nil).want(200, "")
			for _, u := range page.at("users").([]any) {
				seen += u.(map[string]any)["email"].(string)[:1]
			}
			if next = page.str("pagination", "next_cursor"); next == "" {
				equal(t, "more", page.at("pagination", "has_more"), false)
				break
			}
		}
		equal(t, "users "+sort, seen, want)
	}
	s.call("GET", "/admin/users?cursor=x", s.service(), nil).want(400, "validation_failed")
	s.call("GET", "/admin/users?limit=0", s.service(), nil).want(400, "validation_failed")
	equal(t, "by page", s.call("GET", "/admin/users?page=1", s.service(), nil).want(200, "").header.Get("X-Total-Count"), "5")
}

// What a caller sends may be refused, and must never be an error of the server's.
func TestNothingSentIsAServerError(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.AnonymousUsersEnabled, cfg.PhoneEnabled, cfg.RateLimitOTP = true, true, 0
	s := start(t, cfg)
	user := s.signup("a@example.com", "secret1")
	own, id := user.str("access_token"), user.str("user", "id")
	nul, long := "a\x00b", strings.Repeat("x", 100_000)
	for _, odd := range []any{nul, long, "\xff\xfe", -1.5, nil, []any{nul}, map[string]any{nul: nul}} {
		for _, call := range []struct{ method, path, token string }{
			{"POST", "/signup", ""},
			{"POST", "/token?grant_type=password", ""},
			{"POST", "/token?grant_type=refresh_token", ""},
			{"POST", "/token?grant_type=pkce", ""},
			{"POST", "/otp", ""},
			{"POST", "/verify", ""},
			{"POST", "/recover", ""},
			{"POST", "/resend", ""},
			{"PUT", "/user", own},
			{"POST", "/factors", own},
			{"POST", "/admin/users", s.service()},
			{"PUT", "/admin/users/" + id, s.service()},
			{"POST", "/admin/generate_link", s.service()},
			{"POST", "/invite", s.service()},
		} {
			for _, member := range []string{
				"email", "phone", "password", "data", "token", "token_hash", "type", "refresh_token", "auth_code", "code_verifier", "nonce", "user_metadata",
				"app_metadata", "role", "aud", "id", "ban_duration", "password_hash", "friendly_name", "factor_type", "code_challenge", "code_challenge_method",
			} {
				body := map[string]any{"email": "odd@example.com", "password": "secret1", "type": "magiclink"}
				body[member] = odd
				if got := s.call(call.method, call.path, call.token, body); got.status >= 500 {
					t.Errorf("%s %s %s=%.20q: %d %s", call.method, call.path, member, odd, got.status, got.text)
				}
			}
		}
		if text, ok := odd.(string); ok && len(text) < 100 {
			for _, path := range []string{"/admin/users?filter=", "/admin/users?sort=", "/admin/users?page=", "/admin/audit?query=author:", "/verify?type=signup&token=", "/authorize?provider="} {
				if got := s.call("GET", path+url.QueryEscape(text), s.service(), nil); got.status >= 500 {
					t.Errorf("GET %s%q: %d %s", path, odd, got.status, got.text)
				}
			}
		}
	}
}

func TestRequestsEndInTime(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.MaxRequestDuration = 300 * time.Millisecond
	s := start(t, cfg)
	token := s.signup("a@example.com", "secret1").str("access_token")
	tx, err := s.f.Owner.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `LOCK TABLE auth.users IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	s.call("GET", "/user", token, nil).want(504, "request_timeout")
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.call("GET", "/user", token, nil).want(200, "")
	s.call("GET", "/nothing", "", nil).want(404, "")
	equal(t, "method", s.call("DELETE", "/health", "", nil).status, 405)
}
