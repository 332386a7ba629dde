package gateway

import (
	"context"
	"sync"
	"time"
)

// live counts the requests under way. WebSockets have no end of their own, so
// that a drain ends them: their clients connect again, elsewhere.
type live struct {
	mu       sync.Mutex
	requests int
	idle     chan struct{} // closed once a drain has no request left

	draining context.Context //nolint:containedctx // its end is the drain's beginning
	begin    context.CancelFunc
}

func newLive() *live {
	l := &live{}
	l.draining, l.begin = context.WithCancel(context.Background())
	return l
}

// enter counts a request until done is called.
func (l *live) enter() (done func()) {
	l.mu.Lock()
	l.requests++
	l.mu.Unlock()
	return l.leave
}

// enterSocket counts a WebSocket until done is called. Its context ends when a
// drain has begun and its client has had grace to leave.
func (l *live) enterSocket(ctx context.Context, grace time.Duration) (_ context.Context, done func()) {
	l.enter()
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(l.draining, func() {
		if grace == 0 {
			cancel()
			return
		}
		end := time.AfterFunc(grace, cancel)
		context.AfterFunc(ctx, func() { end.Stop() })
	})
	return ctx, func() {
		stop()
		cancel()
		l.leave()
	}
}

func (l *live) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests--
	if l.requests == 0 && l.idle != nil {
		close(l.idle)
		l.idle = nil
	}
}

// drain waits until no request is under way, or ctx ends.
func (l *live) drain(ctx context.Context) error {
	l.begin()
	l.mu.Lock()
	if l.requests == 0 {
		l.mu.Unlock()
		return nil
	}
	if l.idle == nil {
		l.idle = make(chan struct{})
	}
	idle := l.idle
	l.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
