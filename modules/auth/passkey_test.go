package auth_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	vw "github.com/descope/virtualwebauthn"

	"github.com/madbase/madbase/modules/auth"
	"github.com/madbase/madbase/platform/ratelimit"
)

func passkeyConfig() auth.Config {
	cfg := mfaConfig()
	cfg.MFA.WebAuthnEnroll, cfg.MFA.WebAuthnVerify = true, true
	cfg.WebAuthn = auth.WebAuthnConfig{
		RPID: "app.example.com", RPDisplayName: "App", RPOrigins: []string{"https://app.example.com"}, ChallengeExpiry: 5 * time.Minute,
		PasskeysEnabled: true, MaxPasskeys: 2, RateLimit: 30,
	}
	return cfg
}

// securityKey is a security key with one credential, in a browser on a site.
type securityKey struct {
	t    *testing.T
	site vw.RelyingParty
	auth vw.Authenticator
	cred vw.Credential
}

func newSecurityKey(t *testing.T, userID string) *securityKey {
	const whole = 77 // bytes of a public key; the library leaves out zeros that a coordinate begins with
	cred := vw.NewCredential(vw.KeyTypeEC2)
	for len(cred.Key.AttestationData()) < whole {
		cred = vw.NewCredential(vw.KeyTypeEC2)
	}
	return &securityKey{
		t: t, site: vw.RelyingParty{ID: "app.example.com", Name: "App", Origin: "https://app.example.com"},
		auth: vw.NewAuthenticatorWithOptions(vw.AuthenticatorOptions{UserHandle: []byte(userID)}), cred: cred,
	}
}

// create answers navigator.credentials.create.
func (k *securityKey) create(options any) json.RawMessage {
	k.t.Helper()
	text, _ := json.Marshal(options)
	parsed, err := vw.ParseAttestationOptions(string(text))
	if err != nil {
		k.t.Fatal(err)
	}
	return json.RawMessage(vw.CreateAttestationResponse(k.site, k.auth, k.cred, *parsed))
}

// get answers navigator.credentials.get, and counts the signature.
func (k *securityKey) get(options any) json.RawMessage {
	k.t.Helper()
	text, _ := json.Marshal(options)
	parsed, err := vw.ParseAssertionOptions(string(text))
	if err != nil {
		k.t.Fatal(err)
	}
	k.cred.Counter++
	return json.RawMessage(vw.CreateAssertionResponse(k.site, k.auth, k.cred, *parsed))
}

func (s *server) beginPasskey(token string) answer {
	s.t.Helper()
	return s.call("POST", "/passkeys/registration/options", token, map[string]any{}).want(200, "")
}

func (s *server) endPasskey(token string, begun answer, credential any) answer {
	s.t.Helper()
	return s.call("POST", "/passkeys/registration/verify", token, map[string]any{"challenge_id": begun.str("challenge_id"), "credential": credential})
}

// passkey gives a new user a passkey.
func (s *server) passkey(email string) (*securityKey, answer) {
	s.t.Helper()
	user := s.signup(email, "secret1")
	k := newSecurityKey(s.t, user.str("user", "id"))
	begun := s.beginPasskey(user.str("access_token"))
	s.endPasskey(user.str("access_token"), begun, k.create(begun.at("options"))).want(200, "")
	return k, user
}

func (s *server) login(k *securityKey) answer {
	s.t.Helper()
	begun := s.call("POST", "/passkeys/authentication/options", "", map[string]any{}).want(200, "")
	return s.loginWith(begun, k.get(begun.at("options")))
}

func (s *server) loginWith(begun answer, credential any) answer {
	s.t.Helper()
	return s.call("POST", "/passkeys/authentication/verify", "", map[string]any{"challenge_id": begun.str("challenge_id"), "credential": credential})
}

