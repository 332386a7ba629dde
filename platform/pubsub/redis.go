package pubsub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/madbase/madbase/platform/redisx"
)

// Redis is a Bus between all processes on one Redis. One connection carries all
// subscriptions of the process; one goroutine keeps Redis's view of them equal
// to the hub's, over any number of outages.
type Redis struct {
	client *redisx.Client
	log    *slog.Logger
	prefix string // of channel names in Redis
	hub    *hub

	life  context.Context
	end   context.CancelFunc
	wg    sync.WaitGroup
	start sync.Once
	kick  chan struct{} // holds a token while the hub may have changed

	mu     sync.Mutex
	states map[*subscription]*progress
}

// progress is how far Redis knows a subscription.
type progress struct {
	live    bool          // Redis confirmed all its channels
	waiting bool          // Subscribe has not returned yet
	ready   chan struct{} // closed the first time it goes live
}

// settle bounds how long Subscribe waits for Redis's confirmation, and how long
// one SUBSCRIBE may take.
const settle = 2 * time.Second

// NewRedis returns a Bus on client. The client stays the caller's to close,
// after the Bus.
func NewRedis(client *redisx.Client, log *slog.Logger) *Redis {
	life, end := context.WithCancel(context.Background())
	return &Redis{
		client: client, log: log, prefix: client.Key("bus", ""), hub: newHub(),
		life: life, end: end, kick: make(chan struct{}, 1),
		states: make(map[*subscription]*progress),
	}
}

// Publish implements Bus. While Redis is away the subscribers in this process
// get the message, and the error matches redisx.ErrDown.
func (r *Redis) Publish(ctx context.Context, channel string, payload []byte) error {
	err := r.client.Do(ctx, func(ctx context.Context, c rueidis.Client) error {
		return c.Do(ctx, c.B().Publish().Channel(r.prefix+channel).Message(string(payload)).Build()).Error()
	})
	if err == nil {
		return nil
	}
	if errors.Is(err, redisx.ErrDown) {
		r.hub.deliver(Message{Channel: channel, Payload: bytes.Clone(payload)})
	}
	return fmt.Errorf("pubsub: publish: %w", err)
}

// Subscribe implements Bus.
func (r *Redis) Subscribe(ctx context.Context, channels ...string) (<-chan Message, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := newSubscription(channels)
	p := &progress{waiting: true, ready: make(chan struct{})}
	// In this order: once listed in states, s counts as live as soon as Redis
	// knows its channels, and only those in the hub stay known.
	if !r.hub.add(s) {
		return nil, ErrClosed
	}
	r.mu.Lock()
	r.states[s] = p
	r.mu.Unlock()
	r.start.Do(func() { r.wg.Go(r.run) })
	r.nudge()
	if err := r.confirm(ctx, p); err != nil {
		r.drop(s)
		return nil, err
	}
	context.AfterFunc(ctx, func() { r.drop(s) })
	return s.out, nil
}

// confirm waits until Redis knows the subscription. That Redis is away, or
// slow, is no error: the subscription goes live later.
func (r *Redis) confirm(ctx context.Context, p *progress) error {
	if err := r.client.Ping(ctx); err == nil {
		timer := time.NewTimer(settle)
		defer timer.Stop()
		select {
		case <-p.ready:
		case <-timer.C:
		case <-ctx.Done():
		case <-r.life.Done():
			return ErrClosed
		}
	}
	r.mu.Lock()
	p.waiting = false
	r.mu.Unlock()
	return ctx.Err()
}

func (r *Redis) drop(s *subscription) {
	r.mu.Lock()
	delete(r.states, s)
	r.mu.Unlock()
	r.hub.remove(s)
	r.nudge()
}

func (r *Redis) nudge() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// Close implements Bus.
func (r *Redis) Close() {
	r.start.Do(func() {}) // from here on nothing starts
	r.end()
	r.wg.Wait()
	r.hub.close()
}

// run keeps one session after the other until Close.
func (r *Redis) run() {
	for {
		redis, err := r.client.Await(r.life)
		if err != nil {
			return
		}
		err = r.session(redis)
		r.interrupted()
		if r.life.Err() != nil {
			return
		}
		r.log.Debug("pubsub: connection ended, subscribing again", "error", err)
		timer := time.NewTimer(100 * time.Millisecond) // a Redis that accepts and hangs up must not spin us
		select {
		case <-timer.C:
		case <-r.life.Done():
			timer.Stop()
			return
		}
		_ = r.client.Ping(r.life) // so that Await waits if this was an outage
	}
}

// interrupted notes that Redis knows no subscription any more.
func (r *Redis) interrupted() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.states {
		p.live = false
	}
}

// session subscribes on a connection of its own until that breaks.
func (r *Redis) session(redis rueidis.Client) error {
	conn, release := redis.Dedicate()
	defer release()
	broken := conn.SetPubSubHooks(rueidis.PubSubHooks{OnMessage: func(m rueidis.PubSubMessage) {
		r.hub.deliver(Message{Channel: strings.TrimPrefix(m.Channel, r.prefix), Payload: []byte(m.Message)})
	}})
	known := make(map[string]struct{})
	for {
		if err := r.match(conn, known); err != nil {
			return err
		}
		select {
		case <-r.kick:
		case err := <-broken:
			return err
		case <-r.life.Done():
			return r.life.Err()
		}
	}
}

// match tells Redis what the hub has and known lacks, and the other way round.
func (r *Redis) match(conn rueidis.DedicatedClient, known map[string]struct{}) error {
	wanted := r.hub.names()
	var more, less []string
	for name := range wanted {
		if _, ok := known[name]; !ok {
			more = append(more, r.prefix+name)
			known[name] = struct{}{}
		}
	}
	for name := range known {
		if _, ok := wanted[name]; !ok {
			less = append(less, r.prefix+name)
			delete(known, name)
		}
	}
	ctx, cancel := context.WithTimeout(r.life, settle)
	defer cancel()
	if len(more) > 0 {
		if err := conn.Do(ctx, conn.B().Subscribe().Channel(more...).Build()).Error(); err != nil {
			return err
		}
	}
	if len(less) > 0 {
		if err := conn.Do(ctx, conn.B().Unsubscribe().Channel(less...).Build()).Error(); err != nil {
			return err
		}
	}
	r.confirmed(known)
	return nil
}

// confirmed marks the subscriptions live whose channels are all known. One
// whose reader has it already may have missed messages until now.
func (r *Redis) confirmed(known map[string]struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s, p := range r.states {
		if p.live || !all(s.channels, known) {
			continue
		}
		p.live = true
		if p.waiting {
			p.waiting = false
			close(p.ready)
		} else {
			s.deliver(Message{Lost: true})
		}
	}
}

func all(names []string, known map[string]struct{}) bool {
	for _, name := range names {
		if _, ok := known[name]; !ok {
			return false
		}
	}
	return true
}
