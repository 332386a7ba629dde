package tenant

import (
	"context"
	"sync"
	"time"

	"github.com/madbase/madbase/platform/registry"
)

// tendTimeout bounds what one tenant takes to be tended, or to say whether something waits.
const tendTimeout = 5 * time.Second

// tend follows the registry and closes what nobody uses. The former waits for no
// project's database.
func (d *Directory) tend(ctx context.Context) {
	defer close(d.done)
	var sweeps sync.WaitGroup
	defer sweeps.Wait()
	sweeps.Go(func() { d.sweepOften(ctx) })
	for {
		snapshot, changed := d.deps.Registry.Current()
		d.follow(snapshot)
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

func (d *Directory) sweepOften(ctx context.Context) {
	tick := time.NewTicker(max(d.cfg.Idle/8, 50*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.sweep(ctx)
		}
	}
}

// follow retires tenants whose project has changed, and has requests of those that
// are no longer served end soon.
func (d *Directory) follow(snapshot *registry.Snapshot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for ref, e := range d.entries {
		if p, found := snapshot.Project(ref); !found || p.Version > e.project.Version {
			d.retire(e)
		}
	}
	for e := range d.leaving { // some since an earlier change
		p, found := snapshot.Project(e.project.Ref)
		served := found && p.Status == registry.Active && p.StoragePrefix == e.project.StoragePrefix
		if !served && !e.ending {
			e.ending = true
			time.AfterFunc(endedGrace, e.endNow)
		}
	}
}

// sweep closes tenants that nobody has used for a while and that have nothing left to do.
func (d *Directory) sweep(ctx context.Context) {
	for _, t := range d.open() {
		limited, cancel := context.WithTimeout(ctx, tendTimeout)
		t.Tend(limited)
		cancel()
	}
	for _, e := range d.idle() {
		limited, cancel := context.WithTimeout(ctx, tendTimeout)
		waiting := e.tenant != nil && e.tenant.Waiting(limited)
		cancel()
		d.mu.Lock()
		if !waiting && e.active == 0 && time.Since(e.lastUsed) >= d.cfg.Idle {
			d.retire(e)
		}
		d.mu.Unlock()
	}
}

// open lists the tenants that are in use.
func (d *Directory) open() []*Tenant {
	d.mu.Lock()
	defer d.mu.Unlock()
	var open []*Tenant
	for _, e := range d.entries {
		if e.tenant != nil {
			open = append(open, e.tenant)
		}
	}
	return open
}

// idle lists the tenants that have been without users for long enough; failures to
// open one, too.
func (d *Directory) idle() []*entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	var idle []*entry
	for _, e := range d.entries {
		settled := e.tenant != nil || !e.failedAt.IsZero()
		if settled && e.active == 0 && time.Since(e.lastUsed) >= d.cfg.Idle {
			idle = append(idle, e)
		}
	}
	return idle
}
