package claims

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/madbase/madbase/platform/secret"
)

// The kinds of opaque API keys.
const (
	KindPublishable = "publishable"
	KindSecret      = "secret"
)

// NewAPIKey returns a new opaque key of 256 random bits; kind is KindPublishable or KindSecret.
func NewAPIKey(kind string) secret.String {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	return secret.String("sb_" + kind + "_" + new(big.Int).SetBytes(random).Text(62))
}

// RoleOf is the role that opaque keys of a kind stand for; empty for other kinds.
func RoleOf(kind string) string {
	return map[string]string{KindPublishable: RoleAnon, KindSecret: RoleService}[kind]
}

// ErrSigningKey says that something is no private key that can sign.
var ErrSigningKey = errors.New("claims: not a private JSON Web Key for HS256, RS256, ES256 or EdDSA")

// NewSigningKey makes a private JSON Web Key for algorithm: ES256, RS256, EdDSA or HS256.
func NewSigningKey(algorithm string) (secret.String, error) {
	var raw any
	var err error
	switch jwa.SignatureAlgorithm(algorithm) {
	case jwa.ES256:
		raw, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jwa.RS256:
		raw, err = rsa.GenerateKey(rand.Reader, 2048)
	case jwa.EdDSA:
		_, raw, err = ed25519.GenerateKey(rand.Reader)
	case jwa.HS256:
		random := make([]byte, 64)
		_, _ = rand.Read(random) // never fails
		raw = random
	default:
		return "", ErrSigningKey
	}
	var key jwk.Key
	if err == nil {
		key, err = jwk.FromRaw(raw)
	}
	if err == nil {
		err = key.Set(jwk.AlgorithmKey, algorithm)
	}
	if err != nil {
		return "", fmt.Errorf("claims: make a signing key: %w", err)
	}
	text, err := json.Marshal(key)
	if err != nil {
		return "", fmt.Errorf("claims: make a signing key: %w", err)
	}
	return secret.String(text), nil
}

// SigningAlgorithm checks that a JSON Web Key can sign, and returns its algorithm.
// The error is ErrSigningKey.
func SigningAlgorithm(key secret.String) (string, error) {
	parsed, err := parsePrivate("check", key)
	if err != nil {
		return "", ErrSigningKey
	}
	return parsed.Algorithm().String(), nil
}

// PublicKey is the public half of a signing key as a JSON Web Key named id; nil for
// a shared secret. The error is ErrSigningKey.
func PublicKey(id string, key secret.String) (json.RawMessage, error) {
	parsed, err := parsePrivate(id, key)
	if err != nil {
		return nil, ErrSigningKey
	}
	if parsed.KeyType() == jwa.OctetSeq {
		return nil, nil
	}
	pub, err := public(parsed)
	if err != nil {
		return nil, ErrSigningKey
	}
	text, err := json.Marshal(pub)
	if err != nil {
		return nil, fmt.Errorf("claims: public key: %w", err)
	}
	return text, nil
}

// parsePrivate reads a private key, which is to sign as id.
func parsePrivate(id string, text secret.String) (jwk.Key, error) {
	keys, err := parseSet(`{"keys":[`+text.Reveal()+`]}`, usual)
	if err != nil || len(keys) != 1 {
		return nil, ErrSigningKey // the cause may quote the key
	}
	key := keys[0]
	if raw, ok := key.(jwk.SymmetricKey); ok && len(raw.Octets()) < MinSecret {
		return nil, ErrSigningKey
	}
	for _, err := range []error{key.Set(jwk.KeyIDKey, id), key.Remove(jwk.KeyOpsKey), key.Remove(jwk.KeyUsageKey)} {
		if err != nil {
			return nil, ErrSigningKey
		}
	}
	if !signs(key) {
		return nil, ErrSigningKey
	}
	return key, nil
}
