// Package registry knows the projects of one madbase: their databases, secrets,
// settings and API keys, kept in the control database. Every process follows it
// and has all of it in memory; a change is everywhere within about a second.
package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
)

// DefaultRef is the project of DATABASE_URL and the environment. It has a row for
// its settings and keys; its database and its secrets are not in it.
const DefaultRef = "default"

// ErrNotFound means that there is no such project.
var ErrNotFound = errors.New("registry: no such project")

// Options are what a Registry stands on.
type Options struct {
	// OwnerURL is the control database's owner: nobody else may read the registry.
	OwnerURL string
	Sealer   *Sealer
	Log      *slog.Logger
}

// Registry reads and changes the registry and follows its changes.
type Registry struct {
	options Options
	pool    *db.Pool

	current atomic.Pointer[state]
	loading sync.Mutex
	cancel  context.CancelFunc
	done    chan struct{}
}

// state is a snapshot with what tells that it is no longer the newest.
type state struct {
	snapshot *Snapshot
	replaced chan struct{}
}

// connections bounds what one process keeps open to the registry, beside the one
// that listens.
const connections = 2

// New returns a Registry that connects on first use. Its snapshot is empty until Start.
func New(ctx context.Context, o Options) (*Registry, error) {
	pool, err := db.Open(ctx, db.PoolConfig{URL: o.OwnerURL, Name: "registry", MaxConns: connections})
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	r := &Registry{options: o, pool: pool}
	r.current.Store(&state{snapshot: &Snapshot{}, replaced: make(chan struct{})})
	return r, nil
}

// Current returns what is known of the registry, and a channel that is closed
// once there is something newer.
func (r *Registry) Current() (*Snapshot, <-chan struct{}) {
	s := r.current.Load()
	return s.snapshot, s.replaced
}

// Snapshot returns what is known of the registry. It never changes.
func (r *Registry) Snapshot() *Snapshot { return r.current.Load().snapshot }

// Sealer encrypts what is written into the registry.
func (r *Registry) Sealer() *Sealer { return r.options.Sealer }

// Refresh reads the registry now.
func (r *Registry) Refresh(ctx context.Context) error {
	r.loading.Lock()
	defer r.loading.Unlock()
	next := &Snapshot{}
	err := pgx.BeginTxFunc(ctx, r.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) (err error) {
		next, err = load(ctx, tx)
		return err
	})
	if err != nil {
		return fmt.Errorf("registry: read: %w", err)
	}
	last := r.current.Load()
	if last.snapshot.loaded && last.snapshot.Version == next.Version {
		return nil
	}
	r.current.Store(&state{snapshot: next, replaced: make(chan struct{})})
	close(last.replaced)
	return nil
}

// Change runs write in a transaction that also records what is done, by whom.
// When it returns nil, this process knows the change; the others soon do.
func (r *Registry) Change(ctx context.Context, entry Entry, write func(context.Context, pgx.Tx) error) error {
	err := db.Retry(ctx, func() error {
		return pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
			if err := write(ctx, tx); err != nil {
				return err
			}
			return record(ctx, tx, entry)
		})
	})
	if err != nil {
		return fmt.Errorf("registry: %s: %w", entry.Action, err)
	}
	return r.readBack(ctx)
}

const (
	// readWithin bounds how long what was changed is tried to be read.
	readWithin = 5 * time.Second
	readAgain  = 100 * time.Millisecond
)

// readBack reads what was changed just now. That it cannot be read, or that whoever
// asked has gone, makes nothing undone: it is tried for a while, and then said so.
func (r *Registry) readBack(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readWithin)
	defer cancel()
	for {
		err := r.Refresh(ctx)
		if err == nil {
			return nil
		}
		pause := time.NewTimer(readAgain)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return apierr.New(http.StatusServiceUnavailable, "done_unread", "The change is made, but cannot be read back now: ask again").Because(err)
		}
	}
}
