package modules

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/madbase/madbase/config"
	"github.com/madbase/madbase/modules/control"
	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/blob/driver"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/embeddedpg"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/log"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/provision"
	"github.com/madbase/madbase/platform/ratelimit"
	"github.com/madbase/madbase/platform/redisx"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/telemetry"
	"github.com/madbase/madbase/platform/tenant"
	"github.com/madbase/madbase/platform/topology"
)

// foundation is what the modules of one process stand on.
type foundation struct {
	cfg *config.Config
	opt Options

	log       *slog.Logger
	recent    *log.Recent // what log said last
	metrics   *metrics.Set
	telemetry *telemetry.Telemetry
	transport *http.Transport

	cluster  *embeddedpg.Cluster // nil unless the private PostgreSQL is used
	ownerURL string              // empty in a role without a database
	keys     *claims.Keys
	projects *project.Directory // nil in a role without a database
	registry *registry.Registry // of the other projects; nil in a role without a database and in a drop-in
	live     *liveKeys          // nil like registry
	told     *toldKeys          // of keys, by the control plane; empty but in a proxy
	// provisioner makes and removes projects; nil like registry.
	provisioner *provision.Provisioner
	tenants     *tenant.Directory // of the other projects; nil where none are served
	tenant      *project.Project  // nil but in the foundation that one of them stands on
	redis       *redisx.Client    // nil without REDIS_URL
	limiter     ratelimit.Limiter
	proxies     httpx.Proxies // whose word on clients' addresses is taken
	blobs       blob.Store    // nil in a role that stores no objects
	inbox       control.Inbox // nil where mails leave
	closers     []io.Closer

	address      net.Addr               // where the process listens
	owner        *db.Pool               // the owner's, for topology alone; nil in a role without a database
	feed         *topology.Feed         // nil as well
	registration *topology.Registration // nil but in a worker that registers
}

// limitedKeys bounds how many callers the in-process rate limiter tells apart.
const limitedKeys = 100_000

// open builds the foundation that cfg's role needs. What it returns must be
// closed also when it fails.
func open(ctx context.Context, cfg *config.Config, o Options) (*foundation, error) {
	f := &foundation{
		cfg: cfg, opt: o, metrics: metrics.NewSet(), transport: httpx.NewTransport(cfg.Transport),
		recent: log.NewRecent(cfg.Log.Recent),
	}
	f.log = log.New(cfg.Log, log.Deps{Out: o.Err, RequestID: httpx.RequestID, Role: cfg.Server.Role, Recent: f.recent})
	for _, step := range []func(context.Context) error{
		f.openTelemetry, f.openProxies, f.openKeys, f.openRedis, f.openDatabase, f.openProject, f.openRegistry, f.openTopology, f.openBlobs,
	} {
		if err := step(ctx); err != nil {
			return f, err
		}
	}
	return f, nil
}

// close undoes open in reverse; it is fine after a failed open.
func (f *foundation) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), f.cfg.Server.ShutdownTimeout)
	defer cancel()
	var errs []error
	if f.live != nil {
		f.live.close()
	}
	if f.registry != nil {
		errs = append(errs, f.registry.Close())
	}
	if f.projects != nil {
		f.projects.Default().DB.Close()
	}
	if f.owner != nil {
		f.owner.Close()
	}
	if f.redis != nil {
		f.redis.Close()
	}
	for _, c := range f.closers {
		errs = append(errs, c.Close())
	}
	if f.cluster != nil {
		errs = append(errs, f.cluster.Stop(ctx))
	}
	f.transport.CloseIdleConnections()
	return errors.Join(append(errs, f.telemetry.Shutdown(ctx))...)
}

func (f *foundation) openTelemetry(ctx context.Context) (err error) {
	f.telemetry, err = telemetry.New(ctx, f.cfg.Telemetry, f.cfg.Server.Role, f.opt.Version, f.log)
	return err
}

// openProxies finds who tells workers and the control plane of clients: madbase's own
// proxies and, where the gateway is in the same process, those before it.
func (f *foundation) openProxies(context.Context) (err error) {
	f.proxies, err = httpx.ParseProxies(slices.Concat(f.cfg.HTTP.InternalProxies, f.cfg.Gateway.TrustedProxies))
	return err
}

func (f *foundation) openKeys(context.Context) (err error) {
	if err := completeSecrets(f.cfg); err != nil {
		return err
	}
	f.keys, err = claims.NewKeys(f.cfg.Claims)
	f.told = &toldKeys{keys: f.keys, log: f.log}
	return err
}

func (f *foundation) openRedis(context.Context) (err error) {
	if f.cfg.Redis.Enabled() {
		if f.redis, err = redisx.Open(f.cfg.Redis, f.log); err != nil {
			return err
		}
	}
	f.limiter = f.newLimiter()
	return nil
}

// newLimiter counts over all processes where there is a Redis. Each has a memory
// of its own, so that no limit's callers push those of another out.
func (f *foundation) newLimiter() ratelimit.Limiter {
	memory := ratelimit.NewMemory(limitedKeys)
	if f.redis == nil {
		return memory
	}
	return ratelimit.NewRedis(f.redis, memory)
}