func TestPasskeyLife(t *testing.T) {
	t.Parallel()
	s := start(t, passkeyConfig())
	equal(t, "settings", s.call("GET", "/settings", "", nil).at("passkeys_enabled"), true)
	user := s.signup("a@example.com", "secret1")
	token, k := user.str("access_token"), newSecurityKey(t, user.str("user", "id"))
	k.auth.Aaguid = [16]byte{0xea, 0x9b, 0x8d, 0x66, 0x4d, 0x01, 0x1d, 0x21, 0x3c, 0xe4, 0xb6, 0xb4, 0x8c, 0xb5, 0x75, 0xd4}
	k.auth.Options.BackupEligible = true
	equal(t, "none", s.call("GET", "/passkeys", token, nil).want(200, "").text, "[]")
	begun := s.beginPasskey(token)
	equal(t, "options", []any{begun.at("options", "rp", "id"), begun.at("options", "authenticatorSelection", "residentKey"), begun.at("options", "attestation"), begun.at("options", "user", "name")},
		[]any{"app.example.com", "required", "none", "a@example.com"})
	made := s.endPasskey(token, begun, k.create(begun.at("options"))).want(200, "")
	equal(t, "name", made.str("friendly_name"), "Google Password Manager")

	k.auth.Options.BackupState = true
	in := s.login(k).want(200, "")
	claims := payload(t, in.str("access_token"))
	equal(t, "claims", []any{claims["sub"], claims["aal"], claims["amr"].([]any)[0].(map[string]any)["method"]}, []any{user.str("user", "id"), "aal1", "passkey"})
	equal(t, "row", s.count("SELECT sign_count FROM auth.webauthn_credentials WHERE backed_up AND last_used_at IS NOT NULL"), 1)
	equal(t, "challenges", s.count("SELECT count(*) FROM auth.webauthn_challenges"), 0)

	path := "/passkeys/" + made.str("id")
	equal(t, "renamed", s.call("PATCH", path, token, map[string]any{"friendly_name": "mine"}).want(200, "").str("friendly_name"), "mine")
	s.call("PATCH", path, token, map[string]any{}).want(400, "validation_failed")
	s.call("PATCH", path, token, map[string]any{"friendly_name": strings.Repeat("n", 121)}).want(400, "validation_failed")
	stranger := s.signup("b@example.com", "secret1").str("access_token")
	s.call("PATCH", path, stranger, map[string]any{"friendly_name": "yours"}).want(404, "validation_failed")
	s.call("DELETE", path, stranger, nil).want(404, "validation_failed")
	s.call("DELETE", "/passkeys/x", token, nil).want(404, "validation_failed")
	admin := "/admin/users/" + user.str("user", "id") + "/passkeys"
	if list := s.call("GET", admin, s.service(), nil).want(200, ""); !strings.Contains(list.text, `"mine"`) {
		t.Error(list.text)
	}
	s.call("GET", admin, token, nil).want(403, "not_admin")
	s.call("DELETE", admin+"/"+made.str("id"), s.service(), nil).want(204, "")
	s.call("DELETE", path, token, nil).want(404, "validation_failed")
	s.login(k).want(400, "webauthn_verification_failed")
}

func TestPasskeyRules(t *testing.T) {
	t.Parallel()
	cfg := passkeyConfig()
	cfg.AnonymousUsersEnabled = true
	s := start(t, cfg)
	first, user := s.passkey("a@example.com")
	token := user.str("access_token")
	begun := s.beginPasskey(token)
	if list := begun.at("options", "excludeCredentials"); len(list.([]any)) != 1 {
		t.Errorf("exclusions: %v", list)
	}
	s.endPasskey(token, begun, first.create(begun.at("options"))).want(422, "webauthn_credential_exists")
	stranger := s.signup("b@example.com", "secret1").str("access_token")
	begun = s.beginPasskey(stranger)
	s.endPasskey(stranger, begun, first.create(begun.at("options"))).want(422, "webauthn_credential_exists")
	begun = s.beginPasskey(token)
	answer := newSecurityKey(t, "").create(begun.at("options"))
	s.endPasskey(stranger, begun, answer).want(400, "webauthn_challenge_not_found") // another user's
	s.endPasskey(token, begun, answer).want(200, "")
	s.endPasskey(token, begun, answer).want(400, "webauthn_challenge_not_found") // used
	s.call("POST", "/passkeys/registration/options", token, nil).want(422, "too_many_passkeys")

	anonymous := s.call("POST", "/signup", "", map[string]any{}).want(200, "").str("access_token")
	s.call("POST", "/passkeys/registration/options", anonymous, nil).want(403, "no_authorization")
	s.call("POST", "/passkeys/registration/options", "", nil).want(401, "no_authorization")
	s.call("POST", "/passkeys/registration/verify", stranger, map[string]any{}).want(400, "validation_failed")
	s.call("POST", "/passkeys/registration/verify", stranger, map[string]any{"challenge_id": "x", "credential": 1}).want(400, "validation_failed")
	begun = s.beginPasskey(stranger)
	s.endPasskey(stranger, begun, map[string]any{"id": "x"}).want(400, "webauthn_verification_failed")
	begun = s.beginPasskey(stranger)
	s.endPasskey(stranger, begun, strings.Repeat("x", 70_000)).want(400, "webauthn_verification_failed")
	s.endPasskey(stranger, begun, strings.Repeat("x", 1<<20)).want(413, "request_entity_too_large")
	begun = s.beginPasskey(stranger)
	s.f.Exec(t, "UPDATE auth.webauthn_challenges SET expires_at = now() - interval '1 second'")
	s.endPasskey(stranger, begun, newSecurityKey(t, "").create(begun.at("options"))).want(400, "webauthn_challenge_expired")
	s.f.Exec(t, "UPDATE auth.users SET is_sso_user = true WHERE email = 'b@example.com'")
	s.call("POST", "/passkeys/registration/options", stranger, nil).want(422, "validation_failed")
}

