package auth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/provider"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
)

// callback answers GET and POST /callback: the browser comes back from a service
// and goes on to the app, with tokens, a code or an error. A state serves once,
// whatever comes of it, and only for the service that it was made for.
func (m *Module) callback(c echo.Context) error {
	values, err := callbackValues(c)
	if err != nil {
		return err
	}
	flow, err := m.claimFlow(c, values.Get("state"))
	if err != nil { // nobody knows where it should have led
		return goTo(c, http.StatusSeeOther, withQuery(m.siteURL(c.Request().Context()), m.callbackError(c, err)))
	}
	address, err := m.arrive(c, flow, values)
	if err != nil {
		if dropErr := store.DeleteFlowState(c.Request().Context(), projectOf(c).DB.Auth, flow.ID); dropErr != nil {
			m.deps.Log.ErrorContext(c.Request().Context(), "a failed sign-in stays in the database", "error", dropErr)
		}
		with := m.callbackError(c, err)
		address = withQuery(withoutFragment(m.target(c, flow)), with)
		with.Set("sb", "")
		address += "#" + with.Encode()
	}
	return goTo(c, http.StatusFound, address)
}

// callbackValues are what the service sends: in the query, or in a form.
func callbackValues(c echo.Context) (url.Values, error) {
	r := c.Request()
	if r.Method != http.MethodPost {
		return r.URL.Query(), nil
	}
	r.Body = http.MaxBytesReader(c.Response(), r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return nil, badRequest(codeBadOAuthCallback, "OAuth callback with unreadable form").Because(err)
	}
	return r.Form, nil
}

