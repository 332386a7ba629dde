package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

var (
	errNoUpstream = errors.New("gateway: no upstream")
	// errClientBody marks failures of the client's side of a request.
	errClientBody = errors.New("gateway: read request body")
)

// maxReplay is how much of an idempotent request's body is kept to send it again.
const maxReplay = 64 << 10

// balanced is the RoundTripper that sends a request to an upstream of the pool,
// and once more to another one where that cannot do it twice: nothing of it was
// sent, or its method is idempotent (RFC 9110, section 9.2.2) and its body is at hand.
type balanced struct {
	pool *pool
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper. The answer's body is to be closed in
// any case: until then the request counts as under way.
func (b *balanced) RoundTrip(r *http.Request) (*http.Response, error) {
	first := b.pool.pick(nil)
	if first == nil {
		return nil, errNoUpstream
	}
	b.pool.budget.earn()
	replayable, err := b.keepBody(r)
	if err != nil {
		return nil, err
	}
	sent := &sentBody{src: r.Body}
	res, err := b.try(r, first, sent)
	if err == nil || !again(r, err, replayable, sent) {
		return res, err
	}
	second := b.pool.pick(first)
	if second == nil {
		return nil, err
	}
	if !b.pool.budget.spend() {
		b.pool.denied.Inc()
		return nil, err
	}
	b.pool.retries.Inc()
	second.books.retries.Inc()
	body := sent.src
	if r.GetBody != nil {
		if body, err = r.GetBody(); err != nil {
			return nil, fmt.Errorf("%w: %w", errClientBody, err)
		}
	}
	return b.try(r, second, &sentBody{src: body})
}

// keepBody makes r's body repeatable where that is worth it, and reports whether
// r may be sent twice.
func (b *balanced) keepBody(r *http.Request) (bool, error) {
	if !idempotent(r.Method) || r.Header.Get("Upgrade") != "" {
		return false, nil
	}
	if r.Body == nil {
		return true, nil
	}
	if r.ContentLength < 0 || r.ContentLength > maxReplay || len(b.pool.all()) < 2 {
		return false, nil
	}
	kept := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, kept); err != nil {
		return false, fmt.Errorf("%w: %w", errClientBody, err)
	}
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(kept)), nil }
	r.Body, _ = r.GetBody()
	return true, nil
}

func idempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete, http.MethodTrace:
		return true
	}
	return false
}

// again reports whether a request that failed may be sent once more. A timeout
// is no reason: the upstream may be at work on it.
func again(r *http.Request, err error, replayable bool, sent *sentBody) bool {
	if r.Context().Err() != nil || errors.Is(err, errClientBody) {
		return false
	}
	if isDial(err) {
		return replayable || !sent.touched.Load()
	}
	timeout, ok := errors.AsType[net.Error](err)
	return replayable && (!ok || !timeout.Timeout())
}

// try sends r to u and takes the outcome into u's account.
func (b *balanced) try(r *http.Request, u *upstream, sent *sentBody) (*http.Response, error) {
	u.books.requests.Inc()
	a := attempt(r, u, b.pool.cfg.headerTimeout(r.URL.Path), sent)
	res, err := b.next.RoundTrip(a.request)
	err = a.answered(res, err)
	switch {
	case err == nil:
		u.worked()
		a.hold(res)
		return res, nil
	case sent.failure.Load() != nil:
		return nil, fmt.Errorf("%w: %w", errClientBody, *sent.failure.Load())
	case r.Context().Err() != nil:
		return nil, err // the client has gone
	}
	u.books.failures.Inc()
	log := b.pool.log.With("group", b.pool.name, "upstream", u.base.Host)
	if isDial(err) && b.pool.cfg.HealthInterval > 0 {
		u.unreachable()
		log.Debug("upstream refuses connections", "error", err)
		return nil, err
	}
	now := time.Now()
	if u.broke(now, &b.pool.cfg, b.pool.last(u, now)) {
		u.books.ejections.Inc()
		log.Warn("upstream ejected", "error", err)
	}
	return nil, err
}

// isDial reports whether err happened before there was a connection, so that
// nothing of the request was sent.
func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// sentBody is a request body on its way to one upstream. It notes whether it was
// read at all and whether the client failed to send it; closing it, which the
// transport does after each attempt, keeps the source open for the next.
type sentBody struct {
	src             io.ReadCloser
	touched, closed atomic.Bool
	failure         atomic.Pointer[error]
	// ended is called at the body's end; may be nil.
	ended func()
}

// Read implements io.Reader.
func (s *sentBody) Read(p []byte) (int, error) {
	if s.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	s.touched.Store(true)
	n, err := s.src.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		if s.ended != nil {
			s.ended()
		}
	case err != nil:
		s.failure.Store(&err)
	}
	return n, err
}

// Close implements io.Closer.
func (s *sentBody) Close() error {
	s.closed.Store(true)
	return nil
}
