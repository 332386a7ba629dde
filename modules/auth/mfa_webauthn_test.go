package auth_test

import (
	"strings"
	"testing"

	vw "github.com/descope/virtualwebauthn"
)

// factorChallenge asks for a WebAuthn challenge as auth-js does.
func (s *server) factorChallenge(token, factorID string) answer {
	s.t.Helper()
	return s.call("POST", "/factors/"+factorID+"/challenge", token, map[string]any{
		"factorId": factorID, "webauthn": map[string]any{"rpId": "evil.example", "rpOrigins": []string{"https://evil.example"}},
	}).want(200, "")
}

func (s *server) factorVerify(token, factorID string, begun answer, ceremony string, credential any) answer {
	s.t.Helper()
	return s.call("POST", "/factors/"+factorID+"/verify", token, map[string]any{
		"challenge_id": begun.str("id"), "webauthn": map[string]any{"type": ceremony, "credential_response": credential},
	})
}

func (s *server) enrollKey(token, name string) string {
	s.t.Helper()
	return s.call("POST", "/factors", token, map[string]any{"factor_type": "webauthn", "friendly_name": name}).want(200, "").str("id")
}

// withKey makes a user with a verified key, and returns the AAL2 session.
func (s *server) withKey(email string) (*securityKey, string, answer) {
	s.t.Helper()
	user := s.signup(email, "secret1")
	token, k := user.str("access_token"), newSecurityKey(s.t, user.str("user", "id"))
	id := s.enrollKey(token, "key")
	begun := s.factorChallenge(token, id)
	return k, id, s.factorVerify(token, id, begun, "create", k.create(begun.at("webauthn", "credential_options"))).want(200, "")
}

func TestWebAuthnFactorLife(t *testing.T) {
	t.Parallel()
	s := start(t, passkeyConfig())
	user := s.signup("a@example.com", "secret1")
	token, k := user.str("access_token"), newSecurityKey(t, user.str("user", "id"))
	enrolled := s.call("POST", "/factors", token, map[string]any{"factor_type": "webauthn", "friendly_name": "key"}).want(200, "")
	equal(t, "enrolled", []any{len(enrolled.body), enrolled.str("type"), enrolled.str("friendly_name")}, []any{3, "webauthn", "key"})
	id := enrolled.str("id")
	begun := s.factorChallenge(token, id)
	equal(t, "challenge", []any{begun.str("type"), begun.str("webauthn", "type"), begun.at("webauthn", "credential_options", "publicKey", "rp", "id"), begun.at("expires_at") != nil},
		[]any{"webauthn", "create", "app.example.com", true})
	raised := s.factorVerify(token, id, begun, "create", k.create(begun.at("webauthn", "credential_options"))).want(200, "")
	claims := payload(t, raised.str("access_token"))
	equal(t, "aal", claims["aal"], "aal2")
	factor := raised.at("user", "factors", "0").(map[string]any)
	equal(t, "factor", []any{factor["status"], factor["web_authn_aaguid"] != nil, factor["last_webauthn_challenge_data"].(map[string]any)["type"]}, []any{"verified", true, "create"})
	equal(t, "challenges", s.count("SELECT count(*) FROM auth.mfa_challenges"), 0)

	low := s.signin("a@example.com", "secret1").str("access_token")
	begun = s.factorChallenge(low, id)
	options := begun.at("webauthn", "credential_options")
	equal(t, "request", []any{begun.str("webauthn", "type"), len(begun.at("webauthn", "credential_options", "publicKey", "allowCredentials").([]any))}, []any{"request", 1})
	answer := k.get(options)
	raised = s.factorVerify(low, id, begun, "request", answer).want(200, "")
	equal(t, "aal", payload(t, raised.str("access_token"))["aal"], "aal2")
	s.factorVerify(raised.str("access_token"), id, begun, "request", answer).want(422, "mfa_factor_not_found") // used
	equal(t, "count", s.count("SELECT (web_authn_credential->'authenticator'->>'signCount')::int FROM auth.mfa_factors"), 1)
}

// A second key of the user's proves that key, whichever factor was asked.
func TestWebAuthnFactorsOfOneUser(t *testing.T) {
	t.Parallel()
	s := start(t, passkeyConfig())
	first, firstID, raised := s.withKey("a@example.com")
	token, second := raised.str("access_token"), newSecurityKey(t, raised.str("user", "id"))
	id := s.enrollKey(token, "second")
	begun := s.factorChallenge(token, id)
	if list := begun.at("webauthn", "credential_options", "publicKey", "excludeCredentials"); len(list.([]any)) != 1 {
		t.Errorf("exclusions: %v", list)
	}
	s.factorVerify(token, id, begun, "create", first.create(begun.at("webauthn", "credential_options"))).want(422, "webauthn_credential_exists")
	begun = s.factorChallenge(token, id)
	s.factorVerify(token, id, begun, "create", second.create(begun.at("webauthn", "credential_options"))).want(200, "")
	low := s.signin("a@example.com", "secret1").str("access_token")
	begun = s.factorChallenge(low, firstID)
	s.factorVerify(low, firstID, begun, "request", second.get(begun.at("webauthn", "credential_options"))).want(200, "")
	equal(t, "count", s.count("SELECT (web_authn_credential->'authenticator'->>'signCount')::int FROM auth.mfa_factors WHERE id = $1", id), 1)
	equal(t, "session", s.count("SELECT count(*) FROM auth.sessions WHERE factor_id = $1", id), 2)
}

