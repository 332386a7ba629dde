package auth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/auth"
	"github.com/madbase/madbase/modules/auth/sms"
	"github.com/madbase/madbase/platform/ratelimit"
)

// Numbers whose codes are known.
const (
	phoneA, phoneB, testCode = "15550001001", "15550001002", "123456"
	phoneC                   = "4915200000001" // gets messages
)

// phoneConfig is config with phone numbers, two of them with a fixed code.
func phoneConfig() auth.Config {
	cfg := config()
	cfg.PhoneEnabled, cfg.SMS.MaxEvery = true, time.Nanosecond
	cfg.SMS.TestOTP = phoneA + ":" + testCode + "," + phoneB + ":" + testCode
	cfg.SMS.Provider, cfg.SMS.Vonage = "vonage", sms.VonageConfig{APIKey: "k", APISecret: "s3cret", From: "App"}
	return cfg
}

type fields = map[string]any

// phones stands for a provider of text messages.
type phones struct {
	mu     sync.Mutex
	texts  map[string][]string
	refuse string // an answer of a refusal, empty to take messages
	wait   chan struct{}
}

func (p *phones) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	if p.wait != nil {
		<-p.wait
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse != "" {
		_, _ = io.WriteString(w, p.refuse)
		return
	}
	p.texts[r.Form.Get("to")] = append(p.texts[r.Form.Get("to")], r.Form.Get("text"))
	_, _ = io.WriteString(w, `{"messages":[{"message-id":"m1","status":"0"}]}`)
}

func (p *phones) refuses(answer string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = answer
}

// code is the one in the last message to a number, of which there were n.
func (p *phones) code(t *testing.T, number string, n int) string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	texts := p.texts[number]
	if len(texts) != n {
		t.Fatalf("%d messages to %s, want %d: %q", len(texts), number, n, texts)
	}
	return regexp.MustCompile(`\d{6}$`).FindString(texts[n-1])
}

// startPhones starts a server whose messages go to the phones.
func startPhones(t *testing.T, cfg auth.Config, change ...func(*auth.Deps)) (*server, *phones) {
	t.Helper()
	p := &phones{texts: map[string][]string{}}
	h := httptest.NewServer(p)
	t.Cleanup(h.Close)
	return start(t, cfg, append(change, func(d *auth.Deps) { d.SMS.BaseURL = h.URL })...), p
}

// addPhoneUser makes a user with a number as an administrator does.
func (s *server) addPhoneUser(phone, password string, confirmed bool) answer {
	s.t.Helper()
	return s.call("POST", "/admin/users", s.service(), fields{"phone": phone, "password": password, "phone_confirm": confirmed}).want(200, "")
}

func (s *server) verifySMS(kind, phone, code string) answer {
	s.t.Helper()
	return s.call("POST", "/verify", "", fields{"type": kind, "phone": phone, "token": code})
}

func wrong(code string) string {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}

func TestPhonePassword(t *testing.T) {
	t.Parallel()
	s := start(t, phoneConfig())
	s.addPhoneUser("+"+phoneA, "secret-1", true)
	s.addPhoneUser(phoneB, "secret-1", false)
	grant := func(body fields) answer { return s.call("POST", "/token?grant_type=password", "", body) }
	in := grant(fields{"phone": "+1 555 000 1001", "password": "secret-1"}).want(200, "")
	equal(t, "phone", in.str("user", "phone"), phoneA)
	equal(t, "claim", payload(t, in.str("access_token"))["phone"], phoneA)
	equal(t, "method", payload(t, in.str("access_token"))["amr"].([]any)[0].(fields)["method"], "password")
	equal(t, "audit", s.count(`SELECT count(*) FROM auth.audit_log_entries WHERE payload->>'action' = 'login' AND payload->'traits'->>'provider' = 'phone'`), 1)
	grant(fields{"phone": phoneB, "password": "secret-1"}).want(400, "phone_not_confirmed")
	bad := grant(fields{"phone": phoneB, "password": "secret-2"}).want(400, "invalid_credentials")
	unknown := grant(fields{"phone": "15550009999", "password": "secret-2"}).want(400, "invalid_credentials")
	equal(t, "unknown and wrong", unknown.text, bad.text)
	grant(fields{"phone": "not a number", "password": "secret-2"}).want(400, "invalid_credentials")
	grant(fields{"phone": phoneA, "email": "a@example.com", "password": "secret-2"}).want(400, "validation_failed")
	start(t, config()).call("POST", "/token?grant_type=password", "", fields{"phone": phoneA, "password": "secret-1"}).want(422, "phone_provider_disabled")
}

