package ratelimit

import (
	"context"
	"time"

	"github.com/madbase/madbase/platform/cache"
)

// Memory limits within this process.
type Memory struct {
	start  time.Time // the count of time starts here: monotonic, so clock steps do no harm
	fullAt *cache.LRU[string, int64]
}

// NewMemory returns a Limiter that remembers at most keys keys. Beyond that it
// forgets the one unused for longest, which then has a full bucket again.
func NewMemory(keys int) *Memory {
	return &Memory{start: time.Now(), fullAt: cache.New[string, int64](keys)}
}

// Allow implements Limiter.
func (m *Memory) Allow(ctx context.Context, key string, limit Limit) (Decision, error) {
	if err := ctx.Err(); err != nil {
		return Decision{}, err
	}
	if limit.none() {
		return limit.free(), nil
	}
	interval, tolerance := limit.cells()
	var d Decision
	m.fullAt.Update(key, func(full int64, _ bool) (int64, time.Time) {
		clock := time.Now()
		now := clock.Sub(m.start).Microseconds()
		// A key last used under a wider limit must not wait longer than this one.
		full = min(max(full, now), now+tolerance)
		next := full + interval
		if wait := next - tolerance - now; wait > 0 {
			d.RetryAfter = time.Duration(wait) * time.Microsecond
		} else {
			d = Decision{Allowed: true, Remaining: int(-wait / interval)}
			full = next
		}
		// The margin makes up for the fraction of a microsecond cut off above.
		return full, clock.Add(time.Duration(full-now+1) * time.Microsecond)
	})
	return d, nil
}
