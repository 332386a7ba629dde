package tenant

import (
	"context"
	"time"

	"github.com/madbase/madbase/platform/registry"
)

// tend follows the registry and closes what nobody uses.
func (d *Directory) tend(ctx context.Context) {
	defer close(d.done)
	tick := time.NewTicker(max(d.cfg.Idle/8, 50*time.Millisecond))
	defer tick.Stop()
	for {
		snapshot, changed := d.deps.Registry.Current()
		d.follow(snapshot)
		select {
		case <-ctx.Done():
			return
		case <-changed:
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
		p, found := snapshot.Project(ref)
		if found && p.Version <= e.project.Version {
			continue
		}
		d.retire(e)
		if !found || p.Status != registry.Active {
			time.AfterFunc(endedGrace, e.endNow)
		}
	}
}

// sweep closes tenants that nobody has used for a while and that have nothing left to do.
func (d *Directory) sweep(ctx context.Context) {
	for _, t := range d.open() {
		t.Tend(ctx)
	}
	for _, e := range d.idle() {
		waiting := e.tenant != nil && e.tenant.Waiting(ctx)
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
