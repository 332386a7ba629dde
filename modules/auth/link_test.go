package auth_test

import (
	"net/url"
	"testing"

	"github.com/madbase/madbase/modules/auth"
)

// confirming are hub's settings where addresses must be confirmed by mail.
func confirming(h *hub) auth.Config {
	cfg := h.github(config())
	cfg.Autoconfirm = false
	return cfg
}

func (s *server) me(token string) answer {
	s.t.Helper()
	return s.call("GET", "/user", token, nil).want(200, "")
}

func TestVerifiedAddressLinks(t *testing.T) {
	t.Parallel()
	s := start(t, startHub(t).github(config()))
	id := s.signup("dora@example.com", "correct horse").str("user", "id")
	token := s.enter(hubUser{ID: 1, Login: "dora", Email: "DORA@example.com", Verified: true}).wantTokens(t)
	user := s.me(token)
	equal(t, "user", user.str("id"), id)
	equal(t, "providers", user.at("app_metadata", "providers"), []string{"email", "github"})
	equal(t, "provider", user.at("app_metadata", "provider"), "email")
	equal(t, "audit", s.count(`SELECT count(*) FROM auth.audit_log_entries WHERE payload->>'action' = 'identity_linked'`), 1)
	s.signin("dora@example.com", "correct horse").want(200, "")
}

// An address that the service does not vouch for never leads into the account of
// whoever has it, whether addresses are confirmed by mail or not.
func TestUnverifiedAddressNeverLinks(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]auth.Config{"autoconfirm": startHub(t).github(config()), "confirm": confirming(startHub(t))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, cfg)
			id := s.call("POST", "/admin/users", s.service(), map[string]any{"email": "eve@example.com", "password": "correct horse", "email_confirm": true}).str("id")
			for range 2 {
				s.enter(hubUser{ID: 2, Login: "mallory", Email: "eve@example.com"}).wantError(t, "access_denied", "provider_email_needs_verification")
			}
			equal(t, "identities of eve", s.count(`SELECT count(*) FROM auth.identities WHERE user_id = $1`, id), 1)
			equal(t, "users with the address", s.count(`SELECT count(*) FROM auth.users WHERE email = 'eve@example.com'`), 1)
			equal(t, "sessions", s.count(`SELECT count(*) FROM auth.sessions`), 0)
			s.signin("eve@example.com", "correct horse").want(200, "")
		})
	}
}

// A verified address beside an unverified one of somebody else's opens no door to them.
func TestSecondAddressDoesNotVouchForTheFirst(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]auth.Config{"autoconfirm": startHub(t).github(config()), "confirm": confirming(startHub(t))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, cfg)
			s.call("POST", "/admin/users", s.service(), map[string]any{"email": "victim@example.com", "email_confirm": true}).want(200, "")
			s.enter(hubUser{ID: 20, Login: "m", Email: "victim@example.com", Second: "mine@example.com"}).
				wantError(t, "access_denied", "provider_email_needs_verification")
			equal(t, "identities of the victim", s.count(`SELECT count(*) FROM auth.identities i JOIN auth.users u ON u.id = i.user_id
				WHERE u.email = 'victim@example.com' AND i.provider = 'github'`), 0)
			equal(t, "sessions", s.count(`SELECT count(*) FROM auth.sessions`), 0)
		})
	}
}

// Whoever writes another's address into their profile at a service, which does not
// vouch for it, gets nothing of that other's when they come.
func TestUncheckedAddressIsNoTrap(t *testing.T) {
	t.Parallel()
	s := start(t, startHub(t).github(config()))
	mallory := s.me(s.enter(hubUser{ID: 30, Login: "mallory", Email: "mallory@example.com", Verified: true}).wantTokens(t)).str("id")
	s.enter(hubUser{ID: 30, Login: "mallory", Email: "victim@example.com"}).wantTokens(t)
	victim := s.me(s.enter(hubUser{ID: 31, Login: "victim", Email: "victim@example.com", Verified: true}).wantTokens(t))
	if victim.str("id") == mallory || victim.str("email") != "victim@example.com" {
		t.Errorf("the victim is in the trap: %s", victim.text)
	}
}

// Another address that a service vouches for does not confirm the one of the account.
func TestVerifiedElsewhereConfirmsNothing(t *testing.T) {
	t.Parallel()
	s := start(t, confirming(startHub(t)))
	s.enter(hubUser{ID: 3, Login: "m", Email: "victim@example.com"}).wantError(t, "access_denied", "provider_email_needs_verification")
	if l := s.enter(hubUser{ID: 3, Login: "m", Email: "mine@example.com", Verified: true}); l.fragment.Get("access_token") != "" {
		t.Error("let in")
	}
	equal(t, "confirmed", s.count(`SELECT count(*) FROM auth.users WHERE email = 'victim@example.com' AND email_confirmed_at IS NOT NULL`), 0)
	s.enter(hubUser{ID: 3, Login: "m", Email: "victim@example.com", Verified: true}).wantTokens(t)
}

