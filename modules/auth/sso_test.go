package auth_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crewjam/saml"

	"github.com/madbase/madbase/modules/auth"
	"github.com/madbase/madbase/platform/ratelimit"
)

func TestSSO(t *testing.T) {
	t.Parallel()
	s := start(t, ssoConfig())
	c := addCompany(s, "acme.example", map[string]any{"attribute_mapping": map[string]any{"keys": map[string]any{
		"name": map[string]any{"name": "cn"}, "groups": map[string]any{"name": "eduPersonAffiliation", "array": true},
		"plan": map[string]any{"name": "nowhere", "default": "free"}, "sub": map[string]any{"name": "cn"}, "email_verified": map[string]any{"default": false},
	}}})
	req := c.begin(nil)
	c.assert(req, person("ann-1", "Ann@acme.example"), nil)
	tokens := c.answer(req, nil).signedIn("https://app.example.org/in")
	equal(t, "sb", tokens.Has("sb"), true)
	equal(t, "token_type", tokens.Get("token_type"), "bearer")
	user := s.call("GET", "/user", tokens.Get("access_token"), nil).want(200, "")
	equal(t, "email", user.str("email"), "ann@acme.example")
	equal(t, "provider", user.at("app_metadata"), map[string]any{"provider": "sso:" + c.id, "providers": []string{"sso:" + c.id}})
	equal(t, "metadata", user.at("user_metadata"), map[string]any{
		"iss": "https://acme.example/metadata", "sub": "ann-1", "name": "Ann Other", "email": "ann@acme.example", "email_verified": true, "phone_verified": false,
		"custom_claims": map[string]any{"groups": []string{"staff", "admins"}, "plan": "free"},
	})
	equal(t, "identity", user.str("identities", "0", "provider"), "sso:"+c.id)
	amr := payload(t, tokens.Get("access_token"))["amr"].([]any)[0].(map[string]any)
	equal(t, "amr", []any{amr["method"], amr["provider"]}, []any{"sso/saml", c.id})
	equal(t, "flags", s.count("SELECT count(*) FROM auth.users WHERE is_sso_user AND email_confirmed_at IS NOT NULL"), 1)
	equal(t, "left over", s.count("SELECT (SELECT count(*) FROM auth.saml_relay_states) + (SELECT count(*) FROM auth.flow_state)"), 0)

	again := c.begin(map[string]any{"redirect_to": "https://evil.example/"})
	c.assert(again, person("ann-1", "ann@acme.example"), nil)
	tokens = c.answer(again, nil).signedIn("https://app.example.com")
	equal(t, "same user", s.call("GET", "/user", tokens.Get("access_token"), nil).str("id"), user.str("id"))
	s.call("PUT", "/user", tokens.Get("access_token"), map[string]any{"password": "new-password-1"}).want(422, "user_sso_managed")
	s.refresh(tokens.Get("refresh_token")).want(200, "")
}

func TestSSOBegunByProvider(t *testing.T) {
	t.Parallel()
	s := start(t, ssoConfig())
	c := addCompany(s, "acme.example", nil)
	for relay, address := range map[string]string{
		"": "https://app.example.com", "https://app.example.org/deep": "https://app.example.org/deep", "https://evil.example/": "https://app.example.com",
	} {
		req := c.unasked(relay)
		c.assert(req, person("ann-1", "ann@acme.example"), nil)
		c.answer(req, nil).signedIn(address)
	}
	equal(t, "users", s.count("SELECT count(*) FROM auth.users"), 1)
}

