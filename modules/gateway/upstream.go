package gateway

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxEjection bounds the growing time that a breaking upstream gets no requests.
	maxEjection = 5 * time.Minute
	// coldShare is what a new upstream gets of its share at first.
	coldShare = 0.1
)

// upstream is one process that requests are passed on to, with what is known of
// its health: by active checks, and by the requests themselves.
type upstream struct {
	base   *url.URL
	pinned bool // named by a setting: it stays whatever the topology says
	books  books
	cancel context.CancelFunc // ends its checks

	// inFlight counts requests whose answers have not ended.
	inFlight atomic.Int64
	// down is what the checks say and wasUp what one once said, ejectedUntil (Unix nanoseconds) what the
	// requests say.
	down, wasUp  atomic.Bool
	silent       atomic.Bool // down because checks got no answer
	ejectedUntil atomic.Int64
	// coldSince is when it came, or came back (Unix nanoseconds); 0 once it has its full share.
	coldSince atomic.Int64
	// missingSince is when it vanished from the topology (Unix nanoseconds); 0 while it is there.
	missingSince atomic.Int64

	mu        sync.Mutex
	seen      bool   // a check has ended
	good, bad int    // checks in a row
	broken    int    // requests in a row
	drained   string // the process there that said it drains
	ejections int
	// troubled spares requests the lock while there is nothing to forget.
	troubled atomic.Bool
}

func (u *upstream) available(now time.Time) bool {
	return !u.down.Load() && now.UnixNano() >= u.ejectedUntil.Load()
}

// warm reports whether u takes part in this choice: always, but for a growing
// share of them while it is new.
func (u *upstream) warm(now time.Time, slowStart time.Duration) bool {
	since := u.coldSince.Load()
	if since == 0 {
		return true
	}
	share := float64(now.UnixNano()-since) / float64(max(slowStart, 1))
	if share >= 1 {
		u.coldSince.CompareAndSwap(since, 0)
		return true
	}
	return rand.Float64() < max(share, coldShare)
}

// checked takes the outcome of a health check. The first one decides alone;
// after that rise good ones bring an upstream back, fall bad ones take it out. A
// refusal, an answer that says "not ready", does so at once. It reports a change.
func (u *upstream) checked(ok, refusal bool, rise, fall int) (changed bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	first := !u.seen
	u.seen = true
	u.silent.Store(!ok && !refusal && u.bad+1 >= fall)
	if ok {
		u.good, u.bad = u.good+1, 0
		if !first && u.good < rise || !u.down.Load() {
			return false
		}
		u.coldSince.Store(time.Now().UnixNano())
		u.down.Store(false)
		return true
	}
	u.good, u.bad = 0, u.bad+1
	if first || refusal || u.bad >= fall {
		return !u.down.Swap(true)
	}
	return false
}

// unreachable takes out an upstream that refused a connection, until checks bring it back.
func (u *upstream) unreachable() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.seen, u.good = true, 0
	u.down.Store(true)
}

// drains takes out the process id at the upstream's address before checks find
// it unready; another one that starts there is brought back by them.
func (u *upstream) drains(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.drained != id {
		u.drained = id
		u.seen, u.good = true, 0
		u.down.Store(true)
	}
}

// worked ends a row of broken requests.
func (u *upstream) worked() {
	if !u.troubled.Load() {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.broken, u.ejections = 0, 0
	u.troubled.Store(false)
}

// broke counts a request that broke on the upstream, and ejects it after so many
// in a row, each time for twice as long, unless it is the last one. It reports
// an ejection.
func (u *upstream) broke(now time.Time, cfg *UpstreamConfig, last bool) (ejected bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.troubled.Store(true)
	u.broken++
	if cfg.EjectAfter == 0 || u.broken < cfg.EjectAfter || last {
		return false
	}
	until := now.Add(min(cfg.EjectFor<<min(u.ejections, 16), maxEjection)).UnixNano()
	u.ejections++
	u.broken = cfg.EjectAfter - 1 // the next one after its return ejects it again
	u.coldSince.Store(until)
	u.ejectedUntil.Store(until)
	return true
}

// aim directs r at the upstream; path and query stay.
func (u *upstream) aim(r *http.Request) {
	target := *r.URL // an earlier attempt may still read the request's own
	target.Scheme, target.Host = u.base.Scheme, u.base.Host
	r.URL = &target
}
