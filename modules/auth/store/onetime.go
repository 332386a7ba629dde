package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// OneTime is a kind of one-time token: a value of the enum
// auth.one_time_token_type and a column of auth.users. A user has one of each
// at most. Its hash stands in both places, as GoTrue writes it.
type OneTime string

// The kinds.
const (
	ConfirmationToken       OneTime = "confirmation_token"
	RecoveryToken           OneTime = "recovery_token"
	EmailChangeTokenNew     OneTime = "email_change_token_new"
	EmailChangeTokenCurrent OneTime = "email_change_token_current"
	PhoneChangeToken        OneTime = "phone_change_token"
	ReauthenticationToken   OneTime = "reauthentication_token"
)

// putOneTime writes a kind's hash ($2) and time to the user ($1).
var putOneTime = map[OneTime]string{
	ConfirmationToken:       `UPDATE auth.users SET confirmation_token = $2, confirmation_sent_at = now(), updated_at = now() WHERE id = $1`,
	RecoveryToken:           `UPDATE auth.users SET recovery_token = $2, recovery_sent_at = now(), updated_at = now() WHERE id = $1`,
	EmailChangeTokenNew:     `UPDATE auth.users SET email_change_token_new = $2, email_change_sent_at = now(), updated_at = now() WHERE id = $1`,
	EmailChangeTokenCurrent: `UPDATE auth.users SET email_change_token_current = $2, email_change_sent_at = now(), updated_at = now() WHERE id = $1`,
	PhoneChangeToken:        `UPDATE auth.users SET phone_change_token = $2, phone_change_sent_at = now(), updated_at = now() WHERE id = $1`,
	ReauthenticationToken:   `UPDATE auth.users SET reauthentication_token = $2, reauthentication_sent_at = now(), updated_at = now() WHERE id = $1`,
}

// NewOneTime is a token to be: its hash, and the address or number that it is sent to.
type NewOneTime struct {
	UserID          string
	Kind            OneTime
	RelatesTo, Hash string
}

// PutOneTime gives the user a token of the kind in place of any that they have
// of it. Its life begins now.
func PutOneTime(ctx context.Context, q db.Queryer, n NewOneTime) error {
	if err := exec(ctx, q, "put one-time token", putOneTime[n.Kind], n.UserID, n.Hash); err != nil {
		return err
	}
	return exec(ctx, q, "put one-time token", `INSERT INTO auth.one_time_tokens (id, user_id, token_type, token_hash, relates_to, created_at, updated_at)
		VALUES (gen_random_uuid(), $1, $2::auth.one_time_token_type, $3, lower($4), now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc')
		ON CONFLICT (user_id, token_type) DO UPDATE SET token_hash = excluded.token_hash, relates_to = excluded.relates_to,
			created_at = excluded.created_at, updated_at = excluded.updated_at`, n.UserID, string(n.Kind), n.Hash, n.RelatesTo)
}

// dropOneTime takes a kind's hash from the user ($1).
var dropOneTime = map[OneTime]string{
	ConfirmationToken:       `UPDATE auth.users SET confirmation_token = '', updated_at = now() WHERE id = $1`,
	RecoveryToken:           `UPDATE auth.users SET recovery_token = '', updated_at = now() WHERE id = $1`,
	EmailChangeTokenNew:     `UPDATE auth.users SET email_change_token_new = '', updated_at = now() WHERE id = $1`,
	EmailChangeTokenCurrent: `UPDATE auth.users SET email_change_token_current = '', updated_at = now() WHERE id = $1`,
	PhoneChangeToken:        `UPDATE auth.users SET phone_change_token = '', updated_at = now() WHERE id = $1`,
	ReauthenticationToken:   `UPDATE auth.users SET reauthentication_token = '', updated_at = now() WHERE id = $1`,
}

