package receipt

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/redis/rueidis"

	"github.com/madbase/madbase/platform/redisx"
)

// What is there is answered, unless it is this very claim, sent twice.
const claimScript = `
local found = redis.call('GET', KEYS[1])
if found and found ~= ARGV[1] then
  return found
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ''
`

// Redis remembers for all processes on one Redis. While that is away, every call
// fails: to go on without it would be to do things twice.
type Redis struct {
	client *redisx.Client
	claim  *rueidis.Lua
}

// NewRedis returns a Redis on client.
func NewRedis(client *redisx.Client) *Redis {
	return &Redis{client: client, claim: rueidis.NewLuaScript(claimScript)}
}

// Claim is as that of Memory.
func (r *Redis) Claim(ctx context.Context, name string) (outcome []byte, claimed bool, err error) {
	args := []string{string(claimedMark) + rand.Text(), fmt.Sprint(Age.Milliseconds())}
	var found []byte
	err = r.client.Do(ctx, func(ctx context.Context, c rueidis.Client) (err error) {
		found, err = r.claim.Exec(ctx, c, []string{r.key(name)}, args).AsBytes()
		return err
	})
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("receipt: claim: %w", err)
	case len(found) == 0:
		return nil, true, nil
	case found[0] != keptMark:
		return nil, false, nil
	}
	return found[1:], false, nil
}

// Keep is as that of Memory.
func (r *Redis) Keep(ctx context.Context, name string, outcome []byte) error {
	return r.do(ctx, "keep", func(c rueidis.Client) rueidis.Completed {
		return c.B().Set().Key(r.key(name)).Value(string(keptMark) + string(outcome)).PxMilliseconds(Age.Milliseconds()).Build()
	})
}

// Release is as that of Memory.
func (r *Redis) Release(ctx context.Context, name string) error {
	return r.do(ctx, "release", func(c rueidis.Client) rueidis.Completed { return c.B().Del().Key(r.key(name)).Build() })
}

func (r *Redis) do(ctx context.Context, what string, command func(rueidis.Client) rueidis.Completed) error {
	err := r.client.Do(ctx, func(ctx context.Context, c rueidis.Client) error { return c.Do(ctx, command(c)).Error() })
	if err != nil {
		return fmt.Errorf("receipt: %s: %w", what, err)
	}
	return nil
}

func (r *Redis) key(name string) string { return r.client.Key("receipt", name) }
