// Package modules puts the program together: which modules exist, which role has
// which, where they are mounted and who talks to whom. A reader learns the whole
// program in this file; what the modules stand on is in foundation.go.
package modules

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/config"
	"github.com/madbase/madbase/modules/auth"
	"github.com/madbase/madbase/modules/auth/password"
	"github.com/madbase/madbase/modules/control"
	"github.com/madbase/madbase/modules/gateway"
	"github.com/madbase/madbase/modules/rest"
	"github.com/madbase/madbase/modules/storage"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/migrate"
	"github.com/madbase/madbase/platform/module"
	"github.com/madbase/madbase/platform/receipt"
	"github.com/madbase/madbase/platform/tenant"
	"github.com/madbase/madbase/sql"
)

// rolesOf lists the modules of each role in their starting order.
var rolesOf = map[string][]string{
	config.RoleAll:     {"auth", "rest", "storage", "control", "gateway"},
	config.RoleWorker:  {"auth", "rest", "storage"},
	config.RoleControl: {"control"},
	config.RoleProxy:   {"gateway"},
}

// prefixes are where the gateway expects each module.
var prefixes = map[string]string{
	"auth":    "/auth/v1",
	"rest":    "/rest/v1",
	"storage": "/storage/v1",
	"control": "/platform/v1",
	"gateway": "",
}

// chosen returns the modules of the role that --modules leaves.
func chosen(cfg *config.Config) ([]string, error) {
	names := rolesOf[cfg.Server.Role]
	if len(cfg.Server.Modules) == 0 {
		return names, nil
	}
	for _, name := range cfg.Server.Modules {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("role %s has no module %q; it has %s", cfg.Server.Role, name, strings.Join(names, ", "))
		}
	}
	kept := []string{}
	for _, name := range names {
		if slices.Contains(cfg.Server.Modules, name) {
			kept = append(kept, name)
		}
	}
	return kept, nil
}

// lines are the migrations of a project's database, in the order that their
// schemas need each other.
func lines() []migrate.Line {
	return []migrate.Line{
		{Name: "bootstrap", Files: sql.Line("bootstrap")},
		{Name: "auth", Files: sql.Line("auth")},
		{Name: "storage", Files: sql.Line("storage")},
	}
}

// controlLines are those of the control database, which is also the default project's.
func controlLines() []migrate.Line {
	return append(lines(), migrate.Line{Name: "platform", Files: sql.Line("platform")})
}

// program is one process: the server that its listener feeds and the modules
// behind it, in starting order.
type program struct {
	server *httpx.Server
	set    *module.Set
}

// assemble makes the modules of names on the foundation f. With the gateway among
// them, the others stand behind it as handlers, without a socket between.
func assemble(f *foundation, names []string) (program, error) {
	front, access := f.server(f.cfg.Server.Role, f.cfg.HTTP.Access), f.innerAccess(names)
	inner := map[string]*httpx.Server{}
	behind := func(role string) *httpx.Server {
		if !slices.Contains(names, "gateway") {
			return front
		}
		if inner[role] == nil {
			inner[role] = f.server(role, access)
		}
		return inner[role]
	}
	if slices.Contains(names, "auth") {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + password.Slots()) // hashing takes no processor from requests: Linux shares the cores out
	}
	f.tellLogs(front)
	made := f.serveProjects(names, front, behind)
	for _, name := range names {
		var m module.Module
		var err error
		server, role := front, config.RoleWorker
		switch name {
		case "auth", "rest", "storage":
			if f.registry != nil {
				continue // serveProjects has made it
			}
			m, err = f.workerModule(name)
		case "control":
			role = config.RoleControl
			m, err = f.control()
		case "gateway":
			m, err = f.gateway(handler(inner[config.RoleWorker]), handler(inner[config.RoleControl]))
		}
		if err != nil {
			return program{}, fmt.Errorf("module %s: %w", name, err)
		}
		if name != "gateway" {
			server = behind(role)
		}
		f.mount(server, name, m)
		made = append(made, m)
		if g, ok := m.(*gateway.Module); ok {
			made = f.follow(made, g)
		}
	}
	made, err := f.register(made)
	if err != nil {
		return program{}, err
	}
	return program{server: front, set: module.NewSet(made...)}, nil
}

