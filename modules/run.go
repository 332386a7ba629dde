package modules

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/madbase/madbase/config"
	"github.com/madbase/madbase/platform/app"
	"github.com/madbase/madbase/platform/edge"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/module"
)

// Options are a command's surroundings.
type Options struct {
	// Version is the binary's.
	Version string
	// Out takes what the command is for; Err takes logs and progress.
	Out, Err io.Writer
	// JSON asks for one JSON object instead of text, where a command has both.
	JSON bool
}

// Run starts the process that cfg describes and serves until ctx ends: listen,
// open the foundation (which starts the private PostgreSQL and migrates), start
// the modules, serve, drain, stop, close.
func Run(ctx context.Context, cfg *config.Config, o Options) (err error) {
	names, err := chosen(cfg)
	if err != nil {
		return err
	}
	listener, err := listen(ctx, cfg.Server)
	if err != nil {
		return err
	}
	f, err := open(ctx, cfg, o)
	defer func() { err = errors.Join(withoutInterruption(ctx, err), f.close()) }()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	f.address = listener.Addr()
	p, err := assemble(f, names)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	socket, more, err := f.front(listener, names)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	p.set = module.NewSet(append(p.set.Modules(), more...)...)
	return app.Run(ctx, app.Options{
		Log: f.log, Server: p.server, HTTP: cfg.HTTP, Listener: socket, Set: p.set, Metrics: f.metricsHandler(),
		DrainDelay: cfg.Server.DrainDelay, ShutdownTimeout: cfg.Server.ShutdownTimeout,
		Serving: func() { f.announce(listener.Addr(), names) }, Draining: f.drain, Failed: f.failed(),
	})
}

// withoutInterruption is err, or nil when it says no more than that the process
// was told to stop: during the start that comes out as the failure of a step.
func withoutInterruption(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// listen binds the address before anything else starts, so that a busy port costs
// nothing; or it takes the socket that the process was given.
func listen(ctx context.Context, s config.Server) (net.Listener, error) {
	if s.ListenFD != 0 {
		return inherited(s.ListenFD)
	}
	address := s.Listen
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("address %s is in use by another process; choose one with --listen", address)
	}
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return listener, nil
}

// inherited returns the listening socket of that number. Whoever gave it keeps it
// open while one process ends and the next one starts: clients wait meanwhile.
func inherited(number int) (net.Listener, error) {
	file := os.NewFile(uintptr(number), "MADBASE_LISTEN_FD")
	if file == nil {
		return nil, errors.New("MADBASE_LISTEN_FD is no open file")
	}
	defer file.Close() // the listener has a copy
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("MADBASE_LISTEN_FD: %w", err)
	}
	return listener, nil
}

// Migrate brings the database up to date and ends.
func Migrate(ctx context.Context, cfg *config.Config, o Options) (err error) {
	if cfg.Server.DropIn || cfg.Server.Role == config.RoleProxy {
		return errors.New("migrate: a drop-in and a proxy have no database that madbase migrates")
	}
	f, err := open(ctx, cfg, o)
	defer func() { err = errors.Join(err, f.close()) }()
	if err != nil {
		return err
	}
	fmt.Fprintln(o.Out, "The database is up to date.")
	return nil
}

// Health asks the process at cfg's listening address for /readyz. It fails with
// the answer when that is not 200, within 5 s.
func Health(ctx context.Context, cfg *config.Config, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	host, port, err := net.SplitHostPort(cfg.Server.Listen)
	if err != nil {
		return fmt.Errorf("LISTEN_ADDR: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	scheme, proxied := ownAddress(cfg, host)
	transport := edge.ToSelf(httpx.NewTransport(cfg.Transport), proxied)
	defer transport.CloseIdleConnections()
	if err := httpx.CheckReady(ctx, transport, scheme+"://"+net.JoinHostPort(host, port)); err != nil {
		return fmt.Errorf("health: %w", err)
	}
	fmt.Fprintln(o.Out, "ready")
	return nil
}
