package provision

import (
	"context"
	"time"

	"github.com/madbase/madbase/platform/registry"
)

// Start begins to delete projects and to finish what others have left half done.
func (v *Provisioner) Start(context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.cancel == nil {
		var ctx context.Context
		ctx, v.cancel = context.WithCancel(context.Background())
		v.done = make(chan struct{})
		go v.tend(ctx, v.done)
	}
	return nil
}

// Stop ends what Start began; what is under way is broken off and done later.
func (v *Provisioner) Stop(context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.cancel != nil {
		v.cancel()
		<-v.done
		v.cancel = nil
	}
	return nil
}

func (v *Provisioner) tend(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		snapshot, changed := v.deps.Registry.Current()
		soon := time.NewTimer(v.round(ctx, snapshot))
		select {
		case <-ctx.Done():
		case <-changed:
		case <-tick.C:
		case <-soon.C:
		}
		soon.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// round does what is to be done, and says when there may be more.
func (v *Provisioner) round(ctx context.Context, snapshot *registry.Snapshot) time.Duration {
	next := look
	for _, p := range snapshot.Projects() {
		switch p.Status {
		case registry.Creating:
			if time.Since(p.UpdatedAt) > abandoned {
				v.attempt(ctx, p, "finish", v.Make)
			}
		case registry.Deleting:
			if v.deps.Blobs == nil {
				continue
			}
			if v.deleting[p.Ref].IsZero() {
				v.deleting[p.Ref] = time.Now()
			}
			if wait := everywhere - time.Since(v.deleting[p.Ref]); wait > 0 {
				next = min(next, wait)
				continue
			}
			v.attempt(ctx, p, "delete", v.remove)
		}
	}
	for ref := range v.deleting {
		if p, found := snapshot.Project(ref); !found || p.Status != registry.Deleting {
			delete(v.deleting, ref)
		}
	}
	return next
}

func (v *Provisioner) attempt(ctx context.Context, p registry.Project, what string, work func(context.Context, registry.Project) error) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := work(limited, p); err != nil && ctx.Err() == nil {
		v.deps.Log.ErrorContext(ctx, "a project cannot be brought on and is tried again", "project", p.Ref, "to", what, "error", err)
	}
}
