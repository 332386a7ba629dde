package auth

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/saml"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/ratelimit"
	"github.com/madbase/madbase/platform/secret"
)

// SAMLConfig are the settings of single sign-on, by GoTrue's names.
type SAMLConfig struct {
	Enabled             bool          `env:"GOTRUE_SAML_ENABLED" default:"false" doc:"Single sign-on by SAML 2.0." group:"optional"`
	PrivateKey          secret.String `env:"GOTRUE_SAML_PRIVATE_KEY" doc:"RSA key of at least 2048 bits, as PKCS #1 DER in base64; it signs requests to identity providers." group:"optional"`
	PrivateKeyNext      secret.String `env:"GOTRUE_SAML_PRIVATE_KEY_NEXT" doc:"The key that will follow, or the one before: identity providers learn it from the metadata, and what they encrypt for it is read." group:"optional"`
	AllowEncrypted      bool          `env:"GOTRUE_SAML_ALLOW_ENCRYPTED_ASSERTIONS" default:"false" doc:"Take encrypted assertions, and offer the key for it. Without it they are refused." group:"optional"`
	RelayStateValidity  time.Duration `env:"GOTRUE_SAML_RELAY_STATE_VALIDITY_PERIOD" default:"2m" doc:"How long a sign-in at an identity provider may take." group:"optional"`
	ExternalURL         string        `env:"GOTRUE_SAML_EXTERNAL_URL" doc:"Address of the API as identity providers know it, where it is not the public one with /auth/v1." group:"optional"`
	RateLimitAssertions int           `env:"GOTRUE_SAML_RATE_LIMIT_ASSERTION" default:"15" doc:"Answers of identity providers per caller in 5 minutes; 0 is no limit." group:"optional"`
	RateLimit           int           `env:"GOTRUE_RATE_LIMIT_SSO" default:"30" doc:"Sign-ins at identity providers begun per caller in 5 minutes; 0 is no limit." group:"optional"`
}

// Validate names every faulty variable.
func (c SAMLConfig) Validate() error {
	var errs []error
	if c.RateLimit < 0 || c.RateLimitAssertions < 0 {
		errs = append(errs, errors.New("GOTRUE_RATE_LIMIT_SSO and GOTRUE_SAML_RATE_LIMIT_ASSERTION must not be negative"))
	}
	if c.RelayStateValidity < 0 {
		errs = append(errs, errors.New("GOTRUE_SAML_RELAY_STATE_VALIDITY_PERIOD must not be negative"))
	}
	if u, err := url.ParseRequestURI(c.ExternalURL); c.ExternalURL != "" && (err != nil || u.Host == "") {
		errs = append(errs, errors.New("GOTRUE_SAML_EXTERNAL_URL is not a URL"))
	}
	if !c.Enabled {
		return errors.Join(errs...)
	}
	if _, err := saml.ParseKey(c.PrivateKey.Reveal()); err != nil {
		errs = append(errs, fmt.Errorf("GOTRUE_SAML_PRIVATE_KEY %w", err))
	}
	if _, err := saml.ParseKey(c.PrivateKeyNext.Reveal()); c.PrivateKeyNext != "" && err != nil {
		errs = append(errs, fmt.Errorf("GOTRUE_SAML_PRIVATE_KEY_NEXT %w", err))
	}
	return errors.Join(errs...)
}

// relayStateValidity is how long a sign-in may take when the setting is 0, GoTrue's.
const relayStateValidity = 2 * time.Minute

func (c SAMLConfig) relayStateValidity() time.Duration {
	if c.RelayStateValidity == 0 {
		return relayStateValidity
	}
	return c.RelayStateValidity
}

// sso is what single sign-on keeps while the module stands.
type sso struct {
	key, next *rsa.PrivateKey
	// fetches bounds how often a provider's metadata is asked for again.
	fetches *ratelimit.Memory
}

// fetchedProviders is how many providers are told apart there.
const fetchedProviders = 1024

// newSSO reads settings that Validate has passed.
func newSSO(c SAMLConfig) (s sso, err error) {
	s.fetches = ratelimit.NewMemory(fetchedProviders)
	if !c.Enabled {
		return s, nil
	}
	if s.key, err = saml.ParseKey(c.PrivateKey.Reveal()); err == nil && c.PrivateKeyNext != "" {
		s.next, err = saml.ParseKey(c.PrivateKeyNext.Reveal())
	}
	return s, err
}

// samlService is the project's service provider.
func (m *Module) samlService(p *project.Project) saml.Service {
	s := saml.Service{Key: m.sso.key, Next: m.sso.next, AllowEncrypted: m.cfg.SAML.AllowEncrypted, URL: m.apiURL(p)}
	if u, err := url.Parse(s.URL); err == nil {
		s.Host = u.Hostname()
	}
	if m.cfg.SAML.ExternalURL != "" {
		s.URL = m.cfg.SAML.ExternalURL
	}
	return s
}

// apiURL is where clients reach this surface.
func (m *Module) apiURL(p *project.Project) string { return m.surfaceAt(p.PublicURL) }

// surfaceAt is where this surface is at an address.
func (m *Module) surfaceAt(address string) string {
	if m.deps.DropIn {
		return address
	}
	return address + "/auth/v1"
}

// withSAML makes a route one of those that are there only with SAML.
func (m *Module) withSAML(h echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !m.cfg.SAML.Enabled {
			return apierr.New(http.StatusNotFound, codeSAMLDisabled, "SAML 2.0 is disabled")
		}
		return h(c)
	}
}
