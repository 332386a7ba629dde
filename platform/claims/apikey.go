package claims

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/madbase/madbase/platform/secret"
)

// APIKeys are the keys that an app is given: two JSON Web Tokens of the old kind
// and two opaque ones of the new.
type APIKeys struct {
	Anon, Service       secret.String
	Publishable, Secret secret.String
}

// What opaque keys begin with; all else is taken for a JSON Web Token.
const (
	publishablePrefix = "sb_publishable_"
	secretPrefix      = "sb_secret_"
)

// Derived keys name these times, so that every process of a cluster derives the same ones.
const (
	keysIssued  = 1735689600 // 2025-01-01
	keysExpires = 2366841600 // 2045-01-01
)

func newAPIKeys(cfg Config, hmac jwk.Key) (APIKeys, error) {
	keys := APIKeys{Anon: cfg.AnonKey, Service: cfg.ServiceKey, Publishable: cfg.PublishableKey, Secret: cfg.SecretKey}
	for role, into := range map[string]*secret.String{RoleAnon: &keys.Anon, RoleService: &keys.Service} {
		if *into != "" {
			continue
		}
		token, err := mintAPIKey(hmac, role, keysIssued, keysExpires)
		if err != nil {
			return keys, err
		}
		*into = secret.String(token)
	}
	for prefix, into := range map[string]*secret.String{publishablePrefix: &keys.Publishable, secretPrefix: &keys.Secret} {
		if *into == "" {
			*into = secret.String(prefix + base62(cfg.Secret.Derive("api-key/"+prefix, 32).Reveal()))
		}
	}
	return keys, nil
}

func mintAPIKey(key jwk.Key, role string, issued, expires int64) (string, error) {
	payload, err := json.Marshal(struct {
		Issuer  string `json:"iss"`
		Role    string `json:"role"`
		Issued  int64  `json:"iat"`
		Expires int64  `json:"exp"`
	}{apiKeyIssuer, role, issued, expires})
	if err != nil {
		return "", fmt.Errorf("claims: API key of %s: %w", role, err)
	}
	return sign(key, payload)
}

const apiKeyIssuer = "madbase"

// OfAPIKey reports whether the token is one of mintAPIKey, which tells of nobody but
// a role: an opaque key stands for many of them, one after the other.
func (c *Caller) OfAPIKey() bool { return len(c.Payload) == 4 && c.Payload["iss"] == apiKeyIssuer }

// API returns the project's API keys.
func (k *Keys) API() APIKeys { return k.api }

// Token is the JSON Web Token that r is to be judged by, following the rule of
// Supabase's gateways: an Authorization header other than "Bearer sb_..." wins;
// else an sb_ key, from the apikey header, the apikey query parameter or the
// bearer, stands for its role's token; else the apikey is itself a token.
// It is empty when r carries neither, and ErrUnknownKey for a foreign sb_ key.
func (k *Keys) Token(r *http.Request) (string, error) {
	bearer := bearerToken(r)
	if bearer != "" && !strings.HasPrefix(bearer, "sb_") {
		return bearer, nil
	}
	key := APIKey(r)
	if key == "" {
		key = bearer
	}
	return k.Exchange(key)
}

// exchangedLife is how long a token lives that an opaque key is exchanged for. It is
// longer than any request, and ends soon after the key is revoked: SQL functions may
// show callers the headers of their requests.
const exchangedLife = time.Hour

// exchanged is such a token; it is used until half of its life is over.
type exchanged struct {
	token string
	until time.Time
}

// Exchange returns the token that an API key stands for: itself when it is not
// an sb_ key. The error is ErrUnknownKey, also for keys that are revoked or expired.
func (k *Keys) Exchange(key string) (string, error) {
	if !strings.HasPrefix(key, "sb_") {
		return key, nil
	}
	m, now := k.current.Load(), k.now()
	found, known := m.opaque[hashKey(key)]
	if !known || found.revoked || !found.expires.IsZero() && !now.Before(found.expires) {
		return "", ErrUnknownKey
	}
	if found.used != nil && found.used.Load() == 0 {
		found.used.Store(now.Unix())
	}
	return m.exchange(found.role, now)
}

// exchange returns a token of role. Several requests may make one at once, and each is good.
func (m *material) exchange(role string, now time.Time) (string, error) {
	kept := m.exchanged[role]
	if kept == nil || m.signing == nil {
		return "", ErrUnknownKey
	}
	if e := kept.Load(); e != nil && now.Before(e.until) {
		return e.token, nil
	}
	token, err := mintAPIKey(m.signing, role, now.Unix(), now.Add(exchangedLife).Unix())
	if err != nil {
		return "", err
	}
	kept.Store(&exchanged{token: token, until: now.Add(exchangedLife / 2)})
	return token, nil
}

// APIKey is the key in r's apikey header or else query parameter.
func APIKey(r *http.Request) string {
	if key := r.Header.Get("apikey"); key != "" {
		return key
	}
	if !strings.Contains(r.URL.RawQuery, "apikey=") {
		return ""
	}
	return r.URL.Query().Get("apikey")
}

func bearerToken(r *http.Request) string {
	scheme, token, found := strings.Cut(r.Header.Get("Authorization"), " ")
	if !found || !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// Authenticate is the middleware that verifies the request's token with the keys
// that keysOf finds and puts the Caller on its context; without a token there is
// none. A refused token ends the request with what refuse makes of the reason;
// when refuse returns nil, the request goes on without a caller.
func Authenticate(keysOf func(echo.Context) *Keys, refuse func(error) error) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			keys, r := keysOf(c), c.Request()
			token, err := keys.Token(r)
			if err == nil && token != "" {
				var caller *Caller
				if caller, err = keys.Verify(token); err == nil {
					c.SetRequest(r.WithContext(NewContext(r.Context(), caller)))
				}
			}
			if err != nil {
				if err = refuse(err); err != nil {
					return err
				}
			}
			return next(c)
		}
	}
}
