package store

import (
	"context"

	"github.com/madbase/madbase/platform/db"
)

// SetProviders makes the providers of the user's identities, oldest first, their
// app_metadata's provider and providers.
func SetProviders(ctx context.Context, q db.Queryer, userID string) error {
	return exec(ctx, q, "set providers", `UPDATE auth.users u SET updated_at = now(),
			raw_app_meta_data = coalesce(u.raw_app_meta_data, '{}') || jsonb_build_object('providers', p.names)
				|| CASE WHEN p.names -> 0 IS NULL THEN '{}'::jsonb ELSE jsonb_build_object('provider', p.names -> 0) END
		FROM (SELECT coalesce(jsonb_agg(x.provider ORDER BY x.since), '[]') AS names
			FROM (SELECT provider, min(created_at) AS since FROM auth.identities WHERE user_id = $1 GROUP BY provider) x) p
		WHERE u.id = $1`, userID)
}

// VerifyIdentities notes that the user's address is confirmed in those of their
// identities that have the same.
func VerifyIdentities(ctx context.Context, q db.Queryer, userID string) error {
	return exec(ctx, q, "verify identities", `UPDATE auth.identities i SET identity_data = i.identity_data || '{"email_verified": true}', updated_at = now()
		FROM auth.users u WHERE u.id = $1 AND i.user_id = u.id AND i.email = lower(u.email)`, userID)
}

// Disown takes away what an unconfirmed account got from whoever made it, who
// need not be the owner of its address or number: password, sessions, second
// factors and the identities, but for the one by which the owner comes
// (ProviderEmail or ProviderPhone). The address or number itself stays.
func Disown(ctx context.Context, q db.Queryer, userID, kept string) error {
	return exec(ctx, q, "disown", `WITH sessions AS (DELETE FROM auth.sessions WHERE user_id = $1),
			factors AS (DELETE FROM auth.mfa_factors WHERE user_id = $1),
			passkeys AS (DELETE FROM auth.webauthn_credentials WHERE user_id = $1),
			identities AS (DELETE FROM auth.identities WHERE user_id = $1 AND provider <> $2)
		UPDATE auth.users SET encrypted_password = NULL, updated_at = now() WHERE id = $1`, userID, kept)
}

// BeginEmailChange notes the address that the user wants. Codes for another one
// that they wanted before are void.
func BeginEmailChange(ctx context.Context, q db.Queryer, userID, email string) error {
	return exec(ctx, q, "begin email change", `WITH gone AS (
			DELETE FROM auth.one_time_tokens t USING auth.users u
			WHERE t.user_id = $1 AND u.id = $1 AND t.token_type IN ('email_change_token_new', 'email_change_token_current') AND u.email_change <> $2)
		UPDATE auth.users SET email_change = $2, email_change_confirm_status = 0, updated_at = now(),
			email_change_token_new = CASE WHEN email_change = $2 THEN email_change_token_new ELSE '' END,
			email_change_token_current = CASE WHEN email_change = $2 THEN email_change_token_current ELSE '' END
		WHERE id = $1`, userID, email)
}

// HalfChangeEmail notes that one of the two addresses of a change has confirmed
// it, by the token of that kind.
func HalfChangeEmail(ctx context.Context, q db.Queryer, userID string, used OneTime) error {
	if err := DropOneTime(ctx, q, userID, used); err != nil {
		return err
	}
	return exec(ctx, q, "half change email", `UPDATE auth.users SET email_change_confirm_status = 1, updated_at = now() WHERE id = $1`, userID)
}

// FinishEmailChange makes the address that the user wanted theirs. Violates(err,
// "users_email_partial_key") when another has it by now.
func FinishEmailChange(ctx context.Context, q db.Queryer, userID string) error {
	return exec(ctx, q, "finish email change", `WITH gone AS (DELETE FROM auth.one_time_tokens WHERE user_id = $1)
		UPDATE auth.users SET email = email_change, email_change = '', email_change_token_new = '', email_change_token_current = '',
			email_change_confirm_status = 0, updated_at = now() WHERE id = $1`, userID)
}

// SetInvited notes that the user was invited now.
func SetInvited(ctx context.Context, q db.Queryer, userID string) error {
	return exec(ctx, q, "set invited", `UPDATE auth.users SET invited_at = now(), updated_at = now() WHERE id = $1`, userID)
}
