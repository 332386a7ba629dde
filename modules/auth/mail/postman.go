package mail

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// Item is a draft on its way.
type Item struct {
	ID    string
	Kind  Kind
	Draft func() (Draft, error)
	// Attempts counts the present one; Age is how long the item has waited.
	Attempts int
	Age      time.Duration
}

// Queue holds drafts until they have left.
type Queue interface {
	// Claim takes an item that is due; nobody else gets it for lease. Nil when there is none.
	Claim(ctx context.Context, lease time.Duration) (*Item, error)
	// Done removes an item; Again has it due after a while.
	Done(ctx context.Context, id string) error
	Again(ctx context.Context, id string, after time.Duration) error
}

// Deliver hands an item over to whoever brings it to its reader. An error that is
// ErrRefused is final. It reports whether the item stays in its queue (kept).
type Deliver func(ctx context.Context, q Queue, item *Item, d Draft) (kept bool, err error)

// The ways of a postman.
const (
	carriers = 4
	// lease is longer than any attempt: after it the process must have died.
	lease = time.Minute
	// idle is how often queues are looked at without a call, for what other processes left behind.
	idle = 5 * time.Second
	// patience is how long a mail is tried.
	patience   = 24 * time.Hour
	grace      = 3 * time.Second
	firstPause = 2 * time.Second
	longPause  = 30 * time.Minute
)

// Postman takes drafts from queues and delivers them, several at once.
type Postman struct {
	deliver Deliver
	log     *slog.Logger
	wake    chan struct{}

	mu     sync.Mutex
	queues map[any]Queue

	quit    chan struct{}
	cancel  context.CancelFunc
	stopped sync.WaitGroup
	start   sync.Once
	stop    sync.Once
}

// NewPostman returns a postman that has not begun.
func NewPostman(deliver Deliver, log *slog.Logger) *Postman {
	return &Postman{deliver: deliver, log: log, wake: make(chan struct{}, 1), queues: map[any]Queue{}, quit: make(chan struct{}), cancel: func() {}}
}

// Serve adds a queue, once for each key, and returns the key's.
func (p *Postman) Serve(key any, q Queue) Queue {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.queues[key] == nil {
		p.queues[key] = q
	}
	return p.queues[key]
}

// Queues are those that it serves.
func (p *Postman) Queues() []Queue {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.queues))
}

// Wake tells that something was put into a queue.
func (p *Postman) Wake() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Start begins to deliver.
func (p *Postman) Start(ctx context.Context) {
	p.start.Do(func() {
		ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
		tick := time.NewTicker(idle)
		for range carriers {
			p.stopped.Go(func() { p.carry(ctx, tick.C) })
		}
		p.Wake()
	})
}

// Stop takes nothing new, waits for what is on its way a few seconds, as long as
// ctx allows, and gives up the rest, which stays in its queue.
func (p *Postman) Stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	p.stop.Do(func() { close(p.quit) })
	done := make(chan struct{})
	go func() {
		p.stopped.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
	p.cancel()
	<-done
}

// carry delivers until the postman stops. Each tick is for one carrier; if that
// finds something, it wakes the next.
func (p *Postman) carry(ctx context.Context, tick <-chan time.Time) {
	for {
		if p.round(ctx) {
			continue
		}
		select {
		case <-p.quit:
			return
		case <-p.wake:
		case <-tick:
		}
	}
}

// round delivers at most one item of each queue, and reports whether there was one.
func (p *Postman) round(ctx context.Context) (found bool) {
	for _, q := range p.Queues() {
		select {
		case <-p.quit:
			return false
		default:
		}
		item, err := q.Claim(ctx, lease)
		if err != nil {
			p.log.WarnContext(ctx, "the outbox cannot be read", "error", err)
			continue
		}
		if item != nil {
			found = true
			p.Wake() // another carrier looks for the next one
			p.handle(ctx, q, item)
		}
	}
	return found
}

// handle delivers an item and says what becomes of it. The last word goes to the
// queue also when the postman is stopped meanwhile.
func (p *Postman) handle(ctx context.Context, q Queue, item *Item) {
	draft, err := item.Draft()
	kept := false
	if err == nil {
		kept, err = p.deliver(ctx, q, item, draft)
	} else {
		err = errors.Join(ErrRefused, err)
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	log := p.log.With("mail", item.ID, "kind", item.Kind, "attempt", item.Attempts)
	switch {
	case err == nil && kept:
		return
	case err == nil:
		err = q.Done(last, item.ID)
	case ctx.Err() != nil: // stopped: it was no fault of the mail's
		err = q.Again(last, item.ID, 0)
	case errors.Is(err, ErrRefused) || item.Age > patience:
		log.ErrorContext(ctx, "a mail was given up", "waited", item.Age.Round(time.Second), "error", err)
		err = q.Done(last, item.ID)
	default:
		pause := pauseAfter(item.Attempts)
		log.WarnContext(ctx, "a mail could not be sent and is tried again", "in", pause, "error", err)
		err = q.Again(last, item.ID, pause)
		time.AfterFunc(pause, p.Wake)
	}
	if err != nil {
		log.WarnContext(ctx, "the outbox cannot be written: the mail may be sent twice", "error", err)
	}
}

// pauseAfter doubles from firstPause to longPause.
func pauseAfter(attempts int) time.Duration {
	return min(firstPause<<min(max(attempts-1, 0), 16), longPause)
}
