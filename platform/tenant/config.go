// Package tenant has each project beside the default one served by modules of its
// own: it finds the project of a request, opens its tenant when it is first asked
// for, and closes it when it is no longer used, has changed or has to make room.
package tenant

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/madbase/madbase/platform/project"
)

// Config bounds what the projects beside the default one may take of a process.
type Config struct {
	Domain string `env:"MADBASE_PROJECTS_DOMAIN" doc:"Domain whose subdomains are projects: with projects.example.com, blog.projects.example.com is the project blog. A port is part of the addresses that leave, such as links in mails. Empty: projects are at /project/<ref> and found by their keys." group:"optional"`

	Open        int           `env:"MADBASE_PROJECTS_OPEN" default:"50" doc:"Projects, beside the default one, that one process serves at once; who was asked for least lately makes room." group:"optional"`
	Connections int           `env:"MADBASE_PROJECTS_CONNECTIONS" default:"50" doc:"Database connections that one process has open at most for all these projects together." group:"optional"`
	API         int           `env:"MADBASE_PROJECT_DB_POOL" default:"6" doc:"Connections of one process for API requests of one such project." group:"optional"`
	Auth        int           `env:"MADBASE_PROJECT_DB_AUTH_POOL" default:"3" doc:"Connections of one process for auth of one such project." group:"optional"`
	Storage     int           `env:"MADBASE_PROJECT_DB_STORAGE_POOL" default:"3" doc:"Connections of one process for storage's own bookkeeping of one such project." group:"optional"`
	Requests    int           `env:"MADBASE_PROJECT_REQUESTS" default:"200" doc:"Requests of one such project under way at once in one process; more are answered with 429." group:"optional"`
	Strangers   int           `env:"MADBASE_PROJECT_OPENINGS" default:"30" doc:"Times a minute that one client address may have such projects opened by requests without a valid key, as for public objects; more are answered with 429. Counted over all workers with REDIS_URL." group:"optional"`
	Idle        time.Duration `env:"MADBASE_PROJECT_IDLE" default:"10m" doc:"How long a project stays open in a process that nobody asks for it." group:"optional"`
}

// connectionIdle is how long a tenant's pools keep a connection that nobody uses: it
// counts against all other projects.
const connectionIdle = time.Minute

// listeners are the connections of a tenant beside its pools: REST's schema cache has one.
const listeners = 1

// perProject is the most that one tenant takes of Connections.
func (c Config) perProject() int { return c.API + c.Auth + c.Storage + listeners }

// Pools are the sizes of one tenant's pools, with the times of the process's.
func (c Config) Pools(process project.PoolSizes) project.PoolSizes {
	process.API, process.Auth, process.Storage = c.API, c.Auth, c.Storage
	process.Idle = min(process.Idle, connectionIdle)
	return process
}

// Validate names every fault of the settings.
func (c Config) Validate() error {
	var errs []error
	if c.API < 1 || c.Auth < 1 || c.Storage < 1 {
		errs = append(errs, errors.New("MADBASE_PROJECT_DB_POOL, MADBASE_PROJECT_DB_AUTH_POOL and MADBASE_PROJECT_DB_STORAGE_POOL must be at least 1"))
	} else if c.Open < 1 || c.Connections < c.perProject() {
		errs = append(errs, errors.New("MADBASE_PROJECTS_OPEN must be at least 1, and MADBASE_PROJECTS_CONNECTIONS suffice for the pools of one project and one more"))
	}
	if c.Requests < 1 || c.Strangers < 1 || c.Idle <= 0 {
		errs = append(errs, errors.New("MADBASE_PROJECT_REQUESTS and MADBASE_PROJECT_OPENINGS must be at least 1 and MADBASE_PROJECT_IDLE be positive"))
	}
	if u, err := url.Parse("http://" + c.Domain); c.Domain != "" && (err != nil || u.Host != c.Domain || u.Hostname() == "" || strings.HasPrefix(c.Domain, ".")) {
		errs = append(errs, errors.New("MADBASE_PROJECTS_DOMAIN must be a domain, with a port or without"))
	}
	return errors.Join(errs...)
}

// host is the domain without its port, in lower case.
func (c Config) host() string { return withoutPort(c.Domain) }

func withoutPort(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// PublicURL is the address of the project ref for its clients, where base is the
// default project's.
func (c Config) PublicURL(base, ref string) string {
	if c.Domain == "" {
		return strings.TrimRight(base, "/") + pathPrefix + ref
	}
	scheme, _, _ := strings.Cut(base, "://")
	return scheme + "://" + ref + "." + c.Domain
}
