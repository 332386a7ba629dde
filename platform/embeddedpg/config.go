package embeddedpg

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
)

// Config holds the settings of the private PostgreSQL cluster. None is needed; they matter only when no database URL is given.
type Config struct {
	// Port is the TCP port on 127.0.0.1; 0 picks a free one at each start.
	Port int `env:"MADBASE_PG_PORT" default:"54322" doc:"TCP port on 127.0.0.1 of the private PostgreSQL; when it is taken, only the unix socket is used. 0 picks a free port." group:"optional"`
	// BinDir is a folder holding initdb and postgres; when set, no other place is searched.
	BinDir string `env:"MADBASE_PG_BIN" doc:"Folder with the initdb and postgres programs to use for the private PostgreSQL; by default they are looked for, and downloaded once when absent." group:"optional"`
	// User is the unprivileged user that runs postgres when madbase itself runs as root.
	User string `env:"MADBASE_PG_USER" doc:"System user that runs the private PostgreSQL when madbase runs as root; by default the first of madbase, postgres, nobody that exists." group:"optional"`
	// MirrorURL is the base of the npm registry, or of a mirror of it, that serves the pinned PostgreSQL package.
	MirrorURL string `env:"MADBASE_PG_URL" doc:"Base URL of a mirror of the npm registry that serves the pinned PostgreSQL package, fetched only when no local binaries exist; empty is the registry itself." group:"optional"`
	// MaxConnections is PostgreSQL's max_connections.
	MaxConnections int `env:"MADBASE_PG_MAX_CONNECTIONS" default:"100" doc:"Connections that the private PostgreSQL accepts." group:"optional"`
}

// Validate reports every setting that cannot work, each by the name of its variable.
func (c Config) Validate() error {
	var errs []error
	if c.Port < 0 || c.Port > 65535 {
		errs = append(errs, fmt.Errorf("MADBASE_PG_PORT: %d is not a port", c.Port))
	}
	if c.BinDir != "" && !filepath.IsAbs(c.BinDir) {
		errs = append(errs, fmt.Errorf("MADBASE_PG_BIN: %q is not an absolute path", c.BinDir))
	}
	if c.MirrorURL != "" {
		if u, err := url.Parse(c.MirrorURL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			errs = append(errs, errors.New("MADBASE_PG_URL: not an http or https URL"))
		}
	}
	if c.MaxConnections < 10 {
		errs = append(errs, fmt.Errorf("MADBASE_PG_MAX_CONNECTIONS: %d is below 10", c.MaxConnections))
	}
	return errors.Join(errs...)
}
