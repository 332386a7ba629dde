// Package redisx is the one connection to Redis, and the one judge of whether
// Redis is there. While it is away calls fail at once with ErrDown, so that
// drivers fall back without waiting; a probe in the background finds out when
// it is back. An outage costs one warning and its end one line, however many
// requests ran into it.
//
// RESP2 and no client-side caching are used on purpose: that way pub/sub has a
// connection of its own, apart from the commands, and every server that speaks
// the protocol behaves alike.
package redisx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// attempts is one more than the connections rueidis spreads commands over: a
// restart of Redis leaves each of them stale until a command fails on it.
const attempts = 5

// ErrDown means that Redis could not be asked: it is away, too slow, starting,
// or refuses writes.
var ErrDown = errors.New("redis is away")

// Client is a connection to Redis that may be down. It connects when first
// used. Its methods may be called from any goroutine.
type Client struct {
	option  rueidis.ClientOption
	prefix  string
	timeout time.Duration
	log     *slog.Logger

	life context.Context // ends with Close
	end  context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	redis   rueidis.Client // nil until the first connection
	state   state
	epoch   uint64        // counts the times Redis came up
	changed chan struct{} // closed, and replaced, whenever state changes
}

type state int

const (
	idle       state = iota // not used yet
	connecting              // the first attempt runs; callers wait for it
	up
	down
	closed
)

// Open prepares a client without connecting: a Redis that is away at start is
// an outage like any other. The only error is a bad setting.
func Open(cfg Config, log *slog.Logger) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("redisx: open: %w", err)
	}
	if !cfg.Enabled() {
		return nil, errors.New("redisx: open: REDIS_URL is empty")
	}
	option, _ := rueidis.ParseURL(cfg.URL.Reveal()) // Validate saw no error
	option.DisableCache = true
	option.AlwaysRESP2 = true
	option.DisableRetry = true // the driver's fallback is the retry
	option.Dialer.Timeout = max(cfg.Timeout, time.Second)
	option.ConnWriteTimeout = max(4*cfg.Timeout, 2*time.Second)
	option.ReadBufferEachConn = 32 << 10 // the default of 512 KiB a side is for bulk loads
	option.WriteBufferEachConn = 32 << 10
	life, end := context.WithCancel(context.Background())
	return &Client{
		option: option, prefix: cfg.Prefix, timeout: cfg.Timeout, log: log,
		life: life, end: end, changed: make(chan struct{}),
	}, nil
}

// Key joins parts to a key or channel name under the installation's prefix.
func (c *Client) Key(parts ...string) string {
	return c.prefix + ":" + strings.Join(parts, ":")
}

// Do runs fn with a connection, for at most the configured timeout. When the
// connection turns out broken fn is run again, so fn must bear that.
// An error that means Redis is away matches ErrDown; the end of the caller's
// own context is returned as it is, and so is a command's own fault. fn returns
// only errors of its commands: one that is no reply of Redis is taken for one
// of the connection.
func (c *Client) Do(ctx context.Context, fn func(context.Context, rueidis.Client) error) error {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	redis, epoch, err := c.wait(limited, false)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("redisx: %w", ErrDown)
	}
	for range attempts {
		if err = fn(limited, redis); !away(err) || limited.Err() != nil {
			break
		}
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case away(err):
		c.lost(epoch, err)
		return fmt.Errorf("redisx: %w: %w", ErrDown, err)
	}
	return err
}

// Ping answers nil when Redis takes writes now, else an error that matches
// ErrDown. It is the health check.
func (c *Client) Ping(ctx context.Context) error {
	return c.Do(ctx, c.probe)
}

// Await blocks until Redis is up and returns the connection, or the error of
// ctx, or ErrDown after Close. It is for long-lived readers; everything else
// uses Do.
func (c *Client) Await(ctx context.Context) (rueidis.Client, error) {
	redis, _, err := c.wait(ctx, true)
	return redis, err
}

// Close ends the probes and the connection. It may be called more than once.
func (c *Client) Close() {
	c.mu.Lock()
	redis := c.redis
	c.set(closed)
	c.redis = nil
	c.mu.Unlock()
	c.end()
	c.wg.Wait()
	if redis != nil {
		redis.Close()
	}
}

// wait returns the connection once the state says up. While down it fails at
// once unless patient.
func (c *Client) wait(ctx context.Context, patient bool) (rueidis.Client, uint64, error) {
	for {
		c.mu.Lock()
		if c.state == idle {
			c.set(connecting)
			c.wg.Go(c.connect)
		}
		redis, epoch, st, changed := c.redis, c.epoch, c.state, c.changed
		c.mu.Unlock()
		switch {
		case st == up:
			return redis, epoch, nil
		case st == closed, st == down && !patient:
			return nil, 0, ErrDown
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// set changes the state and wakes those who wait for it; c.mu is held.
func (c *Client) set(st state) {
	if c.state == closed {
		return
	}
	if st == up {
		c.epoch++
	}
	c.state = st
	close(c.changed)
	c.changed = make(chan struct{})
}

// away reports whether err says that Redis cannot serve, as opposed to a fault
// of the command.
func away(err error) bool {
	if err == nil || rueidis.IsRedisNil(err) {
		return false
	}
	reply, ok := rueidis.IsRedisErr(err)
	if !ok {
		return !errors.Is(err, context.Canceled)
	}
	switch word, _, _ := strings.Cut(reply.Error(), " "); word {
	case "LOADING", "MASTERDOWN", "CLUSTERDOWN", "READONLY", "OOM", "MISCONF",
		"NOREPLICAS", "BUSY", "NOAUTH", "WRONGPASS", "NOPERM":
		return true
	}
	return false
}
