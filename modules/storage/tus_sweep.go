package storage

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/project"
)

// sweeper removes uploads whose time is over. Every worker may run one.
type sweeper struct {
	stop context.CancelFunc
	done sync.WaitGroup
}

const (
	// sweepEvery is the longest time between two sweeps.
	sweepEvery = 5 * time.Minute
	// sweepTime bounds one sweep of a project, sweepMost the uploads that it removes,
	// and sweepFaults its failures.
	sweepTime   = time.Minute
	sweepMost   = 1000
	sweepFaults = 10
)

// startSweeping begins to sweep, where it is known what.
func (m *Module) startSweeping() {
	if m.resumable.projects == nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &m.sweeper
	s.stop = stop
	s.done.Go(func() {
		tick := time.NewTicker(min(sweepEvery, m.resumable.life))
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				m.sweepAll(ctx)
			}
		}
	})
}

func (m *Module) stopSweeping() {
	if s := &m.sweeper; s.stop != nil {
		s.stop()
		s.done.Wait()
	}
}

func (m *Module) sweepAll(ctx context.Context) {
	for _, p := range m.resumable.projects.All() {
		n, err := m.sweep(ctx, p)
		if err != nil && ctx.Err() == nil {
			m.log.WarnContext(ctx, "uploads whose time is over could not be removed", "error", err)
		}
		if n > 0 {
			m.log.DebugContext(ctx, "uploads whose time was over were removed", "uploads", n)
		}
	}
}

// sweep removes uploads of both protocols whose time is over.
func (m *Module) sweep(ctx context.Context, p *project.Project) (n int, faults error) {
	ctx, cancel := context.WithTimeout(ctx, sweepTime)
	defer cancel()
	resumable, errResumable := sweepEach(func() error {
		return store.WithExpiredUpload(ctx, p.DB.Storage, func(q db.Queryer, up store.Upload) error {
			return m.discard(ctx, q, p.StoragePrefix, up)
		})
	})
	multipart, errMultipart := sweepEach(func() error {
		return store.WithForgottenMultipart(ctx, p.DB.Storage, multipartLife, func(q db.Queryer, up store.Multipart) error {
			return m.discardMultipart(ctx, q, p.StoragePrefix, up)
		})
	})
	return resumable + multipart, errors.Join(errResumable, errMultipart)
}

// sweepEach removes one after the other until there is none. It goes on after a
// fault: that may be of one upload only.
func sweepEach(remove func() error) (n int, faults error) {
	for failed := 0; n < sweepMost && failed < sweepFaults; n++ {
		err := remove()
		if errors.Is(err, store.ErrNotFound) {
			return n, faults
		}
		if err != nil {
			faults = err
			failed++
			n--
		}
	}
	return n, faults
}
