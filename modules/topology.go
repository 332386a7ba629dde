package modules

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/config"
	"github.com/madbase/madbase/modules/control"
	"github.com/madbase/madbase/modules/gateway"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/module"
	"github.com/madbase/madbase/platform/topology"
)

// openTopology opens the owner's few connections, over which processes know of
// each other: no role that requests run as may write where requests are sent.
func (f *foundation) openTopology(ctx context.Context) (err error) {
	if f.ownerURL == "" || f.cfg.Server.DropIn {
		return nil
	}
	if f.owner, err = db.Open(ctx, db.PoolConfig{URL: f.ownerURL, Name: "topology", MaxConns: 2}); err != nil {
		return err
	}
	f.feed = topology.NewFeed(f.owner, topology.Token(f.cfg.Claims.Secret), f.tellKeys())
	return nil
}

// register appends to made what tells of this process, where it is a worker that
// has an address for proxies.
func (f *foundation) register(made []module.Module) ([]module.Module, error) {
	if f.cfg.Server.WorkerURL == "" || f.cfg.Server.Role != config.RoleWorker || f.owner == nil {
		return made, nil
	}
	url, err := workerURL(f.cfg.Server.WorkerURL, f.address)
	if err != nil {
		return nil, err
	}
	f.registration = topology.NewRegistration(f.owner, topology.Worker{URL: url, Version: f.opt.Version, Role: f.cfg.Server.Role}, f.log)
	return append(made, f.registration), nil
}

// workerURL fills in what a setting that many processes share leaves open.
func workerURL(setting string, address net.Addr) (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("MADBASE_WORKER_URL: %w", err)
	}
	_, port, err := net.SplitHostPort(address.String())
	if err != nil {
		return "", fmt.Errorf("MADBASE_WORKER_URL: %w", err)
	}
	return strings.NewReplacer("{hostname}", host, "{port}", port).Replace(setting), nil
}

// follow puts before the gateway g what tells it of workers and keys: a control plane
// in another process.
func (f *foundation) follow(made []module.Module, g *gateway.Module) []module.Module {
	if f.cfg.Server.Role != config.RoleProxy || f.cfg.Gateway.Control == "" {
		return made
	}
	return append(made, topology.NewFollower(topology.Following{
		Control: f.cfg.Gateway.Control, Token: topology.Token(f.cfg.Claims.Secret),
		Transport: f.transport, Log: f.log, Apply: func(t topology.Topology) {
			f.told.apply(t.Keys)
			g.Apply(t)
		},
	}))
}

// workerParts are the registered workers, for the control plane's health. Those
// that drain are on their way out and no fault. That they are not known is one of
// the database, which is a part of its own.
func (f *foundation) workerParts(ctx context.Context) []control.Part {
	if f.feed == nil {
		return nil
	}
	t, err := f.feed.Look(ctx)
	if err != nil {
		return nil
	}
	var parts []control.Part
	for _, w := range t.Workers {
		if !w.Draining && !slices.Contains(f.cfg.Gateway.Workers, w.URL) {
			parts = append(parts, f.workerPart(w.URL))
		}
	}
	return parts
}

// serveTopology is the feed's route; nil where there is none.
func (f *foundation) serveTopology() echo.HandlerFunc {
	if f.feed == nil {
		return nil
	}
	return f.feed.Serve
}

// drain tells the other processes that this one ends.
func (f *foundation) drain(ctx context.Context) {
	if f.registration != nil {
		f.registration.Drain(ctx)
	}
	if f.feed != nil {
		f.feed.Drain()
	}
}
