package gateway

import (
	"fmt"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// books count what happens with one upstream.
type books struct {
	requests, failures, ejections, retries *metrics.Counter
}

// open begins the books of u in its pool.
func (p *pool) open(u *upstream) books {
	p.metrics.GetOrCreateGauge(p.series("up", u), func() float64 {
		if u.available(time.Now()) {
			return 1
		}
		return 0
	})
	p.metrics.GetOrCreateGauge(p.series("in_flight", u), func() float64 { return float64(u.inFlight.Load()) })
	counter := func(name string) *metrics.Counter { return p.metrics.GetOrCreateCounter(p.series(name, u)) }
	return books{
		requests: counter("requests_total"), failures: counter("failures_total"),
		ejections: counter("ejections_total"), retries: counter("retries_total"),
	}
}

// close takes u's books out of the metrics: upstreams come and go.
func (p *pool) close(u *upstream) {
	for _, name := range []string{"up", "in_flight", "requests_total", "failures_total", "ejections_total", "retries_total"} {
		p.metrics.UnregisterMetric(p.series(name, u))
	}
}

func (p *pool) series(name string, u *upstream) string {
	return fmt.Sprintf(`madbase_gateway_upstream_%s{group=%q,upstream=%q}`, name, p.name, u.base.Host)
}
