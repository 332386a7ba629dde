package auth

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
)

// OAuthServerConfig is about the OAuth 2.1 server: other apps sign their users in with this project.
type OAuthServerConfig struct {
	Enabled             bool          `env:"GOTRUE_OAUTH_SERVER_ENABLED" default:"false" doc:"Let other apps sign their users in here (OAuth 2.1, OpenID Connect). ID tokens need an asymmetric key in JWT_KEYS." group:"optional"`
	DynamicRegistration bool          `env:"GOTRUE_OAUTH_SERVER_ALLOW_DYNAMIC_REGISTRATION" default:"false" doc:"Let anyone register an app (RFC 7591). Without it only administrators do." group:"optional"`
	AuthorizationPath   string        `env:"GOTRUE_OAUTH_SERVER_AUTHORIZATION_PATH" doc:"Path under GOTRUE_SITE_URL of the page that asks the user for consent; it is given the parameter authorization_id. Needed when the server is on." group:"optional"`
	AuthorizationTTL    time.Duration `env:"GOTRUE_OAUTH_SERVER_AUTHORIZATION_TTL" default:"10m" doc:"How long an app's request, and the code given for it, may wait." group:"optional"`
	DefaultScope        string        `env:"GOTRUE_OAUTH_SERVER_DEFAULT_SCOPE" default:"email" doc:"Scopes, parted by spaces, of requests that name none." group:"optional"`
	RateLimitRegister   int           `env:"GOTRUE_RATE_LIMIT_OAUTH_DYNAMIC_CLIENT_REGISTER,GOTRUE_RATE_LIMIT_O_AUTH_DYNAMIC_CLIENT_REGISTER" default:"10" doc:"Apps that one caller may register in 5 minutes; 0 is no limit." group:"optional"`
}

// Validate names every fault of the settings.
func (c OAuthServerConfig) Validate() error {
	var errs []error
	if c.RateLimitRegister < 0 {
		errs = append(errs, errors.New("GOTRUE_RATE_LIMIT_OAUTH_DYNAMIC_CLIENT_REGISTER must not be negative"))
	}
	if !c.Enabled {
		return errors.Join(errs...)
	}
	if c.AuthorizationPath == "" {
		errs = append(errs, errors.New("GOTRUE_OAUTH_SERVER_AUTHORIZATION_PATH must be set when GOTRUE_OAUTH_SERVER_ENABLED is true"))
	}
	if c.AuthorizationTTL <= 0 {
		errs = append(errs, errors.New("GOTRUE_OAUTH_SERVER_AUTHORIZATION_TTL must be more than 0"))
	}
	if _, err := parseScopes(c.DefaultScope); err != nil {
		errs = append(errs, fmt.Errorf("GOTRUE_OAUTH_SERVER_DEFAULT_SCOPE: %w", err))
	}
	return errors.Join(errs...)
}

// Scopes that an app may ask for. They decide what the ID token and userinfo say;
// what an app may do with the user's rows is for policies, by the claim client_id.
const (
	scopeOpenID  = "openid"
	scopeProfile = "profile"
	scopeEmail   = "email"
	scopePhone   = "phone"
	scopeOffline = "offline_access"
)

// supportedScopes are listed as GoTrue lists them.
func supportedScopes() []string {
	return []string{scopeOpenID, scopeProfile, scopeEmail, scopePhone, scopeOffline}
}

// parseScopes reads scopes that are parted by spaces, each once.
func parseScopes(text string) ([]string, error) {
	var scopes []string
	seen := map[string]bool{}
	for scope := range strings.FieldsSeq(text) {
		if !slices.Contains(supportedScopes(), scope) {
			return nil, fmt.Errorf("unsupported scope: %s", scope)
		}
		if !seen[scope] {
			scopes = append(scopes, scope)
		}
		seen[scope] = true
	}
	if len(scopes) == 0 {
		return nil, errors.New("scope parameter cannot be empty")
	}
	return scopes, nil
}

// oauthServer makes a route of one that is there while the OAuth server is on.
func (m *Module) oauthServer(h echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !m.cfg.OAuthServer.Enabled {
			return apierr.New(http.StatusNotFound, codeFeatureDisabled, "OAuth server is disabled")
		}
		return h(c)
	}
}