func TestPhoneSignup(t *testing.T) {
	t.Parallel()
	s, p := startPhones(t, phoneConfig())
	up := s.call("POST", "/signup", "", fields{"phone": "+49 152 00000001", "password": "secret-1", "data": fields{"name": "P", "sub": "me"}}).want(200, "")
	id, code := up.str("id"), p.code(t, phoneC, 1)
	if up.at("confirmation_sent_at") == nil || up.at("access_token") != nil || up.at("phone_confirmed_at") != nil {
		t.Errorf("%s", up.text)
	}
	equal(t, "metadata", up.at("user_metadata"), fields{"name": "P", "sub": id, "email_verified": false, "phone_verified": false})
	equal(t, "identity", up.at("identities", "0", "identity_data"), up.at("user_metadata"))
	equal(t, "stored as GoTrue does", s.count(`SELECT count(*) FROM auth.users u JOIN auth.one_time_tokens t ON t.user_id = u.id
		WHERE u.confirmation_token = encode(sha224(convert_to($1 || $2, 'utf8')), 'hex') AND t.token_hash = u.confirmation_token
			AND t.relates_to = $1 AND t.token_type = 'confirmation_token' AND char_length(t.token_hash) = 56`, phoneC, code), 1)

	s.call("POST", "/token?grant_type=password", "", fields{"phone": phoneC, "password": "secret-1"}).want(400, "phone_not_confirmed")
	s.verifySMS("sms", phoneC, wrong(code)).want(403, "otp_expired")
	s.verifySMS("phone_change", phoneC, code).want(403, "otp_expired")
	s.verifySMS("signup", phoneC, code).want(403, "otp_expired")
	s.verifySMS("sms", "15550009999", code).want(403, "otp_expired")
	in := s.verifySMS("sms", "+"+phoneC, code).want(200, "")
	equal(t, "method", payload(t, in.str("access_token"))["amr"].([]any)[0].(fields)["method"], "otp")
	if in.at("user", "phone_confirmed_at") == nil || in.at("user", "confirmed_at") == nil {
		t.Errorf("%s", in.text)
	}
	s.verifySMS("sms", phoneC, code).want(403, "otp_expired")
	s.call("POST", "/token?grant_type=password", "", fields{"phone": phoneC, "password": "secret-1"}).want(200, "")
	equal(t, "no code is left", s.count(`SELECT count(*) FROM auth.one_time_tokens`), 0)
	s.call("POST", "/signup", "", fields{"phone": phoneC, "password": "secret-2"}).want(422, "user_already_exists")
	p.code(t, phoneC, 1)
}

// Where addresses are confirmed by mail, a sign-up with a taken number looks like a new one.
func TestPhoneSignupTaken(t *testing.T) {
	t.Parallel()
	cfg := phoneConfig()
	cfg.Autoconfirm = false
	s, p := startPhones(t, cfg)
	user := s.addPhoneUser(phoneC, "secret-1", true)
	again := s.call("POST", "/signup", "", fields{"phone": phoneC, "password": "secret-2", "data": fields{"a": 1}}).want(200, "")
	if again.str("id") == user.str("id") || again.at("confirmation_sent_at") == nil || len(p.texts) != 0 {
		t.Errorf("%s", again.text)
	}
	equal(t, "identities", again.at("identities"), []any{})
	equal(t, "app_metadata", again.at("app_metadata"), fields{"provider": "phone", "providers": []any{"phone"}})
	equal(t, "phone", again.str("phone"), phoneC)
	s.call("POST", "/token?grant_type=password", "", fields{"phone": phoneC, "password": "secret-2"}).want(400, "invalid_credentials")
}

