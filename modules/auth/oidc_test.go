package auth_test

import (
	"cmp"
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"golang.org/x/oauth2"

	"github.com/madbase/madbase/modules/auth"
	"github.com/madbase/madbase/modules/auth/provider"
)

// openID is a real OpenID provider: zitadel's example server with its own keys.
type openID struct {
	*httptest.Server
	t *testing.T
}

const opCallback = "http://localhost:8000/auth/v1/callback"

func startOpenID(t *testing.T) *openID {
	t.Helper()
	var handler http.Handler
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(s.Close)
	clients := map[string]*storage.Client{"madbase": storage.WebClient("madbase", "op-secret", opCallback)}
	handler = exampleop.SetupServer(s.URL, storage.NewStorageWithClients(storage.NewUserStore(s.URL), clients), nil, false)
	return &openID{s, t}
}

// login follows an authorization request through the provider's pages, and
// returns the query with which the browser comes back.
func (o *openID) login(address string) string {
	o.t.Helper()
	browser := o.Client()
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	next := func(resp *http.Response, err error) *url.URL {
		o.t.Helper()
		if err != nil {
			o.t.Fatal(err)
		}
		defer resp.Body.Close()
		to, err := resp.Location()
		if err != nil {
			text, _ := io.ReadAll(resp.Body)
			o.t.Fatalf("%s: %s: %s", resp.Request.URL, resp.Status, text)
		}
		return to
	}
	page := next(browser.Get(address))
	form := url.Values{"username": {"test-user2"}, "password": {"verysecure"}, "id": {page.Query().Get("authRequestID")}}
	back := next(browser.PostForm(page.String(), form))
	end := next(browser.Get(back.String()))
	return cmp.Or(end.RawQuery, end.EscapedFragment())
}

// with makes a server that may reach the provider as a custom one, and as Keycloak.
func (o *openID) with(t *testing.T, cfg auth.Config) *server {
	t.Helper()
	cfg.PrivateNetworks, cfg.SiteURL = true, "https://app.example.com"
	s := start(t, cfg, func(d *auth.Deps) {
		d.Outside = &http.Client{Transport: o.Client().Transport, Timeout: 10 * time.Second}
		d.Transport = o.Client().Transport
	})
	s.call("POST", "/admin/custom-providers", s.service(), map[string]any{
		"provider_type": "oidc", "identifier": "custom:op", "name": "OP", "client_id": "madbase", "client_secret": "op-secret",
		"issuer": o.URL, "scopes": []string{"email", "profile"}, "custom_claims_allowlist": []string{"locale"},
	}).want(201, "")
	return s
}

func TestOpenIDImplicitly(t *testing.T) {
	t.Parallel()
	op := startOpenID(t)
	s := op.with(t, config())
	a := s.call("GET", "/authorize?provider=custom:op", "", nil)
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil || to.Query().Get("code_challenge_method") != "S256" || to.Query().Get("scope") != "openid email profile" {
		t.Fatalf("%d %s", a.status, a.header.Get("Location"))
	}
	back := op.login(to.String())
	user := s.me(s.comeBack(back).wantTokens(t))
	equal(t, "email", user.str("email"), "test-user2@zitadel.ch")
	equal(t, "provider", user.at("app_metadata", "provider"), "custom:op")
	equal(t, "sub", user.str("identities", "0", "id"), "id2")
	equal(t, "verified", user.at("identities", "0", "identity_data", "email_verified"), true)
	equal(t, "issuer", user.str("identities", "0", "identity_data", "iss"), op.URL)
	s.comeBack(back).wantError(t, "invalid_request", "bad_oauth_state")
	equal(t, "verifiers left", s.count(`SELECT count(*) FROM auth.oauth_client_states`), 0)
}

