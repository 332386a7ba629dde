// Package auth speaks Supabase Auth's (GoTrue's) contract: users, their sessions
// and the tokens that say who calls. One file per flow; session.go is the only
// place that makes sessions; package store has the SQL.
package auth

import (
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"golang.org/x/crypto/bcrypt"

	"github.com/madbase/madbase/modules/auth/hook"
	"github.com/madbase/madbase/modules/auth/password"
	"github.com/madbase/madbase/modules/auth/provider"
	"github.com/madbase/madbase/modules/auth/seal"
	"github.com/madbase/madbase/modules/auth/sms"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/egress"
	"github.com/madbase/madbase/platform/module"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/ratelimit"
	"github.com/madbase/madbase/platform/secret"
	"github.com/madbase/madbase/sql"
)

// Deps are what the module stands on. Everything but Log may be left out.
type Deps struct {
	Log *slog.Logger
	// Metrics take the counts of tokens and mails; nil is a set that nobody reads.
	Metrics *metrics.Set
	// Limiter counts requests per caller; nil is no limit.
	Limiter ratelimit.Limiter
	// ClientIP is the caller's address, as far as the proxies on the way are
	// trusted; nil is the connection's peer.
	ClientIP func(*http.Request) string
	// Version is what GET /health reports.
	Version string
	// Projects are those whose mails this process sends; nil is those of its requests.
	Projects *project.Directory
	// MailSecret is what mails are encrypted with until they have left, and what their
	// links carry for good; empty makes one up, that no other process and no later one knows.
	MailSecret secret.String
	// InboxURL is where the dev inbox is shown, which gets the mails where there is
	// no mail server; empty is no such inbox.
	InboxURL string
	// DropIn says that the surface stands at the root of the address, on a database
	// without madbase's own tables.
	DropIn bool
	// BcryptCost is for tests that sign in often; 0 is bcrypt's default, 10.
	BcryptCost int
	// Transport carries requests to addresses that the operator or the code names;
	// nil is one of its own.
	Transport http.RoundTripper
	// Outside fetches what administrators name by address, such as the metadata
	// of an identity provider; nil is a client that keeps to public addresses.
	Outside *http.Client
	// Resolver finds the addresses of hosts that administrators name; nil is the system's.
	Resolver egress.Resolver
	// SMS is where the providers of text messages are; only tests say.
	SMS sms.Endpoint
}

// Module is the auth surface.
type Module struct {
	module.Base
	cfg       Config
	deps      Deps
	hasher    *password.Hasher
	policy    password.Policy
	seen      *password.Seen
	sms       *sms.Sender
	redirects redirects
	mailer    *mailer
	hooks     *hook.Runner
	box       *seal.Box
	cleaner   cleaner
	sso       sso
	// linkKey encrypts what links carry.
	linkKey []byte
	now     func() time.Time
	// hooked are those to whom the app's hook sends a mail right now (see awaitTurn).
	hooked sync.Map
	// services are the built-in sign-in services, custom those that administrators describe.
	services, custom *provider.Services
}

// New returns the module; it fails on settings that Config.Validate refuses.
func New(cfg Config, deps Deps) (*Module, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	if deps.BcryptCost == 0 {
		deps.BcryptCost = bcrypt.DefaultCost
	}
	if deps.Metrics == nil {
		deps.Metrics = metrics.NewSet()
	}
	if deps.ClientIP == nil {
		deps.ClientIP = peer
	}
	if deps.MailSecret == "" {
		deps.MailSecret = secret.String(rand.Text() + rand.Text())
	}
	if deps.Transport == nil {
		deps.Transport = outgoing()
	}
	if deps.Outside == nil {
		deps.Outside = egress.Client(outsideTimeout, cfg.PrivateNetworks)
	}
	hasher, err := password.NewHasher(deps.BcryptCost)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	deps.SMS.Timeout = cfg.External.Timeout
	texts, err := sms.New(cfg.SMS, deps.SMS)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	redirects, err := newRedirects(cfg.SiteURL, cfg.URIAllowList)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	box, err := seal.New(cfg.Seal)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	hooks, err := hook.New(cfg.Hooks, deps.Transport, deps.Log)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	m := &Module{cfg: cfg, deps: deps, hasher: hasher, hooks: hooks, box: box, policy: cfg.policy(), seen: cfg.Pwned.seen(), sms: texts, redirects: redirects, now: time.Now}
	m.linkKey = []byte(deps.MailSecret.Derive("auth/links", 32).Reveal())
	if m.sso, err = newSSO(cfg.SAML); err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	m.services, m.custom = provider.NewServices(m.atServices()), provider.NewServices(deps.Outside)
	if m.mailer, err = m.newMailer(); err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	return m, nil
}

// Start begins to send mails, also those that an earlier process has left.
func (m *Module) Start(ctx context.Context) error {
	m.startMail(ctx)
	m.warnOfTexts(ctx)
	m.startCleanup()
	return nil
}

// Stop ends what Start began.
func (m *Module) Stop(ctx context.Context) error {
	m.stopMail(ctx)
	m.stopCleanup()
	return nil
}

// outgoing carries requests to addresses that the operator has set.
func outgoing() http.RoundTripper {
	return &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 5 * time.Second, IdleConnTimeout: 90 * time.Second, MaxIdleConnsPerHost: 16}
}

// outsideTimeout is the longest that a request to an address of an administrator's choice may take.
const outsideTimeout = 5 * time.Second

// serviceTimeout is the same for sign-in services, where the setting is 0.
const serviceTimeout = 10 * time.Second

// atServices is the client that asks the built-in sign-in services.
func (m *Module) atServices() *http.Client {
	timeout := m.cfg.External.Timeout
	if timeout == 0 {
		timeout = serviceTimeout
	}
	return &http.Client{Timeout: timeout, Transport: m.deps.Transport}
}

func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// Name is "auth".
func (m *Module) Name() string { return "auth" }

// Migrations make schema auth.
func (m *Module) Migrations() fs.FS { return sql.Line("auth") }

// ErrorShape is GoTrue's dialect.
func (m *Module) ErrorShape() apierr.Shape { return shape }