func TestPasskeyNeedsAAL2(t *testing.T) {
	t.Parallel()
	s := start(t, passkeyConfig())
	_, raised := s.twoFactors("a@example.com")
	low := s.signin("a@example.com", "secret1").str("access_token")
	s.call("POST", "/passkeys/registration/options", low, nil).want(403, "insufficient_aal")
	high := raised.str("access_token")
	k := newSecurityKey(t, raised.str("user", "id"))
	begun := s.beginPasskey(high)
	answer := k.create(begun.at("options"))
	s.endPasskey(low, begun, answer).want(403, "insufficient_aal")
	made := s.endPasskey(high, begun, answer).want(200, "")
	s.call("DELETE", "/passkeys/"+made.str("id"), low, nil).want(403, "insufficient_aal")
	in := s.login(k).want(200, "") // a passkey is one factor
	equal(t, "aal", payload(t, in.str("access_token"))["aal"], "aal1")
	s.call("DELETE", "/passkeys/"+made.str("id"), high, nil).want(204, "")
}

// What a browser on another site, a copied key or a tampering man in the middle says lets no one in.
func TestPasskeyForgeries(t *testing.T) {
	t.Parallel()
	s := start(t, passkeyConfig())
	k, user := s.passkey("a@example.com")
	_, other := s.passkey("b@example.com")
	s.login(k).want(200, "")
	for name, change := range map[string]func(*securityKey){
		"origin":        func(k *securityKey) { k.site.Origin = "https://app.example.com.evil.example" },
		"plain origin":  func(k *securityKey) { k.site.Origin = "http://app.example.com" },
		"relying party": func(k *securityKey) { k.site.ID = "evil.example" },
		"absent user":   func(k *securityKey) { k.auth.Options.UserNotPresent = true },
		"another's id":  func(k *securityKey) { k.auth.Options.UserHandle = []byte(other.str("user", "id")) },
		"no id":         func(k *securityKey) { k.auth.Options.UserHandle = nil },
		"unknown id":    func(k *securityKey) { k.auth.Options.UserHandle = []byte("00000000-0000-4000-8000-000000000001") },
		"another key":   func(k *securityKey) { id := k.cred.ID; k.cred = vw.NewCredential(vw.KeyTypeEC2); k.cred.ID = id },
		"copied":        func(k *securityKey) { k.cred.Counter = 0 },
		"backup flag":   func(k *securityKey) { k.auth.Options.BackupEligible = true },
	} {
		forged := *k
		forged.cred.Counter += 10
		change(&forged)
		if a := s.login(&forged); a.status != 400 || a.str("error_code") != "webauthn_verification_failed" || a.str("msg") != "Credential verification failed" {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
	begun := s.call("POST", "/passkeys/authentication/options", "", nil).want(200, "")
	answer := k.get(begun.at("options"))
	later := s.call("POST", "/passkeys/authentication/options", "", nil).want(200, "")
	s.loginWith(later, answer).want(400, "webauthn_verification_failed") // to another challenge
	s.loginWith(begun, answer).want(200, "")
	s.loginWith(begun, answer).want(400, "webauthn_challenge_not_found")
	registration := s.beginPasskey(user.str("access_token"))
	s.loginWith(registration, k.get(map[string]any{"challenge": registration.at("options", "challenge")})).want(400, "webauthn_challenge_not_found")

	s.f.Exec(t, "UPDATE auth.users SET banned_until = now() + interval '1 day' WHERE email = 'a@example.com'")
	s.login(k).want(403, "user_banned")
	s.f.Exec(t, "UPDATE auth.users SET banned_until = NULL, email_confirmed_at = NULL WHERE email = 'a@example.com'")
	s.login(k).want(403, "email_not_confirmed")
}

// One answer, sent many times at once, makes one session.
func TestPasskeyAnswerCountsOnce(t *testing.T) {
	t.Parallel()
	s := start(t, passkeyConfig())
	k, _ := s.passkey("a@example.com")
	begun := s.call("POST", "/passkeys/authentication/options", "", nil).want(200, "")
	answer := k.get(begun.at("options"))
	var wait sync.WaitGroup
	for range 6 {
		wait.Go(func() { s.loginWith(begun, answer) })
	}
	wait.Wait()
	equal(t, "sessions", s.count("SELECT count(*) FROM auth.sessions"), 2)
}

func TestPasskeysDisabled(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	token := s.signup("a@example.com", "secret1").str("access_token")
	for _, route := range []string{
		"POST /passkeys/authentication/options", "POST /passkeys/authentication/verify", "POST /passkeys/registration/options",
		"POST /passkeys/registration/verify", "GET /passkeys", "PATCH /passkeys/x", "DELETE /passkeys/x",
	} {
		method, path, _ := strings.Cut(route, " ")
		s.call(method, path, token, nil).want(404, "passkey_disabled")
	}
}

func TestPasskeyRateLimit(t *testing.T) {
	t.Parallel()
	s := start(t, passkeyConfig(), func(d *auth.Deps) {
		d.Limiter = limiter{ratelimit.NewMemory(100)}
		d.ClientIP = func(*http.Request) string { return "192.0.2.1" }
	})
	for _, want := range []int{200, 200, 200, 429} {
		equal(t, "status", s.call("POST", "/passkeys/authentication/options", "", nil).status, want)
	}
}

func TestWebAuthnSettingsNameTheirFaults(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.WebAuthn = auth.WebAuthnConfig{PasskeysEnabled: true, MaxPasskeys: -1, ChallengeExpiry: -1, RateLimit: -1}
	cfg.MFA = auth.MFAConfig{MaxEnrolled: -1, MaxVerified: -1, RateLimit: -1, PhoneTemplate: "{{"}
	err := fmt.Sprint(cfg.Validate())
	for _, name := range []string{
		"GOTRUE_WEBAUTHN_RP_ID", "GOTRUE_WEBAUTHN_RP_DISPLAY_NAME", "GOTRUE_WEBAUTHN_RP_ORIGINS", "GOTRUE_PASSKEY_MAX_PASSKEYS_PER_USER",
		"GOTRUE_WEBAUTHN_CHALLENGE_EXPIRY_DURATION", "GOTRUE_RATE_LIMIT_PASSKEY", "GOTRUE_MFA_MAX_ENROLLED_FACTORS", "GOTRUE_MFA_MAX_VERIFIED_FACTORS",
		"GOTRUE_MFA_RATE_LIMIT_CHALLENGE_AND_VERIFY", "GOTRUE_MFA_PHONE_TEMPLATE",
	} {
		if !strings.Contains(err, name) {
			t.Errorf("%s is not named: %s", name, err)
		}
	}
	cfg = passkeyConfig()
	cfg.WebAuthn.RPID = "https://app.example.com"
	if err := fmt.Sprint(cfg.Validate()); !strings.Contains(err, "GOTRUE_WEBAUTHN_RP_ID") {
		t.Error(err)
	}
}