// openDatabase finds the database, starting the private one where it is used,
// and brings it up to date.
func (f *foundation) openDatabase(ctx context.Context) error {
	switch {
	case f.cfg.Server.Role == config.RoleProxy:
		return nil
	case f.cfg.Embedded():
		if err := f.startCluster(ctx); err != nil {
			return err
		}
	default:
		f.ownerURL = f.cfg.Server.DatabaseURL.Reveal()
	}
	if f.cfg.Server.DropIn {
		return nil
	}
	return project.Prepare(ctx, f.ownerURL, project.DefaultLogins(f.cfg.Claims.Secret), f.log, controlLines())
}

func (f *foundation) startCluster(ctx context.Context) error {
	f.cluster = embeddedpg.New(f.cfg.Postgres, f.cfg.Server.DataDir, f.log, f.opt.Err)
	started := time.Now()
	if err := f.cluster.Start(ctx); err != nil {
		return err
	}
	f.ownerURL = f.cluster.SocketURL()
	f.log.InfoContext(ctx, "private PostgreSQL is up", "version", f.cluster.Version(), "folder", f.cluster.StateDir(), "took", time.Since(started).Round(time.Millisecond))
	return writeConnection(f.cfg.Server.DataDir, f.cluster.URL())
}

func (f *foundation) openProject(ctx context.Context) (err error) {
	if f.ownerURL == "" {
		return nil
	}
	var databases project.Databases
	pools := project.PoolOptions{Sizes: f.cfg.Pools, Tracer: f.telemetry.SQL()}
	if f.cfg.Server.DropIn {
		databases, err = project.OpenForeign(ctx, f.ownerURL, pools)
	} else {
		databases, err = project.OpenDatabases(ctx, f.ownerURL, project.DefaultLogins(f.cfg.Claims.Secret), pools)
	}
	if err != nil {
		return err
	}
	for name, pool := range map[string]*db.Pool{"api": databases.API, "auth": databases.Auth, "storage": databases.Storage} {
		telemetry.PoolMetrics(f.metrics, name, pool.Pool)
	}
	telemetry.PostgresMetrics(f.metrics, databases.API.Pool)
	f.projects = project.NewDirectory(&project.Project{
		Ref: "default", DB: databases, Keys: f.keys, StoragePrefix: "default", PublicURL: publicURL(f.cfg),
	})
	return nil
}

// openRegistry reads which projects there are, and follows it.
func (f *foundation) openRegistry(ctx context.Context) error {
	if f.ownerURL == "" || f.cfg.Server.DropIn {
		return nil
	}
	sealer, err := registry.NewSealer(f.cfg.Registry, f.cfg.Claims.Secret)
	if err != nil {
		return err
	}
	f.registry, err = registry.New(ctx, registry.Options{OwnerURL: f.ownerURL, Sealer: sealer, Log: f.log})
	if err != nil {
		return err
	}
	if err := f.registry.Start(ctx); err != nil {
		return err
	}
	f.live, err = followKeys(ctx, f.registry, f.log, f.projects.All)
	return err
}

func (f *foundation) openBlobs(ctx context.Context) (err error) {
	names, err := chosen(f.cfg)
	if err != nil || !slices.Contains(names, "storage") {
		return err
	}
	store, err := driver.Open(ctx, f.cfg.Blob, filepath.Join(f.cfg.Server.DataDir, "storage"), f.log)
	if err != nil {
		return err
	}
	f.closers = append(f.closers, store)
	f.blobs = blob.Measure(store, f.metrics, f.cfg.Blob.Driver())
	return nil
}

// server returns an empty server that reports as role.
func (f *foundation) server(role string, access httpx.AccessConfig) *httpx.Server {
	return httpx.New(httpx.Deps{Log: f.log, Metrics: f.metrics, Tracer: f.telemetry.Tracer, Role: role, Access: access})
}

func (f *foundation) metricsHandler() http.Handler { return telemetry.Metrics(f.metrics) }

// failed reports the private PostgreSQL's end, which ends the process. Nil without one.
func (f *foundation) failed() <-chan error {
	if f.cluster == nil {
		return nil
	}
	failed := make(chan error, 1)
	go func() {
		<-f.cluster.Done()
		if err := f.cluster.Err(); err != nil {
			failed <- fmt.Errorf("the private PostgreSQL has ended: %w", err)
		}
	}()
	return failed
}

// announce tells that requests are served. In the embedded default it prints all
// that an app needs; elsewhere no secret reaches the output.
func (f *foundation) announce(address net.Addr, names []string) {
	f.log.Info("serving", "address", address.String(), "modules", names, "version", f.opt.Version)
	if f.cfg.Embedded() {
		newAccess(f.cfg, f.keys, f.cluster.URL()).print(f.opt)
	}
}

// parts are what the control plane's health looks at.
func (f *foundation) parts() []control.Part {
	parts := []control.Part{{Name: "database", Check: f.projects.Default().DB.API.Ping}}
	if f.redis != nil {
		parts = append(parts, control.Part{Name: "redis", Check: f.redis.Ping})
	}
	if f.blobs != nil {
		parts = append(parts, control.Part{Name: "storage", Check: func(ctx context.Context) error { return blob.Check(ctx, f.blobs) }})
	}
	for _, url := range f.cfg.Gateway.Workers {
		parts = append(parts, f.workerPart(url))
	}
	return parts
}

func (f *foundation) workerPart(url string) control.Part {
	return control.Part{Name: "worker " + url, Check: func(ctx context.Context) error {
		return httpx.CheckReady(ctx, f.transport, url)
	}}
}
