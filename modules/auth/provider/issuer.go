package provider

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/sync/singleflight"
)

// Discovery is what an issuer says of itself (OpenID Connect Discovery 1.0,
// section 3), as far as it is used.
type Discovery struct {
	Issuer                 string   `json:"issuer"`
	AuthorizationEndpoint  string   `json:"authorization_endpoint"`
	TokenEndpoint          string   `json:"token_endpoint"`
	UserinfoEndpoint       string   `json:"userinfo_endpoint,omitempty"`
	JWKSURI                string   `json:"jwks_uri"`
	ScopesSupported        []string `json:"scopes_supported,omitempty"`
	ResponseTypesSupported []string `json:"response_types_supported,omitempty"`
	GrantTypesSupported    []string `json:"grant_types_supported,omitempty"`
	SubjectTypesSupported  []string `json:"subject_types_supported,omitempty"`
	SigningAlgorithms      []string `json:"id_token_signing_alg_values_supported,omitempty"`
}

// DiscoveryURL is where an issuer describes itself.
func DiscoveryURL(issuer string) string {
	return strings.TrimRight(issuer, "/") + "/.well-known/openid-configuration"
}

// Discover asks an issuer at an address. Who describes another issuer than the
// one asked for is refused (section 4.3), but Apple has two names.
func (s *Services) Discover(ctx context.Context, issuer, address string) (*Discovery, error) {
	var d Discovery
	if err := getJSON(ctx, s.client, address, &d); err != nil {
		return nil, err
	}
	if d.Issuer != issuer && !(isApple(d.Issuer) && isApple(issuer)) {
		return nil, fmt.Errorf("oidc: issuer mismatch, expected %q got %q", issuer, d.Issuer)
	}
	return &d, nil
}

// asymmetric are the algorithms of ID tokens that are taken. There is none with a
// shared secret among them and no "none": a key that everyone may read signs nothing.
var asymmetric = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA}

const (
	// issuerLife is how long what an issuer said of itself is believed.
	issuerLife = time.Hour
	// maxIssuers bounds the issuers that are remembered; Azure has one for each tenant.
	maxIssuers = 256
)

// issuers remembers what issuers said of themselves. Their keys are remembered,
// and asked for again when an unknown one signs, by go-oidc.
type issuers struct {
	services *Services
	flight   singleflight.Group
	mu       sync.Mutex
	known    map[string]knownIssuer
}

type knownIssuer struct {
	provider *oidc.Provider
	until    time.Time
}

func newIssuers(c *http.Client) *issuers {
	return &issuers{services: &Services{client: c}, known: map[string]knownIssuer{}}
}

// get returns an issuer, asked at an address or, when that is empty, at the usual
// one. When it cannot be asked, what it said last is good enough.
func (i *issuers) get(ctx context.Context, issuer, address string) (*oidc.Provider, error) {
	if address == "" {
		address = DiscoveryURL(issuer)
	}
	key := issuer + " " + address
	last, found := i.lookup(key)
	if found && time.Now().Before(last.until) {
		return last.provider, nil
	}
	fresh, err, _ := i.flight.Do(key, func() (any, error) {
		d, err := i.services.Discover(context.WithoutCancel(ctx), issuer, address)
		if err != nil {
			return nil, err
		}
		algorithms := slices.DeleteFunc(d.SigningAlgorithms, func(a string) bool { return !slices.Contains(asymmetric, a) })
		p := (&oidc.ProviderConfig{
			IssuerURL: issuer, AuthURL: d.AuthorizationEndpoint, TokenURL: d.TokenEndpoint, UserInfoURL: d.UserinfoEndpoint,
			JWKSURL: d.JWKSURI, Algorithms: algorithms,
		}).NewProvider(oidc.ClientContext(context.Background(), i.services.client))
		i.remember(key, p)
		return p, nil
	})
	switch {
	case err == nil:
		return fresh.(*oidc.Provider), nil
	case found:
		return last.provider, nil
	}
	return nil, fmt.Errorf("provider: issuer: %w", err)
}

func (i *issuers) lookup(key string) (knownIssuer, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	k, ok := i.known[key]
	return k, ok
}

func (i *issuers) remember(key string, p *oidc.Provider) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.known) >= maxIssuers {
		clear(i.known)
	}
	i.known[key] = knownIssuer{p, time.Now().Add(issuerLife)}
}

// Forget makes the next sign-in ask the issuer again.
func (s *Services) Forget(issuer string) {
	s.issuers.mu.Lock()
	defer s.issuers.mu.Unlock()
	for key := range s.issuers.known {
		if strings.HasPrefix(key, issuer+" ") {
			delete(s.issuers.known, key)
		}
	}
}
