package auth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/provider"
	"github.com/madbase/madbase/modules/auth/saml"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
)

// ssoAnswer answers POST /sso/saml/acs, where browsers bring the identity
// provider's response: it signs the person in and sends the browser on. What goes
// wrong is told in the query of the site's address.
func (m *Module) ssoAnswer(c echo.Context) error {
	r := c.Request()
	if err := m.allow(r, "saml", m.cfg.SAML.RateLimitAssertions, 5*time.Minute); err != nil {
		return err
	}
	r.Body = http.MaxBytesReader(c.Response(), r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return tooLargeBody(err)
		}
		return invalid("The request is not a form").Because(err)
	}
	address, err := m.signInSSO(c)
	if err != nil {
		return c.Redirect(http.StatusSeeOther, withQuery(m.siteURL(r.Context()), m.errorValues(c, err)))
	}
	return goTo(c, http.StatusFound, address)
}

// ssoReturn is a response that has come in, with what is known of the sign-in that it ends.
type ssoReturn struct {
	response *saml.Response
	provider *store.SSOProvider
	// requestID is what the response must answer; empty when the provider began.
	requestID, redirectTo, flowID string
	// assertion is the response's, once it is checked.
	assertion *saml.Assertion
}

// signInSSO returns where the browser goes, with tokens or a code.
func (m *Module) signInSSO(c echo.Context) (string, error) {
	ctx, p := c.Request().Context(), projectOf(c)
	back, err := m.readReturn(c)
	if err != nil {
		return "", err
	}
	if !back.provider.Enabled() {
		return "", apierr.New(http.StatusNotFound, codeSSOProviderDisabled, "SSO Provider assigned for this domain is currently disabled")
	}
	idp, err := m.currentMetadata(ctx, p.DB.Auth, back.provider)
	if err != nil {
		return "", err
	}
	assertion, err := m.samlService(p).Check(back.response, idp, back.requestID)
	if err != nil {
		return "", badAssertion(err)
	}
	if end := assertion.SessionEnd(); !end.IsZero() && !end.After(m.now()) {
		return "", badAssertion(errors.New("auth: sso: the provider's session is over"))
	}
	if back.requestID == "" { // what answers a request must not come without its relay state
		pending, err := store.RequestPending(ctx, p.DB.Auth, append(assertion.Answers(), back.response.InResponseTo))
		if err != nil {
			return "", err
		}
		if pending {
			return "", badAssertion(errors.New("auth: sso: the response to a request came without its relay state"))
		}
	}
	who, err := ssoIdentity(back.provider, assertion)
	if err != nil {
		return "", err
	}
	back.assertion = assertion
	return m.enterSSO(c, back, who)
}

// badAssertion is all that the bearer of a response hears of why it is refused.
func badAssertion(cause error) error { return invalid("SAML Assertion is not valid").Because(cause) }

// readReturn reads the request's form, finds the provider and ends the relay state.
func (m *Module) readReturn(c echo.Context) (*ssoReturn, error) {
	r, q := c.Request(), projectOf(c).DB.Auth
	relay := r.PostForm.Get("RelayState")
	id, noID := uuid.Parse(relay)
	_, noURL := url.ParseRequestURI(relay)
	back := &ssoReturn{redirectTo: relay}
	if noID == nil && id != uuid.Nil {
		state, err := m.takeRelayState(c, id.String())
		if err != nil {
			return nil, err
		}
		back.requestID, back.redirectTo, back.flowID = state.RequestID, state.RedirectTo, state.FlowID
		if back.provider, err = store.SSOProviderByID(r.Context(), q, state.ProviderID); err != nil {
			return nil, fmt.Errorf("auth: sso: %w", err)
		}
	} else if relay != "" && noURL != nil {
		return nil, invalid("SAML RelayState is not a valid UUID or URL")
	}
	text := r.PostForm.Get("SAMLResponse")
	switch {
	case r.Form.Get("SAMLart") != "":
		return nil, invalid("SAML Artifact response is not supported")
	case text == "":
		return nil, invalid("SAMLResponse is missing")
	}
	document, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, invalid("SAMLResponse is not a valid Base64 string").Because(err)
	}
	if back.response, err = saml.ReadResponse(document); err != nil {
		return nil, invalid("SAMLResponse is not a valid XML SAML assertion").Because(err)
	}
	if back.provider != nil {
		return back, nil
	}
	back.provider, err = store.SSOProviderByEntity(r.Context(), q, back.response.Issuer)
	if errors.Is(err, store.ErrNotFound) {
		return nil, apierr.New(http.StatusNotFound, codeSAMLIdPNotFound, "A SAML connection has not been established with this Identity Provider")
	}
	if err != nil {
		return nil, databaseError("Unable to find SSO provider", err)
	}
	return back, nil
}

// takeRelayState ends the sign-in under way to which a response belongs.
func (m *Module) takeRelayState(c echo.Context, id string) (*store.RelayState, error) {
	state, err := store.TakeRelayState(c.Request().Context(), projectOf(c).DB.Auth, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, apierr.New(http.StatusNotFound, codeSAMLRelayNotFound, "SAML RelayState does not exist, try logging in again?")
	case err != nil:
		return nil, fmt.Errorf("auth: sso: %w", err)
	case !m.now().Before(state.CreatedAt.Add(m.cfg.SAML.relayStateValidity())):
		return nil, unprocessable(codeSAMLRelayExpired, "SAML RelayState has expired. Try logging in again?")
	}
	return state, nil
}

