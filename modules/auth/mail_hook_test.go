package auth_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/madbase/madbase/modules/auth"
	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/ratelimit"
)

func TestMailGoesToTheHook(t *testing.T) {
	t.Parallel()
	type input struct {
		Metadata struct{ Name string }
		User     map[string]any
		Data     map[string]string `json:"email_data"`
	}
	got := make(chan input, 10)
	refuse := false
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in input
		_ = json.NewDecoder(r.Body).Decode(&in)
		got <- in
		w.Header().Set("Content-Type", "application/json")
		if refuse {
			_, _ = w.Write([]byte(`{"error":{"http_code":403,"message":"not you"}}`))
			return
		}
		_, _ = w.Write([]byte(`{}`))
	}))
	defer app.Close()
	cfg := mailConfig(nil)
	cfg.Hooks.SendEmailEnabled, cfg.Hooks.SendEmailURI, cfg.Hooks.SendEmailSecrets = true, app.URL, "v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	cfg.Mail.MaxFrequency = time.Microsecond
	p := startPost(t, cfg)
	msg := p.message(mail.EmailChange)
	msg.NewEmail, msg.TokenNew, msg.TokenHashNew = "new@example.com", "654321", "newhash"
	p.send(msg)
	in := <-got
	equal(t, "email_data", in.Data, map[string]string{
		"token": "123456", "token_hash": "newhash", "token_new": "654321", "token_hash_new": "pkce_hash",
		"redirect_to": msg.RedirectTo, "email_action_type": "email_change", "site_url": "http://localhost:8000/auth/v1",
		"old_email": "", "old_phone": "", "provider": "", "factor_type": "",
	})
	equal(t, "user", []any{in.User["email"], in.User["new_email"], in.Metadata.Name}, []any{"ann@example.com", "new@example.com", "send-email"})
	msg.Token, msg.TokenHash = "", ""
	p.send(msg)
	in = <-got
	equal(t, "of the new address alone", []string{in.Data["token"], in.Data["token_hash"], in.Data["token_new"]}, []string{"654321", "newhash", ""})
	p.send(p.message(mail.MagicLink))
	in = <-got
	equal(t, "magic link", []string{in.Data["token"], in.Data["token_hash"], in.Data["email_action_type"]}, []string{"123456", "pkce_hash", "magiclink"})

	refuse = true
	var e *apierr.Error
	if err := p.m.SendMail(t.Context(), p.f.Project, p.message(mail.Reauthentication), nil); !errors.As(err, &e) || e.Status != 403 || e.Message != "not you" {
		t.Fatal(err)
	}
	var sent int
	if err := p.f.Owner.QueryRow(t.Context(), `SELECT count(reauthentication_sent_at) FROM auth.users`).Scan(&sent); err != nil || sent != 0 {
		t.Error(sent, err)
	}
	equal(t, "outbox", p.waiting(), 0)
}

// mailHook is an app that sends the mails itself.
type mailHook struct {
	refuse atomic.Bool
	// busy counts the connections in use while it was asked, and asked how often it was.
	busy, asked atomic.Int64
	last        atomic.Pointer[fields]
	// hold, when it is set, keeps the app from answering until it is closed.
	hold atomic.Pointer[chan struct{}]
}

// startHooked starts a module whose mails go by the app's hook over HTTP.
func startHooked(t *testing.T, cfg auth.Config) (*server, *mailHook) {
	t.Helper()
	h, s := &mailHook{}, (*server)(nil)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body fields
		_ = json.NewDecoder(r.Body).Decode(&body)
		h.asked.Add(1)
		h.busy.Add(int64(s.f.DB.Auth.Stat().AcquiredConns()))
		h.last.Store(&body)
		if hold := h.hold.Load(); hold != nil {
			<-*hold
		}
		w.Header().Set("Content-Type", "application/json")
		if h.refuse.Load() {
			_, _ = io.WriteString(w, `{"error":{"http_code":403,"message":"not you"}}`)
			return
		}
		_, _ = io.WriteString(w, `{}`)
	}))
	t.Cleanup(app.Close)
	cfg.Hooks.SendEmailEnabled, cfg.Hooks.SendEmailURI = true, app.URL
	s = start(t, cfg)
	return s, h
}