// Whoever signs up twice in a moment is refused whether the number is taken or not.
func TestPhoneSignupTakenAgain(t *testing.T) {
	t.Parallel()
	cfg := phoneConfig()
	cfg.Autoconfirm, cfg.SMS.MaxEvery = false, time.Minute
	s, _ := startPhones(t, cfg, func(d *auth.Deps) { d.Limiter = ratelimit.NewMemory(100) })
	s.addPhoneUser(phoneC, "secret-1", true)
	for _, phone := range []string{phoneC, "4915200000002"} {
		s.call("POST", "/signup", "", fields{"phone": phone, "password": "secret-2"}).want(200, "")
		s.call("POST", "/signup", "", fields{"phone": phone, "password": "secret-2"}).want(429, "over_sms_send_rate_limit")
	}
}

// A code of a text message is no link's: those last longer and are not counted by number.
func TestPhoneCodeIsNoLink(t *testing.T) {
	t.Parallel()
	s, p := startPhones(t, phoneConfig())
	s.addPhoneUser(phoneC, "secret-1", true)
	s.call("POST", "/otp", "", fields{"phone": phoneC}).want(200, "")
	sum := sha256.Sum224([]byte(phoneC + p.code(t, phoneC, 1)))
	for _, kind := range []string{"signup", "email", "invite"} {
		s.call("POST", "/verify", "", fields{"type": kind, "token_hash": hex.EncodeToString(sum[:])}).want(403, "otp_expired")
	}
	equal(t, "sessions", s.count(`SELECT count(*) FROM auth.sessions`), 0)
}