// DropOneTime makes the user's token of the kind void.
func DropOneTime(ctx context.Context, q db.Queryer, userID string, kind OneTime) error {
	if err := exec(ctx, q, "drop one-time token", dropOneTime[kind], userID); err != nil {
		return err
	}
	return exec(ctx, q, "drop one-time token", `DELETE FROM auth.one_time_tokens WHERE user_id = $1 AND token_type = $2::auth.one_time_token_type`,
		userID, string(kind))
}

// DropOneTimes makes the user's token of the kind void, and the rows of all other
// kinds too, as GoTrue does when one was used.
func DropOneTimes(ctx context.Context, q db.Queryer, userID string, used OneTime) error {
	if err := exec(ctx, q, "drop one-time tokens", dropOneTime[used], userID); err != nil {
		return err
	}
	return exec(ctx, q, "drop one-time tokens", `DELETE FROM auth.one_time_tokens WHERE user_id = $1`, userID)
}

// Pending is a one-time token that waits to be used.
type Pending struct {
	// Hash is empty where there is none.
	Hash string
	// SentAt is when its life began; nil where there is none.
	SentAt *time.Time
}

// OneTimes are a user's pending tokens.
type OneTimes struct {
	Confirmation, Recovery, EmailChangeNew, EmailChangeCurrent, PhoneChange, Reauthentication Pending
	// HalfChanged says that one of the two addresses of an email change has confirmed it.
	HalfChanged bool
}

// LockOneTimes returns the user's pending tokens and keeps the row from others
// until the transaction ends, so that a token is used once. ErrNotFound without
// the user.
func LockOneTimes(ctx context.Context, q db.Queryer, userID string) (*OneTimes, error) {
	t := &OneTimes{}
	err := q.QueryRow(ctx, `SELECT coalesce(confirmation_token, ''), confirmation_sent_at, coalesce(recovery_token, ''), recovery_sent_at,
			coalesce(email_change_token_new, ''), email_change_sent_at, coalesce(email_change_token_current, ''), email_change_sent_at,
			coalesce(phone_change_token, ''), phone_change_sent_at, coalesce(reauthentication_token, ''), reauthentication_sent_at,
			coalesce(email_change_confirm_status, 0) = 1
		FROM auth.users WHERE id = $1 FOR UPDATE`, userID).Scan(
		&t.Confirmation.Hash, &t.Confirmation.SentAt, &t.Recovery.Hash, &t.Recovery.SentAt,
		&t.EmailChangeNew.Hash, &t.EmailChangeNew.SentAt, &t.EmailChangeCurrent.Hash, &t.EmailChangeCurrent.SentAt,
		&t.PhoneChange.Hash, &t.PhoneChange.SentAt, &t.Reauthentication.Hash, &t.Reauthentication.SentAt, &t.HalfChanged)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("store: lock one-time tokens: %w", err)
	}
	return t, nil
}

// UserByOneTime returns the user with a token of one of the kinds with that
// hash, or ErrNotFound. It finds tokens that were sent to an address only: those
// sent to a number have the same kinds, but shorter lives, and no links.
func UserByOneTime(ctx context.Context, q db.Queryer, hash string, kinds ...OneTime) (*User, error) {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	return findUser(ctx, q, `SELECT `+userColumns+`, `+identityColumns+`
		FROM auth.users u LEFT JOIN auth.identities i ON i.user_id = u.id
		WHERE u.instance_id = $1 AND u.id = (SELECT t.user_id FROM auth.one_time_tokens t
			WHERE t.token_hash = $2 AND t.token_type::text = ANY ($3) AND t.relates_to LIKE '%@%' LIMIT 1)
		ORDER BY i.created_at, i.id`, noInstance, hash, names)
}

// Of returns the user's pending token of a kind.
func (t *OneTimes) Of(kind OneTime) Pending {
	switch kind {
	case ConfirmationToken:
		return t.Confirmation
	case RecoveryToken:
		return t.Recovery
	case EmailChangeTokenNew:
		return t.EmailChangeNew
	case EmailChangeTokenCurrent:
		return t.EmailChangeCurrent
	case PhoneChangeToken:
		return t.PhoneChange
	case ReauthenticationToken:
		return t.Reauthentication
	}
	return Pending{}
}
