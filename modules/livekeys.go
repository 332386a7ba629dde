package modules

import (
	"context"
	"log/slog"
	"time"

	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/registry"
)

// noteUse is how often the use of API keys is written down.
const noteUse = time.Minute

// liveKeys keeps the keys of the projects that this process serves as the registry has
// them, and tells the registry which were used.
type liveKeys struct {
	registry *registry.Registry
	log      *slog.Logger
	serving  func() []*project.Project
	// applied says for which version of each project which keys are up to date.
	applied map[string]appliedKeys
	cancel  context.CancelFunc
	done    chan struct{}
}

type appliedKeys struct {
	keys    *claims.Keys
	version int64
}

// followKeys puts the registry's keys into use, now and whenever it changes, until
// close. A key that cannot be had now is a reason not to start: without it, a revoked
// one would be valid.
func followKeys(ctx context.Context, r *registry.Registry, log *slog.Logger, serving func() []*project.Project) (*liveKeys, error) {
	l := &liveKeys{registry: r, log: log, serving: serving, applied: map[string]appliedKeys{}, done: make(chan struct{})}
	snapshot, changed := r.Current()
	for _, p := range serving() {
		if err := l.apply(snapshot, p); err != nil {
			return nil, err
		}
	}
	ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go l.follow(ctx, changed)
	return l, nil
}

// close ends the following, after the last uses are written down.
func (l *liveKeys) close() {
	l.cancel()
	<-l.done
}

func (l *liveKeys) follow(ctx context.Context, changed <-chan struct{}) {
	defer close(l.done)
	tick := time.NewTicker(noteUse)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			l.note(last)
			cancel()
			return
		case <-tick.C:
			l.note(ctx)
		case <-changed:
			var snapshot *registry.Snapshot
			snapshot, changed = l.registry.Current()
			for _, p := range l.serving() {
				if err := l.apply(snapshot, p); err != nil {
					l.log.ErrorContext(ctx, "a project's keys cannot be used: those of before stay", "project", p.Ref, "error", err)
				}
			}
		}
	}
}

// apply gives p the keys that s has of it, unless it has them.
func (l *liveKeys) apply(s *registry.Snapshot, p *project.Project) error {
	known, found := s.Project(p.Ref)
	now := appliedKeys{p.Keys, known.Version}
	if !found || l.applied[p.Ref] == now {
		return nil
	}
	live, err := l.registry.Live(s, p.Ref)
	if err == nil {
		err = p.Keys.Use(live)
	}
	if err == nil {
		l.applied[p.Ref] = now
	}
	return err
}

// note writes down which keys were used since the last time.
func (l *liveKeys) note(ctx context.Context) {
	used := map[string]time.Time{}
	for _, p := range l.serving() {
		for id, at := range p.Keys.TakeUsed() {
			used[id] = at
		}
	}
	if err := l.registry.RecordUse(ctx, used); err != nil {
		l.log.WarnContext(ctx, "the use of API keys cannot be written down", "error", err)
	}
}
