// Package store is the SQL of schema auth. Its functions take the caller's pool
// or transaction, do one thing and know nothing of HTTP.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/madbase/madbase/platform/db"
)

// ErrNotFound says that no row answers to what was asked for.
var ErrNotFound = errors.New("store: not found")

// User is a row of auth.users with what belongs to it. Its JSON is the API's
// user object; what is not for the user to see has no JSON.
type User struct {
	ID                     string          `json:"id"`
	Audience               string          `json:"aud"`
	Role                   string          `json:"role"`
	Email                  string          `json:"email"`
	EmailConfirmedAt       *time.Time      `json:"email_confirmed_at,omitempty"`
	InvitedAt              *time.Time      `json:"invited_at,omitempty"`
	Phone                  string          `json:"phone"`
	PhoneConfirmedAt       *time.Time      `json:"phone_confirmed_at,omitempty"`
	ConfirmationSentAt     *time.Time      `json:"confirmation_sent_at,omitempty"`
	ConfirmedAt            *time.Time      `json:"confirmed_at,omitempty"`
	RecoverySentAt         *time.Time      `json:"recovery_sent_at,omitempty"`
	NewEmail               string          `json:"new_email,omitempty"`
	EmailChangeSentAt      *time.Time      `json:"email_change_sent_at,omitempty"`
	NewPhone               string          `json:"new_phone,omitempty"`
	PhoneChangeSentAt      *time.Time      `json:"phone_change_sent_at,omitempty"`
	ReauthenticationSentAt *time.Time      `json:"reauthentication_sent_at,omitempty"`
	LastSignInAt           *time.Time      `json:"last_sign_in_at,omitempty"`
	AppMetadata            json.RawMessage `json:"app_metadata"`
	UserMetadata           json.RawMessage `json:"user_metadata"`
	Factors                []Factor        `json:"factors,omitempty"`
	Identities             []Identity      `json:"identities"`
	CreatedAt              time.Time       `json:"created_at"`
	UpdatedAt              time.Time       `json:"updated_at"`
	BannedUntil            *time.Time      `json:"banned_until,omitempty"`
	DeletedAt              *time.Time      `json:"deleted_at,omitempty"`
	IsAnonymous            bool            `json:"is_anonymous"`

	IsSSO        bool   `json:"-"`
	PasswordHash string `json:"-"`
}

// Banned reports whether the user may not sign in at the time now.
func (u *User) Banned(now time.Time) bool { return u.BannedUntil != nil && now.Before(*u.BannedUntil) }

// HasSecondFactor reports whether the user has verified one, and so must use it.
func (u *User) HasSecondFactor() bool { return slices.ContainsFunc(u.Factors, Factor.Verified) }

// noInstance is the instance_id of every row: a relic of GoTrue's that its queries still ask for.
const noInstance = "00000000-0000-0000-0000-000000000000"

// userColumns are what User.into scans. Rows that were inserted by SQL may have
// NULL where GoTrue writes an empty text; both are the same here.
const userColumns = `u.id, coalesce(u.aud, ''), coalesce(u.role, ''), coalesce(u.email, ''), u.email_confirmed_at, u.invited_at,
	coalesce(u.phone, ''), u.phone_confirmed_at, u.confirmation_sent_at, u.confirmed_at, u.recovery_sent_at,
	coalesce(u.email_change, ''), u.email_change_sent_at, coalesce(u.phone_change, ''), u.phone_change_sent_at,
	u.reauthentication_sent_at, u.last_sign_in_at, coalesce(u.raw_app_meta_data, '{}'), coalesce(u.raw_user_meta_data, '{}'),
	coalesce(u.created_at, to_timestamp(0)), coalesce(u.updated_at, u.created_at, to_timestamp(0)), u.banned_until, u.deleted_at, u.is_anonymous,
	u.is_sso_user, coalesce(u.encrypted_password, ''),
	(SELECT json_agg(` + factorJSON + ` ORDER BY f.created_at) FROM auth.mfa_factors f WHERE f.user_id = u.id)`

func (u *User) into() []any {
	return []any{
		&u.ID, &u.Audience, &u.Role, &u.Email, &u.EmailConfirmedAt, &u.InvitedAt,
		&u.Phone, &u.PhoneConfirmedAt, &u.ConfirmationSentAt, &u.ConfirmedAt, &u.RecoverySentAt,
		&u.NewEmail, &u.EmailChangeSentAt, &u.NewPhone, &u.PhoneChangeSentAt,
		&u.ReauthenticationSentAt, &u.LastSignInAt, &u.AppMetadata, &u.UserMetadata,
		&u.CreatedAt, &u.UpdatedAt, &u.BannedUntil, &u.DeletedAt, &u.IsAnonymous,
		&u.IsSSO, &u.PasswordHash, &u.Factors,
	}
}

// utc gives the times the zone that the API shows.
func (u *User) utc() {
	for _, t := range []*time.Time{
		u.EmailConfirmedAt, u.InvitedAt, u.PhoneConfirmedAt, u.ConfirmationSentAt, u.ConfirmedAt, u.RecoverySentAt, u.EmailChangeSentAt,
		u.PhoneChangeSentAt, u.ReauthenticationSentAt, u.LastSignInAt, &u.CreatedAt, &u.UpdatedAt, u.BannedUntil, u.DeletedAt,
	} {
		if t != nil {
			*t = t.UTC()
		}
	}
	for i := range u.Factors {
		u.Factors[i].utc()
	}
}

