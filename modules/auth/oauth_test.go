package auth_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/madbase/madbase/modules/auth"
)

const (
	site     = "https://app.example.com"
	callback = "https://client.example.com/cb"
	verifier = "a-verifier-that-is-long-enough-for-anybody-0123456789"
)

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func oauthConfig() auth.Config {
	cfg := config()
	cfg.SiteURL = site
	cfg.OAuthServer = auth.OAuthServerConfig{
		Enabled: true, DynamicRegistration: true, AuthorizationPath: "/oauth/consent", AuthorizationTTL: 10 * time.Minute, DefaultScope: "email",
		RateLimitRegister: 10,
	}
	return cfg
}

// app is a registered client of the OAuth server.
type app struct {
	*server
	id, secret string
}

// register adds an app as an administrator; said is added to its metadata.
func (s *server) register(said map[string]any) app {
	s.t.Helper()
	body := map[string]any{"redirect_uris": []string{callback}, "client_name": "App"}
	for name, value := range said {
		body[name] = value
	}
	a := s.call("POST", "/admin/oauth/clients", s.service(), body).want(201, "")
	return app{s, a.str("client_id"), a.str("client_secret")}
}

// authorize asks for a code; changes are pairs of a parameter and its value, and
// an empty value leaves the parameter out.
func (a app) authorize(changes ...string) answer {
	a.t.Helper()
	q := url.Values{
		"response_type": {"code"}, "client_id": {a.id}, "redirect_uri": {callback}, "state": {"st"}, "scope": {"email"},
		"code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(changes); i += 2 {
		q.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			q.Del(changes[i])
		}
	}
	return a.call("GET", "/oauth/authorize?"+q.Encode(), "", nil)
}

// located is the parameters of the address that an answer sends to.
func located(t *testing.T, address, target string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	u.RawQuery = ""
	if u.String() != target {
		t.Fatalf("sent to %q, want %q", address, target)
	}
	return q
}

// request begins a flow and returns the path of its authorization.
func (a app) request(changes ...string) string {
	a.t.Helper()
	to := a.authorize(changes...)
	if to.status != 302 {
		a.t.Fatalf("authorize: %d %s", to.status, to.text)
	}
	return "/oauth/authorizations/" + located(a.t, to.header.Get("Location"), site+"/oauth/consent").Get("authorization_id")
}

// code goes the whole way to a code, with the user's consent where it is asked for.
func (a app) code(user string, changes ...string) string {
	a.t.Helper()
	path := a.request(changes...)
	given := a.call("GET", path, user, nil, "Origin", site).want(200, "")
	if given.str("redirect_url") == "" {
		given = a.call("POST", path+"/consent", user, map[string]any{"action": "approve"}, "Origin", site).want(200, "")
	}
	code := located(a.t, given.str("redirect_url"), callback).Get("code")
	if code == "" {
		a.t.Fatalf("no code: %s", given.text)
	}
	return code
}

// token asks the token endpoint with HTTP Basic.
func (a app) token(form ...string) answer {
	a.t.Helper()
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(a.id+":"+a.secret))
	return a.call("POST", "/oauth/token", "", formOf(form...), "Content-Type", "application/x-www-form-urlencoded", "Authorization", basic)
}

