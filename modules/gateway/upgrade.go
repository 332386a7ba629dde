package gateway

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/httpx"
)

// upgrader passes upgraded connections (RFC 9110, section 7.8) both ways.
func upgrader(upstreams http.RoundTripper, log *slog.Logger) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport: upstreams,
		ErrorLog:  slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		Rewrite:   restoreHeaders,
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
	p.Out.Header.Del("Expect")
}

// upgraded passes a request for a WebSocket on, and what the connection then
// carries until one side ends it. When draining ends, its client is told to go.
func (g *group) upgraded(w *echo.Response, r *http.Request, draining context.Context) error {
	a := &answer{Response: w, draining: draining}
	defer a.settle()
	g.upgrade.ServeHTTP(a, r)
	if a.err == nil {
		return nil
	}
	return g.publicError(r.Context(), a.err)
}

// answer is the response as ReverseProxy sees it.
type answer struct {
	*echo.Response
	// err is why there is no answer.
	err error

	draining context.Context //nolint:containedctx // its end is the drain's beginning
	stop     func() bool     // nil until there is a connection
}

// settle ends what waits for the drain.
func (a *answer) settle() {
	if a.stop != nil {
		a.stop()
	}
}

// WriteHeader leaves out informational answers, which Echo takes for the final one.
func (a *answer) WriteHeader(status int) {
	if status >= http.StatusOK {
		a.Response.WriteHeader(status)
	}
}

// Hijack gives the connection away for an upgrade. Nothing may be written to the
// response after it.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := a.Response.Hijack()
	if err == nil {
		a.Status, a.Committed = http.StatusSwitchingProtocols, true
		s := &socket{Conn: conn}
		a.stop = context.AfterFunc(a.draining, s.goAway)
		conn = s
	}
	return conn, rw, err
}
