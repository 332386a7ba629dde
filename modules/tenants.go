package modules

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/config"
	"github.com/madbase/madbase/modules/auth"
	"github.com/madbase/madbase/modules/gateway"
	"github.com/madbase/madbase/modules/storage"
	"github.com/madbase/madbase/modules/storage/accesskey"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/module"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/provision"
	"github.com/madbase/madbase/platform/ratelimit"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/tenant"
)

// serveProjects has the front find the project of each request and the worker serve
// those of others than the default project, each by modules of its own, which the
// returned module opens and closes.
func (f *foundation) serveProjects(names []string, front *httpx.Server, behind func(role string) *httpx.Server) []module.Module {
	if f.cfg.Server.DropIn {
		return nil
	}
	resolver := tenant.Resolver{Config: f.cfg.Projects, Registry: f.registry, Keys: f.keys, Told: f.told.told}
	if u, err := url.Parse(publicURL(f.cfg)); err == nil {
		resolver.Host = u.Hostname()
	}
	var made []module.Module
	if f.registry != nil {
		f.provisioner = provision.New(provision.Deps{Registry: f.registry, OwnerURL: f.ownerURL, Lines: lines(), Blobs: f.blobs, Log: f.log})
		made = append(made, f.provisioner)
	}
	if served := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !slices.Contains(rolesOf[config.RoleWorker], name) }); len(served) > 0 {
		var budget *db.Budget
		f.tenants = tenant.NewDirectory(f.cfg.Projects, tenant.Deps{
			Registry: f.registry, Log: f.log, Metrics: f.metrics, Keys: f.tenantKeys, Limiter: f.limiter,
			Open: func(ctx context.Context, p registry.Project, keys *claims.Keys) (*tenant.Tenant, error) {
				return f.openTenant(ctx, p, keys, tenancy{served, f.innerAccess(names), budget})
			},
		})
		budget = db.NewBudget(f.cfg.Projects.Connections, f.tenants.Evict)
		f.metrics.GetOrCreateGauge("madbase_projects_db_connections", func() float64 { return float64(budget.Used()) })
		refuse := f.refusals(f.innerAccess(names))
		standing := &standing{f: f, names: served, access: f.innerAccess(names)}
		behind(config.RoleWorker).Wrap(func(other http.Handler) http.Handler {
			standing.other = other
			return tenant.Worker{
				Resolver: resolver, Directory: f.tenants, Standard: standing, Refuse: refuse,
				Authorize: f.authorize, ClientIP: f.proxies.ClientIP,
			}
		})
		if f.inboxURL() != "" && slices.Contains(served, "auth") {
			f.inbox = devInbox{standing.auth}
		}
		made = append(made, f.tenants, standing)
	}
	if slices.Contains(names, "gateway") {
		front.Wrap(resolver.Front)
	}
	return made
}

// keysOf are the keys that the gateway checks, where that is not left to the workers.
func (f *foundation) keysOf(r *http.Request) *claims.Keys {
	if tenant.Left(r) {
		return nil
	}
	return f.keys
}

// authorize checks r's API key in the gateway's place. A user's token that stands
// alone, as on uploads, makes the caller known, too.
func (f *foundation) authorize(r *http.Request, keys *claims.Keys) (known bool, err error) {
	key, err := gateway.Authorize(r, keys, f.cfg.Gateway.RequireAPIKey)
	if err != nil || key != "" {
		return key != "", err
	}
	token, err := keys.Token(r)
	if err == nil && token != "" {
		_, err = keys.Verify(token)
	}
	return err == nil && token != "", nil
}

// refusals answers requests that no tenant takes, in the gateway's dialect.
func (f *foundation) refusals(access httpx.AccessConfig) func(http.ResponseWriter, *http.Request, error) {
	s := f.server(config.RoleWorker, access)
	s.Mount("", refusals{})
	return func(w http.ResponseWriter, r *http.Request, err error) {
		s.Handler().ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), refusals{}, err)))
	}
}

// refusals is a module whose every request fails with the error in its context.
type refusals struct{ module.Base }

// Name is "refusals".
func (refusals) Name() string { return "refusals" }

// Routes takes every path.
func (refusals) Routes(g *echo.Group) {
	g.RouteNotFound("/*", func(c echo.Context) error {
		err, _ := c.Request().Context().Value(refusals{}).(error)
		return err
	})
}

// ErrorShape is the gateway's.
func (refusals) ErrorShape() apierr.Shape { return gateway.Shape() }

// noteUse writes down which of the project's API keys were used.
func (f *foundation) noteUse(ctx context.Context) {
	if err := f.registry.RecordUse(ctx, f.keys.TakeUsed()); err != nil {
		f.log.WarnContext(ctx, "the use of API keys cannot be written down", "error", err)
	}
}

// tenancy is what the tenants of a process have in common.
type tenancy struct {
	names  []string
	access httpx.AccessConfig
	budget *db.Budget
}

