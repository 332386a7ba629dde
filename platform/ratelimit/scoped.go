package ratelimit

import "context"

// Scoped is limiter with buckets of its own, apart from those of any other scope.
func Scoped(limiter Limiter, scope string) Limiter { return scoped{limiter, scope + "/"} }

type scoped struct {
	limiter Limiter
	prefix  string
}

// Allow implements Limiter.
func (s scoped) Allow(ctx context.Context, key string, limit Limit) (Decision, error) {
	return s.limiter.Allow(ctx, s.prefix+key, limit)
}
