package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

const (
	// channel is what sql/platform notifies.
	channel = "madbase_registry"
	// pollInterval is how often the version is asked for all the same: a
	// notification may be missed, as behind a pooler of transactions.
	pollInterval = time.Second
)

// Start reads the registry and follows it until Close.
func (r *Registry) Start(ctx context.Context) error {
	if err := r.Refresh(ctx); err != nil {
		return err
	}
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	r.done = make(chan struct{})
	go r.follow(ctx)
	return nil
}

// Close ends what Start began and closes the connections.
func (r *Registry) Close() error {
	if r.cancel != nil {
		r.cancel()
		<-r.done
	}
	r.pool.Close()
	return nil
}

// follow keeps the snapshot new. While the control database is away the last one stands.
func (r *Registry) follow(ctx context.Context) {
	defer close(r.done)
	for ctx.Err() == nil {
		err := r.listen(ctx)
		if ctx.Err() != nil {
			return
		}
		r.options.Log.WarnContext(ctx, "the registry of projects cannot be followed", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(pollInterval):
		}
	}
}

// listen waits for changes on a connection of its own. It returns only with an error.
func (r *Registry) listen(ctx context.Context) error {
	conn, err := r.connect(ctx)
	if err != nil {
		return fmt.Errorf("registry: connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it is being thrown away
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return fmt.Errorf("registry: listen: %w", err)
	}
	for {
		var version int64
		if err := conn.QueryRow(ctx, selectVersion).Scan(&version); err != nil {
			return fmt.Errorf("registry: version: %w", err)
		}
		if version != r.Snapshot().Version {
			if err := r.Refresh(ctx); err != nil {
				return err
			}
		}
		if err := wait(ctx, conn); err != nil {
			return err
		}
	}
}

// wait returns nil at a notification and after pollInterval.
func wait(ctx context.Context, conn *pgx.Conn) error {
	waiting, cancel := context.WithTimeout(ctx, pollInterval)
	defer cancel()
	_, err := conn.WaitForNotification(waiting)
	if err == nil || waiting.Err() != nil && ctx.Err() == nil && !conn.IsClosed() {
		return nil
	}
	return fmt.Errorf("registry: wait for a notification: %w", err)
}

func (r *Registry) connect(ctx context.Context) (*pgx.Conn, error) {
	cc := r.pool.Config().ConnConfig
	cc.RuntimeParams["application_name"] = "madbase registry watch"
	// Waiting ends by a deadline on the socket; there is no statement to cancel.
	cc.BuildContextWatcherHandler = func(pc *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.DeadlineContextWatcherHandler{Conn: pc.Conn()}
	}
	return pgx.ConnectConfig(ctx, cc)
}