func TestOpenIDWithPKCE(t *testing.T) {
	t.Parallel()
	op := startOpenID(t)
	s := op.with(t, config())
	const verifier = "a-verifier-that-is-long-enough-to-be-taken-by-the-server"
	a := s.call("GET", "/authorize?provider=custom:op&code_challenge="+challengeOf(verifier)+"&code_challenge_method=s256", "", nil)
	l := s.comeBack(op.login(a.header.Get("Location")))
	session := s.call("POST", "/token?grant_type=pkce", "", map[string]any{"auth_code": l.query.Get("code"), "code_verifier": verifier}).want(200, "")
	equal(t, "email", session.str("user", "email"), "test-user2@zitadel.ch")
	if session.str("provider_token") == "" {
		t.Error("no provider_token")
	}
}

// A code that was meant for another browser's sign-in does not serve: its verifier is another.
func TestOpenIDCodeOfAnotherSignIn(t *testing.T) {
	t.Parallel()
	op := startOpenID(t)
	s := op.with(t, config())
	begin := func() string { return s.call("GET", "/authorize?provider=custom:op", "", nil).header.Get("Location") }
	stolen, err := url.ParseQuery(op.login(begin()))
	if err != nil {
		t.Fatal(err)
	}
	own, err := url.Parse(begin())
	if err != nil {
		t.Fatal(err)
	}
	stolen.Set("state", own.Query().Get("state"))
	s.comeBack(stolen.Encode()).wantError(t, "server_error", "unexpected_failure")
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users`), 0)
}

// app is a client of the provider's that talks to it without madbase.
func (o *openID) app() *oauth2.Config {
	return &oauth2.Config{
		ClientID: "madbase", ClientSecret: "op-secret", RedirectURL: opCallback, Scopes: []string{"openid", "email", "profile"},
		Endpoint: oauth2.Endpoint{AuthURL: o.URL + "/auth", TokenURL: o.URL + "/oauth/token"},
	}
}

// idToken is what an app gets for a nonce.
func (o *openID) idToken(nonce string) string {
	o.t.Helper()
	sum := sha256.Sum256([]byte(nonce))
	fragment := o.login(o.app().AuthCodeURL("state", oauth2.SetAuthURLParam("nonce", hex.EncodeToString(sum[:])), oauth2.SetAuthURLParam("response_type", "id_token")))
	values, err := url.ParseQuery(fragment)
	if err != nil || values.Get("id_token") == "" {
		o.t.Fatal(err, fragment)
	}
	return values.Get("id_token")
}

// An ID token that names its access token goes with no other.
func TestIDTokenGoesWithItsAccessToken(t *testing.T) {
	t.Parallel()
	op := startOpenID(t)
	s := op.with(t, config())
	q, err := url.ParseQuery(op.login(op.app().AuthCodeURL("state")))
	if err != nil {
		t.Fatal(err)
	}
	token, err := op.app().Exchange(context.WithValue(t.Context(), oauth2.HTTPClient, op.Client()), q.Get("code"))
	if err != nil {
		t.Fatal(err)
	}
	idToken := token.Extra("id_token").(string)
	if payload(t, idToken)["at_hash"] == nil {
		t.Fatal("no at_hash")
	}
	grant := func(access string) answer {
		return s.call("POST", "/token?grant_type=id_token", "", map[string]any{"id_token": idToken, "access_token": access, "provider": "custom:op"})
	}
	if a := grant(token.AccessToken + "x"); a.status != http.StatusBadRequest || a.str("error") != "invalid request" {
		t.Error(a.text)
	}
	grant(token.AccessToken).want(422, "provider_email_needs_verification") // this one tells no address
}

func TestIDTokenGrant(t *testing.T) {
	t.Parallel()
	op := startOpenID(t)
	cfg := config()
	cfg.External.Keycloak = provider.Config{Enabled: true, ClientID: []string{"other", "madbase"}, URL: op.URL}
	s := op.with(t, cfg)
	idToken := op.idToken("my nonce")
	grant := func(change map[string]any) answer {
		body := map[string]any{"id_token": idToken, "nonce": "my nonce", "provider": "custom:op"}
		for name, value := range change {
			body[name] = value
		}
		return s.call("POST", "/token?grant_type=id_token", "", body)
	}
	s.call("POST", "/admin/custom-providers", s.service(), map[string]any{
		"provider_type": "oidc", "identifier": "custom:other", "name": "Other", "client_id": "somebody", "client_secret": "x", "issuer": op.URL,
	}).want(201, "")
	first := grant(nil).want(200, "")
	equal(t, "email", first.str("user", "email"), "test-user2@zitadel.ch")
	equal(t, "again", grant(nil).want(200, "").str("user", "id"), first.str("user", "id"))
	equal(t, "linked", grant(map[string]any{"provider": "keycloak"}).want(200, "").str("user", "id"), first.str("user", "id"))
	equal(t, "by issuer", grant(map[string]any{"provider": "", "issuer": op.URL, "client_id": "madbase"}).want(200, "").str("user", "id"), first.str("user", "id"))

	for name, tt := range map[string]struct {
		change map[string]any
		errors string
	}{
		"wrong nonce": {map[string]any{"nonce": "another"}, "invalid nonce"},
		"no nonce":    {map[string]any{"nonce": ""}, "invalid request"},
		"other app":   {map[string]any{"provider": "custom:other"}, "invalid request"},
		"no token":    {map[string]any{"id_token": ""}, "invalid request"},
		"no provider": {map[string]any{"provider": ""}, "invalid request"},
		"damaged":     {map[string]any{"id_token": idToken[:len(idToken)-4] + "AAAA"}, "invalid request"},
	} {
		a := grant(tt.change)
		if a.status != http.StatusBadRequest || a.str("error") != tt.errors {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
	cfg.External.Keycloak.Enabled, cfg.External.AllowedIssuers = false, []string{op.URL}
	by := op.with(t, cfg)
	for client, status := range map[string]int{"madbase": 200, "somebody": 400} {
		a := by.call("POST", "/token?grant_type=id_token", "", map[string]any{"id_token": idToken, "nonce": "my nonce", "issuer": op.URL, "client_id": client})
		equal(t, "by allowed issuer for "+client, a.status, status)
	}
	grant(map[string]any{"provider": "google"}).want(400, "provider_disabled")
	grant(map[string]any{"provider": "apple"}).want(400, "validation_failed")
	grant(map[string]any{"provider": "nowhere"}).want(400, "validation_failed")
	grant(map[string]any{"provider": "custom:none"}).want(400, "validation_failed")
	grant(map[string]any{"provider": "", "issuer": "https://evil.example.net", "client_id": "x"}).want(400, "validation_failed")

	anna := s.signup("anna@example.com", "correct horse").str("access_token")
	link := func(token string) answer {
		return s.call("POST", "/token?grant_type=id_token", token, map[string]any{
			"id_token": idToken, "nonce": "my nonce", "provider": "custom:op", "link_identity": true,
		})
	}
	link(anna).want(422, "identity_already_exists")
	if a := link(""); a.status != http.StatusBadRequest {
		t.Error(a.text)
	}
	s.f.Exec(t, `DELETE FROM auth.users WHERE email = 'test-user2@zitadel.ch'`)
	equal(t, "linked to anna", link(anna).want(200, "").str("user", "email"), "anna@example.com")
}

// Tokens that are not signed by the issuer's own key, in the way of public keys,
// are nothing: not with no signature, not with the app's secret, and not with the
// issuer's public key taken for one.
func TestIDTokenForgeries(t *testing.T) {
	t.Parallel()
	op := startOpenID(t)
	s := op.with(t, config())
	idToken := op.idToken("n")
	parts := strings.Split(idToken, ".")
	claims := payload(t, idToken)
	encode := func(v any) string {
		text, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(text)
	}
	symmetric := func(key []byte) string {
		body := encode(map[string]any{"alg": "HS256", "typ": "JWT"}) + "." + parts[1]
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(body))
		return body + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	own, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(header map[string]any, claims any) string {
		body := encode(header) + "." + encode(claims)
		sum := sha256.Sum256([]byte(body))
		sig, err := rsa.SignPKCS1v15(rand.Reader, own, crypto.SHA256, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return body + "." + base64.RawURLEncoding.EncodeToString(sig)
	}
	der, err := x509.MarshalPKIXPublicKey(op.key())
	if err != nil {
		t.Fatal(err)
	}
	var header map[string]any
	text, _ := base64.RawURLEncoding.DecodeString(parts[0])
	_ = json.Unmarshal(text, &header)
	jwk := map[string]any{"kty": "RSA", "n": base64.RawURLEncoding.EncodeToString(own.N.Bytes()), "e": "AQAB"}
	later := map[string]any{}
	for name, value := range claims {
		later[name] = value
	}
	later["sub"] = "id1"
	for name, token := range map[string]string{
		"none":             encode(map[string]any{"alg": "none", "typ": "JWT"}) + "." + parts[1] + ".",
		"none, signed":     encode(map[string]any{"alg": "none"}) + "." + parts[1] + "." + parts[2],
		"secret":           symmetric([]byte("op-secret")),
		"public key":       symmetric(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"public key, DER":  symmetric(der),
		"own key":          signed(header, claims),
		"own key inside":   signed(map[string]any{"alg": "RS256", "jwk": jwk}, claims),
		"own key by URL":   signed(map[string]any{"alg": "RS256", "jku": s.url + "/x", "kid": "x"}, claims),
		"another subject":  parts[0] + "." + encode(later) + "." + parts[2],
		"three empty ones": "..",
		"nothing like it":  "a.b.c",
	} {
		a := s.call("POST", "/token?grant_type=id_token", "", map[string]any{"id_token": token, "provider": "custom:op", "nonce": "n"})
		if a.status != http.StatusBadRequest || a.str("error") != "invalid request" {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
	equal(t, "users", s.count(`SELECT count(*) FROM auth.users`), 0)
}

// key is the provider's public key.
func (o *openID) key() *rsa.PublicKey {
	o.t.Helper()
	resp, err := o.Client().Get(o.URL + "/keys")
	if err != nil {
		o.t.Fatal(err)
	}
	defer resp.Body.Close()
	var set struct {
		Keys []struct{ N string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil || len(set.Keys) == 0 {
		o.t.Fatal(err)
	}
	n, err := base64.RawURLEncoding.DecodeString(set.Keys[0].N)
	if err != nil {
		o.t.Fatal(err)
	}
	return &rsa.PublicKey{E: 65537, N: new(big.Int).SetBytes(n)}
}

// resolver answers for hosts, and for nothing else.
type resolver map[string]string

func (r resolver) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if text, ok := r[host]; ok {
		return []netip.Addr{netip.MustParseAddr(text)}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func TestCustomProvidersByAdmin(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.External.CustomMax = 2
	s := start(t, cfg, func(d *auth.Deps) {
		d.Resolver = resolver{
			"id.example.com": "93.184.216.34", "inside.example.com": "10.1.2.3", "meta.example.com": "169.254.169.254", "six.example.com": "::ffff:127.0.0.1",
		}
	})
	body := func(change map[string]any) map[string]any {
		b := map[string]any{
			"provider_type": "oauth2", "identifier": "custom:acme", "name": "Acme", "client_id": "c", "client_secret": "very-secret",
			"authorization_url": "https://id.example.com/a", "token_url": "https://id.example.com/t", "userinfo_url": "https://id.example.com/u",
		}
		for name, value := range change {
			b[name] = value
		}
		return b
	}
	post := func(change map[string]any) answer {
		return s.call("POST", "/admin/custom-providers", s.service(), body(change))
	}
	for _, address := range []string{
		"http://id.example.com/t", "https://127.0.0.1/t", "https://localhost/t", "https://169.254.169.254/latest/meta-data", "https://[::1]/t",
		"https://[::ffff:127.0.0.1]/t", "https://[::ffff:a9fe:a9fe]/t", "https://10.0.0.1/t", "https://inside.example.com/t", "https://meta.example.com/t",
		"https://six.example.com/t", "https://0.0.0.0/t", "https://nowhere.example.com/t", "https://u:p@id.example.com/t", "gopher://id.example.com/",
	} {
		for _, field := range []string{"authorization_url", "token_url", "userinfo_url", "jwks_uri"} {
			post(map[string]any{field: address}).want(400, "validation_failed")
		}
		post(map[string]any{"provider_type": "oidc", "issuer": address}).want(400, "validation_failed")
		post(map[string]any{"provider_type": "oidc", "issuer": "https://id.example.com", "discovery_url": address}).want(400, "validation_failed")
	}
	for _, change := range []map[string]any{
		{"provider_type": "saml"},
		{"identifier": "acme"},
		{"identifier": "custom:UPPER"},
		{"identifier": ""},
		{"name": ""},
		{"client_id": ""},
		{"client_secret": ""},
		{"token_url": ""},
		{"authorization_params": map[string]any{"state": "x"}},
		{"authorization_params": map[string]any{"REDIRECT_URI": "x"}},
		{"authorization_params": map[string]any{"prompt": 1}},
		{"attribute_mapping": map[string]any{"role": "admin"}},
		{"attribute_mapping": map[string]any{"email_verified": true}},
		{"custom_claims_allowlist": []string{" "}},
	} {
		post(change).want(400, "validation_failed")
	}
	equal(t, "providers", s.count(`SELECT count(*) FROM auth.custom_oauth_providers`), 0)

	made := post(nil).want(201, "")
	if strings.Contains(made.text, "very-secret") {
		t.Error("the secret is told")
	}
	post(nil).want(400, "conflict")
	post(map[string]any{"identifier": "custom:two"}).want(201, "")
	post(map[string]any{"identifier": "custom:three"}).want(400, "over_custom_provider_quota")
	one := "/admin/custom-providers/custom:acme"
	s.call("PUT", one, s.service(), map[string]any{"token_url": "https://inside.example.com/t"}).want(400, "validation_failed")
	s.call("PUT", one, s.service(), map[string]any{"name": "New", "enabled": false}).want(200, "")
	equal(t, "name", s.call("GET", one, s.service(), nil).want(200, "").str("name"), "New")
	equal(t, "kept", s.count(`SELECT count(*) FROM auth.custom_oauth_providers WHERE client_secret = 'very-secret' AND token_url = 'https://id.example.com/t'`), 2)
	s.call("GET", "/authorize?provider=custom:acme", "", nil).want(400, "validation_failed")
	equal(t, "list", len(s.call("GET", "/admin/custom-providers?type=oauth2", s.service(), nil).want(200, "").at("providers").([]any)), 2)
	s.call("GET", "/admin/custom-providers?type=x", s.service(), nil).want(400, "validation_failed")
	s.call("DELETE", one, s.service(), nil).want(204, "")
	s.call("DELETE", one, s.service(), nil).want(404, "custom_provider_not_found")
	s.call("GET", "/admin/custom-providers", s.signup("u@example.com", "correct horse").str("access_token"), nil).want(403, "not_admin")
}

// A host that was public when an administrator named it and is private when
// somebody signs in, and a row that nobody checked, lead nowhere.
func TestCustomProviderIsCheckedWhenDialled(t *testing.T) {
	t.Parallel()
	reached := false
	inside := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer inside.Close()
	s := start(t, config())
	s.f.Exec(t, `INSERT INTO auth.custom_oauth_providers (provider_type, identifier, name, client_id, client_secret, pkce_enabled, authorization_url, token_url, userinfo_url)
		VALUES ('oauth2', 'custom:in', 'In', 'c', 's', false, 'https://id.example.com/a', $1, $1)`, inside.URL)
	a := s.call("GET", "/authorize?provider=custom:in", "", nil)
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	s.comeBack("code=x&state="+to.Query().Get("state")).wantError(t, "server_error", "unexpected_failure")
	if reached {
		t.Error("reached")
	}
}
