// Package gateway is the front door: it checks API keys, answers CORS and passes
// requests and answers on as streams to workers and control, balanced over the
// healthy ones. In role all the upstream is a handler in the same process.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/VictoriaMetrics/metrics"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/module"
	"github.com/madbase/madbase/platform/ratelimit"
	"github.com/madbase/madbase/platform/receipt"
)

// Deps are what the gateway stands on.
type Deps struct {
	Log     *slog.Logger
	Metrics *metrics.Set
	// Keys finds the keys of a request's project; nil where the worker knows them.
	Keys func(*http.Request) *claims.Keys
	// Revoked reports whether a request's API key has ended, also one that the worker
	// is to check; may be nil.
	Revoked func(*http.Request) bool
	// Project names a request's project, for limits and logs. Nil: there is one.
	Project func(*http.Request) string
	// Tell writes into the header of a request that is passed on whose project it is
	// for; may be nil.
	Tell func(*http.Request)
	// Limiter counts requests by client and key. Nil: in this process, for itself.
	Limiter ratelimit.Limiter
	// Receipts remember requests with an Idempotency-Key. Nil: in this process, for itself.
	Receipts Receipts
	// Transport is the process's shared one; requests and health checks use it.
	Transport *http.Transport
	direct    *httpx.Direct // made of it
	// Worker and Control serve in this process instead of the URLs of Config. Nil
	// when the roles are split.
	Worker, Control http.Handler
	// PublicURL is where clients reach the gateway; empty when that is not known.
	PublicURL string
	// Version is shown at /.
	Version string
}

// Module is the gateway.
type Module struct {
	module.Base
	cfg     Config
	deps    Deps
	proxies httpx.Proxies
	public  *url.URL
	origins origins
	limits  *limits
	worker  *group
	control *group
	live    *live
	warned  atomic.Bool // that a proxy is not trusted
}

// limitedClients bounds how many clients and keys this process's limits tell apart.
const limitedClients = 100_000

// New returns the gateway. It fails on settings that Config.Validate refuses and
// when there is no worker, neither in process nor by URL.
func New(cfg Config, deps Deps) (*Module, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if deps.Worker == nil && len(cfg.Workers) == 0 && cfg.Control == "" {
		return nil, errors.New("gateway: neither WORKER_UPSTREAM_URLS nor CONTROL_UPSTREAM_URL is set")
	}
	proxies, err := httpx.ParseProxies(cfg.TrustedProxies)
	if err != nil {
		return nil, fmt.Errorf("gateway: TRUSTED_PROXIES: %w", err)
	}
	public, err := url.Parse(strings.TrimSuffix(deps.PublicURL, "/"))
	if err != nil {
		return nil, fmt.Errorf("gateway: public URL: %w", err)
	}
	var controls []string
	if cfg.Control != "" {
		controls = []string{cfg.Control}
	}
	m := &Module{cfg: cfg, deps: deps, proxies: proxies, public: public, origins: newOrigins(cfg.AllowedOrigins), live: newLive()}
	if m.deps.Limiter == nil {
		m.deps.Limiter = ratelimit.NewMemory(limitedClients)
	}
	if m.deps.Receipts == nil {
		m.deps.Receipts = receipt.NewMemory()
	}
	m.limits = newLimits(cfg.Limits, m.deps.Limiter)
	m.deps.direct = httpx.NewDirect(deps.Transport)
	m.worker = newGroup("worker", cfg.Workers, deps.Worker, cfg, m.deps)
	m.control = newGroup("control", controls, deps.Control, cfg, m.deps)
	return m, nil
}

// project names r's project.
func (m *Module) project(r *http.Request) string {
	if m.deps.Project == nil {
		return "default"
	}
	return m.deps.Project(r)
}

// Name is "gateway".
func (m *Module) Name() string { return "gateway" }

// ErrorShape is the platform's dialect, but for refused API keys: those answers
// have the members message and hint, as hosted Supabase's gateway writes them.
func (m *Module) ErrorShape() apierr.Shape { return Shape() }

// Shape is ErrorShape's, for whoever checks keys in the gateway's place.
func Shape() apierr.Shape {
	return func(r *http.Request, e *apierr.Error, h http.Header) (int, any) {
		if e.Code != codeAPIKey {
			return apierr.Platform(r, e, h)
		}
		return e.Status, struct {
			Message string `json:"message"`
			Hint    string `json:"hint,omitempty"`
		}{e.Message, e.Hint}
	}
}

// Start begins the health checks.
func (m *Module) Start(context.Context) error {
	m.worker.pool.start()
	m.control.pool.start()
	return nil
}

// Stop closes upgraded connections, waits for the requests under way until ctx
// ends, and ends the health checks.
func (m *Module) Stop(ctx context.Context) error {
	err := m.live.drain(ctx)
	m.worker.pool.stop()
	m.control.pool.stop()
	m.deps.direct.CloseIdleConnections()
	if err != nil {
		return fmt.Errorf("gateway: requests still under way: %w", err)
	}
	return nil
}

// Ready is nil once a worker has been seen healthy. It stays so: a gateway
// without workers still answers better than no gateway.
func (m *Module) Ready(context.Context) error {
	if m.worker.local == nil && !m.worker.pool.seenHealthy() {
		return errors.New("no worker has answered a health check yet")
	}
	return nil
}
