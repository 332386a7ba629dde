package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// pool is a set of interchangeable upstreams.
type pool struct {
	name      string
	upstreams []*upstream
	next      atomic.Uint64
	cfg       Config
	log       *slog.Logger
	transport http.RoundTripper

	retries, failures *metrics.Counter

	mu     sync.Mutex
	cancel context.CancelFunc
	checks sync.WaitGroup
}

// newPool returns a pool over urls, which Config.Validate has accepted.
func newPool(name string, urls []string, cfg Config, deps Deps) *pool {
	p := &pool{name: name, cfg: cfg, log: deps.Log, transport: deps.Transport}
	p.retries = deps.Metrics.GetOrCreateCounter(fmt.Sprintf(`madbase_gateway_retries_total{group=%q}`, name))
	p.failures = deps.Metrics.GetOrCreateCounter(fmt.Sprintf(`madbase_gateway_upstream_failures_total{group=%q}`, name))
	for _, text := range urls {
		base, err := url.Parse(text)
		if err != nil {
			continue // refused by Config.Validate
		}
		u := &upstream{base: base}
		p.upstreams = append(p.upstreams, u)
		deps.Metrics.GetOrCreateGauge(fmt.Sprintf(`madbase_gateway_upstream_up{group=%q,upstream=%q}`, name, base.Host), func() float64 {
			if u.available(time.Now()) {
				return 1
			}
			return 0
		})
	}
	return p
}

// pick returns the next upstream in rotation of those that are available and not
// except. When there is none, the next of all that are not except: an upstream
// that seems down is tried before a request is refused. Nil when there is no other.
func (p *pool) pick(except *upstream) *upstream {
	now := time.Now()
	usable := func(u *upstream) bool { return u != except && u.available(now) }
	if u := p.rotate(usable); u != nil {
		return u
	}
	return p.rotate(func(u *upstream) bool { return u != except })
}

// rotate gives each of the upstreams that fit an equal share.
func (p *pool) rotate(fits func(*upstream) bool) *upstream {
	var few [16]*upstream // on the stack
	fitting := few[:0]
	for _, u := range p.upstreams {
		if fits(u) {
			fitting = append(fitting, u)
		}
	}
	if len(fitting) == 0 {
		return nil
	}
	return fitting[(p.next.Add(1)-1)%uint64(len(fitting))]
}

// seenHealthy reports whether a health check has found an upstream well. Without
// checks that is not known, and assumed.
func (p *pool) seenHealthy() bool {
	if p.cfg.HealthInterval == 0 {
		return true
	}
	for _, u := range p.upstreams {
		if u.wasUp.Load() {
			return true
		}
	}
	return false
}
