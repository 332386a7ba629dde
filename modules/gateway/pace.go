package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/madbase/madbase/platform/httpx"
)

// pacedBody is a request body that must move: a client that stops sending, or
// sends next to nothing, would else hold a worker's connection for as long as it likes.
type pacedBody struct {
	io.ReadCloser
	conn *http.ResponseController
	// idle is how long the body may stand still, rate how many bytes a second it
	// comes with at least beyond that.
	idle time.Duration
	rate int64

	read   atomic.Int64
	waited time.Duration // only in reads: what upstream takes is not the client's fault
	over   bool          // a read has failed or found the end

	mu       sync.Mutex
	deadline time.Time // that is set
	ended    bool      // the connection is the next request's
}

// Read implements io.Reader. The error of a body that is too slow is httpx.ErrSlowBody.
// At the body's end the server lifts the deadline, to learn when the client goes away.
func (b *pacedBody) Read(p []byte) (int, error) {
	began := time.Now()
	if !b.await(began.Add(b.patience())) {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.ReadCloser.Read(p)
	b.over = err != nil
	b.read.Add(int64(n))
	b.waited += time.Since(began)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return n, fmt.Errorf("%w: %w", httpx.ErrSlowBody, err)
	}
	return n, err
}

// await has reads of the connection end at deadline, unless the request has ended.
// What has no deadlines, as a body in a test, is waited for.
func (b *pacedBody) await(deadline time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if later := deadline.Sub(b.deadline); b.ended || b.over || later >= 0 && later < b.idle/8 {
		return !b.ended // what is set is near enough: setting it costs, and most of all in HTTP/2
	}
	b.deadline = deadline
	_ = b.conn.SetReadDeadline(deadline)
	return true
}

// end leaves the connection alone from now on. The transport may still read when
// the request is over.
func (b *pacedBody) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
}

// patience is how long the next read may take.
func (b *pacedBody) patience() time.Duration {
	if b.rate == 0 {
		return b.idle
	}
	allowed := b.idle + time.Duration(float64(b.read.Load())/float64(b.rate)*float64(time.Second))
	return max(min(b.idle, allowed-b.waited), 0)
}
