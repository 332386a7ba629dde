package db

import (
	"container/list"
	"context"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Pool is pgx's pool, and a gate before it for the requests that come in bursts.
type Pool struct {
	*pgxpool.Pool
	gate *gate
}

// Take returns a connection, for Give to take back. Unlike Acquire it lets a burst
// open connections one after another: pgx would open one for each of its users at
// once, whose starts keep all of them waiting, and let none have a connection that
// another gives back meanwhile. Those who would open one too many queue, in the order
// in which they came, for whichever is there first.
func (p *Pool) Take(ctx context.Context) (*pgxpool.Conn, error) {
	if err := p.gate.enter(ctx); err != nil {
		return nil, err
	}
	conn, err := p.Acquire(ctx)
	if err != nil {
		p.gate.change(0, -1)
	}
	return conn, err //nolint:wrapcheck // it is pgx's Acquire to its callers
}

// Give takes back what Take returned.
func (p *Pool) Give(conn *pgxpool.Conn) {
	conn.Release()
	p.gate.change(0, -1)
}

// gate counts a pool's connections and those who have one or are about to.
type gate struct {
	mu sync.Mutex
	// max is the bound of the pool; open the number of its connections that are made.
	max, open int
	// inside are the users that were let in, queue the others: channels that are
	// closed to let them in.
	inside int
	queue  list.List
}

// newGate returns the gate of a pool that is made of pc.
func newGate(pc *pgxpool.Config) *gate {
	g := &gate{max: int(pc.MaxConns)}
	pc.AfterConnect = func(context.Context, *pgx.Conn) error {
		g.change(1, 0)
		return nil
	}
	pc.BeforeClose = func(*pgx.Conn) { g.change(-1, 0) }
	return g
}

// change counts connections and users that came or went, and lets in who fits then.
func (g *gate) change(open, inside int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open += open
	g.inside += inside
	for g.queue.Len() > 0 && g.fits() {
		g.inside++
		close(g.queue.Remove(g.queue.Front()).(chan struct{}))
	}
}

// fits says whether one more user may come in: for a connection that is free, or to
// make one beside at most a quarter as many others as are open, so that a distant
// server's pool still fills soon. A pool that is full has a queue of its own.
func (g *gate) fits() bool { return g.open >= g.max || g.inside <= g.open+g.open/4 }

// enter waits until one more user fits.
func (g *gate) enter(ctx context.Context) error {
	g.mu.Lock()
	if g.queue.Len() == 0 && g.fits() {
		g.inside++
		g.mu.Unlock()
		return nil
	}
	let := make(chan struct{})
	place := g.queue.PushBack(let)
	g.mu.Unlock()
	select {
	case <-let:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-let: // at the same moment
		return nil
	default:
		g.queue.Remove(place)
		return ctx.Err() //nolint:wrapcheck // as Acquire does
	}
}
