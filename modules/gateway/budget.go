package gateway

import "sync/atomic"

// savedRetries is how many retries a quiet time saves up for a bad moment, as
// when an upstream dies with many requests under way.
const savedRetries = 500

// budget bounds retries to a share of requests, so that they cannot multiply the
// load on upstreams that are in trouble already. It counts in hundredths of a retry.
type budget struct {
	percent int64
	left    atomic.Int64
}

func newBudget(percent int) *budget {
	b := &budget{percent: int64(percent)}
	if percent > 0 {
		b.left.Store(100 * savedRetries)
	}
	return b
}

// earn takes a request into account.
func (b *budget) earn() {
	if b.left.Load() < 100*savedRetries { // the usual state costs no write
		b.left.Add(b.percent)
	}
}

// spend reports whether there may be one more retry.
func (b *budget) spend() bool {
	if b.left.Add(-100) >= 0 {
		return true
	}
	b.left.Add(100)
	return false
}
