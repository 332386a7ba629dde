package auth

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
)

// Bounds of what an app says of itself.
const (
	maxRedirectURIs = 10
	maxClientName   = 1024
	maxClientURL    = 2048
)

// How an app came to be registered.
const (
	registeredByAdmin  = "manual"
	registeredByItself = "dynamic"
)

// Grants of the token endpoint.
const (
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
)

// clientMetadata is what an app says of itself (RFC 7591, section 2), nil where
// it says nothing. Whatever else a request holds, as an id or a secret, is not read.
type clientMetadata struct {
	RedirectURIs *[]string `json:"redirect_uris"`
	GrantTypes   *[]string `json:"grant_types"`
	Name         *string   `json:"client_name"`
	URI          *string   `json:"client_uri"`
	LogoURI      *string   `json:"logo_uri"`
	AuthMethod   *string   `json:"token_endpoint_auth_method"`
	// Type is chosen once: an update does not read it.
	Type string `json:"client_type"`
}

func (d clientMetadata) empty() bool {
	return d.RedirectURIs == nil && d.GrantTypes == nil && d.Name == nil && d.URI == nil && d.LogoURI == nil && d.AuthMethod == nil
}

// check refuses what no app may say.
func (d clientMetadata) check() error {
	if d.RedirectURIs != nil {
		if err := checkRedirectURIs(*d.RedirectURIs); err != nil {
			return err
		}
	}
	if d.GrantTypes != nil {
		if len(*d.GrantTypes) == 0 {
			return invalid("grant_types cannot be empty")
		}
		for _, grant := range *d.GrantTypes {
			if grant != grantCode && grant != grantRefresh {
				return invalid("grant_types must only contain 'authorization_code' and/or 'refresh_token'")
			}
		}
	}
	if d.Name != nil && len(*d.Name) > maxClientName {
		return invalid("client_name cannot exceed 1024 characters")
	}
	for name, value := range map[string]*string{"client_uri": d.URI, "logo_uri": d.LogoURI} {
		if err := checkClientURL(name, value); err != nil {
			return err
		}
	}
	if d.AuthMethod != nil && !slices.Contains(clientAuthMethods(), *d.AuthMethod) {
		return invalid(fmt.Sprintf("token_endpoint_auth_method must be one of: %v", clientAuthMethods()))
	}
	return nil
}

// apply writes what the metadata says.
func (d clientMetadata) apply(client *store.OAuthClient) {
	set(&client.RedirectURIs, d.RedirectURIs)
	set(&client.GrantTypes, d.GrantTypes)
	set(&client.Name, d.Name)
	set(&client.URI, d.URI)
	set(&client.LogoURI, d.LogoURI)
	set(&client.AuthMethod, d.AuthMethod)
}

// set writes a value that is there.
func set[T any](into, value *T) {
	if value != nil {
		*into = *value
	}
}

func clientAuthMethods() []string {
	return []string{clientSecretNone, clientSecretBasic, clientSecretPost}
}

// authMethodsOf are those that an app of the kind may use, the usual one first.
func authMethodsOf(kind string) []string {
	if kind == store.OAuthPublic {
		return []string{clientSecretNone}
	}
	return []string{clientSecretBasic, clientSecretPost}
}

// checkClientURL takes web addresses only: consent pages show them as links and images.
func checkClientURL(name string, value *string) error {
	switch {
	case value == nil || *value == "":
		return nil
	case len(*value) > maxClientURL:
		return invalid(name + " cannot exceed 2048 characters")
	}
	if u, err := url.ParseRequestURI(*value); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return invalid(name + " must be a valid URL")
	}
	return nil
}

func checkRedirectURIs(uris []string) error {
	switch {
	case len(uris) == 0:
		return invalid("redirect_uris cannot be empty")
	case len(uris) > maxRedirectURIs:
		return invalid("redirect_uris cannot exceed 10 items")
	}
	for _, uri := range uris {
		if why := redirectURIFault(uri); why != "" {
			return invalid(fmt.Sprintf("invalid redirect_uri '%s': %s", uri, why)).WithField(fieldOAuth, "invalid_redirect_uri")
		}
	}
	return nil
}

