package modules

import (
	"context"
	"slices"

	"github.com/madbase/madbase/config"
	"github.com/madbase/madbase/modules/control"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/log"
	"github.com/madbase/madbase/platform/logfeed"
)

// tellLogs lets the control plane of another process search this one's recent log.
func (f *foundation) tellLogs(front *httpx.Server) {
	if role := f.cfg.Server.Role; role != config.RoleAll && role != config.RoleControl && !f.cfg.Server.DropIn {
		front.Mount("", logfeed.NewFeed(f.recent, logfeed.Token(f.cfg.Claims.Secret)))
	}
}

// logSources are this process, the workers, and what MADBASE_LOG_PEERS names: proxies,
// of which nothing else knows where they are.
func (f *foundation) logSources(ctx context.Context) ([]control.LogSource, error) {
	sources := []control.LogSource{{Process: f.cfg.Server.Role, Find: func(_ context.Context, q log.Query) ([]log.Line, error) {
		return f.recent.Find(q), nil
	}}}
	workers := slices.Clone(f.cfg.Gateway.Workers)
	if f.feed != nil {
		live, err := f.feed.Look(ctx)
		if err != nil {
			return nil, err
		}
		for _, w := range live.Workers {
			workers = append(workers, w.URL)
		}
	}
	slices.Sort(workers)
	add := func(kind string, urls []string) {
		for _, url := range urls {
			sources = append(sources, control.LogSource{Process: kind + " " + url, Find: func(ctx context.Context, q log.Query) ([]log.Line, error) {
				return logfeed.Ask(ctx, f.transport, url, logfeed.Token(f.cfg.Claims.Secret), q)
			}})
		}
	}
	add("worker", slices.Compact(workers))
	add("proxy", f.cfg.Control.LogPeers)
	return sources, nil
}