// ssoIdentity is the person whom an assertion is about. What the provider's
// mapping calls like a standard claim becomes one, if it is a text; the rest goes
// among the custom claims. Who the person is, and by whose word, no mapping says.
func ssoIdentity(p *store.SSOProvider, a *saml.Assertion) (who provider.Identity, err error) {
	subject := a.UserID()
	if subject == "" {
		return who, badRequest(codeSAMLNoUserID,
			"SAML Assertion did not contain a persistent Subject Identifier attribute or Subject NameID uniquely identifying this user")
	}
	var mapping saml.Mapping
	if err := json.Unmarshal(p.SAML.AttributeMapping, &mapping); err != nil {
		return who, fmt.Errorf("auth: sso: attribute mapping of %s: %w", p.ID, err)
	}
	claims := a.Claims(mapping)
	email, _ := claims["email"].(string)
	if email == "" {
		email = a.Email()
	}
	if email, err = parseEmail(strings.TrimSpace(email)); err != nil {
		return who, badRequest(codeSAMLNoEmail, "SAML Assertion does not contain an email address").Because(err)
	}
	standard, custom := map[string]any{}, map[string]any{}
	for name, value := range claims {
		_, isText := value.(string)
		switch {
		case isText && slices.Contains(standardClaims, name):
			standard[name] = value
		case !slices.Contains(ownClaims, name):
			custom[name] = value
		}
	}
	text, err := json.Marshal(standard)
	if err == nil {
		err = json.Unmarshal(text, &who.Claims)
	}
	if err != nil {
		return who, fmt.Errorf("auth: sso: claims: %w", err)
	}
	who.Provider, who.Emails = "sso:"+p.ID, []provider.Email{{Address: email, Verified: true, Primary: true}}
	who.Claims.Issuer, who.Claims.Subject, who.Claims.Email, who.Claims.EmailVerified = p.SAML.EntityID, subject, email, true
	if len(custom) > 0 {
		who.Claims.Custom = custom
	}
	return who, nil
}

// standardClaims are OpenID Connect's that a mapping may set, and ownClaims those that it may not.
var (
	standardClaims = []string{
		"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website", "gender", "birthdate",
		"zoneinfo", "locale", "phone", "full_name", "avatar_url", "slug", "user_name",
	}
	ownClaims = []string{"iss", "sub", "email", "email_verified", "custom_claims"}
)

// enterSSO signs the person in, once by one assertion.
func (m *Module) enterSSO(c echo.Context, back *ssoReturn, who provider.Identity) (address string, err error) {
	r := c.Request()
	if !m.redirectAllowed(r, back.redirectTo) {
		back.redirectTo = m.siteURL(r.Context())
	}
	if err := m.beforeAccount(c, who); err != nil {
		return "", err
	}
	var got account
	err = m.transact(r.Context(), func(tx pgx.Tx) error {
		fresh, err := store.Use(r.Context(), tx, "saml "+back.provider.SAML.EntityID+" "+back.assertion.ID())
		if err != nil {
			return err
		}
		if !fresh {
			return badAssertion(errors.New("auth: sso: the assertion was used before"))
		}
		if got, err = m.accountFor(r, tx, arrival{who: who, redirectTo: back.redirectTo}); err != nil || got.refused != nil {
			return err
		}
		address, err = m.leaveSSO(c, tx, back, got.user)
		return err
	})
	if err != nil {
		return "", databaseError("Database error saving new user", err)
	}
	return address, m.afterAccount(c, got)
}

// leaveSSO is the address with what the app is to have: the code of its flow, or the tokens of a session.
func (m *Module) leaveSSO(c echo.Context, tx pgx.Tx, back *ssoReturn, user *store.User) (string, error) {
	ctx, end := c.Request().Context(), back.assertion.SessionEnd()
	if back.flowID != "" {
		flow, err := store.FlowStateByID(ctx, tx, back.flowID)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return "", apierr.New(http.StatusNotFound, codeFlowNotFound, "invalid flow state, no valid flow state found")
		case err != nil:
			return "", err
		case flow.UserID != "":
			return "", badRequest(codeFlowUsed, "State has already been used")
		case flow.AuthCode != "":
			flow.UserID = user.ID
			if err := store.IssueCode(ctx, tx, flow); err != nil {
				return "", err
			}
			return withCode(back.redirectTo, flow.AuthCode), store.SetFlowEnd(ctx, tx, flow.ID, end)
		}
		if err := store.DeleteFlowState(ctx, tx, flow.ID); err != nil {
			return "", err
		}
	}
	e := entry{method: methodSSO}
	if !end.IsZero() {
		e.notAfter = &end
	}
	in, err := m.startSession(ctx, tx, user, e, m.client(c.Request()))
	if err != nil {
		return "", err
	}
	return m.withTokens(back.redirectTo, in, nil), nil
}
