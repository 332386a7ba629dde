package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// Outgoing is a row of madbase.auth_outbox: a mail that waits to leave.
type Outgoing struct {
	ID, Kind string
	// Sealed is the mail, encrypted.
	Sealed []byte
	// Attempts counts the present one.
	Attempts int
	// Age is how long it has waited since it was put down.
	Age time.Duration
	// CreatedAt is when it was.
	CreatedAt time.Time
}

// InsertOutgoing puts a mail down; it leaves after the transaction of q.
func InsertOutgoing(ctx context.Context, q db.Queryer, o Outgoing) error {
	return exec(ctx, q, "insert mail", `INSERT INTO madbase.auth_outbox (id, kind, sealed) VALUES ($1, $2, $3)`, o.ID, o.Kind, o.Sealed)
}

// ClaimOutgoing takes the mail that is due for longest. For lease nobody else gets
// it, then it is due again. ErrNotFound when none is due.
func ClaimOutgoing(ctx context.Context, q db.Queryer, lease time.Duration) (o Outgoing, err error) {
	err = q.QueryRow(ctx, `UPDATE madbase.auth_outbox o SET due_at = now() + $1::interval, attempts = attempts + 1
		WHERE id = (SELECT id FROM madbase.auth_outbox WHERE due_at <= now() ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
		RETURNING id, kind, sealed, attempts, now() - created_at, created_at`, lease).
		Scan(&o.ID, &o.Kind, &o.Sealed, &o.Attempts, &o.Age, &o.CreatedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return o, ErrNotFound
	}
	if err != nil {
		return o, fmt.Errorf("store: claim mail: %w", err)
	}
	return o, nil
}

// DeleteOutgoing removes a mail that has left, or never will.
func DeleteOutgoing(ctx context.Context, q db.Queryer, id string) error {
	return exec(ctx, q, "delete mail", `DELETE FROM madbase.auth_outbox WHERE id = $1`, id)
}

// PostponeOutgoing makes a mail due again after a while.
func PostponeOutgoing(ctx context.Context, q db.Queryer, id string, after time.Duration) error {
	return exec(ctx, q, "postpone mail", `UPDATE madbase.auth_outbox SET due_at = now() + $2::interval WHERE id = $1`, id, after)
}

// KeepOutgoing moves a mail to the dev inbox as sealed has it, where the newest
// keep ones stay.
func KeepOutgoing(ctx context.Context, q db.Queryer, id string, sealed []byte, keep int) error {
	return exec(ctx, q, "keep mail", `WITH old AS (
			DELETE FROM madbase.auth_outbox WHERE due_at IS NULL AND id IN (
				SELECT id FROM madbase.auth_outbox WHERE due_at IS NULL ORDER BY created_at DESC, id OFFSET $3 - 1)
		)
		UPDATE madbase.auth_outbox SET due_at = NULL, sealed = $2 WHERE id = $1`, id, sealed, keep)
}

// Inbox lists the mails of the dev inbox, newest first.
func Inbox(ctx context.Context, q db.Queryer, limit int) ([]Outgoing, error) {
	rows, err := q.Query(ctx, `SELECT id, kind, sealed, created_at FROM madbase.auth_outbox WHERE due_at IS NULL
		ORDER BY created_at DESC, id LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("store: inbox: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (o Outgoing, err error) {
		return o, row.Scan(&o.ID, &o.Kind, &o.Sealed, &o.CreatedAt)
	})
	if err != nil {
		return nil, fmt.Errorf("store: inbox: %w", err)
	}
	return list, nil
}

// EmptyInbox removes the mails of the dev inbox.
func EmptyInbox(ctx context.Context, q db.Queryer) error {
	return exec(ctx, q, "empty inbox", `DELETE FROM madbase.auth_outbox WHERE due_at IS NULL`)
}

// CurrentTransaction is the id by which Committed knows the transaction of q.
func CurrentTransaction(ctx context.Context, q db.Queryer) (id string, err error) {
	if err = q.QueryRow(ctx, `SELECT txid_current()::text`).Scan(&id); err != nil {
		return "", fmt.Errorf("store: current transaction: %w", err)
	}
	return id, nil
}

// Committed reports whether a transaction has committed.
func Committed(ctx context.Context, q db.Queryer, id string) (yes bool, err error) {
	if err = q.QueryRow(ctx, `SELECT coalesce(txid_status($1::bigint) = 'committed', false)`, id).Scan(&yes); err != nil {
		return false, fmt.Errorf("store: state of transaction: %w", err)
	}
	return yes, nil
}

// OutgoingWaits reports whether mails wait to leave.
func OutgoingWaits(ctx context.Context, q db.Queryer) (waits bool, err error) {
	err = q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM madbase.auth_outbox WHERE due_at IS NOT NULL)`).Scan(&waits)
	if err != nil {
		return false, fmt.Errorf("store: look for mails: %w", err)
	}
	return waits, nil
}
