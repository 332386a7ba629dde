package app

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// arrivals are the connections that were accepted and whose first request has not
// reached a handler. http.Server.Shutdown closes these without an answer, so they
// are waited for before it.
type arrivals struct {
	mu      sync.Mutex
	waiting map[net.Conn]struct{}
}

type arrivalKey struct{}

// arrival is a connection's place among them.
type arrival struct {
	conn    net.Conn
	waiting atomic.Bool
}

// watch has server tell of its connections.
func (a *arrivals) watch(server *http.Server) {
	a.waiting = map[net.Conn]struct{}{}
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.waiting[conn] = struct{}{}
		place := &arrival{conn: conn}
		place.waiting.Store(true)
		return context.WithValue(ctx, arrivalKey{}, place)
	}
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		if state == http.StateClosed || state == http.StateHijacked {
			a.remove(conn)
		}
	}
}

// arrived takes the connection of a request out.
func (a *arrivals) arrived(ctx context.Context) {
	place, ok := ctx.Value(arrivalKey{}).(*arrival)
	if ok && place.waiting.Load() && place.waiting.CompareAndSwap(true, false) {
		a.remove(place.conn)
	}
}

func (a *arrivals) remove(conn net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, conn)
}

// maxArrival is how long a client that has connected may take to ask for something.
const maxArrival = time.Second

// await returns when there are none left, or those there are take too long. No
// connection may be accepted any more.
func (a *arrivals) await() {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(maxArrival); a.some() && time.Now().Before(end); {
		<-tick.C
	}
}

func (a *arrivals) some() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.waiting) > 0
}
