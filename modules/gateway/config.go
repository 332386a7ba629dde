package gateway

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/madbase/madbase/platform/httpx"
)

// Config are the gateway's settings.
type Config struct {
	Workers []string `env:"WORKER_UPSTREAM_URLS" doc:"Base URLs of the workers, comma separated (http://worker-1:8002,http://worker-2:8002)." group:"required"`
	Control string   `env:"CONTROL_UPSTREAM_URL" doc:"Base URL of the control process (http://system:8001). Empty: /platform/v1 answers 503." group:"optional"`

	AllowedOrigins []string `env:"ALLOWED_ORIGINS" default:"*" doc:"Web origins that browsers may call from, comma separated; * is any, https://*.example.com any subdomain." group:"optional"`
	TrustedProxies []string `env:"TRUSTED_PROXIES" doc:"Addresses and networks whose X-Forwarded-* headers are believed, comma separated; private_ranges stands for loopback and private networks. Empty: none." group:"optional"`
	RequireAPIKey  bool     `env:"MADBASE_REQUIRE_APIKEY" default:"true" doc:"Refuse requests without an API key, as hosted Supabase does; false lets them through as anon." group:"optional"`

	HealthInterval time.Duration `env:"MADBASE_HEALTH_INTERVAL" default:"2s" doc:"Time between two health checks of an upstream; 0 turns them off." group:"optional"`
	HealthTimeout  time.Duration `env:"MADBASE_HEALTH_TIMEOUT" default:"1s" doc:"How long an upstream may take to answer a health check." group:"optional"`
	HealthRise     int           `env:"MADBASE_HEALTH_RISE" default:"2" doc:"Good health checks in a row that bring an upstream back." group:"optional"`
	HealthFall     int           `env:"MADBASE_HEALTH_FALL" default:"3" doc:"Unanswered health checks in a row that take an upstream out; an answer other than 2xx does so at once." group:"optional"`
	EjectAfter     int           `env:"MADBASE_EJECT_AFTER" default:"5" doc:"Requests in a row that break on an upstream before it gets none for a while; 0 turns this off." group:"optional"`
	EjectFor       time.Duration `env:"MADBASE_EJECT_FOR" default:"10s" doc:"How long such an upstream gets no requests; doubles each time, up to 5 minutes." group:"optional"`

	Limits Limits
}

// Validate names every fault of the settings. That there are workers is checked
// by New, as only role proxy needs them.
func (c Config) Validate() error {
	var errs []error
	for _, text := range c.Workers {
		if err := checkBaseURL(text); err != nil {
			errs = append(errs, fmt.Errorf("WORKER_UPSTREAM_URLS: %w", err))
		}
	}
	if c.Control != "" {
		if err := checkBaseURL(c.Control); err != nil {
			errs = append(errs, fmt.Errorf("CONTROL_UPSTREAM_URL: %w", err))
		}
	}
	if _, err := httpx.ParseProxies(c.TrustedProxies); err != nil {
		errs = append(errs, fmt.Errorf("TRUSTED_PROXIES: %w", err))
	}
	for _, origin := range c.AllowedOrigins {
		if err := checkOrigin(origin); err != nil {
			errs = append(errs, fmt.Errorf("ALLOWED_ORIGINS: %w", err))
		}
	}
	if c.HealthInterval < 0 || c.HealthInterval > 0 && c.HealthTimeout <= 0 {
		errs = append(errs, errors.New("MADBASE_HEALTH_INTERVAL must not be negative and MADBASE_HEALTH_TIMEOUT be positive"))
	}
	if c.HealthInterval > 0 && (c.HealthRise < 1 || c.HealthFall < 1) {
		errs = append(errs, errors.New("MADBASE_HEALTH_RISE and MADBASE_HEALTH_FALL must be at least 1"))
	}
	if c.EjectAfter < 0 || c.EjectAfter > 0 && c.EjectFor <= 0 {
		errs = append(errs, errors.New("MADBASE_EJECT_AFTER must not be negative and MADBASE_EJECT_FOR be positive"))
	}
	return errors.Join(append(errs, c.Limits.Validate())...)
}

// checkBaseURL accepts http://host:port and nothing behind it: paths pass as they are.
func checkBaseURL(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return fmt.Errorf("%q is not a URL", text)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return fmt.Errorf("%q must look like http://host:port", u.Redacted())
	}
	return nil
}
