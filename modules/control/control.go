// Package control is the control plane of role control: the health of all parts,
// projects with their keys, logs, and the dev inbox. ADMIN_PASSWORD protects it.
package control

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/cache"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/module"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/ratelimit"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/secret"
)

// Part is a part of madbase that the control plane watches.
type Part struct {
	// Name is shown: database, redis, storage, worker http://worker-1:8002.
	Name string
	// Check answers nil when the part is well. It honours its context's end.
	Check func(context.Context) error
}

// Deps are what the control plane stands on.
type Deps struct {
	Projects *project.Directory
	Log      *slog.Logger
	Limiter  ratelimit.Limiter
	// Transport is the process's shared one; log queries use it.
	Transport http.RoundTripper
	// Proxies are those of madbase before the control plane, whose X-Forwarded-* headers it believes.
	Proxies httpx.Proxies
	// Parts are what /health checks.
	Parts []Part
	// Workers are the parts that come and go; nil where they are not known.
	Workers func(context.Context) []Part
	// Inbox has the mails of the embedded default; nil elsewhere.
	Inbox Inbox
	// Topology tells madbase's own proxies of workers; nil where no database knows them.
	Topology echo.HandlerFunc
	// LogSources are the processes whose recent logs are searched, this one first.
	LogSources func(context.Context) ([]LogSource, error)
	// Registry has the projects, their settings and keys.
	Registry *registry.Registry
	// Provisioner makes projects, and PublicURL is where their clients find them.
	Provisioner Provisioner
	PublicURL   func(ref string) string
	// Settings are those that projects can have.
	Settings Settings
	// Keys has the keys that a project begins with, whether it is served or not.
	Keys func(ref string) (*claims.Keys, error)
	// Orphans looks after stored objects; nil where storage is in another process.
	Orphans Orphans
	// S3Keys makes access keys of the S3 protocol.
	S3Keys S3Keys
	// JWTSecret is what the key of session tokens derives from, with ADMIN_PASSWORD.
	JWTSecret secret.String
}

// Module is the control plane.
type Module struct {
	module.Base
	cfg      Config
	deps     Deps
	loki     *url.URL // nil when there is none
	sessions sessions
	// known are the client addresses that recently gave the right password: their
	// further right ones are not counted as attempts.
	known  *cache.LRU[string, struct{}]
	health healthCache
}

// New returns the control plane. It fails on settings that Config.Validate refuses.
func New(cfg Config, deps Deps) (*Module, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	m := &Module{cfg: cfg, deps: deps, known: cache.New[string, struct{}](1000)}
	if cfg.LokiURL != "" {
		loki, err := url.Parse(cfg.LokiURL)
		if err != nil {
			return nil, fmt.Errorf("control: LOKI_URL: %w", err)
		}
		m.loki = loki
	}
	m.sessions = sessions{key: sessionKey(deps.JWTSecret, cfg.AdminPassword), ttl: cfg.SessionTTL, now: time.Now}
	return m, nil
}

// Name is "control".
func (m *Module) Name() string { return "control" }
