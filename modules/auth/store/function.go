package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// Function is one of the app's own in the database, with the time it may take.
type Function struct {
	Schema, Name string
	Timeout      time.Duration
}

// CallFunction calls a function of one json or jsonb argument and returns its
// result, nil for NULL and void. In a transaction it runs there, else in one of its own.
func CallFunction(ctx context.Context, q db.Queryer, f Function, argument []byte) ([]byte, error) {
	if pool, ok := q.(interface {
		Begin(context.Context) (pgx.Tx, error)
	}); ok && !inTransaction(q) {
		var result []byte
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) (err error) {
			result, err = CallFunction(ctx, tx, f, argument)
			return err
		})
		return result, err
	}
	var result []byte
	err := setTimeout(ctx, q, strconv.FormatInt(f.Timeout.Milliseconds(), 10))
	if err == nil {
		err = q.QueryRow(ctx, `SELECT `+pgx.Identifier{f.Schema, f.Name}.Sanitize()+`($1)`, string(argument)).Scan(&result)
	}
	if err == nil {
		err = setTimeout(ctx, q, "0")
	}
	if err != nil {
		return nil, fmt.Errorf("store: call %s.%s: %w", f.Schema, f.Name, err)
	}
	return result, nil
}

func inTransaction(q db.Queryer) bool {
	_, ok := q.(pgx.Tx)
	return ok
}

// setTimeout bounds the statements that follow in the transaction; 0 does not.
func setTimeout(ctx context.Context, q db.Queryer, milliseconds string) error {
	_, err := q.Exec(ctx, `SELECT set_config('statement_timeout', $1, true)`, milliseconds)
	return err
}
