package auth_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestAdminOAuthClients(t *testing.T) {
	s := start(t, oauthConfig())
	user := s.signup("ann@example.com", "secret-1").str("access_token")
	client := s.register(map[string]any{"client_uri": "https://client.example.com", "logo_uri": "https://client.example.com/logo.png"})
	path := "/admin/oauth/clients/" + client.id

	got := s.call("GET", path, s.service(), nil).want(200, "")
	equal(t, "type", got.str("client_type"), "confidential")
	equal(t, "method", got.str("token_endpoint_auth_method"), "client_secret_basic")
	equal(t, "registration", got.str("registration_type"), "manual")
	equal(t, "the secret again", got.at("client_secret"), nil)

	changed := s.call("PUT", path, s.service(), map[string]any{
		"client_name": "New", "redirect_uris": []string{callback, "com.example://cb"}, "client_uri": "", "token_endpoint_auth_method": "client_secret_post",
		"client_type": "public", "client_id": "x", "registration_type": "dynamic",
	}).want(200, "")
	equal(t, "name", changed.str("client_name"), "New")
	equal(t, "addresses", changed.at("redirect_uris"), []string{callback, "com.example://cb"})
	equal(t, "page", changed.at("client_uri"), nil)
	equal(t, "logo", changed.str("logo_uri"), "https://client.example.com/logo.png")
	equal(t, "type", changed.str("client_type"), "confidential")
	equal(t, "registration", changed.str("registration_type"), "manual")
	for name, body := range map[string]map[string]any{
		"nothing": {}, "unknown": {"x": 1}, "no addresses": {"redirect_uris": []string{}}, "no grants": {"grant_types": []string{}},
		"method": {"token_endpoint_auth_method": "none"}, "no method": {"token_endpoint_auth_method": ""}, "address": {"redirect_uris": []string{"http://evil.example.net"}},
	} {
		if a := s.call("PUT", path, s.service(), body); a.status != 400 || a.str("error_code") != "validation_failed" {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
	s.call("PUT", path, s.service(), map[string]any{"token_endpoint_auth_method": "client_secret_basic"}).want(200, "")

	tokens := client.redeem(client.code(user)).want(200, "")
	renewed := s.call("POST", path+"/regenerate_secret", s.service(), nil).want(200, "")
	equal(t, "cache", renewed.header.Get("Cache-Control"), "no-store")
	client.token("grant_type", "refresh_token", "refresh_token", tokens.str("refresh_token")).want(400, "invalid_credentials")
	client.secret = renewed.str("client_secret")
	tokens = client.token("grant_type", "refresh_token", "refresh_token", tokens.str("refresh_token")).want(200, "")

	code := client.code(user)
	s.call("DELETE", path, s.service(), nil).want(204, "")
	for _, method := range []string{"GET", "DELETE"} {
		s.call(method, path, s.service(), nil).want(404, "oauth_client_not_found")
	}
	client.redeem(code).want(400, "invalid_credentials")
	client.authorize().want(400, "oauth_client_not_found")
	s.call("GET", "/oauth/userinfo", tokens.str("access_token"), nil).want(403, "session_not_found")
	equal(t, "grants of a deleted app", s.call("GET", "/user/oauth/grants", user, nil).text, "[]")

	public := s.register(map[string]any{"client_type": "public"})
	s.call("POST", "/admin/oauth/clients/"+public.id+"/regenerate_secret", s.service(), nil).want(400, "validation_failed")
	s.call("GET", "/admin/oauth/clients/x", s.service(), nil).want(400, "validation_failed")
	s.call("GET", "/admin/oauth/clients", user, nil).want(403, "not_admin")
	s.call("POST", "/admin/oauth/clients", "", map[string]any{}).want(401, "no_authorization")
}

func TestAdminOAuthClientPages(t *testing.T) {
	s := start(t, oauthConfig())
	equal(t, "none", s.call("GET", "/admin/oauth/clients", s.service(), nil).text, `{"clients":[]}`)
	for i := range 5 {
		s.register(map[string]any{"client_name": fmt.Sprint("app-", i)})
	}
	all := s.call("GET", "/admin/oauth/clients?page=&per_page=", s.service(), nil).want(200, "")
	equal(t, "all", len(all.at("clients").([]any)), 5)
	equal(t, "newest first", all.at("clients", "0", "client_name"), "app-4")
	page := s.call("GET", "/admin/oauth/clients?page=2&per_page=2", s.service(), nil).want(200, "")
	equal(t, "second page", page.at("clients", "0", "client_name"), "app-2")
	equal(t, "total", page.header.Get("X-Total-Count"), "5")
	if link := page.header.Get("Link"); !strings.HasPrefix(link, "</admin/oauth/clients?page=3&per_page=2>; rel=\"next\"") || !strings.Contains(link, "page=3&per_page=2>; rel=\"last\"") {
		t.Errorf("link: %s", link)
	}
	s.call("GET", "/admin/oauth/clients?page=x", s.service(), nil).want(400, "validation_failed")
	equal(t, "far page", s.call("GET", "/admin/oauth/clients?page=1000000000&per_page=1000", s.service(), nil).text, `{"clients":[]}`)
}

func TestOAuthServerIsOff(t *testing.T) {
	s := start(t, config())
	user := s.signup("ann@example.com", "secret-1").str("access_token")
	for _, route := range []struct{ method, path string }{
		{"POST", "/oauth/clients/register"},
		{"GET", "/oauth/authorize"},
		{"GET", "/oauth/authorizations/x"},
		{"POST", "/oauth/authorizations/x/consent"},
		{"POST", "/oauth/token"},
		{"GET", "/oauth/userinfo"},
		{"GET", "/user/oauth/grants"},
		{"DELETE", "/user/oauth/grants"},
		{"GET", "/admin/oauth/clients"},
		{"GET", "/.well-known/oauth-authorization-server"},
	} {
		token := user
		if strings.HasPrefix(route.path, "/admin") {
			token = s.service()
		}
		s.call(route.method, route.path, token, nil).want(404, "feature_disabled")
	}
	s.call("GET", "/.well-known/openid-configuration", "", nil).want(200, "")
}

func TestOAuthMetadata(t *testing.T) {
	cfg := oauthConfig()
	s := start(t, cfg)
	s.f.PublicURL = "https://project.example.com"
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		a := s.call("GET", path, "", nil).want(200, "")
		equal(t, "cache", a.header.Get("Cache-Control"), "public, max-age=600")
		for name, want := range map[string]string{
			"issuer": "", "authorization_endpoint": "/oauth/authorize", "token_endpoint": "/oauth/token", "userinfo_endpoint": "/oauth/userinfo",
			"jwks_uri": "/.well-known/jwks.json", "registration_endpoint": "/oauth/clients/register",
		} {
			equal(t, name, a.str(name), "https://project.example.com/auth/v1"+want)
		}
		equal(t, "algorithms", a.at("id_token_signing_alg_values_supported"), []string{"HS256"})
	}
	cfg.JWTIssuer, cfg.OAuthServer.DynamicRegistration = "supabase", false
	s = start(t, cfg)
	s.f.Keys = keysOf(t, newKey(t, "ES256", "k1", "sign"))
	a := s.call("GET", "/.well-known/openid-configuration", "", nil).want(200, "")
	equal(t, "issuer that is no address", a.str("issuer"), "supabase")
	equal(t, "token", a.str("token_endpoint"), "http://localhost:8000/auth/v1/oauth/token")
	equal(t, "registration", a.at("registration_endpoint"), nil)
	equal(t, "algorithms", a.at("id_token_signing_alg_values_supported"), []string{"ES256"})
}

func TestOAuthSettings(t *testing.T) {
	t.Parallel()
	cfg := oauthConfig().OAuthServer
	cfg.AuthorizationPath, cfg.AuthorizationTTL, cfg.DefaultScope, cfg.RateLimitRegister = "", 0, "email admin", -1
	err := cfg.Validate()
	for _, name := range []string{"AUTHORIZATION_PATH", "AUTHORIZATION_TTL", "DEFAULT_SCOPE", "RATE_LIMIT_OAUTH_DYNAMIC_CLIENT_REGISTER"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
}
