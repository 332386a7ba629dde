package auth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
)

// Widths of the columns of auth.oauth_authorizations, in characters.
const (
	maxState    = 4096
	maxResource = 2048
	maxNonce    = 255
)

// oauthAuthorize answers GET /oauth/authorize (RFC 6749, section 4.1.1): it keeps
// the app's request and sends the user to the page that asks for consent. A fault
// of the app or of its redirect_uri is told here; every other one is told to the
// app, which is where the user is sent then.
func (m *Module) oauthAuthorize(c echo.Context) error {
	if err := m.allow(c.Request(), "oauth_authorize", m.cfg.RateLimitTokenRefresh, 5*time.Minute); err != nil {
		return err
	}
	query := c.QueryParams()
	client, err := askingClient(c, query)
	if err != nil {
		return err
	}
	request, err := m.authorizationRequest(query)
	if err != nil {
		return redirect(c, errorRedirect(query.Get("redirect_uri"), oauthInvalidRequest, err.Error(), query.Get("state")))
	}
	request.RowID, request.ID, request.ClientID = uuid.NewString(), strings.ReplaceAll(uuid.NewString(), "-", ""), client.ID
	err = store.InsertOAuthAuthorization(c.Request().Context(), projectOf(c).DB.Auth, request, m.cfg.OAuthServer.AuthorizationTTL)
	if err != nil {
		m.deps.Log.ErrorContext(c.Request().Context(), "cannot keep an authorization request", "error", err)
		return redirect(c, errorRedirect(request.RedirectURI, oauthServerFailed, "error creating authorization", request.State))
	}
	return redirect(c, m.consentPage(c, request.ID))
}

// redirect sends the browser on; the address holds what is meant for one reader.
func redirect(c echo.Context, to string) error {
	noStore(c)
	http.Redirect(c.Response(), c.Request(), to, http.StatusFound)
	return nil
}

// askingClient finds the app of an authorization request and checks that the user
// may be sent back to where it says: an address exactly as it is registered.
func askingClient(c echo.Context, query url.Values) (*store.OAuthClient, error) {
	redirectURI := query.Get("redirect_uri")
	switch {
	case query.Get("client_id") == "":
		return nil, invalid("client_id is required")
	case redirectURI == "":
		return nil, invalid("redirect_uri is required")
	}
	id, err := uuid.Parse(query.Get("client_id"))
	if err != nil {
		return nil, badRequest(codeNoOAuthClient, "invalid client_id format")
	}
	client, err := store.OAuthClientByID(c.Request().Context(), projectOf(c).DB.Auth, id.String())
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, badRequest(codeNoOAuthClient, "invalid client_id")
	case err != nil:
		return nil, fmt.Errorf("auth: authorize: %w", err)
	case !slices.Contains(client.RedirectURIs, redirectURI) || redirectURIFault(redirectURI) != "": // rows of elsewhere hold what is no longer taken
		return nil, invalid("invalid redirect_uri")
	}
	return client, nil
}

// authorizationRequest reads the rest of an authorization request. The error is
// for the app.
func (m *Module) authorizationRequest(query url.Values) (*store.OAuthAuthorization, error) {
	if kind := query.Get("response_type"); kind != "" && kind != "code" {
		return nil, errors.New("only response_type=code is supported")
	}
	asked := query.Get("scope")
	if asked == "" {
		asked = m.cfg.OAuthServer.DefaultScope
	}
	scopes, err := parseScopes(asked)
	if err != nil {
		return nil, err
	}
	request := &store.OAuthAuthorization{
		RedirectURI: query.Get("redirect_uri"), Scope: strings.Join(scopes, " "), State: query.Get("state"), Resource: query.Get("resource"),
		CodeChallenge: query.Get("code_challenge"), CodeChallengeMethod: strings.ToLower(query.Get("code_challenge_method")), Nonce: query.Get("nonce"),
	}
	if err := checkResource(request.Resource); err != nil {
		return nil, err
	}
	if err := checkChallenge(request.CodeChallenge, request.CodeChallengeMethod); err != nil {
		return nil, err
	}
	for name, limit := range map[string]int{"state": maxState, "nonce": maxNonce, "resource": maxResource} {
		value := query.Get(name)
		if utf8.RuneCountInString(value) > limit {
			return nil, fmt.Errorf("%s must not be longer than %d characters", name, limit)
		}
		if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
			return nil, fmt.Errorf("%s must be text", name)
		}
	}
	return request, nil
}

// checkChallenge asks for PKCE, without which no code is given (OAuth 2.1, section 4.1.1).
func checkChallenge(challenge, method string) error {
	switch {
	case challenge == "" || method == "":
		return errors.New("PKCE flow requires both code_challenge and code_challenge_method")
	case method != challengeS256 && method != challengePlain:
		return errors.New("code_challenge_method must be 'S256' or 'plain'")
	case len(challenge) < minChallenge || len(challenge) > maxChallenge:
		return errors.New("code_challenge must be between 43 and 128 characters")
	case !challengePattern.MatchString(challenge):
		return errors.New("code_challenge must be of letters, digits and -._~")
	}
	return nil
}

// checkResource reads a resource indicator (RFC 8707), which is kept and compared only.
func checkResource(resource string) error {
	u, err := url.Parse(resource)
	switch {
	case resource == "":
		return nil
	case err != nil:
		return errors.New("resource must be a valid URI")
	case !u.IsAbs():
		return errors.New("resource must be an absolute URI")
	case u.Fragment != "":
		return errors.New("resource must not include a fragment component")
	case u.RawQuery != "":
		return errors.New("resource must not include a query component")
	}
	return nil
}

// consentPage is the app's page that asks the user.
func (m *Module) consentPage(c echo.Context, id string) string {
	path := "/" + strings.TrimLeft(m.cfg.OAuthServer.AuthorizationPath, "/")
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	return strings.TrimRight(m.siteURL(c.Request().Context()), "/") + path + separator + "authorization_id=" + id
}

// errorRedirect is where the user goes with an error for the app (RFC 6749, section 4.1.2.1).
func errorRedirect(redirectURI, code, description, state string) string {
	return appRedirect(redirectURI, map[string]string{"error": code, "error_description": description, "state": state})
}

// codeRedirect is where the user goes with a code for the app.
func codeRedirect(a *store.OAuthAuthorization) string {
	return appRedirect(a.RedirectURI, map[string]string{"code": a.Code, "state": a.State})
}

// appRedirect adds parameters to a registered address; those that are empty are left out.
func appRedirect(redirectURI string, parameters map[string]string) string {
	u, err := url.Parse(redirectURI)
	if err != nil { // it was parsed when it was registered
		return redirectURI
	}
	query := u.Query()
	for name, value := range parameters {
		if value != "" {
			query.Set(name, value)
		}
	}
	u.RawQuery = query.Encode()
	return u.String()
}
