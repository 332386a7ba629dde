package store

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/madbase/madbase/platform/db"
)

// NewUser is what a user begins with.
type NewUser struct {
	ID, Audience, Role, Email, Phone, PasswordHash string
	AppMetadata, UserMetadata                      map[string]any
	EmailConfirmed, PhoneConfirmed, IsAnonymous    bool
	// IsSSO users are apart from all others: their address may be another's too.
	IsSSO       bool
	BannedUntil *time.Time
}

// InsertUser adds a user. Violates tells a taken address (users_email_partial_key),
// number (users_phone_key) or id (users_pkey).
func InsertUser(ctx context.Context, q db.Queryer, u NewUser) error {
	_, err := q.Exec(ctx, `INSERT INTO auth.users (instance_id, id, aud, role, email, phone, encrypted_password, raw_app_meta_data, raw_user_meta_data,
			email_confirmed_at, phone_confirmed_at, is_anonymous, is_sso_user, banned_until, confirmation_token, recovery_token, email_change_token_new,
			email_change, created_at, updated_at)
		VALUES ($1, $2, $3, $4, nullif($5, ''), nullif($6, ''), $7, $8, $9,
			CASE WHEN $10::bool THEN now() END, CASE WHEN $11::bool THEN now() END, $12, $13, $14, '', '', '', '', now(), now())`,
		noInstance, u.ID, u.Audience, u.Role, u.Email, u.Phone, u.PasswordHash, orEmpty(u.AppMetadata), orEmpty(u.UserMetadata),
		u.EmailConfirmed, u.PhoneConfirmed, u.IsAnonymous, u.IsSSO, u.BannedUntil)
	if err != nil {
		return fmt.Errorf("store: insert user: %w", err)
	}
	return nil
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// MergeUserMetadata writes each member of patch over the user's own metadata; nil takes a member away.
func MergeUserMetadata(ctx context.Context, q db.Queryer, id string, patch map[string]any) error {
	return mergeMetadata(ctx, q, `UPDATE auth.users SET updated_at = now(),
		raw_user_meta_data = (coalesce(raw_user_meta_data, '{}') || $2::jsonb) - $3::text[] WHERE id = $1`, id, patch)
}

// MergeAppMetadata is MergeUserMetadata for what only the app may change.
func MergeAppMetadata(ctx context.Context, q db.Queryer, id string, patch map[string]any) error {
	return mergeMetadata(ctx, q, `UPDATE auth.users SET updated_at = now(),
		raw_app_meta_data = (coalesce(raw_app_meta_data, '{}') || $2::jsonb) - $3::text[] WHERE id = $1`, id, patch)
}

func mergeMetadata(ctx context.Context, q db.Queryer, sql, id string, patch map[string]any) error {
	set, gone := maps.Clone(orEmpty(patch)), []string{}
	for _, name := range slices.Sorted(maps.Keys(patch)) {
		if patch[name] == nil {
			gone = append(gone, name)
			delete(set, name)
		}
	}
	return exec(ctx, q, "merge metadata", sql, id, set, gone)
}

// SetPassword stores a hash, empty for none, and makes every pending code and
// link void: they were asked for by whoever knew the old password.
func SetPassword(ctx context.Context, q db.Queryer, id, hash string) error {
	return exec(ctx, q, "set password", `WITH gone AS (DELETE FROM auth.one_time_tokens WHERE user_id = $1)
		UPDATE auth.users SET encrypted_password = nullif($2, ''), confirmation_token = '', confirmation_sent_at = NULL, recovery_token = '',
			recovery_sent_at = NULL, email_change_token_current = '', email_change_token_new = '', email_change_sent_at = NULL,
			phone_change_token = '', phone_change_sent_at = NULL, reauthentication_token = '', reauthentication_sent_at = NULL, updated_at = now()
		WHERE id = $1`, id, hash)
}

// SetRole stores the role that the user's tokens carry.
func SetRole(ctx context.Context, q db.Queryer, id, role string) error {
	return exec(ctx, q, "set role", `UPDATE auth.users SET role = $2, updated_at = now() WHERE id = $1`, id, role)
}

// ConfirmEmail marks the user's address as confirmed now.
func ConfirmEmail(ctx context.Context, q db.Queryer, id string) error {
	return exec(ctx, q, "confirm email", `WITH gone AS (DELETE FROM auth.one_time_tokens WHERE user_id = $1)
		UPDATE auth.users SET confirmation_token = '', email_confirmed_at = now(), updated_at = now(),
			raw_user_meta_data = coalesce(raw_user_meta_data, '{}') || '{"email_verified": true}' WHERE id = $1`, id)
}

// ConfirmPhone marks the user's number as confirmed now.
func ConfirmPhone(ctx context.Context, q db.Queryer, id string) error {
	return exec(ctx, q, "confirm phone", `WITH gone AS (DELETE FROM auth.one_time_tokens WHERE user_id = $1)
		UPDATE auth.users SET confirmation_token = '', phone_confirmed_at = now(), updated_at = now() WHERE id = $1`, id)
}

// SetEmail stores the user's address. Violates(err, "users_email_partial_key") when another has it.
func SetEmail(ctx context.Context, q db.Queryer, id, email string) error {
	return exec(ctx, q, "set email", `UPDATE auth.users SET email = $2, updated_at = now() WHERE id = $1`, id, email)
}

// SetPhone stores the user's number. Violates(err, "users_phone_key") when another has it.
func SetPhone(ctx context.Context, q db.Queryer, id, phone string) error {
	return exec(ctx, q, "set phone", `UPDATE auth.users SET phone = $2, updated_at = now() WHERE id = $1`, id, phone)
}

// MakePermanent ends the user's anonymity.
func MakePermanent(ctx context.Context, q db.Queryer, id string) error {
	return exec(ctx, q, "make permanent", `UPDATE auth.users SET is_anonymous = false, updated_at = now() WHERE id = $1`, id)
}

// Ban keeps the user out until then; nil lets them in again.
func Ban(ctx context.Context, q db.Queryer, id string, until *time.Time) error {
	return exec(ctx, q, "ban", `UPDATE auth.users SET banned_until = $2, updated_at = now() WHERE id = $1`, id, until)
}

// DeleteUser removes the user and, by cascade, everything of theirs.
func DeleteUser(ctx context.Context, q db.Queryer, id string) error {
	return exec(ctx, q, "delete user", `DELETE FROM auth.users WHERE id = $1`, id)
}

// SoftDelete keeps the user's id and takes everything else: address, number and
// identities become hashes, so that they are free again and nobody can read them.
func SoftDelete(ctx context.Context, q db.Queryer, u *User) error {
	for _, i := range u.Identities {
		err := exec(ctx, q, "soft delete identity", `UPDATE auth.identities SET identity_data = '{}', provider_id = $2, updated_at = now() WHERE id = $1`,
			i.ID, obfuscate(u.ID, i.Provider+":"+i.ProviderID))
		if err != nil {
			return err
		}
	}
	return exec(ctx, q, "soft delete user", `WITH tokens AS (DELETE FROM auth.one_time_tokens WHERE user_id = $1),
			factors AS (DELETE FROM auth.mfa_factors WHERE user_id = $1),
			passkeys AS (DELETE FROM auth.webauthn_credentials WHERE user_id = $1),
			sessions AS (DELETE FROM auth.sessions WHERE user_id = $1)
		UPDATE auth.users SET email = $2, phone = $3, email_change = $4, phone_change = $5, encrypted_password = NULL, confirmation_token = '',
			recovery_token = '', email_change_token_current = '', email_change_token_new = '', phone_change_token = '', reauthentication_token = '',
			raw_user_meta_data = '{}', raw_app_meta_data = '{}', deleted_at = now(), updated_at = now()
		WHERE id = $1`,
		u.ID, obfuscate(u.ID, u.Email), obfuscate(u.ID, u.Phone)[:15], obfuscate(u.ID, u.NewEmail), obfuscate(u.ID, u.NewPhone)[:15])
}

// obfuscate is GoTrue's one-way form of a deleted user's data.
func obfuscate(id, value string) string {
	sum := sha256.Sum256([]byte(id + value))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func exec(ctx context.Context, q db.Queryer, what, sql string, args ...any) error {
	if _, err := q.Exec(ctx, sql, args...); err != nil {
		return fmt.Errorf("store: %s: %w", what, err)
	}
	return nil
}
