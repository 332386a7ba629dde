package rls

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
)

// ErrBusy is the cause of the error when no connection became free in time.
var ErrBusy = errors.New("rls: timed out waiting for a connection")

// ErrUnavailable is the cause of the error when the database cannot be reached.
var ErrUnavailable = errors.New("rls: no connection to the database")

// Tx is the transaction of one request. It does nothing until it is used: a
// request that needs no database costs none. Its Settings may be changed before that.
//
// Either Once, Together or Try is its only use, or Run and the Queryer methods (Exec, Query,
// QueryRow) share one explicit transaction that Handle or Scope.Do ends.
// A Tx belongs to one goroutine.
type Tx struct {
	Settings Settings
	// RollbackOnly ends the transaction with ROLLBACK, whatever happens in it.
	RollbackOnly bool

	pool  *db.Pool
	wait  time.Duration
	check func(role string) error

	conn *pgxpool.Conn
	open bool
	done bool
}

var errUsed = errors.New("rls: Once, Together and Try must be a transaction's only use")

// Once runs one statement with the settings in a single round trip and commits
// with it: the settings and the statement are one implicit transaction. A
// deferred constraint that fails is its error. A read-only statement is sent once
// more when the connection turns out to be dead.
func (t *Tx) Once(ctx context.Context, s Statement) (Result, error) { return t.Together(ctx, s) }

// Together is Once for several statements: one round trip, one transaction, and
// the last one's result. After an error it may be used again, by who knows that
// nothing was done.
func (t *Tx) Together(ctx context.Context, statements ...Statement) (Result, error) {
	if t.open || t.done || t.RollbackOnly {
		return Result{}, errUsed
	}
	result, err := t.once(ctx, statements)
	if lost(err) && t.Settings.ReadOnly && ctx.Err() == nil && !errors.Is(err, ErrBusy) {
		result, err = t.once(ctx, statements)
	}
	t.done = err == nil
	return result, err
}

// Try runs one statement, undoes it, and returns the error it met, all in a single
// round trip: for asking policies whether they would let a write pass. Like Once
// it is the transaction's only use.
func (t *Tx) Try(ctx context.Context, s Statement) error {
	if t.open || t.done {
		return errUsed
	}
	defer t.rollback(ctx)
	p, err := t.prepare(ctx)
	if err != nil {
		return err
	}
	p.add(t.Settings.Role, s)
	p.add("", Statement{SQL: "ROLLBACK"})
	if _, err = p.run(ctx); err == nil {
		t.open, t.done = false, true
	}
	return connectionError(wrap("statement", err))
}

func (t *Tx) once(ctx context.Context, statements []Statement) (Result, error) {
	if err := t.acquire(ctx); err != nil {
		return Result{}, err
	}
	defer t.release()
	p := t.implicit(statements)
	result, err := p.run(ctx)
	if p.outdated(err) { // all of it was undone
		result, err = t.implicit(statements).run(ctx)
	}
	return result, connectionError(wrap("statement", err))
}

// implicit is the pipeline of a whole transaction without BEGIN and COMMIT.
func (t *Tx) implicit(statements []Statement) *pipeline {
	p := t.pipeline()
	sql, args := t.Settings.statement(true)
	p.add("", Statement{SQL: sql, Args: args})
	p.addAll(t.Settings.Role, statements)
	return p
}

// Run runs statements inside the explicit transaction, which the first use opens,
// in one round trip, and returns the last one's result.
func (t *Tx) Run(ctx context.Context, statements ...Statement) (Result, error) {
	if t.done {
		return Result{}, errUsed
	}
	first := !t.open
	p, err := t.prepare(ctx)
	if err != nil {
		return Result{}, err
	}
	p.addAll(t.Settings.Role, statements)
	result, err := p.run(ctx)
	if first && p.outdated(err) {
		result, err = t.again(ctx, statements)
	}
	return result, connectionError(wrap("statement", err))
}

// again runs the transaction's first statements once more, from its beginning.
func (t *Tx) again(ctx context.Context, statements []Statement) (Result, error) {
	if _, err := t.conn.Exec(ctx, "ROLLBACK", pgx.QueryExecModeSimpleProtocol); err != nil {
		return Result{}, err
	}
	p := t.explicit()
	p.addAll(t.Settings.Role, statements)
	return p.run(ctx)
}