func TestPhoneSignupInput(t *testing.T) {
	t.Parallel()
	s, p := startPhones(t, phoneConfig())
	for name, tt := range map[string]struct {
		body fields
		code string
	}{
		"no number":    {fields{"phone": "12-34", "password": "secret-1"}, "validation_failed"},
		"zero first":   {fields{"phone": "0049152", "password": "secret-1"}, "validation_failed"},
		"too long":     {fields{"phone": "+1234567890123456", "password": "secret-1"}, "validation_failed"},
		"other digits": {fields{"phone": "١٥٥٥٠٠٠", "password": "secret-1"}, "validation_failed"},
		"line end":     {fields{"phone": phoneC + "\n", "password": "secret-1"}, "validation_failed"},
		"no password":  {fields{"phone": phoneC}, "validation_failed"},
		"channel":      {fields{"phone": phoneC, "password": "secret-1", "channel": "pigeon"}, "validation_failed"},
		"whatsapp":     {fields{"phone": phoneC, "password": "secret-1", "channel": "whatsapp"}, "validation_failed"},
		"pkce":         {fields{"phone": phoneC, "password": "secret-1", "code_challenge": strings.Repeat("a", 43)}, "validation_failed"},
	} {
		if a := s.call("POST", "/signup", "", tt.body); a.status != 400 || a.str("error_code") != tt.code {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
	equal(t, "messages", len(p.texts), 0)
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users`), 0)
	off := start(t, config())
	off.call("POST", "/signup", "", fields{"phone": phoneC, "password": "secret-1"}).want(400, "phone_provider_disabled")
	off.call("POST", "/otp", "", fields{"phone": phoneC}).want(400, "phone_provider_disabled")
	off.call("POST", "/resend", "", fields{"phone": phoneC, "type": "sms"}).want(400, "phone_provider_disabled")
}

// A message that does not leave leaves nothing behind, and may be asked for again.
func TestPhoneProviderFails(t *testing.T) {
	t.Parallel()
	cfg := phoneConfig()
	cfg.SMS.MaxEvery = time.Hour
	s, p := startPhones(t, cfg)
	p.refuses(`{"messages":[{"status":"4","error-text":"Bad Credentials s3cret"}]}`)
	refused := s.call("POST", "/signup", "", fields{"phone": phoneC, "password": "secret-1"}).want(422, "sms_send_failed")
	equal(t, "message", refused.str("msg"), "Error sending confirmation OTP to provider: the provider did not take the message")
	s.call("POST", "/otp", "", fields{"phone": phoneC}).want(422, "sms_send_failed")
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users`), 0)
	p.refuses(`{"messages":[{"status":"6","error-text":"Unroutable message"}]}`)
	refused = s.call("POST", "/otp", "", fields{"phone": phoneC}).want(422, "sms_send_failed")
	equal(t, "message", refused.str("msg"), "Error sending confirmation OTP to provider: Unroutable message")

	p.refuses("")
	s.call("POST", "/signup", "", fields{"phone": phoneC, "password": "secret-1"}).want(200, "")
	code := p.code(t, phoneC, 1)
	wait := s.call("POST", "/otp", "", fields{"phone": phoneC})
	if wait.status == 429 {
		t.Fatalf("the code that makes the password void has a clock of its own: %s", wait.text)
	}
	s.call("POST", "/resend", "", fields{"phone": phoneC, "type": "sms"}).want(429, "over_sms_send_rate_limit")
	p.refuses(`{"messages":[]}`)
	in := s.verifySMS("sms", phoneC, code).want(200, "")
	s.call("PUT", "/user", in.str("access_token"), fields{"phone": "4915200000002", "data": fields{"a": 1}}).want(422, "sms_send_failed")
	user := s.call("GET", "/user", in.str("access_token"), nil)
	if user.at("new_phone") != nil || user.at("phone_change_sent_at") != nil || user.at("user_metadata", "a") != nil {
		t.Errorf("the change stays: %s", user.text)
	}
	p.refuses("")
	s.call("PUT", "/user", in.str("access_token"), fields{"phone": "4915200000002"}).want(200, "")
	first := p.code(t, "4915200000002", 1)
	wait = s.call("PUT", "/user", in.str("access_token"), fields{"phone": "4915200000003"}).want(429, "over_sms_send_rate_limit")
	if wait.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.verifySMS("phone_change", "4915200000002", first).want(200, "")
}