// openTenant brings the database of p up to date and starts the modules names for it.
func (f *foundation) openTenant(ctx context.Context, p registry.Project, keys *claims.Keys, t tenancy) (_ *tenant.Tenant, err error) {
	child, err := f.child(p, keys)
	if err != nil {
		return nil, err
	}
	ownerURL, logins, err := f.provisioner.Database(p)
	if err == nil {
		err = f.provisioner.Prepare(ctx, p)
	}
	if err != nil {
		return nil, err
	}
	child.tenant.DB, err = project.OpenDatabases(ctx, ownerURL, logins, project.PoolOptions{
		Sizes: f.cfg.Projects.Pools(f.cfg.Pools), Tracer: f.telemetry.SQL(), Budget: t.budget,
	})
	if err != nil {
		return nil, err
	}
	served, err := assembleProject(child, t.names, t.access)
	if err == nil {
		err = served.set.Start(ctx)
	}
	if err != nil {
		child.tenant.DB.Close()
		return nil, err
	}
	return &tenant.Tenant{
		Handler: served.server.Handler(), Waiting: child.waiting(served.set.Modules()),
		Tend: child.noteUse,
		Close: func(ctx context.Context) error {
			defer child.tenant.DB.Close()
			child.noteUse(ctx)
			return served.set.Stop(ctx)
		},
	}, nil
}

// imageShare is the part of the process's cache of images that one project more has.
const imageShare = 8

// withSettings is the foundation with the settings of p over the process's.
func (f *foundation) withSettings(p registry.Project) (*foundation, error) {
	values, err := f.registry.Values(p)
	if err != nil {
		return nil, err
	}
	child := *f
	child.cfg, err = overlay(f.cfg, values)
	return &child, err
}

// tenantKeys are the keys of p as it is now.
func (f *foundation) tenantKeys(p registry.Project) (*claims.Keys, error) {
	keys, err := f.registry.Keys(p)
	if err != nil {
		return nil, err
	}
	live, err := f.registry.Live(f.registry.Snapshot(), p.Ref)
	if err == nil {
		err = keys.Use(live)
	}
	return keys, err
}

// child is the foundation of p alone: this one's, with p's settings and keys and
// nothing by which p could meet another project.
func (f *foundation) child(p registry.Project, keys *claims.Keys) (*foundation, error) {
	process, own := *f.cfg, *f
	process.Rest.AppSettings = nil // any SQL reads them: the process's are the default project's alone
	own.cfg = &process
	child, err := own.withSettings(p)
	if err != nil {
		return nil, err
	}
	secrets, err := f.registry.Secrets(p)
	if err != nil {
		return nil, err
	}
	// Of the default project's own secrets none may open another one.
	child.cfg.Claims = claims.Config{Secret: secrets.JWTSecret}
	child.cfg.Rest.JWT.Secret = ""
	child.cfg.Storage.S3.Key = accesskey.Config{}
	child.cfg.Storage.Images.CacheBytes /= imageShare
	child.keys = keys
	child.log = f.log.With("project", p.Ref)
	child.limiter = ratelimit.Scoped(f.limiter, "project/"+p.Ref)
	child.tenants, child.provisioner = nil, nil
	child.tenant = &project.Project{
		Ref: p.Ref, Keys: child.keys, StoragePrefix: p.StoragePrefix, PublicURL: f.projectURL(p.Ref),
	}
	child.projects = project.NewDirectory(child.tenant)
	return child, nil
}

// assembleProject makes the modules of names on the foundation of one project.
func assembleProject(f *foundation, names []string, access httpx.AccessConfig) (program, error) {
	p := program{server: f.server(config.RoleWorker, access)}
	var made []module.Module
	for _, name := range names {
		m, err := f.workerModule(name)
		if err != nil {
			return program{}, fmt.Errorf("module %s: %w", name, err)
		}
		f.mount(p.server, name, m)
		made = append(made, m)
	}
	p.set = module.NewSet(made...)
	return p, nil
}

// waiting asks the modules with an outbox whether there is something in it. What
// cannot be asked is not waited for.
func (f *foundation) waiting(made []module.Module) func(context.Context) bool {
	return func(ctx context.Context) bool {
		for _, m := range made {
			var waits bool
			var err error
			switch m := m.(type) {
			case *auth.Module:
				waits, err = m.Waiting(ctx, f.tenant)
			case *storage.Module:
				waits, err = m.Waiting(ctx, f.tenant)
			}
			if err == nil && waits {
				return true
			}
		}
		return false
	}
}

// projectURL is the address of a project for its clients.
func (f *foundation) projectURL(ref string) string {
	if ref == registry.DefaultRef {
		return publicURL(f.cfg)
	}
	return f.cfg.Projects.PublicURL(publicURL(f.cfg), ref)
}
