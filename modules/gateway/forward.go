package gateway

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"sync"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
)

// group is where one kind of request is served: by a handler of this process or
// by the upstreams of a pool.
type group struct {
	name  string
	local http.Handler
	pool  *pool
	proxy *httputil.ReverseProxy
}

func newGroup(name string, urls []string, local http.Handler, cfg Config, deps Deps) *group {
	if local != nil {
		urls = nil
	}
	g := &group{name: name, local: local, pool: newPool(name, urls, cfg, deps)}
	g.proxy = &httputil.ReverseProxy{
		Transport: &balanced{pool: g.pool, next: deps.Transport},
		// Answers of unknown length are flushed as they come by ReverseProxy, those
		// of a known length by answer: an interval would cost each a timer.
		FlushInterval: 0,
		BufferPool:    &buffers{},
		ErrorLog:      slog.NewLogLogger(deps.Log.Handler(), slog.LevelDebug),
		Rewrite:       restoreHeaders,
		ModifyResponse: func(res *http.Response) error {
			res.Header.Del(httpx.HeaderRequestID) // it is the one that the answer has already
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			if a, ok := w.(*answer); ok {
				a.err = err
			}
		},
	}
	return g
}

// restoreHeaders undoes what ReverseProxy does on its own to forwarding headers
// and queries: forward has set the former, and the latter must pass unchanged.
func restoreHeaders(p *httputil.ProxyRequest) {
	p.Out.URL.RawQuery = p.In.URL.RawQuery
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values := p.In.Header[name]; values != nil {
			p.Out.Header[name] = values
		}
	}
	// The server answers "100 Continue" itself as soon as the body is read.
	p.Out.Header.Del("Expect")
}

// forward passes the request on to g as a stream.
func (m *Module) forward(g *group) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		dropHopHeaders(r.Header)
		m.setForwarded(r)
		inject(r)
		ctx, done := m.live.enter(r.Context(), r.Header.Get("Upgrade") != "")
		defer done()
		return g.serve(&answer{Response: c.Response()}, r.WithContext(ctx))
	}
}

func (g *group) serve(a *answer, r *http.Request) error {
	if g.local != nil {
		g.local.ServeHTTP(a.Response, r)
		return nil
	}
	g.proxy.ServeHTTP(a, r)
	if a.err == nil {
		return nil
	}
	return g.publicError(r.Context(), a.err)
}

// publicError says what went wrong between gateway and upstream. Upstreams'
// addresses are only logged.
func (g *group) publicError(ctx context.Context, err error) error {
	var timeout net.Error
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errClientBody):
		return apierr.New(http.StatusBadRequest, "bad_body", "The request body could not be read").Because(err)
	case errors.Is(err, errNoUpstream):
		return apierr.Newf(http.StatusServiceUnavailable, "no_upstream", "No %s is configured", g.name).Because(err)
	case isDial(err):
		return apierr.Newf(http.StatusServiceUnavailable, "upstream_down", "No %s can be reached", g.name).
			WithHeader("Retry-After", "1").Because(err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return apierr.Newf(http.StatusGatewayTimeout, "upstream_timeout", "The %s took too long to answer", g.name).Because(err)
	}
	return apierr.Newf(http.StatusBadGateway, "upstream_broke", "The %s broke the connection", g.name).Because(err)
}

// answer is the response as ReverseProxy sees it.
type answer struct {
	*echo.Response
	// left is how much of an answer of known length is still to come.
	left int64
	// err is why there is no answer.
	err error
}

// WriteHeader leaves out informational answers, which Echo takes for the final one.
func (a *answer) WriteHeader(status int) {
	if status < http.StatusOK {
		return
	}
	a.left, _ = strconv.ParseInt(a.Header().Get("Content-Length"), 10, 64) // 0 when unknown
	a.Response.WriteHeader(status)
}

// Write flushes what comes of a longer answer, so that the client has it before
// the upstream ends. The last piece is flushed by the server.
func (a *answer) Write(p []byte) (int, error) {
	n, err := a.Response.Write(p)
	if a.left -= int64(n); a.left > 0 && err == nil {
		a.Flush()
	}
	return n, err
}

// Hijack gives the connection away for an upgrade. Nothing may be written to the
// response after it.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := a.Response.Hijack()
	if err == nil {
		a.Status, a.Committed = http.StatusSwitchingProtocols, true
	}
	return conn, rw, err
}

// buffers are the copy buffers that all streams of a group share.
type buffers struct{ pool sync.Pool }

const bufferSize = 32 << 10

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return p[:]
	}
	return make([]byte, bufferSize)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(p []byte) { b.pool.Put((*[bufferSize]byte)(p)) }