func TestSSOWithCode(t *testing.T) {
	t.Parallel()
	s := start(t, ssoConfig())
	c := addCompany(s, "acme.example", nil)
	verifier := strings.Repeat("v", 43)
	sum := sha256.Sum256([]byte(verifier))
	req := c.begin(map[string]any{"code_challenge": base64.RawURLEncoding.EncodeToString(sum[:]), "code_challenge_method": "s256"})
	end := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	c.assert(req, person("ann-1", "ann@acme.example"), func(a *saml.Assertion) { a.AuthnStatements[0].SessionNotOnOrAfter = &end })
	a := c.answer(req, nil)
	to, query, fragment := a.location()
	if a.status != 302 || to.Host != "app.example.org" || query.Get("code") == "" || len(fragment) != 0 {
		t.Fatalf("got %d %s", a.status, to)
	}
	equal(t, "sessions before the exchange", s.count("SELECT count(*) FROM auth.sessions"), 0)
	exchange := map[string]any{"auth_code": query.Get("code"), "code_verifier": verifier}
	s.call("POST", "/token?grant_type=pkce", "", map[string]any{"auth_code": query.Get("code"), "code_verifier": strings.Repeat("w", 43)}).want(400, "bad_code_verifier")
	s.call("POST", "/token?grant_type=pkce", "", exchange).want(200, "")
	s.call("POST", "/token?grant_type=pkce", "", exchange).want(404, "flow_state_not_found")
	equal(t, "end", s.count("SELECT count(*) FROM auth.sessions WHERE not_after = $1", end), 1)
}

func TestSSOSessionEnd(t *testing.T) {
	t.Parallel()
	s := start(t, ssoConfig())
	c := addCompany(s, "acme.example", nil)
	end := time.Now().Add(2 * time.Second)
	req := c.begin(nil)
	c.assert(req, person("ann-1", "ann@acme.example"), func(a *saml.Assertion) { a.AuthnStatements[0].SessionNotOnOrAfter = &end })
	tokens := c.answer(req, nil).signedIn("https://app.example.org/in")
	equal(t, "end", s.count("SELECT count(*) FROM auth.sessions WHERE not_after IS NOT NULL"), 1)
	s.f.Owner.Exec(t.Context(), "UPDATE auth.sessions SET not_after = now() - interval '1 second'")
	s.refresh(tokens.Get("refresh_token")).want(400, "session_expired")
	past := time.Now().Add(-time.Minute)
	req = c.begin(nil)
	c.assert(req, person("ann-1", "ann@acme.example"), func(a *saml.Assertion) { a.AuthnStatements[0].SessionNotOnOrAfter = &past })
	c.answer(req, nil).turnedAway("validation_failed")
}

// A provider's word is good for its own people only.
func TestSSOLinksWithinTheProvider(t *testing.T) {
	t.Parallel()
	s := start(t, ssoConfig())
	own := s.signup("ann@acme.example", "her-own-password").str("user", "id")
	ids := map[string]bool{own: true}
	for _, name := range []string{"acme.example", "other.example"} {
		c := addCompany(s, name, nil)
		req := c.begin(nil)
		c.assert(req, person("ann-1", "ann@acme.example"), nil)
		tokens := c.answer(req, nil).signedIn("https://app.example.org/in")
		ids[s.call("GET", "/user", tokens.Get("access_token"), nil).str("id")] = true
		req = c.begin(nil) // another name for the same address: the provider's own affair
		c.assert(req, person("ann-renamed", "ann@acme.example"), nil)
		tokens = c.answer(req, nil).signedIn("https://app.example.org/in")
		ids[s.call("GET", "/user", tokens.Get("access_token"), nil).str("id")] = true
	}
	equal(t, "users", len(ids), 3)
	s.signin("ann@acme.example", "her-own-password").want(200, "")
}

func TestSSONameIDs(t *testing.T) {
	t.Parallel()
	s := start(t, ssoConfig())
	c := addCompany(s, "acme.example", map[string]any{"name_id_format": string(saml.EmailAddressNameIDFormat)})
	req := c.begin(nil)
	equal(t, "asked for", *req.Request.NameIDPolicy.Format, string(saml.EmailAddressNameIDFormat))
	c.assert(req, &saml.Session{NameID: " Ann@Acme.example ", NameIDFormat: string(saml.EmailAddressNameIDFormat)}, nil)
	tokens := c.answer(req, nil).signedIn("https://app.example.org/in")
	equal(t, "subject", s.call("GET", "/user", tokens.Get("access_token"), nil).str("identities", "0", "id"), "ann@acme.example")

	req = c.begin(nil)
	c.assert(req, &saml.Session{NameID: "x1", NameIDFormat: string(saml.TransientNameIDFormat), UserEmail: "bob@acme.example", SubjectID: "bob-for-ever"}, nil)
	tokens = c.answer(req, nil).signedIn("https://app.example.org/in")
	equal(t, "subject", s.call("GET", "/user", tokens.Get("access_token"), nil).str("identities", "0", "id"), "bob-for-ever")

	req = c.begin(nil)
	c.assert(req, &saml.Session{NameID: "x2", NameIDFormat: string(saml.TransientNameIDFormat), UserEmail: "cid@acme.example"}, nil)
	c.answer(req, nil).turnedAway("saml_assertion_no_user_id")
	req = c.begin(nil)
	c.assert(req, person("dan", ""), nil)
	c.answer(req, nil).turnedAway("saml_assertion_no_email")
}

