// Package db opens pools of PostgreSQL connections and names the one interface
// that store packages query through.
package db

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/madbase/madbase/platform/aside"
)

// Queryer is what store functions need: a pool, a connection or a transaction.
type Queryer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// PoolConfig sizes one pool.
type PoolConfig struct {
	// URL is a PostgreSQL connection string.
	URL string
	// Name tells the pool apart in pg_stat_activity and in metrics.
	Name string
	// MaxConns bounds the pool; 0 takes pgx's default (4 or the number of cores).
	MaxConns int
	// MaxLifetime and MaxIdle bound how long a connection lives and may be unused;
	// 0 is 30 and 5 minutes.
	MaxLifetime, MaxIdle time.Duration
	// Tracer sees every statement when set.
	Tracer pgx.QueryTracer
	// Budget bounds this pool and others together when set.
	Budget *Budget
}

// Open returns a pool that connects on first use, so that it can be had while
// the database is still away. A cancelled context cancels the statement on the
// server too, and leaves the connection usable.
func Open(ctx context.Context, cfg PoolConfig) (*Pool, error) {
	pc, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("db: connection string of pool %s is malformed", cfg.Name) // the cause may quote the password
	}
	if cfg.MaxConns > 0 {
		pc.MaxConns = int32(cfg.MaxConns)
	}
	pc.MaxConnIdleTime = cmp.Or(cfg.MaxIdle, 5*time.Minute)
	pc.MaxConnLifetime = cmp.Or(cfg.MaxLifetime, 30*time.Minute)
	pc.MaxConnLifetimeJitter = pc.MaxConnLifetime / 6 // so that they do not end all at once
	cc := pc.ConnConfig
	cc.Tracer = cfg.Tracer
	if cc.ConnectTimeout == 0 {
		cc.ConnectTimeout = 5 * time.Second
	}
	if cc.RuntimeParams["application_name"] == "" {
		cc.RuntimeParams["application_name"] = "madbase " + cfg.Name
	}
	if cfg.Budget != nil {
		cc.DialFunc = cfg.Budget.limit(cc.DialFunc)
	}
	cc.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: 2 * time.Second}
	}
	pc.BeforeConnect = func(_ context.Context, cc *pgx.ConnConfig) error { // the config is this connection's own
		aside.Attach(&cc.Config)
		return nil
	}
	gate := newGate(pc)
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("db: open pool %s: %w", cfg.Name, err)
	}
	return &Pool{pool, gate}, nil
}

// WithDatabase returns connection string base with another database.
func WithDatabase(base, name string) (string, error) {
	if _, err := pgx.ParseConfig(base); err != nil {
		return "", fmt.Errorf("db: connection string is malformed")
	}
	u, err := url.Parse(base)
	if err != nil || u.Scheme == "" {
		return fmt.Sprintf("%s dbname=%s", base, name), nil
	}
	q := u.Query() // what it says of the database outweighs the path
	q.Set("dbname", name)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// WithLogin returns connection string base with another role and password.
// It understands both URLs and keyword=value strings.
func WithLogin(base, user, password string) (string, error) {
	if _, err := pgx.ParseConfig(base); err != nil {
		return "", fmt.Errorf("db: connection string is malformed")
	}
	u, err := url.Parse(base)
	if err != nil || u.Scheme == "" {
		return fmt.Sprintf("%s user=%s password=%s", base, user, password), nil
	}
	q := u.Query() // what it says of the login outweighs what stands before the host
	q.Set("user", user)
	q.Set("password", password)
	u.RawQuery = q.Encode()
	u.User = nil
	return u.String(), nil
}
