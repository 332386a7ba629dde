package gateway

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/madbase/madbase/platform/httpx"
)

// Config are the gateway's settings.
type Config struct {
	Workers []string `env:"WORKER_UPSTREAM_URLS" doc:"Base URLs of workers, comma separated (http://worker-1:8002,http://worker-2:8002). A proxy needs it where no worker registers itself (MADBASE_WORKER_URL)." group:"optional"`
	Control string   `env:"CONTROL_UPSTREAM_URL" doc:"Base URL of the control process (http://system:8001), which also tells of the workers that have registered. Empty: /platform/v1 answers 503." group:"optional"`

	AllowedOrigins []string `env:"ALLOWED_ORIGINS" default:"*" doc:"Web origins that browsers may call from, comma separated; * is any, https://*.example.com any subdomain." group:"optional"`
	TrustedProxies []string `env:"TRUSTED_PROXIES" doc:"Addresses and networks whose X-Forwarded-* headers are believed, comma separated; private_ranges stands for loopback and private networks. Empty: none." group:"optional"`
	RequireAPIKey  bool     `env:"MADBASE_REQUIRE_APIKEY" default:"true" doc:"Refuse requests without an API key, as hosted Supabase does; false lets them through as anon." group:"optional"`

	UpstreamConfig

	Limits Limits
}

// Validate names every fault of the settings. That there are workers is checked
// by New, as only role proxy needs them.
func (c Config) Validate() error {
	errs := []error{c.UpstreamConfig.Validate()}
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