// innerAccess is what servers log that may stand behind a gateway in this process:
// the front door's line is enough.
func (f *foundation) innerAccess(names []string) httpx.AccessConfig {
	access := f.cfg.HTTP.Access
	if access.Level == "info" && slices.Contains(names, "gateway") {
		access.Level = "debug"
	}
	return access
}

// mount registers m where the gateway expects it; a drop-in for PostgREST, GoTrue
// or storage answers at the root, as the original does, and with its CORS rules.
func (f *foundation) mount(s *httpx.Server, name string, m module.Module) {
	var mw []echo.MiddlewareFunc
	if f.projects != nil {
		mw = append(mw, f.projects.Resolve())
	}
	prefix := prefixes[name]
	if f.cfg.Server.DropIn {
		prefix = ""
		if own, ok := m.(interface {
			CORS(echo.HandlerFunc) echo.HandlerFunc
		}); ok {
			mw = append(mw, own.CORS)
		}
	}
	s.Mount(prefix, m, mw...)
}

func handler(s *httpx.Server) http.Handler {
	if s == nil {
		return nil
	}
	return s.Handler()
}

// workerModule makes one of the modules that serve a project.
func (f *foundation) workerModule(name string) (module.Module, error) {
	switch name {
	case "auth":
		return f.auth()
	case "rest":
		return f.rest()
	}
	return f.storage()
}

func (f *foundation) auth() (module.Module, error) {
	return auth.New(f.cfg.Auth, auth.Deps{
		Log: f.log, Metrics: f.metrics, Limiter: f.limiter, ClientIP: f.proxies.ClientIP, Version: f.opt.Version, Projects: f.projects,
		MailSecret: f.cfg.Claims.Secret, InboxURL: f.inboxURL(), DropIn: f.cfg.Server.DropIn,
	})
}

func (f *foundation) rest() (module.Module, error) {
	return rest.New(f.cfg.Rest, rest.Deps{Projects: f.projects, Log: f.log, DropIn: f.cfg.Server.DropIn}), nil
}

func (f *foundation) storage() (module.Module, error) {
	return storage.New(f.cfg.Storage, storage.Deps{Log: f.log, Blobs: f.blobs, Projects: f.projects, Sealer: f.sealer()}), nil
}

func (f *foundation) control() (module.Module, error) {
	var orphans control.Orphans
	if f.blobs != nil {
		orphans = orphanFinder{storage.NewOrphans(f.blobs)}
	}
	return control.New(f.cfg.Control, control.Deps{
		Projects: f.projects, Log: f.log, Limiter: f.limiter, Transport: f.transport,
		Proxies: f.proxies, Parts: f.parts(), Workers: f.workerParts, Inbox: f.inbox, Orphans: orphans, JWTSecret: f.cfg.Claims.Secret,
		Topology: f.serveTopology(), Registry: f.registry, Settings: projectSettings{f.cfg}, Keys: f.firstKeys, LogSources: f.logSources,
		Provisioner: f.provisioner, PublicURL: f.projectURL,
		S3Keys: f.s3Keys(),
	})
}

func (f *foundation) gateway(worker, control http.Handler) (module.Module, error) {
	return gateway.New(f.cfg.Gateway, gateway.Deps{
		Log: f.log, Metrics: f.metrics, Keys: f.keysOf, Revoked: f.revoked, Project: tenant.Ref, Tell: tenant.Tell,
		Transport: f.transport, Worker: worker, Control: control, Version: f.opt.Version,
		Limiter: f.newLimiter(), PublicURL: publicURL(f.cfg), Receipts: f.receipts(),
	})
}

// receipts are remembered among all processes where there is a Redis.
func (f *foundation) receipts() gateway.Receipts {
	if f.redis == nil {
		return receipt.NewMemory()
	}
	return receipt.NewRedis(f.redis)
}
