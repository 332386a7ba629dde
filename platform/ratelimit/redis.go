package ratelimit

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/madbase/madbase/platform/redisx"
)

// The same steps as Memory.Allow, by Redis's own clock, so that the processes'
// clocks need not agree. Answers allowed, remaining, microseconds to wait.
const script = `
local interval, tolerance = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local full = tonumber(redis.call('GET', KEYS[1]) or now)
full = math.min(math.max(full, now), now + tolerance)
local next = full + interval
local wait = next - tolerance - now
if wait > 0 then
  return {0, 0, wait}
end
redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000))
return {1, math.floor(-wait / interval), 0}
`

// Redis limits over all processes that share a Redis.
type Redis struct {
	client   *redisx.Client
	fallback Limiter
	script   *rueidis.Lua
}

// NewRedis returns a Limiter on client. While Redis is away, fallback decides.
func NewRedis(client *redisx.Client, fallback Limiter) *Redis {
	return &Redis{client: client, fallback: fallback, script: rueidis.NewLuaScript(script)}
}

// Allow implements Limiter.
func (r *Redis) Allow(ctx context.Context, key string, limit Limit) (Decision, error) {
	if limit.none() {
		return limit.free(), ctx.Err()
	}
	interval, tolerance := limit.cells()
	keys := []string{r.client.Key("limit", key)}
	args := []string{strconv.FormatInt(interval, 10), strconv.FormatInt(tolerance, 10)}
	var d Decision
	err := r.client.Do(ctx, func(ctx context.Context, c rueidis.Client) error {
		answer, err := r.script.Exec(ctx, c, keys, args).AsIntSlice()
		if err != nil {
			return err
		}
		if len(answer) != 3 {
			return errors.New("ratelimit: redis: unexpected answer")
		}
		d = Decision{
			Allowed:    answer[0] == 1,
			Remaining:  int(answer[1]),
			RetryAfter: time.Duration(answer[2]) * time.Microsecond,
		}
		return nil
	})
	switch {
	case err == nil:
		return d, nil
	case ctx.Err() != nil:
		return Decision{}, ctx.Err()
	}
	return r.fallback.Allow(ctx, key, limit)
}