func (a app) redeem(code string, changes ...string) answer {
	a.t.Helper()
	return a.token(append([]string{"grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier}, changes...)...)
}

func formOf(pairs ...string) string {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			form.Del(pairs[i])
		}
	}
	return form.Encode()
}

// refused checks for an error of OAuth's.
func (a answer) refused(code string) answer {
	a.t.Helper()
	if a.status != 400 || a.str("error") != code || a.str("error_description") == "" {
		a.t.Fatalf("got %d %s, want 400 %s", a.status, a.text, code)
	}
	return a
}

func TestOAuthFlow(t *testing.T) {
	s := start(t, oauthConfig())
	user := s.signup("ann@example.com", "secret-1").str("access_token")
	client := s.register(nil)
	path := client.request("resource", "https://api.example.com/", "scope", "email profile  email")

	details := s.call("GET", path, user, nil, "Origin", site).want(200, "")
	equal(t, "client", details.at("client"), map[string]any{"id": client.id, "name": "App"})
	equal(t, "scope", details.at("scope"), "email profile")
	equal(t, "email", details.at("user", "email"), "ann@example.com")
	equal(t, "again", s.call("GET", path, user, nil).want(200, "").text, details.text)

	consent := s.call("POST", path+"/consent", user, map[string]any{"action": "approve"}, "Origin", site).want(200, "")
	q := located(t, consent.str("redirect_url"), callback)
	equal(t, "state", q.Get("state"), "st")
	s.call("POST", path+"/consent", user, map[string]any{"action": "approve"}).want(400, "validation_failed")
	s.call("GET", path, user, nil).want(400, "validation_failed")

	client.redeem(q.Get("code"), "code_verifier", verifier+"x").refused("invalid_grant")
	client.redeem(q.Get("code"), "resource", "https://other.example.com/").refused("invalid_grant")
	tokens := client.redeem(q.Get("code"), "resource", "https://api.example.com/").want(200, "")
	equal(t, "cache", tokens.header.Get("Cache-Control"), "no-store")
	claims := payload(t, tokens.str("access_token"))
	equal(t, "client_id", claims["client_id"], client.id)
	equal(t, "scope", claims["scope"], "email profile")
	equal(t, "amr", claims["amr"].([]any)[0].(map[string]any)["method"], "oauth_provider/authorization_code")
	equal(t, "no user in the answer", tokens.at("user"), nil)

	info := s.call("GET", "/oauth/userinfo", tokens.str("access_token"), nil).want(200, "")
	equal(t, "sub", info.at("sub"), claims["sub"])
	equal(t, "email", info.at("email"), "ann@example.com")
	equal(t, "name", info.at("name"), "ann@example.com")
	equal(t, "own session's userinfo", s.call("GET", "/oauth/userinfo", user, nil).text, `{"sub":"`+claims["sub"].(string)+`"}`)

	next := client.token("grant_type", "refresh_token", "refresh_token", tokens.str("refresh_token")).want(200, "")
	equal(t, "client_id after refresh", payload(t, next.str("access_token"))["client_id"], client.id)
	equal(t, "scope after refresh", payload(t, next.str("access_token"))["scope"], "email profile")
	s.refresh(next.str("refresh_token")).refused("invalid_client")

	grants := s.call("GET", "/user/oauth/grants", user, nil).want(200, "")
	if !strings.Contains(grants.text, client.id) || !strings.Contains(grants.text, `"scopes":["email","profile"]`) {
		t.Errorf("grants: %s", grants.text)
	}
	if again := s.call("GET", client.request("scope", "profile"), user, nil).want(200, ""); again.str("redirect_url") == "" {
		t.Errorf("what was granted is asked for again: %s", again.text)
	}
	if more := s.call("GET", client.request("scope", "profile phone"), user, nil).want(200, ""); more.str("authorization_id") == "" {
		t.Errorf("more is granted than was consented to: %s", more.text)
	}
	pending := client.code(user)
	s.call("DELETE", "/user/oauth/grants?client_id="+client.id, user, nil).want(204, "")
	s.call("DELETE", "/user/oauth/grants?client_id="+client.id, user, nil).want(404, "oauth_consent_not_found")
	client.token("grant_type", "refresh_token", "refresh_token", next.str("refresh_token")).refused("invalid_grant")
	client.redeem(pending).refused("invalid_grant")
	s.call("GET", "/oauth/userinfo", tokens.str("access_token"), nil).want(403, "session_not_found")
	equal(t, "grants afterwards", s.call("GET", "/user/oauth/grants", user, nil).text, "[]")
	equal(t, "own session", s.call("GET", "/user", user, nil).status, 200)
}

func TestOAuthDenied(t *testing.T) {
	s := start(t, oauthConfig())
	user := s.signup("ann@example.com", "secret-1").str("access_token")
	client := s.register(nil)
	path := client.request()
	s.call("GET", path, user, nil).want(200, "")
	s.call("POST", path+"/consent", user, map[string]any{"action": "maybe"}).want(400, "validation_failed")
	denied := s.call("POST", path+"/consent", user, map[string]any{"action": "deny"}).want(200, "")
	q := located(t, denied.str("redirect_url"), callback)
	equal(t, "error", q.Get("error"), "access_denied")
	equal(t, "state", q.Get("state"), "st")
	equal(t, "consents", s.count(`SELECT count(*) FROM auth.oauth_consents`), 0)
}

// A standard client, that knows nothing of us, finds everything by discovery and
// verifies the ID token with the keys that it is given there.
func TestOAuthStandardClient(t *testing.T) {
	for _, algorithm := range []string{"ES256", "RS256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) { testStandardClient(t, algorithm) })
	}
}

func testStandardClient(t *testing.T, algorithm string) {
	s := start(t, oauthConfig())
	s.f.PublicURL = strings.TrimSuffix(s.url, "/auth/v1")
	s.f.Keys = keysOf(t, newKey(t, algorithm, "k1", "sign"))
	ctx := t.Context()
	provider, err := oidc.NewProvider(ctx, s.url)
	if err != nil {
		t.Fatal(err)
	}
	user := s.signup("ann@example.com", "secret-1").str("access_token")
	client := s.register(nil)
	conf := oauth2.Config{
		ClientID: client.id, ClientSecret: client.secret, Endpoint: provider.Endpoint(), RedirectURL: callback,
		Scopes: []string{"openid", "email", "profile", "phone", "offline_access"},
	}
	pkce := oauth2.GenerateVerifier()
	resp := get(t, conf.AuthCodeURL("the-state", oauth2.S256ChallengeOption(pkce), oidc.Nonce("the-nonce")))
	id := located(t, resp.Header.Get("Location"), site+"/oauth/consent").Get("authorization_id")
	s.call("GET", "/oauth/authorizations/"+id, user, nil).want(200, "")
	approved := s.call("POST", "/oauth/authorizations/"+id+"/consent", user, map[string]any{"action": "approve"}).want(200, "")
	q := located(t, approved.str("redirect_url"), callback)
	equal(t, "state", q.Get("state"), "the-state")

	tokens, err := conf.Exchange(ctx, q.Get("code"), oauth2.VerifierOption(pkce))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	idToken, err := provider.Verifier(&oidc.Config{ClientID: client.id}).Verify(ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "nonce", idToken.Nonce, "the-nonce")
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "subject", info.Subject, idToken.Subject)
	equal(t, "email", info.Email, "ann@example.com")
	equal(t, "ID token as an access token", s.call("GET", "/user", raw, nil).status, 403)

	tokens.Expiry = time.Now().Add(-time.Minute)
	if _, err := conf.TokenSource(ctx, tokens).Token(); err != nil {
		t.Fatal(err)
	}
	if _, err := conf.Exchange(ctx, q.Get("code"), oauth2.VerifierOption(pkce)); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("a code twice: %v", err)
	}
}

// get follows no redirect.
func get(t *testing.T, address string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp
}

// In the place of Supabase Auth the server is where its address says, with or without a path.
func TestOAuthMetadataOfADropIn(t *testing.T) {
	t.Parallel()
	s := start(t, oauthConfig(), func(d *auth.Deps) { d.DropIn = true })
	for _, address := range []string{"https://auth.example.com", "https://api.example.com/auth/v1"} {
		s.f.PublicURL = address
		a := s.call("GET", "/.well-known/openid-configuration", "", nil).want(200, "")
		equal(t, "addresses", []string{a.str("issuer"), a.str("token_endpoint")}, []string{address, address + "/oauth/token"})
	}
}
