package rest

import (
	"errors"
	"time"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/rls"
)

// roles are those that a token may name besides Supabase's own.
func (m *Module) roles() []string {
	if m.cfg.AnonRole == "" {
		return nil
	}
	return []string{m.cfg.AnonRole}
}

// transactions are how the surface's requests reach the database.
func (m *Module) transactions() rls.Options {
	return rls.Options{
		Anonymous: m.cfg.AnonRole, AnyRole: m.cfg.AnyRole, Roles: m.roles(),
		Wait: time.Duration(m.cfg.PoolTimeout) * time.Second,
	}
}

// admit refuses callers without a role where there is none for the anonymous. PGRST302.
func (m *Module) admit(caller *claims.Caller) error {
	if m.cfg.AnonRole != "" || caller != nil && caller.Role != "" {
		return nil
	}
	return apierr.New(401, "PGRST302", "Anonymous access is disabled").WithHeader("WWW-Authenticate", "Bearer")
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
	{claims.ErrMalformed, "PGRST301", "JWT couldn't be decoded", ""},
	{claims.ErrUnknownKey, "PGRST301", "Invalid API key", ""},
	{claims.ErrPurpose, "PGRST301", "JWT is not an access token", ""},
	{claims.ErrAlgorithm, "PGRST301", "No suitable key or wrong key type", "None of the keys was able to decode the JWT"},
	{claims.ErrNoKey, "PGRST301", "No suitable key or wrong key type", "None of the keys was able to decode the JWT"},
	{claims.ErrSignature, "PGRST301", "No suitable key or wrong key type", "None of the keys was able to decode the JWT"},
}

// refuse is the answer to a token that is not accepted: 401.
func refuse(err error) error {
	for _, r := range refusals {
		if errors.Is(err, r.reason) {
			e := apierr.New(401, r.code, r.message).Because(err).
				WithHeader("WWW-Authenticate", `Bearer error="invalid_token", error_description="`+r.message+`"`)
			if r.detail != "" {
				e.Detail = r.detail
			}
			return e
		}
	}
	return apierr.Internal(err)
}
