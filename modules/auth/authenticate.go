package auth

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/modules/auth/token"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/claims"
)

// signedIn is the user of a request with an access token.
type signedIn struct {
	user    *store.User
	session *store.Session
}

// asUser makes a route of one for users with a live session.
func (m *Module) asUser(h func(echo.Context, signedIn) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		caller, err := verify(c)
		if err != nil {
			return err
		}
		who, err := m.load(c, caller)
		if err != nil {
			return err
		}
		return h(c, who)
	}
}

// asAdmin makes a route of one for tokens of an admin role: the service key, or
// a user of that role with a live session, but not an app's.
func (m *Module) asAdmin(h func(echo.Context, admin) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		a, err := m.adminOf(c)
		if err != nil {
			return err
		}
		return h(c, a)
	}
}

// adminOf is the administrator whose token the request has.
func (m *Module) adminOf(c echo.Context) (admin, error) {
	caller, err := verify(c)
	if err != nil {
		return admin{}, err
	}
	if caller.SessionID != "" && caller.SessionID != uuid.Nil.String() {
		who, err := m.load(c, caller)
		if err != nil {
			return admin{}, err
		}
		if m.expired(who.user, who.session) != "" {
			return admin{}, forbidden(codeSessionExpired, "Session is no longer valid")
		}
		if err := who.inPerson(); err != nil {
			return admin{}, err
		}
	}
	if !slices.Contains(m.cfg.JWTAdminRoles, caller.Role) {
		return admin{}, forbidden(codeNotAdmin, "User not allowed")
	}
	return admin{role: caller.Role}, nil
}

// verify checks the request's token by its signature and time alone.
func verify(c echo.Context) (*claims.Caller, error) {
	keys, r := projectOf(c).Keys, c.Request()
	token, err := keys.Token(r)
	// A key of the old kind is a token, but not one that says who calls: for that there is the bearer's.
	if token == claims.APIKey(r) && !strings.Contains(r.Header.Get(echo.HeaderAuthorization), token) {
		token = ""
	}
	if err == nil && token == "" {
		return nil, apierr.New(http.StatusUnauthorized, codeNoAuthorization, "This endpoint requires a valid Bearer token")
	}
	var caller *claims.Caller
	if err == nil {
		caller, err = keys.Verify(token)
	}
	if err != nil {
		return nil, forbidden(codeBadJWT, "invalid JWT: unable to parse or verify signature, "+reason(err)).Because(err)
	}
	return caller, nil
}

// reason is why a token is refused, for its bearer.
func reason(err error) string {
	for cause, text := range map[error]string{
		claims.ErrExpired: "token has invalid claims: token is expired", claims.ErrNotYet: "token has invalid claims: token is not valid yet",
		claims.ErrIssuedAhead: "token has invalid claims: token used before issued", claims.ErrSignature: "token signature is invalid",
		claims.ErrAlgorithm: "token signature is invalid: signing method is invalid", claims.ErrClaims: "token has invalid claims",
		claims.ErrNoKey: "token is unverifiable: unrecognized JWT kid", claims.ErrUnknownKey: "API key is not known",
		claims.ErrPurpose: "token is not an access token",
	} {
		if errors.Is(err, cause) {
			return text
		}
	}
	return "token is malformed"
}

// load finds the token's user and session, both of which must still be there. It
// is stricter than GoTrue, which takes tokens without end, without session and
// of any audience.
func (m *Module) load(c echo.Context, caller *claims.Caller) (signedIn, error) {
	switch {
	case caller.Subject == "":
		return signedIn{}, forbidden(codeBadJWT, "invalid claim: missing sub claim")
	case uuid.Validate(caller.Subject) != nil:
		return signedIn{}, badRequest(codeBadJWT, "invalid claim: sub claim must be a UUID")
	case caller.Expires.IsZero():
		return signedIn{}, forbidden(codeBadJWT, "invalid claim: missing exp claim")
	case uuid.Validate(caller.SessionID) != nil:
		return signedIn{}, forbidden(codeBadJWT, "invalid claim: session_id claim must be a UUID")
	}
	user, session, err := store.Caller(c.Request().Context(), projectOf(c).DB.Auth, caller.Subject, caller.SessionID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return signedIn{}, forbidden(codeUserNotFound, "User from sub claim in JWT does not exist")
	case err != nil:
		return signedIn{}, fmt.Errorf("auth: load caller: %w", err)
	case session.ID == "":
		return signedIn{}, forbidden(codeSessionNotFound, "Session from session_id claim in JWT does not exist")
	case user.Banned(m.now()):
		return signedIn{}, forbidden(codeUserBanned, "User is banned")
	case !hasAudience(caller, user.Audience):
		return signedIn{}, foreignAudience()
	}
	if caller.Payload["aal"] == token.AAL1 { // a token of before the session was raised stays what it was
		session.AAL = token.AAL1
	}
	return signedIn{user, session}, nil
}

func foreignAudience() error { return invalid("Token audience doesn't match request audience") }

// hasAudience reads the claim aud, a text or a list (RFC 7519, section 4.1.3).
func hasAudience(caller *claims.Caller, audience string) bool {
	switch v := caller.Payload["aud"].(type) {
	case string:
		return v == audience
	case []any:
		return slices.Contains(v, any(audience))
	}
	return false
}
