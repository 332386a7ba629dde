package db

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrBudget means that all connections of a Budget are in use.
var ErrBudget = errors.New("db: too many connections of projects are in use")

// budgetWait is how long a new connection waits for another one of its budget to end.
const budgetWait = 5 * time.Second

// Budget bounds the open connections of many pools together.
type Budget struct {
	tokens chan struct{}
	// short is called when a connection has to wait, for someone to close others.
	short func()
}

// NewBudget returns a Budget of n connections.
func NewBudget(n int, short func()) *Budget {
	return &Budget{tokens: make(chan struct{}, n), short: short}
}

// Used is the number of connections that are open or being opened.
func (b *Budget) Used() int { return len(b.tokens) }

// limit has each connection that dial makes take its place in the budget until it
// is closed.
func (b *Budget) limit(dial pgconn.DialFunc) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if err := b.take(ctx); err != nil {
			return nil, err
		}
		conn, err := dial(ctx, network, address)
		if err != nil {
			b.give()
			return nil, err //nolint:wrapcheck // pgx says what it dialed
		}
		return &budgetedConn{Conn: conn, close: sync.OnceFunc(b.give)}, nil
	}
}

func (b *Budget) take(ctx context.Context) error {
	select {
	case b.tokens <- struct{}{}:
		return nil
	default:
	}
	b.short()
	wait := time.NewTimer(budgetWait)
	defer wait.Stop()
	select {
	case b.tokens <- struct{}{}:
		return nil
	case <-wait.C:
		return ErrBudget
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrBudget, ctx.Err())
	}
}

func (b *Budget) give() { <-b.tokens }

// budgetedConn gives its place back when it is closed.
type budgetedConn struct {
	net.Conn
	close func()
}

// Close implements net.Conn.
func (c *budgetedConn) Close() error {
	defer c.close()
	return c.Conn.Close()
}
