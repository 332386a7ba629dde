// Package ratelimit counts requests per key and says which are too many.
//
// It is a token bucket in the form of the generic cell rate algorithm (GCRA):
// per key one number is kept, the time at which the bucket would be full again.
// Memory counts within the process; Redis counts over all processes and falls
// back to a Memory while Redis is away, so that a limit is never a reason for a
// request to fail.
package ratelimit

import (
	"context"
	"time"
)

// Limiter counts one use of a key.
type Limiter interface {
	// Allow takes one token of key's bucket and says whether there was one. A
	// refused call takes none. The only error is the end of ctx. Keys that mean
	// different things, and the same thing under another limit, must differ.
	Allow(ctx context.Context, key string, limit Limit) (Decision, error)
}

// Limit is a bucket: it holds Burst tokens and gets Rate new ones each Period,
// evenly spread. A Rate or Period of zero or less means no limit; a Burst of
// zero or less means Rate. Times are exact to a microsecond.
type Limit struct {
	Rate   int
	Period time.Duration
	Burst  int
}

// Decision is the answer to one use.
type Decision struct {
	Allowed bool
	// Remaining is how many uses would be allowed at once after this one.
	Remaining int
	// RetryAfter is how long until a refused use would be allowed; zero when it
	// was allowed.
	RetryAfter time.Duration
}

// none reports whether the limit limits nothing.
func (l Limit) none() bool { return l.Rate <= 0 || l.Period <= 0 }

// free is the decision where there is no limit.
func (l Limit) free() Decision { return Decision{Allowed: true, Remaining: max(l.Burst, l.Rate, 1)} }

// cells returns the limit as GCRA wants it, in microseconds: how far each use
// moves the time at which the bucket is full, and how far ahead it may be.
func (l Limit) cells() (interval, tolerance int64) {
	burst := l.Burst
	if burst <= 0 {
		burst = l.Rate
	}
	interval = max(l.Period.Microseconds()/int64(l.Rate), 1)
	return interval, interval * int64(burst)
}
