package claims

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/madbase/madbase/platform/secret"
)

// Config is the key material of a project.
type Config struct {
	Secret      secret.String `env:"JWT_SECRET,GOTRUE_JWT_SECRET" doc:"HS256 secret of at least 32 characters; signs and verifies tokens, and every API key and database password that madbase makes derives from it. The embedded default generates one." group:"required"`
	SigningKeys secret.String `env:"JWT_KEYS,GOTRUE_JWT_KEYS" doc:"JSON array or set of private JWKs (RS256, ES256, EdDSA); the one whose key_ops has \"sign\", or else the first without key_ops, signs, and all verify. Empty: HS256 with JWT_SECRET." group:"optional"`
	KeyID       string        `env:"JWT_KEY_ID,GOTRUE_JWT_KEY_ID" doc:"Name (kid) of JWT_SECRET in the tokens that it signs." group:"optional"`
	JWKS        string        `env:"JWT_JWKS" doc:"JSON set of further public JWKs whose tokens are accepted." group:"optional"`

	AnonKey        secret.String `env:"ANON_KEY,SUPABASE_ANON_KEY" doc:"JWT of role anon. Empty: derived from JWT_SECRET." group:"optional"`
	ServiceKey     secret.String `env:"SERVICE_ROLE_KEY,SUPABASE_SERVICE_KEY" doc:"JWT of role service_role. Empty: derived from JWT_SECRET." group:"optional"`
	PublishableKey secret.String `env:"PUBLISHABLE_KEY,SUPABASE_PUBLISHABLE_KEY" doc:"Opaque sb_publishable_ key for role anon. Empty: derived from JWT_SECRET." group:"optional"`
	SecretKey      secret.String `env:"SECRET_KEY,SUPABASE_SECRET_KEY" doc:"Opaque sb_secret_ key for role service_role. Empty: derived from JWT_SECRET." group:"optional"`
}

// MinSecret is the least length of JWT_SECRET in bytes (RFC 7518, section 3.2: as long as the hash).
const MinSecret = 32

// Validate names every fault of the key material.
func (c Config) Validate() error {
	var errs []error
	if c.Secret != "" && len(c.Secret) < MinSecret {
		errs = append(errs, fmt.Errorf("JWT_SECRET must have at least %d characters", MinSecret))
	}
	if keys, err := parseSet(c.SigningKeys.Reveal(), usual); err != nil {
		errs = append(errs, errors.New("JWT_KEYS must be a JSON array or set of JWKs, each with a known alg"))
	} else if _, err := signingKey(keys); len(keys) > 0 && err != nil {
		errs = append(errs, err)
	}
	if _, err := parseSet(c.JWKS, usual); err != nil {
		errs = append(errs, errors.New("JWT_JWKS must be a JSON array or set of JWKs, each with a known alg"))
	}
	if c.PublishableKey != "" && !strings.HasPrefix(c.PublishableKey.Reveal(), publishablePrefix) {
		errs = append(errs, errors.New("PUBLISHABLE_KEY must begin with "+publishablePrefix))
	}
	if c.SecretKey != "" && !strings.HasPrefix(c.SecretKey.Reveal(), secretPrefix) {
		errs = append(errs, errors.New("SECRET_KEY must begin with "+secretPrefix))
	}
	return errors.Join(errs...)
}

// Keys are a project's keys, ready for use by many requests at once. Those of its
// configuration are there from the beginning; Use adds others while requests run.
type Keys struct {
	// configured are the keys of the project's settings, but for others, the public
	// ones of other issuers; the first signs where no Live key does.
	configured, others []jwk.Key
	signing            jwk.Key
	remembered         int
	now                func() time.Time
	api                APIKeys
	secret             secret.String

	using   sync.Mutex // one Use at a time
	current atomic.Pointer[material]
}