func TestSSOStart(t *testing.T) {
	t.Parallel()
	s := start(t, ssoConfig())
	c := addCompany(s, "acme.example", nil)
	s.call("POST", "/sso", "", map[string]any{}).want(400, "validation_failed")
	s.call("POST", "/sso", "", map[string]any{"domain": "acme.example", "provider_id": c.id}).want(400, "validation_failed")
	s.call("POST", "/sso", "", map[string]any{"domain": "nobody.example"}).want(404, "sso_provider_not_found")
	s.call("POST", "/sso", "", map[string]any{"provider_id": "00000000-0000-4000-8000-000000000001"}).want(404, "sso_provider_not_found")
	s.call("POST", "/sso", "", map[string]any{"provider_id": "x"}).want(400, "bad_json")
	s.call("POST", "/sso", "", map[string]any{"domain": "acme.example", "code_challenge": "short", "code_challenge_method": "s256"}).want(400, "validation_failed")
	a := s.call("POST", "/sso", "", map[string]any{"provider_id": c.id})
	to, query, _ := a.location()
	if a.status != 303 || to.Host != "acme.example" || query.Get("SAMLRequest") == "" || query.Get("RelayState") == "" || query.Get("Signature") == "" {
		t.Errorf("got %d %s", a.status, to)
	}
	s.call("PUT", "/admin/sso/providers/"+c.id, s.service(), map[string]any{"disabled": true}).want(200, "")
	s.call("POST", "/sso", "", map[string]any{"domain": "ACME.example"}).want(404, "sso_provider_disabled")
	off := start(t, config())
	off.call("POST", "/sso", "", map[string]any{"domain": "acme.example"}).want(404, "saml_provider_disabled")
	off.call("GET", "/sso/saml/metadata", "", nil).want(404, "saml_provider_disabled")
	off.call("POST", "/sso/saml/acs", "", "").want(404, "saml_provider_disabled")
	off.call("GET", "/admin/sso/providers", off.service(), nil).want(200, "")
}

func TestSSOMetadata(t *testing.T) {
	t.Parallel()
	cfg := ssoConfig()
	s := start(t, cfg)
	a := s.call("GET", "/sso/saml/metadata", "", nil).want(200, "")
	equal(t, "type", a.header.Get("Content-Type"), "application/xml")
	equal(t, "cache", a.header.Get("Cache-Control"), "public, max-age=600")
	for _, want := range []string{`entityID="http://localhost:8000/auth/v1/sso/saml/metadata"`, `Location="http://localhost:8000/auth/v1/sso/saml/acs"`, `use="signing"`} {
		if !strings.Contains(a.text, want) {
			t.Errorf("%s is not in %s", want, a.text)
		}
	}
	if strings.Contains(a.text, `use="encryption"`) {
		t.Error("encryption is offered")
	}
	a = s.call("GET", "/sso/saml/metadata?download=true", "", nil).want(200, "")
	equal(t, "disposition", a.header.Get("Content-Disposition"), `attachment; filename="metadata.xml"`)
	cfg.SAML.PrivateKeyNext, cfg.SAML.AllowEncrypted, cfg.SAML.ExternalURL = samlKey(2), true, "https://auth.example.com/"
	s = start(t, cfg)
	a = s.call("GET", "/sso/saml/metadata", "", nil).want(200, "")
	equal(t, "cache", a.header.Get("Cache-Control"), "public, max-age=60")
	equal(t, "keys", []int{strings.Count(a.text, `use="signing"`), strings.Count(a.text, `use="encryption"`)}, []int{2, 2})
	if !strings.Contains(a.text, `entityID="https://auth.example.com/sso/saml/metadata"`) {
		t.Error(a.text)
	}
	equal(t, "settings", s.call("GET", "/settings", "", nil).at("saml_private_key_next_configured"), true)
}

