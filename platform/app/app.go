// Package app runs one process of madbase: it starts its modules, serves, and on
// the way out turns balancers away first, lets requests in flight finish, and
// stops the modules in reverse.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/module"
)

// Options describe what a process serves and how it ends.
type Options struct {
	Log    *slog.Logger
	Server *httpx.Server
	HTTP   httpx.Config
	// Listener is bound already: a busy port is an error before anything starts.
	Listener net.Listener
	// Set is started before the first request and stopped after the last.
	Set *module.Set
	// Metrics writes /metrics.
	Metrics http.Handler
	// DrainDelay is how long the process still serves while /readyz says 503.
	DrainDelay time.Duration
	// ShutdownTimeout bounds the wait for requests in flight, and for the modules to stop.
	ShutdownTimeout time.Duration
	// Serving is called once requests are answered; may be nil.
	Serving func()
	// Draining is called when the process begins to end, before the drain delay; may be nil.
	Draining func(context.Context)
	// Failed ends the process with its error when something it stands on is gone for good; may be nil.
	Failed <-chan error
}

// tellTimeout bounds how long a process that ends tells others so.
const tellTimeout = 3 * time.Second

// process states, as /readyz tells them.
const (
	starting int32 = iota
	serving
	draining
)

// process is a running Options.
type process struct {
	Options
	state atomic.Int32
	// accepting is closed once no connection is accepted any more.
	accepting chan struct{}
	arrivals  arrivals
}

// Run serves until ctx ends or the process fails. It returns nil after an orderly end.
func Run(ctx context.Context, o Options) error {
	raiseHeap()
	p := &process{Options: o, accepting: make(chan struct{})}
	p.routes()
	if err := o.Set.Start(ctx); err != nil {
		return errors.Join(err, o.Listener.Close())
	}
	server := o.Server.HTTP(o.HTTP)
	server.Handler = p.arrive(server.Handler)
	p.arrivals.watch(server)
	served := make(chan error, 1)
	go func() {
		served <- server.Serve(o.Listener)
		close(p.accepting)
	}()
	p.state.Store(serving)
	if o.Serving != nil {
		o.Serving()
	}
	var cause error
	select {
	case <-ctx.Done():
	case cause = <-served:
		cause = fmt.Errorf("app: serve: %w", cause)
	case cause = <-o.Failed:
	}
	return errors.Join(cause, p.end(server))
}

// end drains and stops. The context that ended the process is over, so the
// stopping has one of its own.
func (p *process) end(server *http.Server) error {
	p.state.Store(draining)
	p.Log.Info("draining", "delay", p.DrainDelay)
	timer := time.NewTimer(p.DrainDelay)
	if p.Draining != nil {
		telling, cancel := context.WithTimeout(context.Background(), tellTimeout)
		p.Draining(telling)
		cancel()
	}
	<-timer.C
	_ = p.Listener.Close() // Shutdown closes it again and tells what is wrong
	<-p.accepting
	p.arrivals.await()
	ctx, cancel := context.WithTimeout(context.Background(), p.ShutdownTimeout)
	defer cancel()
	err := server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("app: requests were still in flight: %w", err), server.Close())
	}
	stopping, cancel := context.WithTimeout(context.Background(), p.ShutdownTimeout)
	defer cancel()
	return errors.Join(err, p.Set.Stop(stopping))
}

func (p *process) routes() {
	e := p.Server.Echo()
	e.GET("/healthz", func(c echo.Context) error {
		return httpx.JSON(c, http.StatusOK, map[string]string{"status": "ok"})
	})
	e.GET("/readyz", func(c echo.Context) error {
		if reason := p.unready(c.Request().Context()); reason != "" {
			return httpx.JSON(c, http.StatusServiceUnavailable, map[string]string{"status": "unavailable", "reason": reason})
		}
		return httpx.JSON(c, http.StatusOK, map[string]string{"status": "ready"})
	})
	e.GET("/metrics", echo.WrapHandler(p.Metrics))
}

// arrive has clients of a draining process open their next connection elsewhere,
// instead of losing a request to one that is being closed. It stands before all that
// serves, as requests of projects pass the server's own routes by.
func (p *process) arrive(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.arrivals.arrived(r.Context())
		if p.state.Load() == draining && r.Header.Get("Upgrade") == "" {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// unready says why the process should get no requests, or nothing.
func (p *process) unready(ctx context.Context) string {
	switch p.state.Load() {
	case starting:
		return "starting"
	case draining:
		return "draining"
	}
	if err := p.Set.Ready(ctx); err != nil {
		p.Log.WarnContext(ctx, "not ready", "error", err)
		return "a module is not ready" // which one, and why, is in the log
	}
	return ""
}
