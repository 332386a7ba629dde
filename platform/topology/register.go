package topology

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/module"
)

// Registration keeps one worker's row alive. It is a module without routes, to be
// started last: from then on requests come.
type Registration struct {
	module.Base
	q   db.Queryer
	log *slog.Logger

	worker Worker // but for Draining constant

	mu     sync.Mutex
	failed bool // the last sign of life did not reach the database
	cancel context.CancelFunc
	beats  sync.WaitGroup
}

// NewRegistration returns the registration of a worker in the database of q.
// w's ID and StartedAt are set here.
func NewRegistration(q db.Queryer, w Worker, log *slog.Logger) *Registration {
	w.ID, w.StartedAt = uuid.NewString(), time.Now().UTC()
	return &Registration{q: q, log: log, worker: w}
}

// Name is "registration".
func (r *Registration) Name() string { return "registration" }

// Routes registers nothing.
func (r *Registration) Routes(*echo.Group) {}

// Start gives the first sign of life and begins to repeat it. A database that is
// away is no error: the worker is there as soon as it is back.
func (r *Registration) Start(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cancel == nil {
		var ctx context.Context
		ctx, r.cancel = context.WithCancel(context.Background())
		r.beats.Go(func() { r.repeat(ctx) })
	}
	return nil
}

// Drain tells proxies to send nothing more. It returns once that is written, or
// could not be, within a few seconds.
func (r *Registration) Drain(ctx context.Context) {
	r.mu.Lock()
	r.worker.Draining = true
	r.mu.Unlock()
	r.beat(ctx)
}

// Stop ends the signs of life and deletes the row.
func (r *Registration) Stop(ctx context.Context) error {
	r.mu.Lock()
	cancel := r.cancel
	r.cancel = nil
	r.mu.Unlock()
	if cancel == nil {
		return nil
	}
	cancel()
	r.beats.Wait()
	ctx, cancel = context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	if err := deleteWorker(ctx, r.q, r.worker.ID); err != nil {
		r.log.WarnContext(ctx, "the worker could not sign off", "error", err) // its silence says the same, a little later
	}
	return nil
}

// beatTimeout is how long one sign of life may take.
const beatTimeout = 2 * time.Second

func (r *Registration) repeat(ctx context.Context) {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	for {
		r.beat(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// beat writes the row. Only changes are logged: that it fails, and that it is well again.
func (r *Registration) beat(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	r.mu.Lock() // over the write too, so that no older state follows "draining"
	defer r.mu.Unlock()
	err := writeWorker(limited, r.q, r.worker)
	switch {
	case ctx.Err() != nil:
	case err != nil && !r.failed:
		r.log.WarnContext(ctx, "the worker cannot register", "error", err)
		r.failed = true
	case err == nil && r.failed:
		r.log.InfoContext(ctx, "the worker is registered again")
		r.failed = false
	}
}