// NewKeys prepares the keys of cfg. It fails on material that Config.Validate
// refuses and when there is no JWT_SECRET.
func NewKeys(cfg Config) (*Keys, error) {
	if cfg.Secret == "" {
		return nil, errors.New("claims: JWT_SECRET is not set")
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	hmac, err := jwk.FromRaw([]byte(cfg.Secret.Reveal()))
	if err != nil {
		return nil, fmt.Errorf("claims: JWT_SECRET: %w", err)
	}
	if err := hmac.Set(jwk.AlgorithmKey, jwa.HS256); err != nil {
		return nil, fmt.Errorf("claims: JWT_SECRET: %w", err)
	}
	k := &Keys{remembered: 10_000, now: time.Now, secret: cfg.Secret}
	private, _ := parseSet(cfg.SigningKeys.Reveal(), usual) // both were validated above
	k.others, _ = parseSet(cfg.JWKS, usual)
	k.configured = append([]jwk.Key{hmac}, private...)
	if k.signing, err = named(hmac, cfg.KeyID); err != nil {
		return nil, err
	}
	if len(private) > 0 {
		k.signing, _ = signingKey(private)
	}
	if k.api, err = newAPIKeys(cfg, hmac); err != nil {
		return nil, err
	}
	if err := k.Use(Live{}); err != nil {
		return nil, err
	}
	return k, k.checkGiven(cfg)
}

// checkGiven refuses API keys that would be of no use, or of the other's.
func (k *Keys) checkGiven(cfg Config) error {
	var errs []error
	for _, given := range []struct {
		name, role string
		key        secret.String
	}{{"ANON_KEY", RoleAnon, cfg.AnonKey}, {"SERVICE_ROLE_KEY", RoleService, cfg.ServiceKey}} {
		if given.key == "" {
			continue
		}
		if c, err := k.Verify(given.key.Reveal()); err != nil {
			errs = append(errs, fmt.Errorf("%s is not valid under JWT_SECRET: %w", given.name, err))
		} else if c.Role != given.role {
			errs = append(errs, fmt.Errorf("%s must be a token of role %s", given.name, given.role))
		}
	}
	return errors.Join(errs...)
}

// NewVerifier returns Keys that only verify tokens: they sign none and know no API
// keys. material is a JSON Web Key, a set of them, or a secret of at least MinSecret
// bytes for HS256. remembered bounds the verified tokens that are kept; 0 keeps none.
func NewVerifier(material secret.String, remembered int) (*Keys, error) {
	k := &Keys{remembered: remembered, now: time.Now}
	var err error
	if k.others, err = parseMaterial(material.Reveal()); err != nil {
		return nil, err
	}
	return k, k.Use(Live{})
}

func parseMaterial(text string) ([]jwk.Key, error) {
	if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, "{") {
		if keys, err := parseSet(trimmed, every); err == nil && len(keys) > 0 { // a single key is read as a set of one
			return keys, nil
		}
	}
	if len(text) < MinSecret {
		return nil, fmt.Errorf("claims: the secret must have at least %d characters", MinSecret)
	}
	hmac, err := jwk.FromRaw([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("claims: secret: %w", err)
	}
	return []jwk.Key{hmac}, hmac.Set(jwk.AlgorithmKey, jwa.HS256)
}

// JWKS is the JSON Web Key Set (RFC 7517) of the public keys; a shared secret is never in it.
func (k *Keys) JWKS() []byte { return k.current.Load().published }

// Algorithm is that of the signing key, as JWTs name it (RFC 7518, section 3.1).
func (k *Keys) Algorithm() string { return k.current.Load().signing.Algorithm().String() }

// ConfiguredAlgorithm is that of the key which signs where Use has given no other.
func (k *Keys) ConfiguredAlgorithm() string { return k.signing.Algorithm().String() }

// Asymmetric reports whether others can verify what is signed without being able to sign.
func (k *Keys) Asymmetric() bool { return k.current.Load().signing.KeyType() != jwa.OctetSeq }

// Derive returns a hex key of size bytes that depends on the project's JWT_SECRET
// and on purpose alone. It is empty where there is no such secret.
func (k *Keys) Derive(purpose string, size int) secret.String {
	if k.secret == "" {
		return ""
	}
	return k.secret.Derive(purpose, size)
}

// Sign returns payload, a JSON object, as a compact JWS of the signing key.
func (k *Keys) Sign(payload []byte) (string, error) { return sign(k.current.Load().signing, payload) }

func sign(key jwk.Key, payload []byte) (string, error) {
	headers := jws.NewHeaders()
	if err := headers.Set(jws.TypeKey, "JWT"); err != nil {
		return "", fmt.Errorf("claims: sign: %w", err)
	}
	token, err := jws.Sign(payload, jws.WithKey(key.Algorithm(), key, jws.WithProtectedHeaders(headers)))
	if err != nil {
		return "", fmt.Errorf("claims: sign: %w", err)
	}
	return string(token), nil
}

// parseSet reads a JWK set, a bare array of JWKs, or nothing. A key that does not
// name its algorithm is one key for each that choose picks of those that fit it.
func parseSet(text string, choose func([]jwa.SignatureAlgorithm) []jwa.SignatureAlgorithm) ([]jwk.Key, error) {
	if text == "" {
		return nil, nil
	}
	if text[0] == '[' {
		text = `{"keys":` + text + `}`
	}
	set, err := jwk.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	var keys []jwk.Key
	for i := range set.Len() {
		key, _ := set.Key(i)
		fit := fitting(key)
		if name := key.Algorithm().String(); name != "" {
			if !slices.ContainsFunc(fit, func(a jwa.SignatureAlgorithm) bool { return a.String() == name }) {
				return nil, fmt.Errorf("algorithm %q of key %q is not supported", name, key.KeyID())
			}
			keys = append(keys, key)
			continue
		}
		if len(fit) == 0 {
			return nil, fmt.Errorf("key %q is of a kind that is not supported", key.KeyID())
		}
		for _, algorithm := range choose(fit) {
			named, err := key.Clone()
			if err == nil {
				err = named.Set(jwk.AlgorithmKey, algorithm)
			}
			if err != nil {
				return nil, err
			}
			keys = append(keys, named)
		}
	}
	return keys, nil
}

// algorithms are those that a kind of key serves for, the usual one first. A public
// key can thus never serve as a secret.
var algorithms = map[jwa.KeyType][]jwa.SignatureAlgorithm{
	jwa.OctetSeq: {jwa.HS256, jwa.HS384, jwa.HS512},
	jwa.RSA:      {jwa.RS256, jwa.RS384, jwa.RS512, jwa.PS256, jwa.PS384, jwa.PS512},
	jwa.OKP:      {jwa.EdDSA},
}

// curves have an algorithm each (RFC 7518, section 3.4).
var curves = map[jwa.EllipticCurveAlgorithm]jwa.SignatureAlgorithm{jwa.P256: jwa.ES256, jwa.P384: jwa.ES384, jwa.P521: jwa.ES512}

// fitting are the algorithms that key serves for.
func fitting(key jwk.Key) []jwa.SignatureAlgorithm {
	if elliptic, ok := key.(interface {
		Crv() jwa.EllipticCurveAlgorithm
	}); ok && key.KeyType() == jwa.EC {
		if algorithm, known := curves[elliptic.Crv()]; known {
			return []jwa.SignatureAlgorithm{algorithm}
		}
		return nil
	}
	return algorithms[key.KeyType()]
}

// every picks all algorithms of a key, usual the one that is meant by none.
func every(fit []jwa.SignatureAlgorithm) []jwa.SignatureAlgorithm { return fit }

func usual(fit []jwa.SignatureAlgorithm) []jwa.SignatureAlgorithm { return fit[:min(1, len(fit))] }

// named is the key with a name for the tokens that it signs. The one that verifies
// them has none: it takes those of before it was named too.
func named(key jwk.Key, kid string) (jwk.Key, error) {
	if kid == "" {
		return key, nil
	}
	named, err := key.Clone()
	if err == nil {
		err = named.Set(jwk.KeyIDKey, kid)
	}
	if err != nil {
		return nil, fmt.Errorf("claims: JWT_KEY_ID: %w", err)
	}
	return named, nil
}

// signingKey is the one key that signs: the one that says so by key_ops, or else
// the first that says nothing. It must sign what its public half verifies.
func signingKey(keys []jwk.Key) (jwk.Key, error) {
	var meant, possible []jwk.Key
	for _, key := range keys {
		switch {
		case slices.Contains(key.KeyOps(), jwk.KeyOpSign):
			meant = append(meant, key)
		case len(key.KeyOps()) == 0:
			possible = append(possible, key)
		}
	}
	switch {
	case len(meant) > 1:
		return nil, errors.New("JWT_KEYS must have one key whose key_ops has \"sign\", not several")
	case len(meant) == 1:
		possible = meant
	case len(possible) == 0:
		return nil, errors.New("JWT_KEYS must have a key whose key_ops has \"sign\"")
	}
	for _, key := range possible {
		if signs(key) {
			return key, nil
		}
	}
	return nil, errors.New("JWT_KEYS: no key that is meant to sign is a private key that fits its alg")
}

func signs(key jwk.Key) bool {
	token, err := sign(key, []byte("{}"))
	if err != nil {
		return false
	}
	pub, err := public(key)
	if err != nil {
		return false
	}
	_, err = jws.Verify([]byte(token), jws.WithKey(pub.Algorithm(), pub))
	return err == nil
}

// base62 renders the hash of text with letters and digits only, as API keys have them.
func base62(text string) string {
	sum := sha256.Sum256([]byte(text))
	return new(big.Int).SetBytes(sum[:]).Text(62)
}
