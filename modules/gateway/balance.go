package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// pool is a set of interchangeable upstreams. Requests read its members without
// a lock; whoever changes them leaves requests under way as they are.
type pool struct {
	name      string
	members   atomic.Pointer[[]*upstream]
	next      atomic.Uint64
	cfg       UpstreamConfig
	log       *slog.Logger
	transport http.RoundTripper
	metrics   *metrics.Set
	budget    *budget

	retries, denied *metrics.Counter

	mu      sync.Mutex      // held while members change
	running context.Context //nolint:containedctx // that of all checks; nil while there are none
	cancel  context.CancelFunc
	checks  sync.WaitGroup
}

// newPool returns a pool over urls, which Config.Validate has accepted.
func newPool(name string, urls []string, cfg UpstreamConfig, deps Deps) *pool {
	p := &pool{name: name, cfg: cfg, log: deps.Log, transport: deps.direct, metrics: deps.Metrics, budget: newBudget(cfg.RetryBudget)}
	p.members.Store(new([]*upstream))
	p.retries = deps.Metrics.GetOrCreateCounter(fmt.Sprintf(`madbase_gateway_retries_total{group=%q}`, name))
	p.denied = deps.Metrics.GetOrCreateCounter(fmt.Sprintf(`madbase_gateway_retries_denied_total{group=%q}`, name))
	for _, text := range urls {
		if base, err := url.Parse(text); err == nil { // else refused by Config.Validate
			p.add(&upstream{base: base, pinned: true})
		}
	}
	return p
}

// all are the members now; the slice is not to be changed.
func (p *pool) all() []*upstream { return *p.members.Load() }

// find returns the member at host, nil when there is none.
func (p *pool) find(host string) *upstream {
	for _, u := range p.all() {
		if u.base.Host == host {
			return u
		}
	}
	return nil
}

// add makes u a member and begins to check it.
func (p *pool) add(u *upstream) {
	if p.find(u.base.Host) != nil {
		return
	}
	u.books = p.open(u)
	members := append(slices.Clone(p.all()), u)
	p.members.Store(&members)
	p.watchOne(u)
}

// remove ends u's membership and its checks; its requests under way end as they would.
func (p *pool) remove(u *upstream) {
	members := slices.DeleteFunc(slices.Clone(p.all()), func(m *upstream) bool { return m == u })
	p.members.Store(&members)
	p.close(u)
	if u.cancel != nil {
		u.cancel()
	}
	p.log.Info("upstream left", "group", p.name, "upstream", u.base.Host)
}

// pick returns the upstream for the next request, never except. Those that seem
// well come first; then those that are new; and when there is none, all: an
// upstream that seems down is tried before a request is refused. Nil when there
// is no other.
func (p *pool) pick(except *upstream) *upstream {
	now := time.Now()
	for _, fits := range [...]func(*upstream) bool{
		func(u *upstream) bool { return u.available(now) && u.warm(now, p.cfg.SlowStart) },
		func(u *upstream) bool { return u.available(now) },
		func(*upstream) bool { return true },
	} {
		var few [16]*upstream // on the stack
		fitting := few[:0]
		for _, u := range p.all() {
			if u != except && fits(u) {
				fitting = append(fitting, u)
			}
		}
		if len(fitting) > 0 {
			return p.choose(fitting)
		}
	}
	return nil
}

// choose returns one of the upstreams, of which there is one at least.
func (p *pool) choose(from []*upstream) *upstream {
	n := len(from)
	switch {
	case n == 1:
		return from[0]
	case p.cfg.Balance == balanceTurns:
		return from[(p.next.Add(1)-1)%uint64(n)]
	}
	// Of two at random the less busy one: nearly as even as the least busy of
	// all, without all proxies running to the same one.
	i, j := rand.IntN(n), rand.IntN(n-1)
	if j >= i {
		j++
	}
	if from[j].inFlight.Load() < from[i].inFlight.Load() {
		return from[j]
	}
	return from[i]
}

// last reports whether no upstream but u is available.
func (p *pool) last(u *upstream, now time.Time) bool {
	return !slices.ContainsFunc(p.all(), func(other *upstream) bool { return other != u && other.available(now) })
}

// seenHealthy reports whether a health check has found an upstream well. Without
// checks that is not known, and assumed of those there are.
func (p *pool) seenHealthy() bool {
	return slices.ContainsFunc(p.all(), func(u *upstream) bool { return p.cfg.HealthInterval == 0 || u.wasUp.Load() })
}