// Of sign-ups that come at once one makes the user, and none ends in an accident.
func TestPhoneSignupAtOnce(t *testing.T) {
	t.Parallel()
	cfg := phoneConfig()
	cfg.SMS.MaxEvery = time.Hour
	s, p := startPhones(t, cfg)
	statuses := make(chan int, 6)
	var wg sync.WaitGroup
	for i := range cap(statuses) {
		wg.Go(func() {
			if i%2 == 0 {
				statuses <- s.call("POST", "/signup", "", fields{"phone": phoneC, "password": "secret-1"}).status
				return
			}
			statuses <- s.call("POST", "/otp", "", fields{"phone": phoneC}).status
		})
	}
	wg.Wait()
	close(statuses)
	for status := range statuses {
		if status != 200 && status != 429 {
			t.Errorf("status %d", status)
		}
	}
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users`), 1)
	if n := len(p.texts[phoneC]); n < 1 || n > 2 { // a code of each kind at most
		t.Errorf("%d messages", n)
	}
}

// A code that did not leave brings the one before it back.
func TestPhoneUndoKeepsOlderCode(t *testing.T) {
	t.Parallel()
	s, p := startPhones(t, phoneConfig())
	s.addPhoneUser(phoneC, "secret-1", true)
	s.call("POST", "/otp", "", fields{"phone": phoneC}).want(200, "")
	code := p.code(t, phoneC, 1)
	p.refuses(`{}`)
	s.call("POST", "/otp", "", fields{"phone": phoneC}).want(422, "sms_send_failed")
	s.verifySMS("sms", phoneC, code).want(200, "")
}

func TestPhoneOTP(t *testing.T) {
	t.Parallel()
	s, p := startPhones(t, phoneConfig())
	s.call("POST", "/otp", "", fields{"phone": phoneC, "create_user": false}).want(422, "otp_disabled")
	s.call("POST", "/otp", "", fields{"phone": "x", "create_user": false}).want(422, "otp_disabled")
	s.call("POST", "/otp", "", fields{"phone": "x"}).want(400, "validation_failed")
	s.call("POST", "/otp", "", fields{"phone": phoneC, "channel": "whatsapp"}).want(400, "validation_failed")
	fresh := s.call("POST", "/otp", "", fields{"phone": "+" + phoneC, "data": fields{"a": 1}}).want(200, "")
	equal(t, "answer of a new user", fresh.text, "{}")
	first := s.verifySMS("sms", phoneC, p.code(t, phoneC, 1)).want(200, "")
	equal(t, "data", first.at("user", "user_metadata", "a"), 1)
	again := s.call("POST", "/otp", "", fields{"phone": phoneC, "create_user": false}).want(200, "")
	equal(t, "answer", again.body, fields{"message_id": "m1"})
	old := p.code(t, phoneC, 2)
	s.call("POST", "/otp", "", fields{"phone": phoneC}).want(200, "")
	if code := p.code(t, phoneC, 3); code != old {
		s.verifySMS("sms", phoneC, old).want(403, "otp_expired")
	}
	second := s.verifySMS("sms", phoneC, p.code(t, phoneC, 3)).want(200, "")
	equal(t, "user", second.str("user", "id"), first.str("user", "id"))
	equal(t, "test number", s.call("POST", "/otp", "", fields{"phone": phoneA}).want(200, "").text, "{}")
	s.verifySMS("sms", phoneA, testCode).want(200, "")
	equal(t, "test number again", s.call("POST", "/otp", "", fields{"phone": phoneA}).want(200, "").body, fields{"message_id": "test-otp"})

	cfg := phoneConfig()
	cfg.DisableSignup = true
	s = start(t, cfg)
	s.call("POST", "/otp", "", fields{"phone": phoneA}).want(422, "signup_disabled")
}

// Codes end by time, by the number of tries and by use, whoever is first.
func TestPhoneCodeLife(t *testing.T) {
	t.Parallel()
	cfg := phoneConfig()
	cfg.Flow.RateLimitCode = 5
	s, p := startPhones(t, cfg, func(d *auth.Deps) { d.Limiter = ratelimit.NewMemory(100) })
	s.addPhoneUser(phoneC, "secret-1", true)
	s.call("POST", "/otp", "", fields{"phone": phoneC}).want(200, "")
	code := p.code(t, phoneC, 1)
	s.f.Exec(t, `UPDATE auth.users SET confirmation_sent_at = now() - interval '61 seconds'`)
	s.verifySMS("sms", phoneC, code).want(403, "otp_expired")
	s.call("POST", "/otp", "", fields{"phone": phoneC}).want(200, "")
	code = p.code(t, phoneC, 2)
	var wg sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	for range 3 {
		wg.Go(func() {
			a := s.verifySMS("sms", phoneC, code)
			mu.Lock()
			defer mu.Unlock()
			statuses[a.status]++
		})
	}
	wg.Wait()
	equal(t, "three at once", statuses, map[int]int{200: 1, 403: 2})
	s.call("POST", "/otp", "", fields{"phone": phoneC}).want(200, "")
	s.verifySMS("sms", phoneC, wrong(p.code(t, phoneC, 3))).want(403, "otp_expired")
	late := s.verifySMS("sms", phoneC, p.code(t, phoneC, 3))
	if late.status != 429 || late.header.Get("Retry-After") == "" {
		t.Errorf("the sixth try in an hour: %d %s", late.status, late.text)
	}
}

func TestPhoneBanned(t *testing.T) {
	t.Parallel()
	s := start(t, phoneConfig())
	s.addPhoneUser(phoneA, "secret-1", true)
	s.call("POST", "/otp", "", fields{"phone": phoneA}).want(200, "")
	s.f.Exec(t, `UPDATE auth.users SET banned_until = now() + interval '1 hour'`)
	s.verifySMS("sms", phoneA, wrong(testCode)).want(403, "otp_expired")
	s.verifySMS("sms", phoneA, testCode).want(403, "user_banned")
	s.call("POST", "/token?grant_type=password", "", fields{"phone": phoneA, "password": "secret-1"}).want(400, "user_banned")
}

func TestPhoneLimits(t *testing.T) {
	t.Parallel()
	cfg := phoneConfig()
	cfg.SMS.RateSent, cfg.SMS.Prefixes = "2/1h", []string{"+49"}
	s, p := startPhones(t, cfg, func(d *auth.Deps) { d.Limiter = ratelimit.NewMemory(100) })
	for _, number := range []string{"4915200000001", "4915200000002"} {
		s.call("POST", "/otp", "", fields{"phone": number}).want(200, "")
	}
	over := s.call("POST", "/otp", "", fields{"phone": "4915200000003"}).want(429, "over_sms_send_rate_limit")
	if over.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.call("POST", "/signup", "", fields{"phone": "4915200000003", "password": "secret-1"}).want(429, "over_sms_send_rate_limit")
	s.call("POST", "/otp", "", fields{"phone": "882160000001"}).want(422, "sms_send_failed")
	equal(t, "numbers", len(p.texts), 2)
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users`), 2)
	s.call("POST", "/otp", "", fields{"phone": phoneA}).want(200, "")

	cfg.SMS.RateSent = sms.NoMessages
	s, _ = startPhones(t, cfg)
	s.call("POST", "/otp", "", fields{"phone": phoneC}).want(429, "over_sms_send_rate_limit")
	cfg = phoneConfig()
	cfg.SMS.MaxEvery = 0 // GoTrue's minute
	s, _ = startPhones(t, cfg)
	s.call("POST", "/otp", "", fields{"phone": phoneA}).want(200, "")
	s.call("POST", "/otp", "", fields{"phone": phoneA}).want(429, "over_sms_send_rate_limit")
}

