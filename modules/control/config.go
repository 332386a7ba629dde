package control

import (
	"errors"
	"net/url"
	"time"

	"github.com/madbase/madbase/platform/secret"
)

// Config are the control plane's settings.
type Config struct {
	AdminPassword secret.String `env:"ADMIN_PASSWORD" doc:"Password of the control plane at /platform/v1. Empty: its protected routes are closed. The embedded default generates one." group:"required"`
	SessionTTL    time.Duration `env:"MADBASE_ADMIN_SESSION" default:"12h" doc:"How long a session of the control plane lasts." group:"optional"`
	LoginsPerMin  int           `env:"MADBASE_ADMIN_LOGINS_PER_MINUTE" default:"10" doc:"Password attempts of one client address each minute." group:"optional"`

	LokiURL     string        `env:"LOKI_URL" doc:"Base URL of a Loki-compatible log store (http://loki:3100), for /platform/v1/logs." group:"optional"`
	LogPeers    []string      `env:"MADBASE_LOG_PEERS" doc:"Base URLs of proxies (http://proxy-1:8000), comma separated, whose recent logs the control plane searches beside its own and the workers'." group:"optional"`
	LogsTimeout time.Duration `env:"MADBASE_LOGS_TIMEOUT" default:"15s" doc:"How long a log query may take." group:"optional"`
	LogsMaxSize int64         `env:"MADBASE_LOGS_MAX_BYTES" default:"8388608" doc:"Largest answer to a log query in bytes." group:"optional"`
}

// Validate names every fault of the settings.
func (c Config) Validate() error {
	var errs []error
	if c.SessionTTL <= 0 {
		errs = append(errs, errors.New("MADBASE_ADMIN_SESSION must be positive"))
	}
	if c.LoginsPerMin < 1 {
		errs = append(errs, errors.New("MADBASE_ADMIN_LOGINS_PER_MINUTE must be at least 1"))
	}
	if c.LokiURL != "" {
		u, err := url.Parse(c.LokiURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" {
			errs = append(errs, errors.New("LOKI_URL must look like http://host:port"))
		}
	}
	for _, peer := range c.LogPeers {
		if u, err := url.Parse(peer); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			errs = append(errs, errors.New("MADBASE_LOG_PEERS must be addresses like http://host:port"))
		}
	}
	if c.LogsTimeout <= 0 || c.LogsMaxSize <= 0 {
		errs = append(errs, errors.New("MADBASE_LOGS_TIMEOUT and MADBASE_LOGS_MAX_BYTES must be positive"))
	}
	return errors.Join(errs...)
}
