package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
)

// oauthTokens is the answer of the token endpoint (RFC 6749, section 5.1).
type oauthTokens struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token"`
	Scope        string `json:"scope,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
}

// oauthToken answers POST /oauth/token.
func (m *Module) oauthToken(c echo.Context) error {
	noStore(c)
	req, err := readTokenRequest(c)
	if err != nil {
		return err
	}
	client, err := authenticateClient(c, req)
	switch {
	case err != nil:
		return err
	case req.GrantType == "":
		return oauthError(oauthInvalidRequest, "grant_type is required")
	case !slices.Contains(client.GrantTypes, req.GrantType):
		return oauthError(oauthUnsupportedGrant, "Client is not allowed to use grant type: "+req.GrantType)
	case req.GrantType == grantCode:
		return m.exchangeCode(c, client, req)
	case req.GrantType == grantRefresh:
		return m.oauthRefresh(c, client, req)
	}
	return oauthError(oauthUnsupportedGrant, "Unsupported grant type: "+req.GrantType)
}

// oauthRefresh exchanges the refresh token of an app's session. GoTrue's errors
// are given OAuth's name too.
func (m *Module) oauthRefresh(c echo.Context, client *store.OAuthClient, req oauthTokenRequest) error {
	if req.RefreshToken == "" {
		return oauthError(oauthInvalidRequest, "refresh_token is required for refresh_token grant")
	}
	in, err := m.exchange(c, req.RefreshToken, client.ID)
	if err != nil {
		if e, ok := errors.AsType[*apierr.Error](err); ok && e.Status == http.StatusBadRequest && e.Fields[fieldOAuth] == nil {
			return e.WithField(fieldOAuth, oauthInvalidGrant)
		}
		return err
	}
	return m.respondOAuth(c, in, "")
}

func (m *Module) respondOAuth(c echo.Context, in *issued, idToken string) error {
	body := m.answer(c, in)
	return httpx.JSON(c, http.StatusOK, oauthTokens{
		body.AccessToken, body.TokenType, body.ExpiresIn, body.RefreshToken, in.session.Scopes, idToken,
	})
}

// exchangeCode exchanges a code for a session of the app's. A code is good once:
// when it comes again, someone else has it too, and the session ends that it was
// exchanged for (RFC 6749, section 4.1.2).
func (m *Module) exchangeCode(c echo.Context, client *store.OAuthClient, req oauthTokenRequest) error {
	if req.Code == "" {
		return oauthError(oauthInvalidRequest, "code is required for authorization_code grant")
	}
	var in *issued
	var idToken string
	var replay error // what the transaction still has to commit
	ctx := c.Request().Context()
	err := m.transact(ctx, func(tx pgx.Tx) error {
		a, err := store.LockOAuthAuthorizationByCode(ctx, tx, req.Code)
		if errors.Is(err, store.ErrNotFound) {
			return oauthError(oauthInvalidGrant, "Invalid authorization code")
		}
		if err != nil {
			return err
		}
		if err := checkCode(a, client); err != nil {
			return err
		}
		if a.Status != store.OAuthApproved {
			replay = oauthError(oauthInvalidGrant, "Invalid authorization code")
			m.deps.Log.WarnContext(ctx, "authorization code was used again; its session ends", "session_id", a.RowID, "client_id", client.ID)
			return store.DeleteSession(ctx, tx, a.RowID)
		}
		if err := checkExchange(a, req); err != nil {
			return err
		}
		in, idToken, err = m.startAppSession(ctx, tx, a, m.client(c.Request()))
		return err
	})
	if err == nil {
		err = replay
	}
	if err != nil {
		return databaseError("Error exchanging authorization code", err)
	}
	return m.respondOAuth(c, in, idToken)
}

// checkCode refuses a code that is not this app's or no longer good.
func checkCode(a *store.OAuthAuthorization, client *store.OAuthClient) error {
	switch {
	case a.Late:
		return oauthError(oauthInvalidGrant, "Authorization code has expired")
	case a.ClientID != client.ID:
		return oauthError(oauthInvalidGrant, "Authorization code was not issued for this client")
	}
	return nil
}

// checkExchange compares the exchange of a code with the request that it was
// given for. Whoever knows no verifier has only overheard the code.
func checkExchange(a *store.OAuthAuthorization, req oauthTokenRequest) error {
	switch {
	case req.Resource != "" && req.Resource != a.Resource:
		return oauthError(oauthInvalidGrant, "Authorization code resource does not match the resource parameter")
	case req.RedirectURI != "" && req.RedirectURI != a.RedirectURI:
		return oauthError(oauthInvalidGrant, "Invalid redirect_uri")
	case req.CodeVerifier == "":
		return oauthError(oauthInvalidGrant, "PKCE verification failed: code_verifier is required when PKCE challenge is present")
	case a.UserID == "":
		return oauthError(oauthInvalidGrant, "Authorization code has no associated user")
	case !answersChallenge(a.CodeChallenge, a.CodeChallengeMethod, req.CodeVerifier):
		return oauthError(oauthInvalidGrant, "PKCE verification failed: code challenge does not match previously saved code verifier")
	}
	return nil
}

// startAppSession uses up the request's code for a session, whose id is the request's.
func (m *Module) startAppSession(ctx context.Context, tx pgx.Tx, a *store.OAuthAuthorization, who client) (in *issued, idToken string, err error) {
	user, err := store.UserByID(ctx, tx, a.UserID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, "", oauthError(oauthInvalidGrant, "User not found for authorization code")
	case err != nil:
		return nil, "", err
	case user.Banned(m.now()):
		return nil, "", oauthError(oauthAccessDenied, "User is banned")
	case user.DeletedAt != nil:
		return nil, "", oauthError(oauthInvalidGrant, "User not found for authorization code")
	}
	traits := map[string]any{"provider_type": "oauth_provider_authorization_code", "client_id": a.ClientID}
	if err := m.audit(ctx, tx, user, actionLogin, traits); err != nil {
		return nil, "", err
	}
	in, err = m.startSession(ctx, tx, user, entry{method: methodOAuthServer, oauthClientID: a.ClientID, scopes: a.Scope, sessionID: a.RowID}, who)
	if err != nil {
		return nil, "", err
	}
	if slices.Contains(strings.Fields(a.Scope), scopeOpenID) {
		if idToken, err = m.idToken(ctx, in, a.Nonce); err != nil {
			return nil, "", fmt.Errorf("auth: ID token: %w", err)
		}
	}
	a.Status = store.OAuthExpired
	return in, idToken, store.UpdateOAuthAuthorization(ctx, tx, a)
}
