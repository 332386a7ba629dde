// Package httpx is the HTTP server that every role of madbase stands on: Echo
// with the common middleware and the one place that writes errors.
package httpx

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/trace"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/module"
)

// Config are the limits of a server.
type Config struct {
	MaxHeaderBytes    int           `env:"MADBASE_MAX_HEADER_BYTES" default:"262144" doc:"Largest request header in bytes that a process reads; the front door says no earlier, by MADBASE_LIMIT_HEADER." group:"optional"`
	ReadHeaderTimeout time.Duration `env:"MADBASE_READ_HEADER_TIMEOUT" default:"10s" doc:"How long a client may take to send its request header." group:"optional"`
	IdleTimeout       time.Duration `env:"MADBASE_IDLE_TIMEOUT" default:"120s" doc:"How long a kept-alive connection may be silent." group:"optional"`

	InternalProxies []string `env:"MADBASE_INTERNAL_PROXIES" default:"private_ranges" doc:"Addresses and networks of madbase's own proxies, comma separated; workers and the control plane take the client's address from their X-Forwarded-* headers." group:"optional"`

	Access AccessConfig
}

// Validate names every fault of the settings.
func (c Config) Validate() error {
	err := c.Access.Validate()
	if _, fault := ParseProxies(c.InternalProxies); fault != nil {
		return errors.Join(err, fmt.Errorf("MADBASE_INTERNAL_PROXIES: %w", fault))
	}
	return err
}

// Deps are what a server reports to.
type Deps struct {
	Log     *slog.Logger
	Metrics *metrics.Set
	Tracer  trace.Tracer
	// Role is the process's role, for metrics and logs.
	Role string
	// Access says which requests are logged; the zero value logs answers of 5xx alone.
	Access AccessConfig
}

// Server is an Echo server with madbase's common middleware.
type Server struct {
	echo     *echo.Echo
	deps     Deps
	shapes   []mountedShape
	outer    http.Handler // nil, or what Wrap put before the routes
	inFlight *metrics.Gauge
}

// shaper is the optional ability of a module to write errors in its own dialect.
type shaper interface{ ErrorShape() apierr.Shape }

type mountedShape struct {
	prefix string
	shape  apierr.Shape
}

// New returns a server without routes.
func New(deps Deps) *Server {
	s := &Server{echo: echo.New(), deps: deps}
	// Here, as Echo calls what Pre is given anew for each request.
	s.inFlight = deps.Metrics.GetOrCreateGauge(fmt.Sprintf(`madbase_http_requests_in_flight{role=%q}`, deps.Role), nil)
	s.echo.HideBanner = true
	s.echo.HidePort = true
	s.echo.HTTPErrorHandler = s.writeError
	s.echo.Pre(s.observe, recoverPanics)
	return s
}

// Echo gives access to the router for routes that belong to no module.
func (s *Server) Echo() *echo.Echo { return s.echo }

// arounder is the optional ability of a module to see each of its requests as a whole.
type arounder interface {
	Around(next echo.HandlerFunc) echo.HandlerFunc
}

// Mount registers m's routes under prefix ("" or "/rest/v1"), with its own error
// dialect and its middleware where it has them. The middleware mw runs on every
// request under prefix, before m's own.
func (s *Server) Mount(prefix string, m module.Module, mw ...echo.MiddlewareFunc) {
	if a, ok := m.(arounder); ok {
		mw = append(mw[:len(mw):len(mw)], a.Around)
	}
	if d, ok := m.(shaper); ok {
		s.shapes = append(s.shapes, mountedShape{prefix, d.ErrorShape()})
	}
	if len(mw) > 0 {
		s.echo.Use(under(prefix, mw))
	}
	m.Routes(s.echo.Group(prefix))
}

// under runs mw on requests whose path begins with prefix. A group's own
// middleware would answer 404 to wrong methods.
func under(prefix string, mw []echo.MiddlewareFunc) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			rest, found := strings.CutPrefix(c.Request().URL.Path, prefix)
			if !found || rest != "" && rest[0] != '/' {
				return next(c)
			}
			h := next
			for i := len(mw) - 1; i >= 0; i-- {
				h = mw[i](h)
			}
			return h(c)
		}
	}
}

// Wrap puts what around makes of the routes in their place, before all that the
// server does with a request by itself.
func (s *Server) Wrap(around func(http.Handler) http.Handler) { s.outer = around(s.Handler()) }

// Handler serves the routes without a socket.
func (s *Server) Handler() http.Handler {
	if s.outer != nil {
		return s.outer
	}
	return s.echo
}

// HTTP returns an http.Server for the routes with cfg's limits. Bodies have no
// time limit: a slow upload or download that moves is not an error.
func (s *Server) HTTP(cfg Config) *http.Server {
	return &http.Server{
		Handler:           s.Handler(),
		MaxHeaderBytes:    cfg.MaxHeaderBytes,
		ReadHeaderTimeout: cfg.ReadHeaderTimeout,
		IdleTimeout:       cfg.IdleTimeout,
		ErrorLog:          slog.NewLogLogger(s.deps.Log.Handler(), slog.LevelDebug),
		// HTTP/2 has no read deadlines that a client cannot move: what neither sends
		// nor takes anything is asked for a sign of life.
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 250, SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second, WriteByteTimeout: time.Minute},
	}
}

// shapeOf returns the dialect of the longest mounted prefix of path.
func (s *Server) shapeOf(path string) apierr.Shape {
	shape, length := apierr.Platform, -1
	for _, m := range s.shapes {
		rest, found := strings.CutPrefix(path, m.prefix)
		if found && (rest == "" || rest[0] == '/') && len(m.prefix) > length {
			shape, length = m.shape, len(m.prefix)
		}
	}
	return shape
}
