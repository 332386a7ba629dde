package edge

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/module"
)

// Redirect is the listener for plain HTTP, as a part of the process that starts
// and stops with the modules. It has no routes of its own on their server.
type Redirect struct {
	module.Base
	edge *Edge

	mu      sync.Mutex
	server  *http.Server
	address net.Addr
	served  chan struct{}
}

// Redirect returns the listener of the settings, or nil where there is none.
func (e *Edge) Redirect() *Redirect {
	if e.cfg.Redirect == "" {
		return nil
	}
	return &Redirect{edge: e}
}

// Name is "redirect".
func (*Redirect) Name() string { return "redirect" }

// Routes adds nothing.
func (*Redirect) Routes(*echo.Group) {}

// Address is where it listens once it is started.
func (r *Redirect) Address() net.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.address
}

// Start listens. A busy port is an error.
func (r *Redirect) Start(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", r.edge.cfg.Redirect)
	if err != nil {
		return fmt.Errorf("edge: HTTP_REDIRECT_ADDR: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.address, r.served = listener.Addr(), make(chan struct{})
	if r.edge.cfg.ProxyProtocol {
		listener = &proxyListener{Listener: listener, trusts: r.edge.deps.Trusts}
	}
	server, served := &http.Server{
		Handler: r.edge.redirect(), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: 30 * time.Second, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(r.edge.deps.Log.Handler(), slog.LevelDebug),
	}, r.served
	r.server = server
	go func() {
		defer close(served)
		_ = server.Serve(listener) // ends with Stop
	}()
	return nil
}

// Stop ends it.
func (r *Redirect) Stop(ctx context.Context) error {
	r.mu.Lock()
	server, served := r.server, r.served
	r.server = nil
	r.mu.Unlock()
	if server == nil {
		return nil
	}
	if err := server.Shutdown(ctx); err != nil {
		_ = server.Close() // what has not ended by now is cut
	}
	<-served
	return nil
}
