package gateway

import (
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// maxEjection bounds the growing time that a breaking upstream gets no requests.
const maxEjection = 5 * time.Minute

// upstream is one process that requests are passed on to, with what is known of
// its health: by active checks, and by the requests themselves.
type upstream struct {
	base *url.URL

	// down is what the checks say and wasUp what one once said, ejectedUntil (Unix nanoseconds) what the
	// requests say.
	down, wasUp  atomic.Bool
	ejectedUntil atomic.Int64

	mu        sync.Mutex
	seen      bool // a check has ended
	good, bad int  // checks in a row
	broken    int  // requests in a row
	ejections int
	// troubled spares requests the lock while there is nothing to forget.
	troubled atomic.Bool
}

func (u *upstream) available(now time.Time) bool {
	return !u.down.Load() && now.UnixNano() >= u.ejectedUntil.Load()
}

// checked takes the outcome of a health check. The first one decides alone;
// after that rise good ones bring an upstream back, fall bad ones take it out. A
// refusal, an answer that says "not ready", does so at once. It reports a change.
func (u *upstream) checked(ok, refusal bool, rise, fall int) (changed bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	first := !u.seen
	u.seen = true
	if ok {
		u.good, u.bad = u.good+1, 0
		if first || u.good >= rise {
			return u.down.Swap(false)
		}
		return false
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
// in a row, each time for twice as long. It reports an ejection.
func (u *upstream) broke(now time.Time, after int, length time.Duration) (ejected bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.troubled.Store(true)
	u.broken++
	if after == 0 || u.broken < after {
		return false
	}
	length = min(length<<min(u.ejections, 16), maxEjection)
	u.ejections++
	u.broken = after - 1 // the next one after its return ejects it again
	u.ejectedUntil.Store(now.Add(length).UnixNano())
	return true
}

// aim directs r at the upstream; path and query stay.
func (u *upstream) aim(r *http.Request) {
	r.URL.Scheme, r.URL.Host = u.base.Scheme, u.base.Host
}
