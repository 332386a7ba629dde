package redisx

import (
	"context"
	"time"

	"github.com/redis/rueidis"
)

// Probes of a Redis that is away start firstPause apart and back off to
// lastPause, which bounds how late its return is noticed.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 2 * time.Second
)

// connect is the first attempt; it ends when Redis is up.
func (c *Client) connect() {
	if err := c.attempt(); err != nil {
		c.mu.Lock()
		c.set(down)
		c.mu.Unlock()
		c.warn(err)
		c.recover()
		return
	}
	c.mu.Lock()
	c.set(up)
	c.mu.Unlock()
}

// lost begins an outage, unless it began already or ended since epoch was read.
func (c *Client) lost(epoch uint64, err error) {
	c.mu.Lock()
	begins := c.state == up && c.epoch == epoch
	if begins {
		c.set(down)
		c.wg.Go(c.recover)
	}
	c.mu.Unlock()
	if begins {
		c.warn(err)
	}
}

func (c *Client) warn(err error) {
	if c.life.Err() == nil {
		c.log.Warn("redis is away: limits, cache and messages are per process until it returns", "error", err)
	}
}

// recover probes until Redis is back or the client closed.
func (c *Client) recover() {
	since := time.Now()
	pause := firstPause
	for {
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-c.life.Done():
			timer.Stop()
			return
		}
		if c.attempt() == nil {
			break
		}
		pause = min(2*pause, lastPause)
	}
	c.log.Info("redis is back", "away", time.Since(since).Round(time.Millisecond))
	c.mu.Lock()
	c.set(up)
	c.mu.Unlock()
}

// attempt connects where there is no connection yet, and probes.
func (c *Client) attempt() error {
	c.mu.Lock()
	redis := c.redis
	c.mu.Unlock()
	if redis == nil {
		var err error
		if redis, err = rueidis.NewClient(c.option); err != nil {
			return err
		}
		c.mu.Lock()
		dead := c.state == closed
		if !dead {
			c.redis = redis
		}
		c.mu.Unlock()
		if dead {
			redis.Close()
			return ErrDown
		}
	}
	ctx, cancel := context.WithTimeout(c.life, c.timeout)
	defer cancel()
	return c.probe(ctx, redis)
}

// probe writes a key: a Redis that is full, a replica, or cannot save answers
// PING but not this.
func (c *Client) probe(ctx context.Context, redis rueidis.Client) error {
	return redis.Do(ctx, redis.B().Set().Key(c.Key("probe")).Value("1").PxMilliseconds(1000).Build()).Error()
}