// redirectURIFault says why an app may not have users sent to uri, or nothing. It
// is an absolute URI without fragment (RFC 6749, section 3.1.2) that is encrypted,
// goes to the same machine, or has an app's own scheme. What browsers and parsers
// read in different ways is refused, and so is a comma, which parts the stored
// list: with one, a harmless address would hold a second one.
func redirectURIFault(uri string) string {
	if uri == "" {
		return "redirect URI cannot be empty"
	}
	if len(uri) > maxClientURL {
		return "cannot exceed 2048 characters"
	}
	if strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r >= 0x7f }) || strings.ContainsAny(uri, `\,<>"`+"`{}|^") {
		return "contains a character that is not allowed"
	}
	u, err := url.Parse(uri)
	if err != nil {
		return "invalid URL format"
	}
	switch {
	case u.Scheme == "" || u.Host == "" || u.Hostname() == "":
		return "must have scheme and host"
	case slices.Contains(dangerousSchemes(), strings.ToLower(u.Scheme)):
		return fmt.Sprintf("scheme '%s' is not allowed for security reasons", u.Scheme)
	case u.Scheme == "http" && u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1" && u.Hostname() != "::1":
		return "HTTP scheme only allowed for localhost"
	case strings.Contains(uri, "#"):
		return "fragment not allowed in redirect URI"
	case u.User != nil:
		return "user information not allowed in redirect URI"
	}
	return ""
}

// dangerousSchemes run or read something in the browser instead of going to an app.
func dangerousSchemes() []string {
	return []string{"javascript", "data", "file", "vbscript", "about", "blob", "filesystem", "view-source"}
}

// oauthRegister answers POST /oauth/clients/register (RFC 7591).
func (m *Module) oauthRegister(c echo.Context) error {
	if err := m.allow(c.Request(), "oauth_register", m.cfg.OAuthServer.RateLimitRegister, 5*time.Minute); err != nil {
		return err
	}
	if !m.cfg.OAuthServer.DynamicRegistration {
		return forbidden(codeOAuthRegistration, "Dynamic client registration is not enabled")
	}
	return registerClient(c, registeredByItself)
}

// registerClient answers a registration with the app and, this once, its secret.
func registerClient(c echo.Context, how string) error {
	var said clientMetadata
	if err := readBody(c, &said); err != nil {
		return err
	}
	client, err := newClient(said)
	if err != nil {
		return asMetadataError(err)
	}
	client.ID, client.Registration = uuid.NewString(), how
	var secret string
	if client.Type == store.OAuthConfidential {
		secret, client.SecretHash = newClientSecret()
	}
	made, err := store.InsertOAuthClient(c.Request().Context(), projectOf(c).DB.Auth, client)
	if err != nil {
		return databaseError("Error registering OAuth client", err)
	}
	made.Secret = secret
	noStore(c)
	return httpx.JSON(c, http.StatusCreated, made)
}

// newClient is the app that the metadata describes, with what is usual where it
// says nothing: one with a secret, sent by HTTP Basic, for both grants.
func newClient(said clientMetadata) (*store.OAuthClient, error) {
	if said.RedirectURIs == nil || len(*said.RedirectURIs) == 0 {
		return nil, invalid("redirect_uris is required")
	}
	if said.GrantTypes != nil && len(*said.GrantTypes) == 0 {
		said.GrantTypes = nil
	}
	if said.AuthMethod != nil && *said.AuthMethod == "" {
		said.AuthMethod = nil
	}
	if err := said.check(); err != nil {
		return nil, err
	}
	client := &store.OAuthClient{Type: said.Type, GrantTypes: []string{grantCode, grantRefresh}}
	said.apply(client)
	return client, settleType(client)
}

// settleType makes the app's kind and its way of proving who it is agree.
func settleType(client *store.OAuthClient) error {
	fitting := store.OAuthConfidential
	if client.AuthMethod == clientSecretNone {
		fitting = store.OAuthPublic
	}
	switch client.Type {
	case "":
		client.Type = fitting
	case store.OAuthPublic, store.OAuthConfidential:
		if client.AuthMethod != "" && client.Type != fitting {
			return invalid(fmt.Sprintf("client_type '%s' is inconsistent with token_endpoint_auth_method '%s' (expected client_type '%s')",
				client.Type, client.AuthMethod, fitting))
		}
	default:
		return invalid("client_type must be 'public' or 'confidential'")
	}
	if client.AuthMethod == "" {
		client.AuthMethod = authMethodsOf(client.Type)[0]
	}
	return nil
}

// asMetadataError gives a refusal OAuth's name too (RFC 7591, section 3.2.2).
func asMetadataError(err error) error {
	e := apierr.From(err)
	if e.Fields[fieldOAuth] == nil && e.Status == http.StatusBadRequest {
		return e.WithField(fieldOAuth, "invalid_client_metadata")
	}
	return e
}

// noStore keeps an answer with secrets out of caches (RFC 6749, section 5.1).
func noStore(c echo.Context) {
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	c.Response().Header().Set("Pragma", "no-cache")
}
