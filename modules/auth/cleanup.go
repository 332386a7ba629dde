package auth

import (
	"context"
	"sync"
	"time"

	"github.com/madbase/madbase/modules/auth/store"
)

// How often the database is cleaned up, and how long it may take.
const (
	cleanupEvery   = time.Minute
	cleanupTimeout = 30 * time.Second
	// anonymousAge is GoTrue's: anonymous users go after 30 days.
	anonymousAge = 30 * 24 * time.Hour
)

// cleaner deletes what is old from the projects' databases, bit by bit.
type cleaner struct {
	stop context.CancelFunc
	done sync.WaitGroup
}

// startCleanup begins to clean up, where the settings ask for it.
func (m *Module) startCleanup() {
	if !m.cfg.DBCleanup || m.deps.Projects == nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	m.cleaner.stop = stop
	m.cleaner.done.Go(func() {
		tick := time.NewTicker(cleanupEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				m.cleanUp(ctx)
			}
		}
	})
}

func (m *Module) stopCleanup() {
	if m.cleaner.stop != nil {
		m.cleaner.stop()
		m.cleaner.done.Wait()
	}
}

func (m *Module) cleanUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, cleanupTimeout)
	defer cancel()
	old := store.Cleanup{Timebox: m.cfg.SessionsTimebox, Inactivity: m.cfg.SessionsInactivity}
	if m.cfg.AnonymousUsersEnabled {
		old.AnonymousAge = anonymousAge
	}
	for _, p := range m.deps.Projects.All() {
		rows, err := store.CleanUp(ctx, p.DB.Auth, old)
		if err != nil && ctx.Err() == nil {
			m.deps.Log.WarnContext(ctx, "the clean-up of auth's tables failed", "error", err)
		}
		if rows > 0 {
			m.deps.Log.DebugContext(ctx, "auth's tables were cleaned up", "rows", rows)
		}
	}
}
