package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settle fills in the defaults that depend on other settings. origin says which
// variable gave each setting.
func (c *Config) settle(origin map[string]string) {
	s := &c.Server
	if s.Listen == "" {
		s.Listen = s.defaultListen()
	}
	switch origin["DATABASE_URL"] {
	case "PGRST_DB_URI", "GOTRUE_DB_DATABASE_URL":
		if origin["MADBASE_DROP_IN"] == "" {
			s.DropIn = true
		}
	}
	c.settleREST(origin)
	if s.DropIn && origin["GOTRUE_MAILER_AUTOCONFIRM"] == "" {
		c.Auth.Autoconfirm = false // GoTrue's default, in its place: who relies on it must not find addresses taken unasked
	}
	if s.Role != RoleAll && origin["MADBASE_DRAIN_DELAY"] == "" {
		s.DrainDelay = defaultDrainDelay
	}
	s.PublicURL = strings.TrimRight(s.PublicURL, "/")
	if !s.DropIn { // API_EXTERNAL_URL is auth's own address where Supabase's tools write it
		s.PublicURL = strings.TrimRight(strings.TrimSuffix(s.PublicURL, "/auth/v1"), "/")
	}
	if s.PublicURL == "" {
		s.PublicURL = c.defaultPublicURL()
	}
}

// settleREST gives the REST surface the secret under either of its names and, in
// place of PostgREST, PostgREST's own defaults.
func (c *Config) settleREST(origin map[string]string) {
	r := &c.Rest
	if !c.Server.DropIn {
		if c.Claims.Secret == "" {
			c.Claims.Secret = r.JWT.Secret
		}
		return
	}
	if r.JWT.Secret == "" {
		r.JWT.Secret = c.Claims.Secret
	}
	if origin["PGRST_DB_ANON_ROLE"] == "" {
		r.AnonRole = ""
	}
	if origin["PGRST_DB_EXTRA_SEARCH_PATH"] == "" {
		r.ExtraSearchPath = []string{"public"}
	}
}

// defaultDrainDelay is more than a proxy's time between two health checks, and their timeout.
const defaultDrainDelay = 3 * time.Second

var defaultPorts = map[string]int{RoleAll: 8000, RoleProxy: 8000, RoleControl: 8001, RoleWorker: 8002}

func (s Server) defaultListen() string {
	host, port := s.CompatHost, defaultPorts[s.Role]
	if strings.HasPrefix(host, "!") || strings.HasPrefix(host, "*") { // PostgREST's ways to say "any address"
		host = ""
	}
	if s.CompatPort != 0 {
		port = s.CompatPort
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// defaultPublicURL is empty when the port is known only after listening.
func (c *Config) defaultPublicURL() string {
	s, port := c.Server, strconv.Itoa(defaultPorts[RoleProxy])
	if s.Role == RoleAll || s.Role == RoleProxy {
		_, port, _ = net.SplitHostPort(s.Listen) // validate reports a malformed one
		if port == "0" || port == "" {
			return ""
		}
	}
	return c.Edge.URL(port)
}

// validate returns every fault of the values and of their combination.
func (c *Config) validate() error {
	errs := []error{c.required()}
	if own := c.Rest.JWT.Secret; own != "" && own != c.Claims.Secret && !c.Server.DropIn {
		errs = append(errs, errors.New("JWT_SECRET and PGRST_JWT_SECRET are names of one setting and have different values"))
	}
	errs = append(errs, validateSections(c, func(reflect.StructField) bool { return true }))
	return errors.Join(errs...)
}

// validateSections asks those fields of c that which picks for their faults.
func validateSections(c *Config, which func(reflect.StructField) bool) error {
	var errs []error
	root := reflect.ValueOf(c).Elem()
	for i := range root.NumField() {
		if v, ok := root.Field(i).Addr().Interface().(interface{ Validate() error }); ok && which(root.Type().Field(i)) {
			errs = append(errs, v.Validate())
		}
	}
	return errors.Join(errs...)
}

// required names what this role cannot do without. Only role all with its
// private PostgreSQL makes its own secrets.
func (c *Config) required() error {
	if c.Embedded() {
		return nil
	}
	s := c.Server
	var errs []error
	if s.DatabaseURL == "" && s.Role != RoleProxy {
		errs = append(errs, fmt.Errorf("DATABASE_URL is required with role %s", s.Role))
	}
	if c.Claims.Secret == "" && !s.DropIn {
		reason := "role " + s.Role
		if s.Role == RoleAll {
			reason = "DATABASE_URL"
		}
		errs = append(errs, fmt.Errorf("JWT_SECRET is required with %s", reason))
	}
	if s.Role == RoleProxy && len(c.Gateway.Workers) == 0 && c.Gateway.Control == "" {
		errs = append(errs, errors.New("WORKER_UPSTREAM_URLS or CONTROL_UPSTREAM_URL is required with role proxy"))
	}
	return errors.Join(errs...)
}

// Validate names every fault of the server's settings.
func (s Server) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, ok := defaultPorts[s.Role]; !ok {
		fault("MADBASE_ROLE: %q is none of all, proxy, worker, control", s.Role)
	}
	if _, port, err := net.SplitHostPort(s.Listen); err != nil || !validPort(port) {
		fault("LISTEN_ADDR: %q is not host:port", s.Listen)
	}
	if s.ListenFD != 0 && s.ListenFD < 3 {
		fault("MADBASE_LISTEN_FD must be 3 or more: below are input, output and errors")
	}
	if s.DataDir == "" {
		fault("MADBASE_DATA_DIR must not be empty")
	}
	if s.DatabaseURL != "" && !looksLikeDatabase(s.DatabaseURL.Reveal()) {
		fault("DATABASE_URL: not a postgresql:// URL or a list of keyword=value")
	}
	if u, err := url.Parse(s.PublicURL); s.PublicURL != "" && (err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https")) {
		fault("MADBASE_PUBLIC_URL: %q is not an http or https URL", s.PublicURL)
	}
	if text := strings.NewReplacer("{hostname}", "h", "{port}", "1").Replace(s.WorkerURL); text != "" {
		if u, err := url.Parse(text); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || strings.Trim(u.Path, "/")+u.RawQuery != "" {
			fault("MADBASE_WORKER_URL must look like http://host:port")
		}
	}
	if s.DropIn && (len(s.Modules) != 1 || s.DatabaseURL == "") {
		fault("MADBASE_DROP_IN (also on by PGRST_DB_URI and GOTRUE_DB_DATABASE_URL) needs exactly one module in MADBASE_MODULES and a database")
	}
	if s.DropIn && s.Role != RoleAll && s.Role != RoleWorker {
		fault("MADBASE_DROP_IN contradicts role %s", s.Role)
	}
	if s.DrainDelay < 0 || s.ShutdownTimeout <= 0 {
		fault("MADBASE_DRAIN_DELAY must not be negative and MADBASE_SHUTDOWN_TIMEOUT must be above zero")
	}
	return errors.Join(errs...)
}

func validPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n <= 65535
}

// looksLikeDatabase tells a connection string from a mistake; pgx parses it later.
func looksLikeDatabase(text string) bool {
	if u, err := url.Parse(text); err == nil && u.Scheme != "" {
		return slices.Contains([]string{"postgres", "postgresql"}, u.Scheme)
	}
	return strings.Contains(text, "=") && !strings.Contains(text, "://")
}