func (h *mailHook) told(member string) string {
	text, _ := (*h.last.Load())["email_data"].(fields)[member].(string)
	return text
}

// state is what must not change when the hook refuses.
func (s *server) state() (text string) {
	s.t.Helper()
	err := s.f.Owner.QueryRow(s.t.Context(), `SELECT concat(
		(SELECT jsonb_agg(to_jsonb(u) ORDER BY id) FROM auth.users u), (SELECT jsonb_agg(to_jsonb(o) ORDER BY id) FROM auth.one_time_tokens o),
		(SELECT jsonb_agg(to_jsonb(i) ORDER BY id) FROM auth.identities i), (SELECT count(*) FROM auth.flow_state), (SELECT count(*) FROM auth.audit_log_entries))`).Scan(&text)
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// Of what the hook refuses nothing stays, what it takes works, and it is never
// asked while a connection is held.
func TestMailHookHoldsNoConnection(t *testing.T) {
	t.Parallel()
	cfg := startHub(t).github(confirmConfig())
	cfg.Mail.Notifications = map[string]string{"password_changed_enabled": "true"}
	s, h := startHooked(t, cfg)
	ask := func(name, method, path, token string, body any) answer {
		t.Helper()
		h.refuse.Store(true)
		before := s.state()
		s.call(method, path, token, body).want(403, "unknown")
		equal(t, name+" leaves nothing", s.state(), before)
		h.refuse.Store(false)
		return s.call(method, path, token, body).want(200, "")
	}
	const email = "a@example.com"
	a := ask("signup", "POST", "/signup", "", fields{"email": email, "password": "secret1"})
	equal(t, "the user told", (*h.last.Load())["user"].(fields)["id"], a.str("id"))
	ask("resend", "POST", "/resend", "", fields{"type": "signup", "email": email})
	s.verifyCode("signup", email, h.told("token")).want(200, "")
	ask("recover", "POST", "/recover", "", fields{"email": email})
	in := s.verifyCode("recovery", email, h.told("token")).want(200, "").str("access_token")
	ask("reauthenticate", "GET", "/reauthenticate", in, nil)
	ask("change", "PUT", "/user", in, fields{"email": "b@example.com", "password": "secret2", "data": fields{"k": "v"}})
	equal(t, "told of the change too", h.told("email_action_type"), "password_changed_notification")
	s.signin(email, "secret2").want(200, "")
	ask("new by link", "POST", "/otp", "", fields{"email": "c@example.com"})
	s.verifyCode("email", "c@example.com", h.told("token")).want(200, "")
	ask("link", "POST", "/magiclink", "", fields{"email": "c@example.com"})
	s.verifyCode("magiclink", "c@example.com", h.told("token")).want(200, "")
	ask("invite", "POST", "/invite", s.service(), fields{"email": "d@example.com"})
	s.verifyCode("invite", "d@example.com", h.told("token")).want(200, "")

	h.refuse.Store(true)
	s.enter(hubUser{ID: 5, Login: "e", Email: "e@example.com"})
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users WHERE email = 'e@example.com'`), 0)
	h.refuse.Store(false)
	s.enter(hubUser{ID: 5, Login: "e", Email: "e@example.com"})
	id, _ := (*h.last.Load())["user"].(fields)["id"].(string)
	equal(t, "the one told", s.count(`SELECT count(*) FROM auth.users WHERE email = 'e@example.com' AND id = $1`, id), 1)
	s.verifyCode("signup", "e@example.com", h.told("token")).want(200, "")
	equal(t, "connections held", h.busy.Load(), 0)
}

// Of many requests at once one mail goes out, though no transaction keeps the others waiting.
func TestMailHookOnceAtATime(t *testing.T) {
	t.Parallel()
	cfg := confirmConfig()
	cfg.Mail.MaxFrequency = time.Minute
	s, h := startHooked(t, cfg)
	for name, body := range map[string]fields{"/signup": {"email": "a@example.com", "password": "secret1"}, "/recover": {"email": "b@example.com"}} {
		s.call("POST", "/admin/users", s.service(), fields{"email": "b@example.com", "email_confirm": true})
		hold := make(chan struct{})
		h.hold.Store(&hold)
		h.asked.Store(0)
		var ok, soon atomic.Int64
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				switch a := s.call("POST", name, "", body); a.status {
				case 200:
					ok.Add(1)
				case 429:
					soon.Add(1)
				default:
					t.Errorf("%s: %d %s", name, a.status, a.text)
				}
			})
		}
		until(t, "the others are refused", func() bool { return soon.Load() == 5 })
		close(hold)
		wg.Wait()
		equal(t, name, []int64{ok.Load(), h.asked.Load()}, []int64{1, 1})
	}
}

// The app's hook over HTTP gives every token its claims, of what it refuses nothing
// stays, and it is never asked while a connection is held.
func TestTokenHookHoldsNoConnection(t *testing.T) {
	t.Parallel()
	var s *server
	var refuse atomic.Bool
	var busy, asked atomic.Int64
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Claims fields }
		_ = json.NewDecoder(r.Body).Decode(&body)
		busy.Add(int64(s.f.DB.Auth.Stat().AcquiredConns()))
		body.Claims["told"] = asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		if refuse.Load() {
			_, _ = io.WriteString(w, `{"error":{"http_code":403,"message":"not you"}}`)
			return
		}
		_ = json.NewEncoder(w).Encode(fields{"claims": body.Claims})
	}))
	t.Cleanup(app.Close)
	cfg := startHub(t).github(config())
	cfg.AnonymousUsersEnabled, cfg.MFA = true, auth.MFAConfig{TOTPEnroll: true, TOTPVerify: true, MaxEnrolled: 10, MaxVerified: 10, ChallengeExpiry: 300, RateLimit: 100}
	cfg.Hooks.CustomAccessTokenEnabled, cfg.Hooks.CustomAccessTokenURI = true, app.URL
	s = start(t, cfg)
	ask := func(name, method, path, token string, body any) answer {
		t.Helper()
		refuse.Store(true)
		state := func() []any {
			return []any{s.state(), s.count(`SELECT count(*) FROM auth.sessions`), s.count(`SELECT count(*) FROM auth.refresh_tokens WHERE NOT revoked`)}
		}
		before := state()
		s.call(method, path, token, body).want(403, "unknown")
		equal(t, name+" leaves nothing", state(), before)
		refuse.Store(false)
		a := s.call(method, path, token, body).want(200, "")
		told := payload(t, a.str("access_token"))
		equal(t, name+" has the hook's claim", told["told"], asked.Load())
		equal(t, name+" ends with its token", told["exp"], a.at("expires_at"))
		s.call("GET", "/user", a.str("access_token"), nil).want(200, "")
		return a
	}
	a := ask("signup", "POST", "/signup", "", fields{"email": "a@example.com", "password": "secret1"})
	ask("anonymous", "POST", "/signup", "", fields{})
	ask("password", "POST", "/token?grant_type=password", "", fields{"email": "a@example.com", "password": "secret1"})
	a = ask("refresh", "POST", "/token?grant_type=refresh_token", "", fields{"refresh_token": a.str("refresh_token")})
	link := s.call("POST", "/admin/generate_link", s.service(), fields{"type": "magiclink", "email": "a@example.com"}).want(200, "")
	ask("code", "POST", "/verify", "", fields{"type": "magiclink", "email": "a@example.com", "token": link.str("email_otp")})
	factor := s.call("POST", "/factors", a.str("access_token"), fields{"factor_type": "totp"}).want(200, "")
	path := "/factors/" + factor.str("id")
	challenge := s.call("POST", path+"/challenge", a.str("access_token"), nil).want(200, "")
	code, err := totp.GenerateCode(factor.str("totp", "secret"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	raised := ask("factor", "POST", path+"/verify", a.str("access_token"), fields{"challenge_id": challenge.at("id"), "code": code})
	equal(t, "level", payload(t, raised.str("access_token"))["aal"], "aal2")

	s.enter(hubUser{ID: 5, Login: "e", Email: "e@example.com", Verified: true}).wantTokens(t)
	equal(t, "connections held", busy.Load(), 0)
}

// Two tabs that refresh at once both go on, though the hook is asked outside of their transactions.
func TestTokenHookOfTwoRefreshes(t *testing.T) {
	t.Parallel()
	h := receiver(t)
	cfg := config()
	cfg.Hooks.CustomAccessTokenEnabled, cfg.Hooks.CustomAccessTokenURI = true, h.url
	s := start(t, cfg)
	old := s.again(config()).signup("a@example.com", "secret1")
	told := payload(t, old.str("access_token"))
	text, err := json.Marshal(fields{"claims": told})
	if err != nil {
		t.Fatal(err)
	}
	h.set(string(text))
	var wg sync.WaitGroup
	next := make(chan string, 4)
	for range 4 {
		wg.Go(func() { next <- s.refresh(old.str("refresh_token")).want(200, "").str("refresh_token") })
	}
	wg.Wait()
	close(next)
	first := <-next
	for other := range next {
		equal(t, "the same token", other, first)
	}
	equal(t, "tokens", s.count(`SELECT count(*) FROM auth.refresh_tokens WHERE NOT revoked`), 1)
}

// echoingHook is an app's hook that gives tokens the claims that they have, and counts.
func echoingHook(t *testing.T) (url string, asked *atomic.Int64) {
	t.Helper()
	asked = &atomic.Int64{}
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Claims json.RawMessage `json:"claims"`
		}
		_ = json.NewDecoder(r.Body).Decode(&body)
		asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(body)
	}))
	t.Cleanup(app.Close)
	return app.URL, asked
}

// Where the app's trigger gives each new row another value, the token tells of the row that stays.
func TestTokenHookOfWhatEachRunMakesAnew(t *testing.T) {
	t.Parallel()
	url, asked := echoingHook(t)
	cfg := config()
	cfg.Hooks.CustomAccessTokenEnabled, cfg.Hooks.CustomAccessTokenURI = true, url
	s := start(t, cfg)
	s.f.Exec(t, `CREATE FUNCTION auth.tenant() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN NEW.raw_app_meta_data := NEW.raw_app_meta_data || jsonb_build_object('tenant', gen_random_uuid()); RETURN NEW; END $$`)
	s.f.Exec(t, `CREATE TRIGGER tenant BEFORE INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION auth.tenant()`)
	in := s.signup("a@example.com", "secret1")
	metadata, _ := payload(t, in.str("access_token"))["app_metadata"].(fields)
	equal(t, "the tenant told", s.count(`SELECT count(*) FROM auth.users WHERE raw_app_meta_data->>'tenant' = $1`, metadata["tenant"]), 1)
	equal(t, "asked", asked.Load(), 2)
	s.call("GET", "/user", in.str("access_token"), nil).want(200, "")
	s.signin("a@example.com", "secret1").want(200, "")
	equal(t, "asked of what stays", asked.Load(), 3)
}

// What counts against a limit does so once, however often its transaction runs.
func TestTokenHookCountsOnce(t *testing.T) {
	t.Parallel()
	url, _ := echoingHook(t)
	cfg := confirmConfig()
	cfg.Hooks.CustomAccessTokenEnabled, cfg.Hooks.CustomAccessTokenURI = true, url
	cfg.Flow.RateLimitCode = 1
	s := start(t, cfg, func(d *auth.Deps) { d.Limiter = ratelimit.NewMemory(100) })
	s.signup("a@example.com", "secret1")
	hash := s.hash("a@example.com", "confirmation_token") // as a link of Supabase Auth carries it
	s.call("POST", "/verify", "", fields{"type": "signup", "token_hash": hash}).want(200, "")
	s.call("POST", "/verify", "", fields{"type": "signup", "token_hash": hash}).want(403, "otp_expired")
}
