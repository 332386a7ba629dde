package rest

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/rls"
)

// transactions are how the surface's requests reach the database. Which role they
// may become is checked by become, as it depends on the project's settings.
func (m *Module) transactions() rls.Options {
	return rls.Options{AnyRole: true, Wait: time.Duration(m.cfg.PoolTimeout) * time.Second}
}

// authenticate is the middleware that finds the caller by its token.
func (m *Module) authenticate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r, v := c.Request(), visitOf(c)
		caller, err := m.caller(r, v.surface)
		if err != nil {
			return refuse(err)
		}
		if caller != nil {
			if err := v.checkAudience(caller); err != nil {
				return err
			}
			c.SetRequest(r.WithContext(claims.NewContext(r.Context(), caller)))
		}
		v.took(partJWT)
		return next(c)
	}
}

// caller verifies the request's token; without one there is no caller.
func (m *Module) caller(r *http.Request, s *surface) (*claims.Caller, error) {
	keys := s.keys
	var token string
	if m.deps.DropIn {
		var given bool
		if token, given = bearer(r); !given {
			return nil, nil
		}
		switch {
		case keys == nil:
			return nil, apierr.New(500, "PGRST300", "Server lacks JWT secret")
		case token == "":
			return nil, refusal("PGRST301", "Empty JWT is sent in Authorization header")
		}
	} else {
		var err error
		keys = project.From(r.Context()).Keys
		if token, err = keys.Token(r); err != nil || token == "" {
			return nil, err
		}
	}
	return keys.Verify(token)
}

// bearer is the token in the header Authorization, which may be empty.
func bearer(r *http.Request) (token string, given bool) {
	scheme, token, _ := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
	return strings.TrimSpace(token), strings.EqualFold(scheme, "bearer")
}

// checkAudience refuses tokens that name other audiences than this surface. PGRST303.
func (s *surface) checkAudience(caller *claims.Caller) error {
	var named []string
	switch aud := caller.Payload["aud"].(type) {
	case nil:
		return nil
	case string:
		named = []string{aud}
	case []any:
		for _, v := range aud {
			text, ok := v.(string)
			if !ok {
				return errAudienceType()
			}
			named = append(named, text)
		}
	default:
		return errAudienceType()
	}
	if s.JWT.Audience == "" || len(named) == 0 || slices.Contains(named, s.JWT.Audience) {
		return nil
	}
	return refusal("PGRST303", "JWT not in audience")
}

func errAudienceType() error {
	return refusal("PGRST303", "The JWT 'aud' claim must be a string or an array of strings")
}

// become makes t run as the caller: with its token's role and claims, which name
// that role, or else as the anonymous one. PGRST302 where there is none.
func (v *visit) become(t *rls.Settings, caller *claims.Caller) error {
	role, named := v.AnonRole, false
	if caller != nil {
		if claimed := v.claimedRole(caller); claimed != "" {
			role, named = claimed, true
		}
	}
	if role == "" {
		return apierr.New(401, "PGRST302", "Anonymous access is disabled").WithHeader("WWW-Authenticate", "Bearer")
	}
	rules := rls.Options{AnyRole: v.AnyRole, Roles: []string{v.AnonRole}}
	if err := rules.Allowed(role); err != nil {
		return err
	}
	v.authenticated = role != v.AnonRole
	was := t.Role
	t.Role = role
	switch {
	case caller == nil && role == was: // the settings name it already
	case caller == nil:
		t.Claims = v.anonClaims
	case !named && caller.Role == "":
		t.Claims = withRole(t.Claims, role)
	case role != caller.Role:
		t.Claims = replaceRole(caller.JSON, role)
	}
	return nil
}

// claimedRole is the role in the caller's claims; empty when there is none.
func (s *surface) claimedRole(caller *claims.Caller) string {
	if s.rolePath == nil {
		return caller.Role
	}
	found, ok := s.rolePath.First(caller.Payload)
	if !ok {
		return ""
	}
	if text, isText := found.(string); isText {
		return text
	}
	text, err := json.Marshal(found)
	if err != nil { // it was decoded from JSON
		return ""
	}
	return string(text) // a role of such a name can hardly exist, and PostgreSQL says so
}

// withRole adds to a token's claims the role that it runs as without naming one.
func withRole(payload, role string) string {
	members := strings.TrimSuffix(strings.TrimSpace(payload), "}")
	if strings.TrimSpace(members) != "{" {
		members += ","
	}
	return members + `"role":` + quoted(role) + "}"
}

// replaceRole is a token's claims with another role in place of theirs.
func replaceRole(payload []byte, role string) string {
	members := map[string]json.RawMessage{}
	if json.Unmarshal(payload, &members) != nil { // it was decoded before
		return withRole("{}", role)
	}
	members["role"] = json.RawMessage(quoted(role))
	text, err := json.Marshal(members)
	if err != nil { // what was decoded can be encoded
		return withRole("{}", role)
	}
	return string(text)
}

func quoted(text string) string {
	b, err := json.Marshal(text)
	if err != nil { // strings always marshal
		return `""`
	}
	return string(b)
}

// refusals are the answers to tokens that are not accepted, in PostgREST's words.
var refusals = []struct {
	reason                error
	code, message, detail string
}{
	{claims.ErrExpired, "PGRST303", "JWT expired", ""},
	{claims.ErrNotYet, "PGRST303", "JWT not yet valid", ""},
	{claims.ErrIssuedAhead, "PGRST303", "JWT issued at future", ""},
	{claims.ErrClaims, "PGRST303", "Parsing claims failed", ""},
	{claims.ErrMalformed, "PGRST301", "JWT cryptographic operation failed", ""},
	{claims.ErrUnsecured, "PGRST301", "Wrong or unsupported encoding algorithm", "JWT is unsecured but expected 'alg' was not 'none'"},
	{claims.ErrUnknownKey, "PGRST301", "Invalid API key", ""},
	{claims.ErrPurpose, "PGRST301", "JWT is not an access token", ""},
	{claims.ErrAlgorithm, "PGRST301", "No suitable key or wrong key type", "None of the keys was able to decode the JWT"},
	{claims.ErrNoKey, "PGRST301", "No suitable key or wrong key type", "None of the keys was able to decode the JWT"},
	{claims.ErrSignature, "PGRST301", "No suitable key or wrong key type", "None of the keys was able to decode the JWT"},
}

// refuse is the answer to a token that is not accepted: 401.
func refuse(err error) error {
	if _, decided := errors.AsType[*apierr.Error](err); decided {
		return err
	}
	if n, ok := errors.AsType[claims.PartsError](err); ok {
		return refusal("PGRST301", "Expected 3 parts in JWT; got "+strconv.Itoa(int(n))).Because(err)
	}
	if e, ok := errors.AsType[*claims.ClaimTypeError](err); ok && e.Want == "a number" {
		return refusal("PGRST303", "The JWT '"+e.Claim+"' claim must be a number").Because(err)
	}
	for _, r := range refusals {
		if errors.Is(err, r.reason) {
			e := refusal(r.code, r.message).Because(err)
			if r.detail != "" {
				e.Detail = r.detail
			}
			return e
		}
	}
	return apierr.Internal(err)
}

func refusal(code, message string) *apierr.Error {
	return apierr.New(401, code, message).
		WithHeader("WWW-Authenticate", `Bearer error="invalid_token", error_description="`+message+`"`)
}
