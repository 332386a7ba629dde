package db

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Retry calls fn until it succeeds, fails for a reason of its own, or has met
// another transaction in its way ten times: a serialization failure, a deadlock,
// or two changes of one role or grant at once. Those belong to the whole server,
// where no lock of one database keeps another's migrations away. fn must leave
// nothing behind when it fails.
func Retry(ctx context.Context, fn func() error) error {
	const attempts = 10
	for attempt := 1; ; attempt++ {
		err := fn()
		if attempt == attempts || !contended(err) {
			return err
		}
		pause := time.NewTimer(time.Duration(10+rand.IntN(50*attempt)) * time.Millisecond)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return err
		}
	}
}

func contended(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	switch e.Code {
	case "40001", "40P01": // serialization_failure, deadlock_detected
		return true
	case "23505": // unique_violation
		return e.SchemaName == "pg_catalog"
	case "XX000": // "tuple concurrently updated" has no code of its own
		return e.Routine == "simple_heap_update" || e.Routine == "simple_heap_delete"
	}
	return false
}
