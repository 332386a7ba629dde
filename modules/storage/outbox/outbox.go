// Package outbox brings to others what storage has put down for them: events of
// objects to the webhook, and to a CDN what it is to forget. The table is
// madbase.storage_outbox of each project. Every process may deliver; what one has
// taken when it dies is due again after a while, so that news may come twice, in
// any order, but come.
package outbox

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/project"
)

const (
	// idle is how often the table is looked at without a call, for what other
	// processes left behind and for what is to be tried again.
	idle = 2 * time.Second
	// perCarrier is how many rows are taken at once for each request that may be
	// under way, and lease longer than those take: after it the process must have died.
	perCarrier = 2
	lease      = perCarrier*purgeTime + lastWord
	// patience is how long a row is tried, as the outage of a receiver may last.
	patience   = 24 * time.Hour
	firstPause = time.Second
	longPause  = 15 * time.Minute
	// grace is how long Stop lets requests end that are under way.
	grace = webhookTime
	// lastWord bounds saying what became of a row.
	lastWord = 5 * time.Second
	// defaultConcurrency is supabase/storage's.
	defaultConcurrency = 5
)

// Deps are what an Outbox stands on.
type Deps struct {
	Log *slog.Logger
	// Projects are those whose news are brought; nil for none.
	Projects *project.Directory
}

// Outbox delivers.
type Outbox struct {
	cfg      Config
	deps     Deps
	carriers int
	receiver *receiver

	wake    chan struct{}
	quit    chan struct{}
	cancel  context.CancelFunc
	running sync.WaitGroup
	stop    sync.Once
}

// New returns an outbox that has not begun. cfg must be valid.
func New(cfg Config, deps Deps) *Outbox {
	return &Outbox{
		cfg: cfg, deps: deps, carriers: cmp.Or(cfg.Concurrency, defaultConcurrency), receiver: newReceiver(cfg),
		wake: make(chan struct{}, 1), quit: make(chan struct{}), cancel: func() {},
	}
}

// Webhook reports whether events of objects are to be put down.
func (o *Outbox) Webhook() bool { return o.cfg.WebhookURL != "" }

// CDN reports whether there is a CDN to be told.
func (o *Outbox) CDN() bool { return o.cfg.PurgeURL != "" }

// Wake tells that something was put down and committed.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Start begins to deliver, where there is anybody to deliver to.
func (o *Outbox) Start() {
	if o.deps.Projects == nil || !o.Webhook() && !o.CDN() {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	o.cancel = cancel
	o.running.Go(func() {
		tick := time.NewTicker(idle)
		defer tick.Stop()
		for {
			if o.round(ctx) {
				continue
			}
			select {
			case <-o.quit:
				return
			case <-o.wake:
			case <-tick.C:
			}
		}
	})
}

// Stop takes nothing new, waits a few seconds for what is under way, as long as
// ctx allows, and leaves the rest in the table.
func (o *Outbox) Stop(ctx context.Context) {
	o.stop.Do(func() { close(o.quit) })
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	done := make(chan struct{})
	go func() {
		o.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
	o.cancel()
	<-done
}

func (o *Outbox) stopping() bool {
	select {
	case <-o.quit:
		return true
	default:
		return false
	}
}

// round delivers a batch of each project and reports whether there was any.
func (o *Outbox) round(ctx context.Context) (found bool) {
	for _, p := range o.deps.Projects.All() {
		if o.stopping() {
			return false
		}
		list, err := store.ClaimNews(ctx, p.DB.Storage, perCarrier*o.carriers, lease)
		if err != nil {
			o.deps.Log.WarnContext(ctx, "storage's outbox cannot be read", "project", p.Ref, "error", err)
			continue
		}
		if len(list) > 0 {
			found = true
			o.deliver(ctx, p, list)
		}
	}
	return found
}

// deliver brings a batch and says what becomes of it.
func (o *Outbox) deliver(ctx context.Context, p *project.Project, list []store.Outgoing) {
	var (
		carriers errgroup.Group
		mu       sync.Mutex
		done     []int64
	)
	carriers.SetLimit(o.carriers)
	for _, news := range list {
		carriers.Go(func() error {
			if o.bring(ctx, p, news) {
				mu.Lock()
				defer mu.Unlock()
				done = append(done, news.ID)
			}
			return nil
		})
	}
	_ = carriers.Wait() // none fails
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	if err := store.DeleteNews(last, p.DB.Storage, done); err != nil {
		o.deps.Log.WarnContext(ctx, "storage's outbox cannot be written: news will come twice", "project", p.Ref, "count", len(done), "error", err)
	}
}

// bring delivers one and reports whether its row is to go: it was delivered, or never will be.
func (o *Outbox) bring(ctx context.Context, p *project.Project, news store.Outgoing) bool {
	pause := time.Duration(0) // stopped before it left: it was no fault of its own
	if !o.stopping() {
		err := o.receiver.send(ctx, news)
		if err == nil {
			return true
		}
		log := o.deps.Log.With("project", p.Ref, "kind", news.Kind, "id", news.ID, "attempt", news.Attempts, "error", err)
		if news.Age > patience {
			log.ErrorContext(ctx, "news of storage were given up", "waited", news.Age.Round(time.Second))
			return true
		}
		if ctx.Err() == nil {
			pause = pauseAfter(news.Attempts)
			log.WarnContext(ctx, "news of storage could not be delivered and are tried again", "in", pause)
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	if err := store.PostponeNews(last, p.DB.Storage, news.ID, pause); err != nil { // its lease will end
		o.deps.Log.WarnContext(ctx, "storage's outbox cannot be written", "project", p.Ref, "error", err)
	}
	return false
}

// pauseAfter doubles from firstPause to longPause.
func pauseAfter(attempts int) time.Duration {
	return min(firstPause<<min(max(attempts-1, 0), 16), longPause)
}