// Who signs up with another's number and a password does not come in once the owner proves it.
func TestPhoneSquatter(t *testing.T) {
	t.Parallel()
	s, p := startPhones(t, phoneConfig())
	s.call("POST", "/signup", "", fields{"phone": phoneC, "password": "squatter"}).want(200, "")
	s.call("POST", "/otp", "", fields{"phone": phoneC}).want(200, "")
	in := s.verifySMS("sms", phoneC, p.code(t, phoneC, 2)).want(200, "")
	s.call("POST", "/token?grant_type=password", "", fields{"phone": phoneC, "password": "squatter"}).want(400, "invalid_credentials")
	equal(t, "identities", len(in.at("user", "identities").([]any)), 1)
	equal(t, "codes", s.count(`SELECT count(*) FROM auth.users WHERE coalesce(recovery_token, '') <> '' OR coalesce(confirmation_token, '') <> ''`), 0)

	// the same with a fixed code, of which only the last one asked for is known
	s.call("POST", "/signup", "", fields{"phone": phoneA, "password": "squatter"}).want(200, "")
	s.call("POST", "/otp", "", fields{"phone": phoneA}).want(200, "")
	s.verifySMS("sms", phoneA, testCode).want(200, "")
	s.call("POST", "/token?grant_type=password", "", fields{"phone": phoneA, "password": "squatter"}).want(400, "invalid_credentials")
	s.call("POST", "/otp", "", fields{"phone": phoneB}).want(200, "")
	s.call("POST", "/signup", "", fields{"phone": phoneB, "password": "mine-it-is"}).want(200, "")
	s.verifySMS("sms", phoneB, testCode).want(200, "")
}