// claimFlow returns the sign-in of a state and makes the state void.
func (m *Module) claimFlow(c echo.Context, state string) (*store.FlowState, error) {
	if state == "" {
		return nil, badRequest(codeBadOAuthCallback, "OAuth state parameter missing")
	}
	id, err := uuid.Parse(state)
	if err != nil {
		return nil, badRequest(codeBadOAuthState, "OAuth state parameter is invalid")
	}
	if !m.begunHere(c.Request(), id.String()) {
		return nil, badRequest(codeBadOAuthState, "OAuth state belongs to another browser")
	}
	m.markBrowser(c, id.String(), false)
	ctx, pool := c.Request().Context(), projectOf(c).DB.Auth
	flow, err := store.ClaimFlow(ctx, pool, id.String(), methodOAuth)
	if errors.Is(err, store.ErrNotFound) {
		used, err := store.FlowStateByID(ctx, pool, id.String())
		if err == nil && used.AuthenticationMethod == methodOAuth {
			return nil, badRequest(codeFlowUsed, "State has already been used")
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		return nil, badRequest(codeBadOAuthState, "OAuth state not found or expired")
	}
	if err != nil {
		return nil, err
	}
	if m.flowExpired(flow) {
		return nil, badRequest(codeBadOAuthState, "OAuth state has expired")
	}
	return flow, nil
}

// target is where a sign-in ends.
func (m *Module) target(c echo.Context, flow *store.FlowState) string {
	switch {
	case m.cfg.External.RedirectURL != "":
		return m.cfg.External.RedirectURL
	case flow.Referrer != "":
		return flow.Referrer
	}
	return m.siteURL(c.Request().Context())
}

// arrive finishes a sign-in and returns where the browser goes with what the app gets.
func (m *Module) arrive(c echo.Context, flow *store.FlowState, values url.Values) (string, error) {
	grant, err := m.grantOf(c, flow, values)
	if err != nil {
		return "", err
	}
	if len(grant.Identity.Emails) == 0 && !flow.EmailOptional {
		return "", apierr.New(http.StatusInternalServerError, codeUnexpected, "Error getting user email from external provider")
	}
	ctx, r := c.Request().Context(), c.Request()
	a := arrival{who: grant.Identity, emailOptional: flow.EmailOptional, redirectTo: flow.Referrer}
	if flow.LinkingTargetID == "" && flow.InviteToken == "" {
		if err := m.beforeAccount(c, a.who); err != nil {
			return "", err
		}
	}
	var in *issued
	var got account
	err = m.transact(ctx, func(tx pgx.Tx) (err error) {
		if got, err = m.admit(r, tx, flow, a); err != nil || got.refused != nil {
			return err
		}
		if flow.CodeChallenge != "" {
			flow.UserID, flow.ProviderAccessToken, flow.ProviderRefreshToken = got.user.ID, grant.AccessToken, grant.RefreshToken
			return store.IssueCode(ctx, tx, flow)
		}
		if in, err = m.startSession(ctx, tx, got.user, entry{method: methodOAuth}, m.client(r)); err != nil {
			return err
		}
		return store.DeleteFlowState(ctx, tx, flow.ID)
	})
	if err != nil {
		return "", databaseError("Database error saving new user", err)
	}
	if err := m.afterAccount(c, got); err != nil {
		return "", err
	}
	if in == nil {
		return withCode(m.target(c, flow), flow.AuthCode), nil
	}
	m.answer(c, in) // for its headers
	tokens := url.Values{"provider_token": {grant.AccessToken}}
	if grant.RefreshToken != "" {
		tokens.Set("provider_refresh_token", grant.RefreshToken)
	}
	return m.withTokens(m.target(c, flow), in, tokens), nil
}

// admit finds the account of a sign-in: that of whoever links an identity, that of
// the invited, or that by the rules.
func (m *Module) admit(r *http.Request, tx pgx.Tx, flow *store.FlowState, a arrival) (account, error) {
	switch {
	case flow.LinkingTargetID != "":
		target, err := store.LockUser(r.Context(), tx, flow.LinkingTargetID)
		if errors.Is(err, store.ErrNotFound) {
			return account{}, unprocessable(codeUserNotFound, "Linking target user not found")
		}
		if err != nil {
			return account{}, err
		}
		return m.linkTo(r, tx, target, a)
	case flow.InviteToken != "":
		return m.acceptInvite(r, tx, flow.InviteToken, a)
	}
	return m.accountFor(r, tx, a)
}

// maxTold bounds what is told of a service's own error, in bytes.
const maxTold = 500

// grantOf exchanges what the service sent for tokens and a person.
func (m *Module) grantOf(c echo.Context, flow *store.FlowState, values url.Values) (*provider.Grant, error) {
	if told := values.Get("error"); told != "" {
		return nil, toldError(told[:min(len(told), maxTold)], values.Get("error_description"))
	}
	cb := provider.Callback{
		Code: values.Get("code"), User: values.Get("user"), OAuthToken: values.Get("oauth_token"), OAuthVerifier: values.Get("oauth_verifier"),
	}
	if cb.Code == "" && cb.OAuthVerifier == "" {
		return nil, badRequest(codeBadOAuthCallback, "OAuth callback with missing authorization code missing")
	}
	ctx := c.Request().Context()
	at, _, err := m.service(ctx, flow.ProviderType, "")
	if err != nil {
		return nil, serviceError(codeOAuthUnsupported, err)
	}
	if flow.OAuthClientStateID != "" {
		if cb.Kept, err = m.takeKept(ctx, c, flow); err != nil {
			return nil, err
		}
	}
	grant, err := at.Finish(ctx, cb)
	switch {
	case errors.Is(err, provider.ErrExchange):
		return nil, apierr.New(http.StatusInternalServerError, codeUnexpected, "Unable to exchange external code: "+cb.Code[:min(4, len(cb.Code))]).Because(err)
	case err != nil:
		return nil, apierr.New(http.StatusInternalServerError, codeUnexpected, "Error getting user profile from external provider").Because(err)
	}
	return grant, nil
}

// keptLife is how long what was kept of a sign-in's start may be used.
const keptLife = 5 * time.Minute

func (m *Module) takeKept(ctx context.Context, c echo.Context, flow *store.FlowState) (string, error) {
	kept, err := store.TakeClientState(ctx, projectOf(c).DB.Auth, flow.OAuthClientStateID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "", unprocessable(codeOAuthStateNotFound, "OAuth state not found")
	case err != nil:
		return "", err
	case kept.Provider != flow.ProviderType:
		return "", badRequest(codeOAuthStateInvalid, "OAuth provider mismatch")
	case m.now().After(kept.CreatedAt.Add(keptLife)):
		return "", unprocessable(codeOAuthStateExpired, "OAuth state expired")
	}
	return kept.Kept, nil
}

// fieldTold marks an error that is the service's own.
const fieldTold = "told"

func toldError(name, description string) error {
	return badRequest("", description[:min(len(description), maxTold)]).WithField(fieldTold, name)
}

// callbackError is what the browser takes along of an error: the service's own, or ours.
func (m *Module) callbackError(c echo.Context, err error) url.Values {
	e, _ := errors.AsType[*apierr.Error](err)
	if e != nil && e.Fields[fieldTold] != nil {
		name, _ := e.Fields[fieldTold].(string)
		return url.Values{"error": {name}, "error_description": {e.Message}}
	}
	with := m.errorValues(c, err)
	if e != nil {
		if raised, ok := e.Fields[fieldRaised].(raised); ok { // the app's own function has something to say
			with.Set("error_description", raised.Message)
		}
	}
	return with
}