// Whoever has made an account with an address of somebody else's, and waits for
// them to come, keeps nothing of it.
func TestOwnerTakesOverUnconfirmedAccount(t *testing.T) {
	t.Parallel()
	s := start(t, confirming(startHub(t)))
	s.call("POST", "/signup", "", map[string]any{"email": "owner@example.com", "password": "squatter's", "data": map[string]any{"planted": true}}).want(200, "")
	user := s.me(s.enter(hubUser{ID: 4, Login: "owner", Email: "owner@example.com", Verified: true}).wantTokens(t))
	equal(t, "providers", user.at("app_metadata", "providers"), []string{"github"})
	equal(t, "planted", user.at("user_metadata", "planted"), nil)
	s.signin("owner@example.com", "squatter's").want(400, "invalid_credentials")
	equal(t, "accounts", s.count(`SELECT count(*) FROM auth.users`), 1)
}

func TestLinkingDomainsStayApart(t *testing.T) {
	t.Parallel()
	cfg := startHub(t).github(config())
	cfg.External.LinkingDomains = map[string]string{"github": "social"}
	s := start(t, cfg)
	id := s.signup("fay@example.com", "correct horse").str("user", "id")
	user := s.me(s.enter(hubUser{ID: 5, Login: "fay", Email: "fay@example.com", Verified: true}).wantTokens(t))
	if user.str("id") == id {
		t.Error("linked across domains")
	}
	equal(t, "apart", s.count(`SELECT count(*) FROM auth.users WHERE email = 'fay@example.com' AND is_sso_user`), 1)
}

