package auth

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/project"
)

// serverMetadata describes the OAuth server to apps (RFC 8414, and OpenID Connect
// Discovery, which builds on it).
type serverMetadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	JWKSURI               string   `json:"jwks_uri"`
	UserInfoEndpoint      string   `json:"userinfo_endpoint"`
	RegistrationEndpoint  string   `json:"registration_endpoint,omitempty"`
	Scopes                []string `json:"scopes_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	ResponseModes         []string `json:"response_modes_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	SubjectTypes          []string `json:"subject_types_supported"`
	IDTokenAlgorithms     []string `json:"id_token_signing_alg_values_supported"`
	AuthMethods           []string `json:"token_endpoint_auth_methods_supported"`
	Claims                []string `json:"claims_supported"`
	ChallengeMethods      []string `json:"code_challenge_methods_supported"`
}

// metadata answers GET /.well-known/openid-configuration and
// /.well-known/oauth-authorization-server.
func (m *Module) metadata(c echo.Context) error {
	p := projectOf(c)
	base := m.baseURL(p)
	body := serverMetadata{
		Issuer: m.issuer(p), AuthorizationEndpoint: base + "/oauth/authorize", TokenEndpoint: base + "/oauth/token",
		JWKSURI: base + "/.well-known/jwks.json", UserInfoEndpoint: base + "/oauth/userinfo",
		Scopes: supportedScopes(), ResponseTypes: []string{"code"}, ResponseModes: []string{"query"},
		GrantTypes: []string{grantCode, grantRefresh}, SubjectTypes: []string{"public"}, IDTokenAlgorithms: []string{p.Keys.Algorithm()},
		AuthMethods:      []string{clientSecretBasic, clientSecretPost, clientSecretNone},
		ChallengeMethods: []string{"S256", "plain"},
		Claims: []string{
			"sub", "aud", "iss", "exp", "iat", "auth_time", "nonce", "email", "email_verified", "phone_number", "phone_number_verified",
			"name", "picture", "preferred_username", "updated_at",
		},
	}
	if m.cfg.OAuthServer.Enabled && m.cfg.OAuthServer.DynamicRegistration {
		body.RegistrationEndpoint = base + "/oauth/clients/register"
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "public, max-age=600")
	return httpx.JSON(c, http.StatusOK, body)
}

// baseURL is where apps reach this surface: the issuer's address, when it is one,
// or else the public one.
func (m *Module) baseURL(p *project.Project) string {
	issuer := m.issuer(p)
	if !strings.HasPrefix(issuer, "https://") && !strings.HasPrefix(issuer, "http://") {
		issuer = m.apiURL(p)
	}
	return strings.TrimRight(issuer, "/")
}
