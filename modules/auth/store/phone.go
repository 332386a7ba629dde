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
