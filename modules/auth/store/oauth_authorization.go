package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// States of an OAuthAuthorization. One whose code was exchanged is OAuthExpired and has a code.
const (
	OAuthPending  = "pending"
	OAuthApproved = "approved"
	OAuthDenied   = "denied"
	OAuthExpired  = "expired"
)

// OAuthAuthorization is an app's request to act for a user: a row of
// auth.oauth_authorizations. What is empty is stored as NULL.
type OAuthAuthorization struct {
	// RowID is the row's id, and becomes that of the session which the code is exchanged for.
	RowID string
	// ID names the request to the consent page.
	ID, ClientID                        string
	RedirectURI, Scope, State, Resource string
	CodeChallenge, CodeChallengeMethod  string
	// Nonce is for the ID token.
	Nonce string
	// UserID is who was asked, empty before that.
	UserID, Status, Code string
	// Late says that the request's time is over.
	Late bool
}

// InsertOAuthAuthorization adds a request that ends after the time life.
func InsertOAuthAuthorization(ctx context.Context, q db.Queryer, a *OAuthAuthorization, life time.Duration) error {
	return exec(ctx, q, "insert OAuth authorization", `INSERT INTO auth.oauth_authorizations (id, authorization_id, client_id, redirect_uri, scope,
			state, resource, code_challenge, code_challenge_method, nonce, response_type, status, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, nullif($6, ''), nullif($7, ''), nullif($8, ''), nullif($9, '')::auth.code_challenge_method, nullif($10, ''),
			'code', 'pending', now(), now() + $11::interval)`,
		a.RowID, a.ID, a.ClientID, a.RedirectURI, a.Scope, a.State, a.Resource, a.CodeChallenge, a.CodeChallengeMethod, a.Nonce, life)
}

const oauthAuthorizationColumns = `a.id, a.authorization_id, a.client_id, coalesce(a.user_id::text, ''), a.redirect_uri, a.scope,
	coalesce(a.state, ''), coalesce(a.resource, ''), coalesce(a.code_challenge, ''), coalesce(a.code_challenge_method::text, ''),
	coalesce(a.nonce, ''), a.status, coalesce(a.authorization_code, ''), a.expires_at < now()`

// LockOAuthAuthorization returns the request of an ID and keeps it from others
// until the transaction ends, or ErrNotFound.
func LockOAuthAuthorization(ctx context.Context, q db.Queryer, id string) (*OAuthAuthorization, error) {
	return lockOAuthAuthorization(ctx, q, `SELECT `+oauthAuthorizationColumns+` FROM auth.oauth_authorizations a WHERE a.authorization_id = $1 FOR UPDATE`, id)
}

// LockOAuthAuthorizationByCode is LockOAuthAuthorization by the code that was given for the request.
func LockOAuthAuthorizationByCode(ctx context.Context, q db.Queryer, code string) (*OAuthAuthorization, error) {
	return lockOAuthAuthorization(ctx, q, `SELECT `+oauthAuthorizationColumns+` FROM auth.oauth_authorizations a WHERE a.authorization_code = $1 FOR UPDATE`, code)
}

func lockOAuthAuthorization(ctx context.Context, q db.Queryer, sql, key string) (*OAuthAuthorization, error) {
	a := &OAuthAuthorization{}
	err := q.QueryRow(ctx, sql, key).Scan(&a.RowID, &a.ID, &a.ClientID, &a.UserID, &a.RedirectURI, &a.Scope, &a.State, &a.Resource,
		&a.CodeChallenge, &a.CodeChallengeMethod, &a.Nonce, &a.Status, &a.Code, &a.Late)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("store: lock OAuth authorization: %w", err)
	}
	return a, nil
}

// UpdateOAuthAuthorization writes what became of a request: its user, status and code.
func UpdateOAuthAuthorization(ctx context.Context, q db.Queryer, a *OAuthAuthorization) error {
	return exec(ctx, q, "update OAuth authorization", `UPDATE auth.oauth_authorizations SET user_id = nullif($2, '')::uuid, status = $3::auth.oauth_authorization_status,
			authorization_code = nullif($4, ''), approved_at = CASE WHEN $3::auth.oauth_authorization_status = 'approved' THEN now() ELSE approved_at END WHERE id = $1`,
		a.RowID, a.UserID, a.Status, a.Code)
}
