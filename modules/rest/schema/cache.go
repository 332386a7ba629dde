package schema

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// ErrNotLoaded is why a cache is not ready before its first load has ended.
var ErrNotLoaded = errors.New("schema: the schema cache is not loaded yet")

// Waiting times of a Cache.
const (
	debounce   = 100 * time.Millisecond // several notifications in this time are one
	minBackoff = 200 * time.Millisecond
	maxBackoff = 30 * time.Second
)

// Options say what a Cache watches.
type Options struct {
	// Conn is how to connect; the connection is the cache's own.
	Conn *pgx.ConnConfig
	// Configure reads what is set in the database, before each load, and returns
	// the exposed schemas. Its error stops the load.
	Configure func(context.Context, *pgx.Conn) (schemas []string, err error)
	// Channel is what NOTIFY is sent on to have settings and schema read again;
	// empty for no channel.
	Channel string
	Log     *slog.Logger
}

// Cache holds a database's current Snapshot. It reads it over a connection of its
// own, listens there for changes and connects again when the connection is lost;
// meanwhile, and when a load fails, the last good snapshot stays in use.
type Cache struct {
	options  Options
	snapshot atomic.Pointer[Snapshot]
	failure  atomic.Pointer[error]

	first  chan struct{} // closed when the first attempt has ended
	cancel context.CancelFunc
	done   chan struct{}
}

// NewCache starts a cache's only goroutine. Close ends it.
func NewCache(o Options) *Cache {
	ctx, cancel := context.WithCancel(context.Background())
	c := &Cache{options: o, first: make(chan struct{}), cancel: cancel, done: make(chan struct{})}
	c.fail(ErrNotLoaded)
	go c.run(ctx)
	return c
}

// Close stops listening and waits until the goroutine has ended.
func (c *Cache) Close() {
	c.cancel()
	<-c.done
}

// Snapshot is the current snapshot; the error says why there is none.
func (c *Cache) Snapshot() (*Snapshot, error) {
	if s := c.snapshot.Load(); s != nil {
		return s, nil
	}
	return nil, *c.failure.Load()
}

// Await waits until the first attempt to load has ended, and returns as Snapshot does.
func (c *Cache) Await(ctx context.Context) (*Snapshot, error) {
	select {
	case <-c.first:
		return c.Snapshot()
	case <-ctx.Done():
		return nil, fmt.Errorf("schema: wait for the schema cache: %w", ctx.Err())
	}
}

func (c *Cache) fail(err error) { c.failure.Store(&err) }

func (c *Cache) run(ctx context.Context) {
	defer close(c.done)
	var once sync.Once
	backoff := minBackoff
	for ctx.Err() == nil {
		loaded, err := c.watch(ctx, func() { once.Do(func() { close(c.first) }) })
		if ctx.Err() != nil {
			break
		}
		if loaded {
			backoff = minBackoff
		}
		c.fail(err)
		once.Do(func() { close(c.first) })
		c.options.Log.Warn("schema cache lost its connection", "error", err, "retry_in", backoff)
		select {
		case <-ctx.Done():
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, maxBackoff)
	}
	once.Do(func() { close(c.first) })
}

// watch connects, loads and loads again at each notification. It returns only
// with an error; loaded says whether a load succeeded before. It listens before
// it loads, so that no change falls between.
func (c *Cache) watch(ctx context.Context, afterLoad func()) (loaded bool, err error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return false, fmt.Errorf("schema: connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it is being thrown away
	if c.options.Channel != "" {
		if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{c.options.Channel}.Sanitize()); err != nil {
			return false, fmt.Errorf("schema: listen: %w", err)
		}
	}
	for {
		if err := c.reload(ctx, conn); err != nil {
			return loaded, err
		}
		loaded = true
		afterLoad()
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return loaded, fmt.Errorf("schema: wait for a notification: %w", err)
		}
		if err := settle(ctx, conn); err != nil {
			return loaded, err
		}
	}
}

// settle swallows the notifications that follow within the debounce time.
func settle(ctx context.Context, conn *pgx.Conn) error {
	quiet, cancel := context.WithTimeout(ctx, debounce)
	defer cancel()
	for {
		_, err := conn.WaitForNotification(quiet)
		switch {
		case err == nil:
		case quiet.Err() != nil && ctx.Err() == nil && !conn.IsClosed():
			return nil
		default:
			return fmt.Errorf("schema: wait for a notification: %w", err)
		}
	}
}

func (c *Cache) reload(ctx context.Context, conn *pgx.Conn) error {
	start := time.Now()
	schemas, err := c.options.Configure(ctx, conn)
	if err != nil {
		return err
	}
	s, err := Load(ctx, conn, schemas)
	if err != nil {
		return err
	}
	c.snapshot.Store(s)
	c.options.Log.Debug("schema cache loaded", "tables", len(s.tables), "functions", len(s.routines), "took", time.Since(start))
	return nil
}

func (c *Cache) connect(ctx context.Context) (*pgx.Conn, error) {
	cc := c.options.Conn.Copy()
	cc.RuntimeParams["application_name"] = "madbase schema cache"
	cc.Tracer = nil
	// Waiting ends by a deadline on the socket; there is no statement to cancel.
	cc.BuildContextWatcherHandler = func(pc *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.DeadlineContextWatcherHandler{Conn: pc.Conn()}
	}
	return pgx.ConnectConfig(ctx, cc)
}