// scanUser reads the rows of a query over userColumns, identityColumns and then
// further columns into extra: one row for each identity of one user, or for none.
func scanUser(rows pgx.Rows, extra ...any) (*User, error) {
	defer rows.Close()
	var u *User
	for rows.Next() {
		user, identity := User{}, nullIdentity{}
		if err := rows.Scan(append(append(user.into(), identity.into()...), extra...)...); err != nil {
			return nil, err
		}
		if u == nil {
			u = &user
			u.Identities = []Identity{}
			u.utc()
		}
		if identity.id != nil {
			u.Identities = append(u.Identities, identity.value())
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if u == nil {
		return nil, ErrNotFound
	}
	return u, nil
}

// UserByID returns a user with identities, or ErrNotFound.
func UserByID(ctx context.Context, q db.Queryer, id string) (*User, error) {
	return findUser(ctx, q, `SELECT `+userColumns+`, `+identityColumns+`
		FROM auth.users u LEFT JOIN auth.identities i ON i.user_id = u.id
		WHERE u.instance_id = $1 AND u.id = $2 ORDER BY i.created_at, i.id`, noInstance, id)
}

// LockUser is UserByID that keeps the row from others until the transaction ends.
func LockUser(ctx context.Context, q db.Queryer, id string) (*User, error) {
	tag, err := q.Exec(ctx, `SELECT FROM auth.users WHERE id = $1 FOR UPDATE`, id)
	if err != nil {
		return nil, fmt.Errorf("store: lock user: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return nil, ErrNotFound
	}
	return UserByID(ctx, q, id)
}

// UserByEmail returns the user of an audience whose address is email in lower case, or ErrNotFound.
func UserByEmail(ctx context.Context, q db.Queryer, email, audience string) (*User, error) {
	return findUser(ctx, q, `SELECT `+userColumns+`, `+identityColumns+`
		FROM auth.users u LEFT JOIN auth.identities i ON i.user_id = u.id
		WHERE u.instance_id = $1 AND lower(u.email) = $2 AND u.aud = $3 AND NOT u.is_sso_user ORDER BY i.created_at, i.id`, noInstance, email, audience)
}

// UserByAnyEmail returns a user of the audience other than except (an id, or
// empty) who signs in with email in any way but a company's own sign-on: it is
// the user's address or one of an identity. ErrNotFound when the address is free.
func UserByAnyEmail(ctx context.Context, q db.Queryer, email, audience, except string) (*User, error) {
	return findUser(ctx, q, `SELECT `+userColumns+`, `+identityColumns+`
		FROM auth.users u LEFT JOIN auth.identities i ON i.user_id = u.id
		WHERE u.instance_id = $1 AND u.aud = $3 AND u.id = (
			SELECT o.id FROM (
				SELECT e.user_id AS id FROM auth.identities e WHERE e.email = $2 AND e.provider NOT LIKE 'sso:%'
				UNION ALL
				SELECT x.id FROM auth.users x WHERE x.instance_id = $1 AND lower(x.email) = $2 AND NOT x.is_sso_user
			) o WHERE o.id::text <> $4 LIMIT 1)
		ORDER BY i.created_at, i.id`, noInstance, email, audience, except)
}

// PhoneTaken reports whether another user than except has the phone number.
func PhoneTaken(ctx context.Context, q db.Queryer, phone, except string) (bool, error) {
	var taken bool
	err := q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM auth.users WHERE phone = $1 AND id::text <> $2)`, phone, except).Scan(&taken)
	if err != nil {
		return false, fmt.Errorf("store: phone taken: %w", err)
	}
	return taken, nil
}

func findUser(ctx context.Context, q db.Queryer, sql string, args ...any) (*User, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("store: find user: %w", err)
	}
	u, err := scanUser(rows)
	if err != nil && !errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("store: find user: %w", err)
	}
	return u, err
}

// Caller returns the user and the session that an access token names, in one
// round trip. The user is ErrNotFound, or the session's ID is empty, when the
// row is gone.
func Caller(ctx context.Context, q db.Queryer, userID, sessionID string) (*User, *Session, error) {
	s := &Session{}
	rows, err := q.Query(ctx, `SELECT `+userColumns+`, `+identityColumns+`, `+sessionColumns+`
		FROM auth.users u LEFT JOIN auth.identities i ON i.user_id = u.id LEFT JOIN auth.sessions s ON s.id = $3 AND s.user_id = u.id
		WHERE u.instance_id = $1 AND u.id = $2 ORDER BY i.created_at, i.id`, noInstance, userID, sessionID)
	if err != nil {
		return nil, nil, fmt.Errorf("store: find caller: %w", err)
	}
	u, err := scanUser(rows, s.into()...)
	if err != nil {
		if !errors.Is(err, ErrNotFound) {
			err = fmt.Errorf("store: find caller: %w", err)
		}
		return nil, nil, err
	}
	return u, s, nil
}

// Violates reports whether err is a violation of the unique or foreign key, or unique index, of that name.
func Violates(err error, constraint string) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "23505" || e.Code == "23503") && e.ConstraintName == constraint
}
