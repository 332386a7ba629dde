package auth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/secret"
	"github.com/madbase/madbase/platform/testkit"
)

// newKey makes a private key in the form that JWT_KEYS has.
func newKey(t *testing.T, algorithm, kid string, ops ...string) jwk.Key {
	t.Helper()
	var raw any
	var err error
	switch algorithm {
	case "ES256":
		raw, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RS256":
		raw, err = rsa.GenerateKey(rand.Reader, 2048)
	case "EdDSA":
		_, raw, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	key, err := jwk.FromRaw(raw)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]any{"alg": algorithm, "kid": kid, "use": "sig", "key_ops": ops} {
		if err := key.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return key
}

// keysOf are the test project's keys with those of JWT_KEYS.
func keysOf(t *testing.T, keys ...jwk.Key) *claims.Keys {
	t.Helper()
	text, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	made, err := claims.NewKeys(claims.Config{Secret: testkit.JWTSecret, SigningKeys: secret.String(text)})
	if err != nil {
		t.Fatal(err)
	}
	return made
}
