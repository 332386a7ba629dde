package gateway

import (
	"context"
	"io"
	"net/http"
	"time"
)

// healthPath is where every madbase process says whether it can serve.
const healthPath = "/readyz"

// start begins to check each upstream; the first checks run at once.
func (p *pool) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running != nil || p.cfg.HealthInterval == 0 {
		return
	}
	p.running, p.cancel = context.WithCancel(context.Background())
	for _, u := range p.all() {
		p.watchOne(u)
	}
}

// stop ends the checks and waits for them.
func (p *pool) stop() {
	p.mu.Lock()
	if p.running != nil {
		p.cancel()
		p.running = nil
	}
	p.mu.Unlock()
	p.checks.Wait()
}

// watchOne begins the checks of u while those of others run.
func (p *pool) watchOne(u *upstream) {
	if p.running == nil {
		return
	}
	var ctx context.Context
	ctx, u.cancel = context.WithCancel(p.running)
	p.checks.Go(func() { p.watch(ctx, u) })
}

func (p *pool) watch(ctx context.Context, u *upstream) {
	ticker := time.NewTicker(p.cfg.HealthInterval)
	defer ticker.Stop()
	for {
		ok, answered := p.check(ctx, u)
		if ctx.Err() != nil {
			return
		}
		if u.checked(ok, answered, p.cfg.HealthRise, p.cfg.HealthFall) {
			p.log.Warn("upstream changed", "group", p.name, "upstream", u.base.Host, "up", ok)
		}
		if p.left(u, ok) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// check asks the upstream whether it is ready. answered tells a refusal from silence.
func (p *pool) check(ctx context.Context, u *upstream) (ok, answered bool) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.HealthTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.base.JoinPath(healthPath).String(), nil)
	if err != nil {
		return false, false
	}
	res, err := p.transport.RoundTrip(r)
	if err != nil {
		return false, false
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 4<<10)) // read to its end, so that the connection is used again
	ok = res.StatusCode >= http.StatusOK && res.StatusCode < http.StatusMultipleChoices
	if ok {
		u.wasUp.Store(true)
	}
	return ok, true
}
