package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
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
		to, parseErr := url.Parse(m.siteURL(c.Request()))
		if parseErr != nil {
			return fmt.Errorf("auth: site URL: %w", parseErr)
		}
		m.addError(c, to, err)
		return goTo(c, http.StatusSeeOther, to.String())
	}
	to, err := url.Parse(m.target(c, flow))
	if err != nil {
		return fmt.Errorf("auth: callback: %w", err)
	}
	if err := m.arrive(c, flow, values, to); err != nil {
		if dropErr := store.DeleteFlowState(c.Request().Context(), projectOf(c).DB.Auth, flow.ID); dropErr != nil {
			m.deps.Log.ErrorContext(c.Request().Context(), "a failed sign-in stays in the database", "error", dropErr)
		}
		with := m.addError(c, to, err)
		with.Set("sb", "")
		setFragment(to, with)
	}
	return goTo(c, http.StatusFound, to.String())
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
	return m.siteURL(c.Request())
}

// arrive finishes a sign-in and writes what the app gets to the address.
func (m *Module) arrive(c echo.Context, flow *store.FlowState, values url.Values, to *url.URL) error {
	grant, err := m.grantOf(c, flow, values)
	if err != nil {
		return err
	}
	if len(grant.Identity.Emails) == 0 && !flow.EmailOptional {
		return apierr.New(http.StatusInternalServerError, codeUnexpected, "Error getting user email from external provider")
	}
	ctx, r := c.Request().Context(), c.Request()
	a := arrival{who: grant.Identity, emailOptional: flow.EmailOptional, redirectTo: flow.Referrer}
	if flow.LinkingTargetID == "" && flow.InviteToken == "" {
		if err := m.beforeAccount(r, a.who); err != nil {
			return err
		}
	}
	var in *issued
	var got account
	err = pgx.BeginFunc(ctx, projectOf(c).DB.Auth, func(tx pgx.Tx) (err error) {
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
		return databaseError("Database error saving new user", err)
	}
	if err := m.afterAccount(r, got); err != nil || got.refused != nil {
		return errors.Join(err, got.refused)
	}
	if in == nil {
		q := to.Query()
		q.Set("code", flow.AuthCode)
		to.RawQuery = q.Encode()
		return nil
	}
	m.answer(c, in) // for its headers
	setFragment(to, m.tokensOf(in, grant))
	return nil
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

// deniedCodes are errors that OAuth calls access_denied, whatever their status.
var deniedCodes = map[string]bool{codeSignupDisabled: true, codeUserBanned: true, codeProviderEmail: true}

// statusNames are RFC 6749's names (section 4.1.2.1) for the statuses of errors.
var statusNames = map[int]string{
	http.StatusBadRequest: "invalid_request", http.StatusUnauthorized: "unauthorized_client", http.StatusForbidden: "access_denied",
	http.StatusServiceUnavailable: "temporarily_unavailable",
}

// addError adds an error to an address's query and returns its parameters. What is
// not for strangers is logged and told of without its text.
func (m *Module) addError(c echo.Context, to *url.URL, err error) url.Values {
	ctx := c.Request().Context()
	public, ok := errors.AsType[*apierr.Error](err)
	if !ok {
		public = apierr.New(http.StatusInternalServerError, codeUnexpected, "Unexpected failure, please check server logs for more information")
	}
	if public.Status >= http.StatusInternalServerError {
		m.deps.Log.ErrorContext(ctx, "a sign-in at a service failed", "error", err)
	} else {
		m.deps.Log.InfoContext(ctx, "a sign-in at a service was refused", "error", err)
	}
	with := url.Values{"error": {"server_error"}, "error_description": {public.Message}}
	told, isTold := public.Fields[fieldTold].(string)
	raised, isRaised := public.Fields[fieldRaised].(raised)
	switch {
	case isTold:
		with.Set("error", told)
	case deniedCodes[public.Code]:
		with.Set("error", "access_denied")
	case statusNames[public.Status] != "":
		with.Set("error", statusNames[public.Status])
	}
	if isRaised { // the app's own function has something to say
		with.Set("error_description", raised.Message)
	}
	if public.Code != "" {
		with.Set("error_code", public.Code)
	}
	q := to.Query()
	for name, values := range with {
		q[name] = values
	}
	to.RawQuery = q.Encode()
	return with
}

func setFragment(to *url.URL, with url.Values) {
	to.RawFragment = with.Encode()
	to.Fragment, _ = url.PathUnescape(to.RawFragment)
}

// tokensOf are a session's tokens, and the service's own, as the implicit flow
// hands them to the app; sb tells the client that they are ours.
func (m *Module) tokensOf(in *issued, g *provider.Grant) url.Values {
	with := url.Values{
		"access_token": {in.access}, "token_type": {"bearer"}, "refresh_token": {in.refresh}, "sb": {""}, "provider_token": {g.AccessToken},
		"expires_in": {strconv.FormatInt(int64(in.expires.Sub(m.now()).Round(time.Second)/time.Second), 10)},
		"expires_at": {strconv.FormatInt(in.expires.Unix(), 10)},
	}
	if g.RefreshToken != "" {
		with.Set("provider_refresh_token", g.RefreshToken)
	}
	return with
}

// beforeAccount asks the app's hook whether a new account may be made.
func (m *Module) beforeAccount(*http.Request, provider.Identity) error { return nil }

// afterAccount tells the app's hook of a new account.
func (m *Module) afterAccount(*http.Request, account) error { return nil }
