package gateway

import (
	"net/url"
	"time"

	"github.com/madbase/madbase/platform/topology"
)

// missingFor is how long a worker that the topology lacks, and that checks find
// well, is kept: a database that was away for a while makes them all silent.
const missingFor = 30 * time.Second

// Apply takes over what the control plane tells.
func (m *Module) Apply(t topology.Topology) {
	if m.worker.local == nil {
		m.worker.pool.follow(t.Workers)
	}
}

// follow makes the pool's members those of the list, and those of the settings.
// New ones get requests once a check has found them well. One that the list lacks
// leaves when checks find it down; an empty list is not believed at all.
func (p *pool) follow(workers []topology.Worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	listed := map[*upstream]bool{}
	for _, w := range workers {
		base, err := url.Parse(w.URL)
		if err != nil || checkBaseURL(w.URL) != nil {
			p.log.Warn("a worker registers an address that is none", "worker", w.ID, "error", checkBaseURL(w.URL))
			continue
		}
		u := p.find(base.Host)
		if u == nil {
			if w.Draining {
				continue
			}
			u = &upstream{base: base}
			u.down.Store(p.cfg.HealthInterval > 0)
			p.add(u)
			p.log.Info("upstream joined", "group", p.name, "upstream", base.Host, "version", w.Version)
		}
		listed[u] = true
		u.missingSince.Store(0)
		switch {
		case w.Draining && p.cfg.HealthInterval > 0:
			u.drains(w.ID)
		case p.cfg.HealthInterval == 0: // nothing else brings it back
			u.down.Store(w.Draining)
		}
	}
	if len(listed) == 0 {
		return
	}
	for _, u := range p.all() {
		if u.pinned || listed[u] {
			continue
		}
		u.missingSince.CompareAndSwap(0, time.Now().UnixNano())
		if u.down.Load() || p.cfg.HealthInterval == 0 {
			p.remove(u)
		}
	}
}

// left removes u when the topology lacks it and a check has found it down, or it
// has been missing for long. It reports whether u was removed.
func (p *pool) left(u *upstream, well bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	since := u.missingSince.Load()
	if since == 0 || well && time.Now().UnixNano()-since < int64(missingFor) {
		return false
	}
	p.remove(u)
	return true
}