func TestSSOEncrypted(t *testing.T) {
	t.Parallel()
	cfg := ssoConfig()
	cfg.SAML.AllowEncrypted = true
	s := start(t, cfg)
	c := addCompany(s, "acme.example", nil)
	req := c.begin(nil)
	c.assert(req, person("ann-1", "ann@acme.example"), nil)
	tokens := c.answer(req, nil).signedIn("https://app.example.org/in")
	equal(t, "encrypted", req.AssertionEl.Tag, "EncryptedAssertion")
	equal(t, "email", s.call("GET", "/user", tokens.Get("access_token"), nil).str("email"), "ann@acme.example")
}

// While the key changes, what was encrypted for the other one is still read.
func TestSSOEncryptedForTheOtherKey(t *testing.T) {
	t.Parallel()
	cfg := ssoConfig()
	cfg.SAML.AllowEncrypted = true
	s := start(t, cfg)
	c := addCompany(s, "acme.example", nil)
	req := c.unasked("")
	cfg.SAML.PrivateKey, cfg.SAML.PrivateKeyNext = samlKey(2), samlKey(0)
	c.s = s.again(cfg)
	c.assert(req, person("ann-1", "ann@acme.example"), nil)
	c.answer(req, nil).signedIn("https://app.example.com")
}

func TestSSOFetchesMetadata(t *testing.T) {
	t.Parallel()
	cfg := ssoConfig()
	idp := newIdP(t, "acme.example", rsaKeys()[1])
	var text atomic.Value
	text.Store(metadataXML(t, idp))
	var fetched atomic.Int64
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		if r.URL.Path != "/metadata" {
			w.WriteHeader(http.StatusTeapot)
		}
		_, _ = w.Write([]byte(text.Load().(string)))
	}))
	t.Cleanup(web.Close)
	s := start(t, cfg, func(d *auth.Deps) { d.Outside = web.Client() })
	body := map[string]any{"type": "saml", "metadata_url": web.URL + "/gone", "domains": []string{"acme.example"}}
	s.call("POST", "/admin/sso/providers", s.service(), body).want(400, "saml_metadata_fetch_failed")
	body["metadata_url"] = web.URL + "/metadata"
	made := s.call("POST", "/admin/sso/providers", s.service(), body).want(201, "")
	equal(t, "url", made.str("saml", "metadata_url"), web.URL+"/metadata")
	c := &company{t: t, s: s, idp: newIdP(t, "acme.example", rsaKeys()[2]), id: made.str("id")} // the provider has changed its key
	c.idp.ServiceProviderProvider = c
	text.Store(metadataXML(t, newIdP(t, "evil.example", rsaKeys()[2])))
	signIn := func() answer {
		req := c.begin(nil)
		c.assert(req, person("ann-1", "ann@acme.example"), nil)
		return c.answer(req, nil)
	}
	before := fetched.Load()
	signIn().turnedAway("validation_failed")
	equal(t, "fresh metadata is not fetched", fetched.Load(), before)
	s.f.Owner.Exec(t.Context(), "UPDATE auth.saml_providers SET updated_at = now() - interval '49 hours'")
	signIn().turnedAway("validation_failed")
	signIn().turnedAway("validation_failed")
	equal(t, "stale metadata is asked for once", fetched.Load(), before+1)
	equal(t, "another's metadata is not taken", s.count("SELECT count(*) FROM auth.saml_providers WHERE metadata_xml LIKE '%evil%'"), 0)
	fresh := start(t, cfg, func(d *auth.Deps) { d.Outside = web.Client() })
	text.Store(metadataXML(t, idp))
	fresh.call("POST", "/admin/sso/providers", fresh.service(), body).want(201, "")
	text.Store(metadataXML(t, c.idp))
	fresh.f.Owner.Exec(t.Context(), "UPDATE auth.saml_providers SET updated_at = now() - interval '49 hours'")
	c.s = fresh
	signIn().signedIn("https://app.example.org/in")
	equal(t, "kept", fresh.count("SELECT count(*) FROM auth.saml_providers WHERE updated_at > now() - interval '1 minute'"), 1)
}

