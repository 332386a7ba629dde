package store

import (
	"context"

	"github.com/madbase/madbase/platform/db"
)

// UserByPhone returns the user of an audience with that number, digits only, or ErrNotFound.
func UserByPhone(ctx context.Context, q db.Queryer, phone, audience string) (*User, error) {
	return findUser(ctx, q, `SELECT `+userColumns+`, `+identityColumns+`
		FROM auth.users u LEFT JOIN auth.identities i ON i.user_id = u.id
		WHERE u.instance_id = $1 AND u.phone = $2 AND u.aud = $3 AND NOT u.is_sso_user ORDER BY i.created_at, i.id`, noInstance, phone, audience)
}

// UserByPhoneChange returns the user of an audience who is about to change to
// that number, or ErrNotFound. Of several who claim it, that is the one whose
// pending code has the hash, or else who asked last. It goes by the pending
// codes, which have an index; the users' column has none.
func UserByPhoneChange(ctx context.Context, q db.Queryer, phone, audience, hash string) (*User, error) {
	return findUser(ctx, q, `SELECT `+userColumns+`, `+identityColumns+`
		FROM auth.users u LEFT JOIN auth.identities i ON i.user_id = u.id
		WHERE u.id = (SELECT o.id FROM auth.one_time_tokens t JOIN auth.users o ON o.id = t.user_id
			WHERE t.relates_to = $2 AND t.token_type = 'phone_change_token' AND o.instance_id = $1 AND o.phone_change = $2 AND o.aud = $3 AND NOT o.is_sso_user
			ORDER BY o.phone_change_token = $4 DESC, o.phone_change_sent_at DESC NULLS LAST, o.id LIMIT 1)
		ORDER BY i.created_at, i.id`, noInstance, phone, audience, hash)
}

// SetPhoneChange notes the number that the user wants to change to.
func SetPhoneChange(ctx context.Context, q db.Queryer, id, phone string) error {
	return exec(ctx, q, "set phone change", `UPDATE auth.users SET phone_change = $2, updated_at = now() WHERE id = $1`, id, phone)
}

// ChangePhone makes the number the user's, confirmed, and every pending code and
// link void. Violates(err, "users_phone_key") when another has it.
func ChangePhone(ctx context.Context, q db.Queryer, id, phone string) error {
	return exec(ctx, q, "change phone", `WITH gone AS (DELETE FROM auth.one_time_tokens WHERE user_id = $1)
		UPDATE auth.users SET phone = $2, phone_change = '', phone_change_token = '', phone_confirmed_at = now(), updated_at = now() WHERE id = $1`, id, phone)
}

// undoOneTime puts a kind's former hash ($3) and time ($4) back in place of one
// that nobody got ($2).
var undoOneTime = map[OneTime]string{
	RecoveryToken:     `UPDATE auth.users SET recovery_token = $3, recovery_sent_at = $4 WHERE id = $1 AND recovery_token = $2`,
	ConfirmationToken: `UPDATE auth.users SET confirmation_token = $3, confirmation_sent_at = $4 WHERE id = $1 AND confirmation_token = $2`,
	PhoneChangeToken: `UPDATE auth.users SET phone_change_token = $3, phone_change_sent_at = $4, phone_change = $5
		WHERE id = $1 AND phone_change_token = $2`,
	ReauthenticationToken: `UPDATE auth.users SET reauthentication_token = $3, reauthentication_sent_at = $4 WHERE id = $1 AND reauthentication_token = $2`,
}

// Unsent is a code by text message that did not leave.
type Unsent struct {
	UserID string
	// Kind is that of a code that goes by text: confirmation, recovery, phone change or reauthentication.
	Kind OneTime
	Hash string
	// Before is what the code had replaced, and PhoneChange the number that the user wanted to change to then.
	Before      Pending
	PhoneChange string
}

// UndoOneTime takes a code back as if it had not been made, unless another has
// taken its place since. Call it in a transaction.
func UndoOneTime(ctx context.Context, q db.Queryer, u Unsent) error {
	args := []any{u.UserID, u.Hash, u.Before.Hash, u.Before.SentAt}
	if u.Kind == PhoneChangeToken {
		args = append(args, u.PhoneChange)
	}
	if err := exec(ctx, q, "undo one-time token", undoOneTime[u.Kind], args...); err != nil {
		return err
	}
	if u.Before.Hash == "" {
		return exec(ctx, q, "undo one-time token", `DELETE FROM auth.one_time_tokens
			WHERE user_id = $1 AND token_type = $2::auth.one_time_token_type AND token_hash = $3`, u.UserID, string(u.Kind), u.Hash)
	}
	return exec(ctx, q, "undo one-time token", `UPDATE auth.one_time_tokens SET token_hash = $4
		WHERE user_id = $1 AND token_type = $2::auth.one_time_token_type AND token_hash = $3`, u.UserID, string(u.Kind), u.Hash, u.Before.Hash)
}

// DeleteUnconfirmed removes a user who has just been made, and whose only code,
// the one of the hash, did not leave: never confirmed and never signed in.
func DeleteUnconfirmed(ctx context.Context, q db.Queryer, id, hash string) error {
	return exec(ctx, q, "delete unconfirmed user", `DELETE FROM auth.users
		WHERE id = $1 AND confirmation_token = $2 AND coalesce(recovery_token, '') = '' AND confirmed_at IS NULL AND last_sign_in_at IS NULL`, id, hash)
}
