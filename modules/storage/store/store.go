// Package store is the SQL of object storage: the rows of storage.buckets and
// storage.objects. Which role runs it, and so whether policies apply, is the
// caller's choice of the Queryer.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// ErrNotFound means that there is no such row, or that policies hide it.
var ErrNotFound = errors.New("store: no such row")

// Time is a point in time as the service writes it: UTC with milliseconds and "Z".
type Time struct{ time.Time }

// MarshalJSON writes 2026-01-02T03:04:05.678Z.
func (t Time) MarshalJSON() ([]byte, error) {
	return t.UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000Z"`), nil
}

// likeEscaper makes a text stand for itself in a LIKE pattern.
var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// oneJSON decodes a query's single row, which is one JSON value.
func oneJSON(ctx context.Context, q db.Queryer, into any, sql string, args ...any) error {
	var raw []byte
	err := q.QueryRow(ctx, sql, args...).Scan(&raw)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// manyJSON decodes a query's rows, each one JSON value.
func manyJSON[T any](ctx context.Context, q db.Queryer, sql string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (value T, err error) {
		return value, json.Unmarshal(row.RawValues()[0], &value)
	})
}

// LockWait bounds waiting for a lock: a transaction that is to take one has it as
// its setting lock_timeout. What waits longer fails with SQLSTATE 55P03.
const LockWait = "5s"

// LockObject makes writers of one object take turns until the transaction ends.
func LockObject(ctx context.Context, q db.Queryer, bucket, name string) error {
	if _, err := q.Exec(ctx, lockObject, lockName(bucket, name)); err != nil {
		return fmt.Errorf("store: lock object: %w", err)
	}
	return nil
}

func lockName(bucket, name string) string { return "storage/" + bucket + "/" + name }
