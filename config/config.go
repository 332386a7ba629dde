// Package config is the only reader of the environment: it composes the Config
// of every package into one and fills it from defaults, a .env file, the
// environment and flags, in that order. It names all faults at once and never
// quotes a secret.
//
// A package declares its settings as a struct whose fields carry the tags
//
//	env:"NAME,ALIAS,..." default:"..." doc:"One sentence." group:"required|storage|optional" flag:"name"
//
// A name that ends in * collects every variable with that prefix into a map. The
// tag empty:"value" makes an empty variable a value, where nothing is a choice.
// The tag names:"first" lets the first name that is set win over the others.
// The tag scope:"project" on a setting or on a struct of them lets each project have
// a value of its own at run time (Overlay); scope:"process" takes one out of such a
// struct again. The tag secret:"values" says that a map may hold secrets.
// A method Validate() error on the struct is called after loading.
package config

import (
	"time"

	"github.com/madbase/madbase/cli"
	"github.com/madbase/madbase/modules/auth"
	"github.com/madbase/madbase/modules/control"
	"github.com/madbase/madbase/modules/gateway"
	"github.com/madbase/madbase/modules/rest"
	"github.com/madbase/madbase/modules/storage"
	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/edge"
	"github.com/madbase/madbase/platform/embeddedpg"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/log"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/redisx"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/secret"
	"github.com/madbase/madbase/platform/telemetry"
	"github.com/madbase/madbase/platform/tenant"
)

// Config is everything that can be set, by the package that it belongs to.
type Config struct {
	Server    Server
	Claims    claims.Config
	Log       log.Config
	Telemetry telemetry.Config
	HTTP      httpx.Config
	Transport httpx.TransportConfig
	Pools     project.PoolSizes
	Registry  registry.Config
	Projects  tenant.Config
	Postgres  embeddedpg.Config
	Redis     redisx.Config
	Blob      blob.Config
	Auth      auth.Config    `scope:"project"`
	Rest      rest.Config    `scope:"project"`
	Storage   storage.Config `scope:"project"`
	Gateway   gateway.Config
	Edge      edge.Config
	Control   control.Config
	CLI       cli.Config
}

// The roles that a process can have.
const (
	RoleAll     = "all"
	RoleProxy   = "proxy"
	RoleWorker  = "worker"
	RoleControl = "control"
)

// Server says what this process is, where it listens and what it stands on.
type Server struct {
	Role     string   `env:"MADBASE_ROLE" flag:"role" default:"all" doc:"What this process is: all (everything in one), proxy (front door), worker (auth, rest, storage) or control (projects, keys, logs)." group:"optional"`
	Modules  []string `env:"MADBASE_MODULES" flag:"modules" doc:"Only these of the role's modules, separated by commas; empty: all of them." group:"optional"`
	Listen   string   `env:"LISTEN_ADDR" flag:"listen" doc:"Address to listen on as host:port; by default :8000 for all and proxy, :8001 for control, :8002 for worker." group:"optional"`
	ListenFD int      `env:"MADBASE_LISTEN_FD" doc:"Number of a socket that listens already and that the process is given at its start, to serve on in place of LISTEN_ADDR; 3 with systemd's socket activation. 0: none." group:"optional"`
	DataDir  string   `env:"MADBASE_DATA_DIR" flag:"data-dir" default:"./.madbase" doc:"Folder that holds what no external service does: the private PostgreSQL, stored files, generated secrets." group:"optional"`

	DatabaseURL secret.String `env:"DATABASE_URL,DEFAULT_TENANT_DB_URL,PGRST_DB_URI,GOTRUE_DB_DATABASE_URL" doc:"PostgreSQL connection string of the database's owner. With role all it may be empty: a private PostgreSQL in the data folder is used." group:"required"`
	PublicURL   string        `env:"MADBASE_PUBLIC_URL,API_EXTERNAL_URL,GOTRUE_API_EXTERNAL_URL" doc:"Address under which clients reach madbase, as in links that it sends; a final /auth/v1 is left out. By default localhost, or the first of ACME_DOMAINS, with the front door's port." group:"optional"`
	WorkerURL   string        `env:"MADBASE_WORKER_URL" doc:"Base URL under which proxies reach this worker; {hostname} and {port} stand for its own (http://{hostname}:{port}). With it a worker registers itself, and proxies with CONTROL_UPSTREAM_URL find it. Empty: it does not register." group:"optional"`
	DropIn      bool          `env:"MADBASE_DROP_IN" doc:"Serve exactly one module at the root of the address, on a database that madbase neither migrates nor gives roles to. On when PGRST_DB_URI or GOTRUE_DB_DATABASE_URL names the database." group:"optional"`

	DrainDelay      time.Duration `env:"MADBASE_DRAIN_DELAY" doc:"How long a stopping process still accepts requests while it reports that it is not ready, so that balancers turn away first; by default 3s, and 0s with role all." group:"optional"`
	ShutdownTimeout time.Duration `env:"MADBASE_SHUTDOWN_TIMEOUT" default:"30s" doc:"How long requests in flight may take to finish when the process stops." group:"optional"`

	CompatHost string `env:"PGRST_SERVER_HOST,GOTRUE_API_HOST" doc:"Host to listen on, under the names of PostgREST and GoTrue; read only when LISTEN_ADDR is empty." group:"optional"`
	CompatPort int    `env:"PGRST_SERVER_PORT,GOTRUE_API_PORT" doc:"Port to listen on, under the names of PostgREST and GoTrue; read only when LISTEN_ADDR is empty." group:"optional"`
}

// Embedded reports whether the process runs its own PostgreSQL in the data folder.
func (c *Config) Embedded() bool {
	return c.Server.Role == RoleAll && c.Server.DatabaseURL == ""
}