// prepare returns a pipeline that begins with what the transaction still lacks.
func (t *Tx) prepare(ctx context.Context) (*pipeline, error) {
	if t.open {
		return t.pipeline(), nil
	}
	if err := t.acquire(ctx); err != nil {
		return nil, err
	}
	t.open = true
	return t.explicit(), nil
}

// explicit is a pipeline that begins a transaction.
func (t *Tx) explicit() *pipeline {
	p := t.pipeline()
	p.add("", Statement{SQL: t.Settings.begin()})
	sql, args := t.Settings.statement(false)
	p.add("", Statement{SQL: sql, Args: args})
	return p
}

func (t *Tx) pipeline() *pipeline {
	pc := t.conn.Conn().PgConn()
	return &pipeline{conn: pc, prepared: preparedOn(pc), steps: make([]step, 0, 3)}
}

// begin opens the explicit transaction for the Queryer methods.
func (t *Tx) begin(ctx context.Context) error {
	if t.done {
		return errUsed
	}
	if t.open {
		return nil
	}
	p, err := t.prepare(ctx)
	if err != nil {
		return err
	}
	_, err = p.run(ctx)
	return connectionError(wrap("begin", err))
}

// Exec is pgx's, inside the transaction.
func (t *Tx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if err := t.begin(ctx); err != nil {
		return pgconn.CommandTag{}, err
	}
	return t.conn.Exec(ctx, sql, args...)
}

// Query is pgx's, inside the transaction.
func (t *Tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if err := t.begin(ctx); err != nil {
		return nil, err
	}
	return t.conn.Query(ctx, sql, args...)
}

// QueryRow is pgx's, inside the transaction.
func (t *Tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if err := t.begin(ctx); err != nil {
		return failedRow{err}
	}
	return t.conn.QueryRow(ctx, sql, args...)
}

type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }

// commit ends the explicit transaction, if there is one, and frees the connection.
func (t *Tx) commit(ctx context.Context) error {
	if t.RollbackOnly {
		t.rollback(ctx)
		return nil
	}
	defer t.release()
	if !t.open {
		return nil
	}
	t.open, t.done = false, true
	tag, err := t.conn.Exec(ctx, "COMMIT", pgx.QueryExecModeSimpleProtocol)
	if err == nil && tag.String() == "ROLLBACK" { // an earlier statement had failed
		err = errors.New("transaction was rolled back")
	}
	return connectionError(wrap("commit", err))
}

// rollback undoes the explicit transaction, if there is one, and frees the
// connection. The caller may be gone already; the database must not notice.
func (t *Tx) rollback(ctx context.Context) {
	defer t.release()
	if !t.open {
		return
	}
	t.open, t.done = false, true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if _, err := t.conn.Exec(ctx, "ROLLBACK", pgx.QueryExecModeSimpleProtocol); err != nil {
		_ = t.conn.Conn().Close(ctx) // a connection whose transaction may be open must not go back
	}
}

func (t *Tx) acquire(ctx context.Context) error {
	if err := t.check(t.Settings.Role); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, t.wait)
	defer cancel()
	conn, err := t.pool.Take(waiting)
	switch {
	case err == nil:
		t.conn = conn
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("rls: acquire: %w", err)
	case waiting.Err() != nil && t.pool.Stat().AcquiredConns() >= t.pool.Stat().MaxConns():
		return apierr.New(http.StatusGatewayTimeout, "PGRST003", "Timed out acquiring connection from connection pool.").
			Because(fmt.Errorf("%w: %w", ErrBusy, err))
	}
	return unavailable(err)
}

func (t *Tx) release() {
	if t.conn != nil {
		t.pool.Give(t.conn)
		t.conn = nil
	}
}

// connectionError makes a lost connection a 503; a database's own error stays as it is.
func connectionError(err error) error {
	if !lost(err) || errors.Is(err, context.Canceled) {
		return err
	}
	return unavailable(err)
}

func unavailable(err error) error {
	return apierr.New(http.StatusServiceUnavailable, "PGRST000", "Database connection error. Retrying the connection.").
		WithHeader("Retry-After", "1").Because(fmt.Errorf("%w: %w", ErrUnavailable, err))
}