// Whoever may name an address must not have the server fetch from its own network.
func TestSSOMetadataStaysOutside(t *testing.T) {
	t.Parallel()
	web := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the server came") }))
	t.Cleanup(web.Close)
	s := start(t, ssoConfig())
	for _, address := range []string{web.URL, strings.Replace(web.URL, "127.0.0.1", "localhost", 1), "https://169.254.169.254/latest", "https://[::1]/", "https://10.0.0.1/"} {
		s.call("POST", "/admin/sso/providers", s.service(), map[string]any{"type": "saml", "metadata_url": address}).want(400, "saml_metadata_fetch_failed")
	}
	for _, address := range []string{"http://acme.example/", "file:///etc/passwd", "acme", "https:///x"} {
		s.call("POST", "/admin/sso/providers", s.service(), map[string]any{"type": "saml", "metadata_url": address}).want(400, "validation_failed")
	}
}

func TestSSOSettings(t *testing.T) {
	t.Parallel()
	cfg := ssoConfig()
	for _, change := range []func(*auth.SAMLConfig){
		func(c *auth.SAMLConfig) { c.PrivateKey = "" }, func(c *auth.SAMLConfig) { c.PrivateKey = "AAAA" }, func(c *auth.SAMLConfig) { c.PrivateKeyNext = "?" },
		func(c *auth.SAMLConfig) { c.RelayStateValidity = -1 }, func(c *auth.SAMLConfig) { c.ExternalURL = "nowhere" }, func(c *auth.SAMLConfig) { c.RateLimit = -1 },
	} {
		faulty := cfg
		change(&faulty.SAML)
		if err := faulty.Validate(); err == nil || !strings.Contains(err.Error(), "GOTRUE_") {
			t.Errorf("%+v: %v", faulty.SAML, err)
		}
	}
}

func TestSSORateLimits(t *testing.T) {
	t.Parallel()
	cfg := ssoConfig()
	cfg.SAML.RateLimit, cfg.SAML.RateLimitAssertions, cfg.Web3.EthereumEnabled, cfg.Web3.RateLimit = 30, 15, true, 30
	s := start(t, cfg, func(d *auth.Deps) {
		d.Limiter = limiter{ratelimit.NewMemory(100)}
		d.ClientIP = func(r *http.Request) string { return r.Header.Get("X-Test-IP") }
	})
	for path, status := range map[string]int{"/sso": 400, "/sso/saml/acs": 303, "/token?grant_type=web3": 400} {
		for i, want := range []int{status, status, status, 429} {
			a := s.call("POST", path, "", "{}", "X-Test-IP", "192.0.2.1", "Content-Type", "application/x-www-form-urlencoded")
			equal(t, path, []int{i, a.status}, []int{i, want})
			equal(t, path+" says when to come again", a.header.Get("Retry-After") != "", want == 429)
		}
	}
}

// A mail server's silence is no matter: the provider vouches for the address.
func TestSSOWithoutAutoconfirm(t *testing.T) {
	t.Parallel()
	cfg := ssoConfig()
	cfg.Autoconfirm = false
	s := start(t, cfg)
	c := addCompany(s, "acme.example", nil)
	req := c.begin(nil)
	c.assert(req, person("ann-1", "ann@acme.example"), nil)
	tokens := c.answer(req, nil).signedIn("https://app.example.org/in")
	equal(t, "confirmed", s.count("SELECT count(*) FROM auth.users WHERE email_confirmed_at IS NOT NULL"), 1)
	id := s.call("GET", "/user", tokens.Get("access_token"), nil).str("id")
	s.call("PUT", "/admin/users/"+id, s.service(), map[string]any{"ban_duration": "1h"}).want(200, "")
	req = c.begin(nil)
	c.assert(req, person("ann-1", "ann@acme.example"), nil)
	a := c.answer(req, nil)
	a.turnedAway("user_banned")
	_, query, _ := a.location()
	equal(t, "error", query.Get("error"), "access_denied")
	cfg.DisableSignup = true
	closed := start(t, cfg)
	c = addCompany(closed, "acme.example", nil)
	req = c.begin(nil)
	c.assert(req, person("ann-1", "ann@acme.example"), nil)
	c.answer(req, nil).turnedAway("signup_disabled")
	equal(t, "users", closed.count("SELECT count(*) FROM auth.users"), 0)
}
