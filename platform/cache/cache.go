package cache

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/redis/rueidis"

	"github.com/madbase/madbase/platform/redisx"
)

// Cache keeps byte values under keys for a limited time. It may forget any of
// them at any moment.
type Cache interface {
	// Get returns the value, which the caller must not change, or false when
	// there is none or the cache cannot be asked.
	Get(ctx context.Context, key string) ([]byte, bool)
	// Set stores value for ttl; a ttl below a millisecond removes the key. The
	// error says that it was not stored and may be ignored.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Delete removes keys. On an error old values may live on until their ttl
	// ends: who cannot bear that must not ignore it.
	Delete(ctx context.Context, keys ...string) error
}

// Memory is a Cache within this process.
type Memory struct{ lru *LRU[string, []byte] }

// NewMemory returns a Cache of at most entries values.
func NewMemory(entries int) *Memory {
	return &Memory{lru: New[string, []byte](entries)}
}

// Get implements Cache.
func (m *Memory) Get(_ context.Context, key string) ([]byte, bool) { return m.lru.Get(key) }

// Set implements Cache. The value is copied.
func (m *Memory) Set(_ context.Context, key string, value []byte, ttl time.Duration) error {
	if ttl < time.Millisecond {
		m.lru.Delete(key)
		return nil
	}
	m.lru.Put(key, bytes.Clone(value), time.Now().Add(ttl))
	return nil
}

// Delete implements Cache.
func (m *Memory) Delete(_ context.Context, keys ...string) error {
	for _, key := range keys {
		m.lru.Delete(key)
	}
	return nil
}

// Redis is a Cache that the processes on one Redis share.
type Redis struct{ client *redisx.Client }

// NewRedis returns a Cache on client.
func NewRedis(client *redisx.Client) *Redis { return &Redis{client: client} }

// Get implements Cache: while Redis is away everything is a miss.
func (r *Redis) Get(ctx context.Context, key string) ([]byte, bool) {
	var value []byte
	err := r.client.Do(ctx, func(ctx context.Context, c rueidis.Client) (err error) {
		value, err = c.Do(ctx, c.B().Get().Key(r.key(key)).Build()).AsBytes()
		return err
	})
	return value, err == nil
}

// Set implements Cache.
func (r *Redis) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if ttl < time.Millisecond {
		return r.Delete(ctx, key)
	}
	err := r.client.Do(ctx, func(ctx context.Context, c rueidis.Client) error {
		set := c.B().Set().Key(r.key(key)).Value(string(value)).PxMilliseconds(ttl.Milliseconds())
		return c.Do(ctx, set.Build()).Error()
	})
	if err != nil {
		return fmt.Errorf("cache: set: %w", err)
	}
	return nil
}

// Delete implements Cache.
func (r *Redis) Delete(ctx context.Context, keys ...string) error {
	err := r.client.Do(ctx, func(ctx context.Context, c rueidis.Client) error {
		// One command per key: in a Redis cluster keys of one command must share a slot.
		commands := make(rueidis.Commands, 0, len(keys))
		for _, key := range keys {
			commands = append(commands, c.B().Del().Key(r.key(key)).Build())
		}
		for _, answer := range c.DoMulti(ctx, commands...) {
			if err := answer.Error(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cache: delete: %w", err)
	}
	return nil
}

func (r *Redis) key(key string) string { return r.client.Key("cache", key) }
