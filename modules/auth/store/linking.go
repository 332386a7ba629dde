package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// LockNames keeps other transactions that lock one of the names waiting until
// this one ends: what is found out about people by name stays true meanwhile.
func LockNames(ctx context.Context, q db.Queryer, names []string) error {
	return exec(ctx, q, "lock names", `SELECT pg_advisory_xact_lock(hashtextextended(n, 7421)) FROM (SELECT DISTINCT n FROM unnest($1::text[]) n ORDER BY n) o`, names)
}

// IdentityOwner returns the user who has a provider's identity, or ErrNotFound.
func IdentityOwner(ctx context.Context, q db.Queryer, provider, subject string) (userID string, err error) {
	err = q.QueryRow(ctx, `SELECT user_id::text FROM auth.identities WHERE provider_id = $1 AND provider = $2`, subject, provider).Scan(&userID)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("store: identity owner: %w", err)
	}
	return userID, nil
}

// EmailOwner is a user to whom an address belongs.
type EmailOwner struct {
	UserID string
	// Provider is the identity's that has the address, or empty when it is the user's own.
	Provider string
}

// EmailOwners returns who has one of the addresses, which are in lower case: users
// by an identity whose provider vouches for it, or by their own address, but for
// those of single sign-on. What anyone may write into their profile elsewhere, and
// nobody has checked, makes no owner.
func EmailOwners(ctx context.Context, q db.Queryer, emails []string) ([]EmailOwner, error) {
	rows, err := q.Query(ctx, `SELECT i.user_id::text, i.provider FROM auth.identities i WHERE i.email = ANY ($1)
			AND (i.provider = 'email' OR i.identity_data->>'email_verified' = 'true')
		UNION SELECT u.id::text, '' FROM auth.users u WHERE u.instance_id = $2 AND lower(u.email) = ANY ($1) AND NOT u.is_sso_user ORDER BY 1, 2`,
		emails, noInstance)
	if err != nil {
		return nil, fmt.Errorf("store: email owners: %w", err)
	}
	owners, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (o EmailOwner, err error) {
		return o, r.Scan(&o.UserID, &o.Provider)
	})
	if err != nil {
		return nil, fmt.Errorf("store: email owners: %w", err)
	}
	return owners, nil
}

// SetIdentityData replaces what a provider says of a person, who has just signed in there.
func SetIdentityData(ctx context.Context, q db.Queryer, provider, subject string, data map[string]any) error {
	return exec(ctx, q, "set identity data", `UPDATE auth.identities SET identity_data = $3, last_sign_in_at = now(), updated_at = now()
		WHERE provider_id = $1 AND provider = $2`, subject, provider, data)
}

// RefreshProviders writes the user's providers, oldest first, to their app metadata.
func RefreshProviders(ctx context.Context, q db.Queryer, userID string) error {
	return exec(ctx, q, "refresh providers", `UPDATE auth.users u SET updated_at = now(), raw_app_meta_data = coalesce(u.raw_app_meta_data, '{}')
			|| jsonb_build_object('providers', p.list) || CASE WHEN p.list = '[]' THEN '{}' ELSE jsonb_build_object('provider', p.list->0) END
		FROM (SELECT coalesce(jsonb_agg(o.provider ORDER BY o.since, o.provider), '[]') AS list
			FROM (SELECT provider, min(created_at) AS since FROM auth.identities WHERE user_id = $1 GROUP BY provider) o) p
		WHERE u.id = $1`, userID)
}

// TakeOver leaves an account to the one who has proven to be its address's owner,
// by the identity of that provider with that data: no password and no other identity
// stays of whoever made it and never confirmed it.
func TakeOver(ctx context.Context, q db.Queryer, userID, provider string, data map[string]any) error {
	return exec(ctx, q, "take over", `WITH others AS (DELETE FROM auth.identities WHERE user_id = $1 AND NOT (provider = $2 AND provider_id = $3))
		UPDATE auth.users SET encrypted_password = NULL, raw_user_meta_data = $4, updated_at = now() WHERE id = $1`, userID, provider, data["sub"], data)
}

// LockOut ends every session of the user and takes every factor and passkey away.
func LockOut(ctx context.Context, q db.Queryer, userID string) error {
	return exec(ctx, q, "lock out", `WITH factors AS (DELETE FROM auth.mfa_factors WHERE user_id = $1),
			passkeys AS (DELETE FROM auth.webauthn_credentials WHERE user_id = $1)
		DELETE FROM auth.sessions WHERE user_id = $1`, userID)
}

// DeleteIdentity removes an identity.
func DeleteIdentity(ctx context.Context, q db.Queryer, id string) error {
	return exec(ctx, q, "delete identity", `DELETE FROM auth.identities WHERE id = $1`, id)
}

// ClearPhone takes the user's number away.
func ClearPhone(ctx context.Context, q db.Queryer, id string) error {
	return exec(ctx, q, "clear phone", `UPDATE auth.users SET phone = NULL, phone_confirmed_at = NULL, updated_at = now() WHERE id = $1`, id)
}

// MoveEmail gives the user another address, or none, and makes every pending code
// and link void. Violates(err, "users_email_partial_key") when another has it.
func MoveEmail(ctx context.Context, q db.Queryer, id, email string, confirmed bool) error {
	return exec(ctx, q, "move email", `WITH gone AS (DELETE FROM auth.one_time_tokens WHERE user_id = $1)
		UPDATE auth.users SET email = nullif($2, ''), email_confirmed_at = CASE WHEN $3::bool THEN coalesce(email_confirmed_at, now()) END,
			confirmation_token = '', confirmation_sent_at = NULL, recovery_token = '', recovery_sent_at = NULL, email_change = '',
			email_change_token_current = '', email_change_token_new = '', email_change_sent_at = NULL, email_change_confirm_status = 0,
			phone_change = '', phone_change_token = '', phone_change_sent_at = NULL, reauthentication_token = '', reauthentication_sent_at = NULL,
			updated_at = now()
		WHERE id = $1`, id, email, confirmed)
}