func TestWebAuthnFactorForgeries(t *testing.T) {
	t.Parallel()
	cfg := passkeyConfig()
	cfg.MFA.RateLimit = 0
	s := start(t, cfg)
	k, id, _ := s.withKey("a@example.com")
	low := s.signin("a@example.com", "secret1").str("access_token")
	for name, change := range map[string]func(*securityKey){
		"origin":        func(k *securityKey) { k.site.Origin = "https://evil.example" },
		"relying party": func(k *securityKey) { k.site.ID = "evil.example" },
		"absent user":   func(k *securityKey) { k.auth.Options.UserNotPresent = true },
		"another's id":  func(k *securityKey) { k.auth.Options.UserHandle = []byte("00000000-0000-4000-8000-000000000001") },
		"another key":   func(k *securityKey) { id := k.cred.ID; k.cred = vw.NewCredential(vw.KeyTypeEC2); k.cred.ID = id },
		"own key":       func(k *securityKey) { k.cred = vw.NewCredential(vw.KeyTypeEC2) },
	} {
		forged := *k
		forged.cred.Counter += 10
		change(&forged)
		begun := s.factorChallenge(low, id)
		a := s.factorVerify(low, id, begun, "request", forged.get(begun.at("webauthn", "credential_options")))
		if a.status != 422 || a.str("error_code") != "mfa_verification_failed" {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
	// A key made for the occasion does not pass for the factor's, nor does a proof for a new one.
	begun := s.factorChallenge(low, id)
	fresh := newSecurityKey(t, string(k.auth.Options.UserHandle))
	made := fresh.create(map[string]any{"challenge": begun.at("webauthn", "credential_options", "publicKey", "challenge"), "user": map[string]any{"id": "eA"}})
	s.factorVerify(low, id, begun, "create", made).want(400, "validation_failed")
	s.factorVerify(low, id, begun, "request", made).want(400, "validation_failed")
	s.factorVerify(low, id, begun, "", made).want(400, "validation_failed")
	s.call("POST", "/factors/"+id+"/verify", low, map[string]any{"challenge_id": begun.str("id")}).want(400, "validation_failed")
	s.factorVerify(low, id, begun, "request", strings.Repeat("x", 70_000)).want(400, "validation_failed")

	// Another user's challenge and key.
	theirs, theirID, _ := s.withKey("b@example.com")
	stranger := s.signin("b@example.com", "secret1").str("access_token")
	foreign := s.factorChallenge(stranger, theirID)
	s.factorVerify(low, id, foreign, "request", k.get(foreign.at("webauthn", "credential_options"))).want(422, "mfa_factor_not_found")
	s.factorVerify(low, id, begun, "request", theirs.get(begun.at("webauthn", "credential_options"))).want(422, "mfa_verification_failed")

	// A copy of the key that has signed less often than the key.
	copied := *k
	raised := s.factorVerify(low, id, begun, "request", k.get(begun.at("webauthn", "credential_options"))).want(200, "").str("access_token")
	begun = s.factorChallenge(raised, id)
	s.factorVerify(raised, id, begun, "request", copied.get(begun.at("webauthn", "credential_options"))).want(422, "mfa_verification_failed")
	equal(t, "count", s.count("SELECT (web_authn_credential->'authenticator'->>'signCount')::int FROM auth.mfa_factors WHERE id = $1", id) > 0, true)
}

func TestWebAuthnFactorIsUnverifiedUntilCreated(t *testing.T) {
	t.Parallel()
	s := start(t, passkeyConfig())
	user := s.signup("a@example.com", "secret1")
	token, k := user.str("access_token"), newSecurityKey(t, user.str("user", "id"))
	id := s.enrollKey(token, "key")
	begun := s.factorChallenge(token, id)
	options := begun.at("webauthn", "credential_options")
	s.factorVerify(token, id, begun, "request", k.get(options)).want(400, "validation_failed")
	k.site.Origin = "https://evil.example"
	s.factorVerify(token, id, begun, "create", k.create(options)).want(422, "mfa_verification_failed")
	equal(t, "verified", s.count("SELECT count(*) FROM auth.mfa_factors WHERE status = 'verified'"), 0)
}