func TestNobodyNewWhereSignupIsOff(t *testing.T) {
	t.Parallel()
	cfg := startHub(t).github(config())
	cfg.DisableSignup = true
	s := start(t, cfg)
	s.enter(hubUser{ID: 6, Login: "g", Email: "g@example.com", Verified: true}).wantError(t, "access_denied", "signup_disabled")
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users`), 0)
}

func TestBannedStaysOut(t *testing.T) {
	t.Parallel()
	s := start(t, startHub(t).github(config()))
	who := hubUser{ID: 6, Login: "g", Email: "g@example.com", Verified: true}
	s.enter(who).wantTokens(t)
	s.f.Exec(t, `UPDATE auth.users SET banned_until = now() + interval '1 hour'`)
	s.enter(who).wantError(t, "access_denied", "user_banned")
}

func TestServiceWithoutAddress(t *testing.T) {
	t.Parallel()
	cfg := startHub(t).github(config())
	s := start(t, cfg)
	s.enter(hubUser{ID: 7, Login: "h"}).wantError(t, "server_error", "unexpected_failure")
	cfg.External.GitHub.EmailOptional = true
	s = start(t, cfg)
	user := s.me(s.enter(hubUser{ID: 7, Login: "h"}).wantTokens(t))
	equal(t, "email", user.str("email"), "")
}

// What a service says of a person's rights is not kept anywhere.
func TestServiceGivesNoRights(t *testing.T) {
	t.Parallel()
	s := start(t, startHub(t).github(config()))
	token := s.enter(hubUser{ID: 8, Login: "i", Email: "i@example.com", Verified: true}).wantTokens(t)
	user := s.me(token)
	equal(t, "role", user.str("role"), "authenticated")
	equal(t, "aud", user.str("aud"), "authenticated")
	equal(t, "app_metadata", user.at("app_metadata"), map[string]any{"provider": "github", "providers": []string{"github"}})
	equal(t, "claim", payload(t, token)["role"], "authenticated")
	if n := s.count(`SELECT count(*) FROM auth.users WHERE is_super_admin`); n > 0 {
		t.Error("a super admin")
	}
	for _, name := range []string{"role", "app_metadata", "is_super_admin"} {
		if user.at("user_metadata", name) != nil {
			t.Errorf("%s is in the metadata", name)
		}
	}
}

func TestLinkAndUnlinkByHand(t *testing.T) {
	t.Parallel()
	cfg := startHub(t).github(config())
	s := start(t, cfg)
	off := s.signup("j@example.com", "correct horse").str("access_token")
	s.call("GET", "/user/identities/authorize?provider=github", off, nil).want(404, "manual_linking_disabled")

	cfg.External.ManualLinking = true
	s = start(t, cfg)
	token := s.signup("j@example.com", "correct horse").str("access_token")
	link := func(token string, p hubUser) landing {
		a := s.call("GET", "/user/identities/authorize?provider=github&skip_http_redirect=true", token, nil).want(200, "")
		to, err := url.Parse(a.str("url"))
		if err != nil {
			t.Fatal(err)
		}
		return s.comeBack("state=" + to.Query().Get("state") + "&code=" + p.code())
	}
	s.call("GET", "/user/identities/authorize?provider=github", "", nil).want(401, "no_authorization")
	other := hubUser{ID: 9, Login: "j", Email: "other@example.com", Verified: true}
	link(token, other).wantTokens(t)
	user := s.me(token)
	equal(t, "email", user.str("email"), "j@example.com")
	equal(t, "identities", len(user.at("identities").([]any)), 2)
	link(token, other).wantError(t, "server_error", "identity_already_exists")

	stranger := s.signup("k@example.com", "correct horse").str("access_token")
	link(stranger, other).wantError(t, "server_error", "identity_already_exists")

	own, github := user.str("identities", "0", "identity_id"), user.str("identities", "1", "identity_id")
	s.call("DELETE", "/user/identities/x", token, nil).want(404, "validation_failed")
	s.call("DELETE", "/user/identities/"+github, stranger, nil).want(422, "single_identity_not_deletable")
	link(stranger, hubUser{ID: 10, Login: "k", Email: "k2@example.com", Verified: true}).wantTokens(t)
	s.call("DELETE", "/user/identities/"+github, stranger, nil).want(422, "identity_not_found")
	s.call("DELETE", "/user/identities/"+own, token, nil).want(200, "")
	user = s.me(token)
	equal(t, "the other address", user.str("email"), "other@example.com")
	equal(t, "providers", user.at("app_metadata", "providers"), []string{"github"})
	s.call("DELETE", "/user/identities/"+github, token, nil).want(422, "single_identity_not_deletable")
}

// Two who remove the last two identities at once leave one.
func TestOneIdentityStays(t *testing.T) {
	t.Parallel()
	cfg := startHub(t).github(config())
	cfg.External.ManualLinking = true
	s := start(t, cfg)
	token := s.signup("l@example.com", "correct horse").str("access_token")
	s.enter(hubUser{ID: 11, Login: "l", Email: "l@example.com", Verified: true}).wantTokens(t)
	user, done := s.me(token), make(chan int)
	for _, i := range []string{"0", "1"} {
		go func() {
			done <- s.call("DELETE", "/user/identities/"+user.str("identities", i, "identity_id"), token, nil).status
		}()
	}
	equal(t, "statuses", <-done+<-done, 200+422)
	equal(t, "left", s.count(`SELECT count(*) FROM auth.identities`), 1)
}

func TestAnonymousUserBecomesPermanentByLinking(t *testing.T) {
	t.Parallel()
	cfg := startHub(t).github(config())
	cfg.External.ManualLinking, cfg.AnonymousUsersEnabled = true, true
	s := start(t, cfg)
	anonymous := s.call("POST", "/signup", "", map[string]any{}).want(200, "")
	a := s.call("GET", "/user/identities/authorize?provider=github", anonymous.str("access_token"), nil)
	to, _ := url.Parse(a.header.Get("Location"))
	l := s.comeBack("state=" + to.Query().Get("state") + "&code=" + hubUser{ID: 12, Login: "m", Email: "m@example.com", Verified: true}.code())
	user := s.me(l.wantTokens(t))
	equal(t, "id", user.str("id"), anonymous.str("user", "id"))
	equal(t, "anonymous", user.at("is_anonymous"), false)
	equal(t, "email", user.str("email"), "m@example.com")
	if user.at("email_confirmed_at") == nil {
		t.Error("not confirmed")
	}
}

func TestInvitedComesByService(t *testing.T) {
	t.Parallel()
	s := start(t, confirming(startHub(t)))
	s.call("POST", "/invite", s.service(), map[string]any{"email": "n@example.com"}).want(200, "")
	var token string
	if err := s.f.Owner.QueryRow(t.Context(), `SELECT token_hash FROM auth.one_time_tokens`).Scan(&token); err != nil {
		t.Fatal(err)
	}
	state := s.begin("&invite_token=" + token)
	s.comeBack("state="+state+"&code="+hubUser{ID: 13, Login: "o", Email: "o@example.com", Verified: true}.code()).
		wantError(t, "invalid_request", "validation_failed")
	state = s.begin("&invite_token=" + token)
	again := s.begin("&invite_token=" + token)
	user := s.me(s.comeBack("state=" + state + "&code=" + hubUser{ID: 14, Login: "n", Email: "n@example.com"}.code()).wantTokens(t))
	equal(t, "email", user.str("email"), "n@example.com")
	equal(t, "providers", user.at("app_metadata", "providers"), []string{"github"})
	s.comeBack("state="+again+"&code="+hubUser{ID: 15, Login: "p", Email: "n@example.com"}.code()).wantError(t, "server_error", "invite_not_found")
}