func TestPhoneResend(t *testing.T) {
	t.Parallel()
	s, p := startPhones(t, phoneConfig())
	resend := func(kind, phone string) answer {
		return s.call("POST", "/resend", "", fields{"type": kind, "phone": phone})
	}
	equal(t, "nobody", resend("sms", phoneC).want(200, "").text, "{}")
	s.call("POST", "/signup", "", fields{"phone": phoneC, "password": "secret-1"}).want(200, "")
	equal(t, "unconfirmed", resend("sms", phoneC).want(200, "").body, fields{"message_id": "m1"})
	in := s.verifySMS("sms", phoneC, p.code(t, phoneC, 2)).want(200, "")
	equal(t, "confirmed", resend("sms", phoneC).want(200, "").text, "{}")
	equal(t, "no change", resend("phone_change", phoneC).want(200, "").text, "{}")
	s.call("PUT", "/user", in.str("access_token"), fields{"phone": "4915200000002"}).want(200, "")
	equal(t, "change", resend("phone_change", phoneC).want(200, "").body, fields{"message_id": "m1"})
	s.verifySMS("phone_change", "4915200000002", p.code(t, "4915200000002", 2)).want(200, "")
	resend("sms", "x").want(400, "validation_failed")
	resend("sms", "").want(400, "validation_failed")
}

func TestPhoneChange(t *testing.T) {
	t.Parallel()
	s, p := startPhones(t, phoneConfig())
	in := s.signup("a@example.com", "secret-1")
	put := s.call("PUT", "/user", in.str("access_token"), fields{"phone": "+" + phoneC, "password": "secret-2"}).want(200, "")
	if put.str("new_phone") != phoneC || put.str("phone") != "" || put.at("phone_change_sent_at") == nil {
		t.Errorf("%s", put.text)
	}
	code := p.code(t, phoneC, 1)
	s.verifySMS("sms", phoneC, code).want(403, "otp_expired")
	done := s.verifySMS("phone_change", phoneC, code).want(200, "")
	equal(t, "providers", done.at("user", "app_metadata", "providers"), []any{"email", "phone"})
	equal(t, "identity", done.at("user", "identities", "1", "identity_data"),
		fields{"sub": in.str("user", "id"), "phone": phoneC, "phone_verified": true, "email_verified": false})
	if done.at("user", "new_phone") != nil || done.at("user", "phone_confirmed_at") == nil {
		t.Errorf("%s", done.text)
	}
	s.verifySMS("phone_change", phoneC, code).want(403, "otp_expired")
	other := s.signup("b@example.com", "secret-1").str("access_token")
	s.call("PUT", "/user", other, fields{"phone": phoneC}).want(422, "phone_exists")
	s.call("PUT", "/user", other, fields{"phone": "4915200000009", "channel": "whatsapp"}).want(400, "validation_failed")

	// two ask for one number: the code says whose it is, and the second comes too late
	third := s.signup("c@example.com", "secret-1")
	s.call("PUT", "/user", other, fields{"phone": "4915200000009"}).want(200, "")
	first := p.code(t, "4915200000009", 1)
	s.call("PUT", "/user", third.str("access_token"), fields{"phone": "4915200000009"}).want(200, "")
	won := s.verifySMS("phone_change", "4915200000009", first).want(200, "")
	equal(t, "whose", won.str("user", "email"), "b@example.com")
	if second := p.code(t, "4915200000009", 2); second != first {
		s.verifySMS("phone_change", "4915200000009", second).want(422, "phone_exists")
	}
}

