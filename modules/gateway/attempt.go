package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

var (
	// errHeaderTimeout is why an attempt ends whose answer does not begin in time.
	errHeaderTimeout error = headerTimeout{}
	// errSilent is why one ends whose upstream checks get no answer from either: its
	// machine is gone, and nobody closes its connections.
	errSilent = errors.New("gateway: upstream is silent")
)

// lookEvery is how often an attempt that waits looks whether its upstream is silent.
const lookEvery = time.Second

type headerTimeout struct{}

func (headerTimeout) Error() string   { return "gateway: no answer in time" }
func (headerTimeout) Timeout() bool   { return true }
func (headerTimeout) Temporary() bool { return true }

// exchange is one attempt at a request, from its sending to the end of the answer.
type exchange struct {
	request *http.Request
	u       *upstream
	cancel  context.CancelCauseFunc
	clock   atomic.Pointer[time.Timer] // runs from the request's end to the answer's header
	begun   atomic.Bool                // the answer has
	once    sync.Once
}

// attempt prepares r to be sent to u with the body sent. The header of the answer
// has timeout from the end of the body; 0: no limit but the transport's.
func attempt(r *http.Request, u *upstream, timeout time.Duration, sent *sentBody) *exchange {
	u.inFlight.Add(1)
	ctx, cancel := context.WithCancelCause(r.Context())
	e := &exchange{request: r.WithContext(ctx), u: u, cancel: cancel}
	u.aim(e.request)
	if timeout == 0 {
		timeout = noTimeout
	}
	sent.ended = func() { e.await(timeout) }
	if sent.src != nil {
		e.request.Body = sent
	}
	if sent.src == nil || sent.src == http.NoBody || r.ContentLength == 0 {
		e.await(timeout)
	}
	return e
}

// noTimeout leaves it to the transport how long a header may take.
const noTimeout = 24 * time.Hour

// await gives the answer's header its time, from now.
func (e *exchange) await(timeout time.Duration) {
	end := time.Now().Add(timeout)
	clock := time.AfterFunc(min(timeout, lookEvery), func() { e.look(end) })
	if !e.clock.CompareAndSwap(nil, clock) || e.begun.Load() {
		clock.Stop()
	}
}

// look ends the attempt when its time is up or its upstream silent, else looks again.
func (e *exchange) look(end time.Time) {
	left := time.Until(end)
	switch {
	case e.begun.Load():
	case e.u.silent.Load():
		e.cancel(errSilent)
	case left <= 0:
		e.cancel(errHeaderTimeout)
	default:
		if clock := e.clock.Load(); clock != nil {
			clock.Reset(min(left, lookEvery))
		}
	}
}

// answered notes that the attempt has its answer's header, or failed. The error
// is the real reason: a cancelled context may hide that the time was up.
func (e *exchange) answered(res *http.Response, err error) error {
	e.begun.Store(true)
	if clock := e.clock.Load(); clock != nil {
		clock.Stop()
	}
	if cause := context.Cause(e.request.Context()); cause == errHeaderTimeout || cause == errSilent { //nolint:errorlint // marks of our own, never wrapped
		if err == nil {
			_ = res.Body.Close()
		}
		err = cause
	}
	if err != nil {
		e.end()
	}
	return err
}

// end closes the attempt's books; more than once does no harm.
func (e *exchange) end() {
	e.once.Do(func() {
		e.u.inFlight.Add(-1)
		e.cancel(nil)
	})
}

// hold keeps the attempt open until res's body is closed.
func (e *exchange) hold(res *http.Response) {
	switch body := res.Body.(type) {
	case io.ReadWriteCloser:
		res.Body = heldConn{body, e}
	default:
		if body == http.NoBody {
			e.end()
			return
		}
		res.Body = heldBody{body, e}
	}
}

type heldBody struct {
	io.ReadCloser
	exchange *exchange
}

// Close implements io.Closer.
func (h heldBody) Close() error {
	defer h.exchange.end()
	return h.ReadCloser.Close()
}

// heldConn is what an upgraded connection's answer has for a body.
type heldConn struct {
	io.ReadWriteCloser
	exchange *exchange
}

// Close implements io.Closer.
func (h heldConn) Close() error {
	defer h.exchange.end()
	return h.ReadWriteCloser.Close()
}
