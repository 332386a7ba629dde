// Package claims says who calls: it verifies JSON Web Tokens (RFC 7519) and
// Supabase's API keys, and mints the project's own.
package claims

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The API roles that every Supabase project has.
const (
	RoleAnon          = "anon"
	RoleAuthenticated = "authenticated"
	RoleService       = "service_role"
)

// Reasons why a token is refused. Surfaces map them to their own dialect with errors.Is.
var (
	ErrMalformed   = errors.New("claims: token is not a compact JWS")
	ErrAlgorithm   = errors.New("claims: algorithm is not that of any key")
	ErrUnsecured   = fmt.Errorf("%w: the token is not signed", ErrAlgorithm)
	ErrNoKey       = errors.New("claims: no key has the token's kid")
	ErrSignature   = errors.New("claims: signature does not verify")
	ErrClaims      = errors.New("claims: payload is not a JSON object of valid claims")
	ErrExpired     = errors.New("claims: token has expired")
	ErrNotYet      = errors.New("claims: token is not valid yet")
	ErrIssuedAhead = errors.New("claims: token was issued in the future")
	ErrUnknownKey  = errors.New("claims: API key is not one of the project's")
	ErrPurpose     = errors.New("claims: token was made for another purpose")
)

// PartsError is an ErrMalformed: the number of parts that the token has instead of three.
type PartsError int

// Error names the number.
func (n PartsError) Error() string { return fmt.Sprintf("%v: it has %d parts", ErrMalformed, int(n)) }

// Unwrap is ErrMalformed.
func (PartsError) Unwrap() error { return ErrMalformed }

// ClaimTypeError is an ErrClaims: a claim that is not of the type that it must be.
type ClaimTypeError struct {
	// Claim is the claim's name; Want its type with an article, as "a number".
	Claim, Want string
}

// Error names the claim and its type.
func (e *ClaimTypeError) Error() string {
	return fmt.Sprintf("%v: %q is not %s", ErrClaims, e.Claim, e.Want)
}

// Unwrap is ErrClaims.
func (*ClaimTypeError) Unwrap() error { return ErrClaims }

// Caller is a verified token's content. It is shared between requests and must not be changed.
type Caller struct {
	// Role is the claim "role", empty when the token has none.
	Role string
	// Subject is the claim "sub", a user's id, empty for API keys.
	Subject string
	// SessionID is GoTrue's claim "session_id".
	SessionID string
	// JSON is the payload as a compact JSON object.
	JSON []byte
	// Payload is the decoded payload; numbers are float64.
	Payload map[string]any
	// Token is the compact JWS itself.
	Token string
	// Expires is the claim "exp"; zero when the token has none.
	Expires time.Time
}

// SignedURL returns the claim "url" of a token that storage signed to open one
// object to whoever has it. Such a token names no role; one that does is an access token.
func (c *Caller) SignedURL() (url string, ok bool) {
	if c == nil || c.Role != "" {
		return "", false
	}
	url, ok = c.Payload["url"].(string)
	return url, ok
}

// isIDToken reports whether the token tells an app of the project's OAuth server
// who signed in (OpenID Connect Core, section 2). Apps pass such tokens around: one
// lets nobody in.
func (c *Caller) isIDToken() bool {
	client, ok := c.Payload["client_id"].(string)
	return ok && c.Role == "" && c.SessionID == "" && c.Payload["auth_time"] != nil && c.Payload["aud"] == client
}

type contextKey struct{}

// NewContext returns ctx with the caller c.
func NewContext(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// From returns the request's verified caller, or nil when it came without a token.
func From(ctx context.Context) *Caller {
	c, _ := ctx.Value(contextKey{}).(*Caller)
	return c
}