func TestPhoneAnonymous(t *testing.T) {
	t.Parallel()
	cfg := phoneConfig()
	cfg.AnonymousUsersEnabled = true
	s := start(t, cfg)
	in := s.call("POST", "/signup", "", fields{}).want(200, "")
	s.call("PUT", "/user", in.str("access_token"), fields{"phone": phoneA, "password": "secret-1"}).want(200, "")
	done := s.verifySMS("phone_change", phoneA, testCode).want(200, "")
	equal(t, "id", done.str("user", "id"), in.str("user", "id"))
	equal(t, "anonymous", done.at("user", "is_anonymous"), false)
	s.call("POST", "/token?grant_type=password", "", fields{"phone": phoneA, "password": "secret-1"}).want(200, "")
}

func TestPhoneAutoconfirm(t *testing.T) {
	t.Parallel()
	cfg := phoneConfig()
	cfg.SMS.Autoconfirm = true
	s, p := startPhones(t, cfg)
	in := s.call("POST", "/signup", "", fields{"phone": phoneC, "password": "secret-1"}).want(200, "")
	equal(t, "method", payload(t, in.str("access_token"))["amr"].([]any)[0].(fields)["method"], "password")
	s.call("POST", "/signup", "", fields{"phone": phoneC, "password": "secret-1"}).want(422, "user_already_exists")
	moved := s.call("PUT", "/user", in.str("access_token"), fields{"phone": "4915200000002"}).want(200, "")
	equal(t, "phone", moved.str("phone"), "4915200000002")
	equal(t, "messages", len(p.texts), 0)
	equal(t, "otp", s.call("POST", "/otp", "", fields{"phone": "4915200000003"}).want(200, "").body, fields{"message_id": "m1"})
	s.verifySMS("sms", "4915200000003", p.code(t, "4915200000003", 1)).want(200, "")

	s.addPhoneUser("4915200000004", "secret-1", false)
	s.call("POST", "/signup", "", fields{"phone": "4915200000004", "password": "secret-2"}).want(422, "user_already_exists")
	s.call("POST", "/signup", "", fields{"phone": "4915200000004", "password": "secret-1"}).want(200, "")
}

func TestPhoneReauthentication(t *testing.T) {
	t.Parallel()
	cfg := phoneConfig()
	cfg.Flow.RequireReauth = true
	s, p := startPhones(t, cfg)
	s.addPhoneUser(phoneC, "secret-1", true)
	in := s.call("POST", "/token?grant_type=password", "", fields{"phone": phoneC, "password": "secret-1"}).want(200, "").str("access_token")
	s.f.Exec(t, `UPDATE auth.sessions SET created_at = now() - interval '25 hours'`)
	s.call("PUT", "/user", in, fields{"password": "secret-2"}).want(400, "reauthentication_needed")
	equal(t, "answer", s.call("GET", "/reauthenticate", in, nil).want(200, "").body, fields{"message_id": "m1"})
	code := p.code(t, phoneC, 1)
	s.call("PUT", "/user", in, fields{"password": "secret-2", "nonce": wrong(code)}).want(422, "reauthentication_not_valid")
	s.verifySMS("sms", phoneC, code).want(403, "otp_expired")
	s.call("PUT", "/user", in, fields{"password": "secret-2", "nonce": code}).want(200, "")
	s.call("PUT", "/user", in, fields{"password": "secret-3", "nonce": code}).want(422, "reauthentication_not_valid")
}

// No transaction is open while the provider takes its time.
func TestPhoneProviderOutsideTransaction(t *testing.T) {
	t.Parallel()
	s, p := startPhones(t, phoneConfig())
	p.wait = make(chan struct{})
	done := make(chan int, 1)
	go func() { done <- s.call("POST", "/otp", "", fields{"phone": phoneC}).status }()
	deadline := time.After(10 * time.Second)
	for s.count(`SELECT count(*) FROM auth.users`) == 0 { // the user is there before the message is
		select {
		case <-deadline:
			t.Fatal("the user is not committed before the provider answers")
		case <-time.After(10 * time.Millisecond):
		}
	}
	equal(t, "open transactions", s.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'`), 0)
	close(p.wait)
	equal(t, "status", <-done, 200)
}
