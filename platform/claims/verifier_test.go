package claims_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/secret"
)

func TestVerifierOnlyVerifies(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("s", claims.MinSecret)
	signer, err := claims.NewKeys(claims.Config{Secret: secret.String(text)})
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.Sign([]byte(`{"role":"anon"}`))
	if err != nil {
		t.Fatal(err)
	}
	asJWK := `{"kty":"oct","alg":"HS256","k":"` + strings.Repeat("c3Nz", 10) + `c3M"}` // the same 32 bytes
	for _, material := range []string{text, asJWK, `{"keys":[` + asJWK + `]}`} {
		for _, remembered := range []int{0, 10} {
			k, err := claims.NewVerifier(secret.String(material), remembered)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if c, err := k.Verify(token); err != nil || c.Role != "anon" {
					t.Fatalf("%.10s: %v, %v", material, c, err)
				}
			}
			_, err = k.Verify("a.b")
			if n, ok := errors.AsType[claims.PartsError](err); !ok || n != 2 {
				t.Errorf("two parts: %v", err)
			}
			odd, _ := signer.Sign([]byte(`{"exp":"soon"}`))
			_, err = k.Verify(odd)
			if e, ok := errors.AsType[*claims.ClaimTypeError](err); !ok || e.Claim != "exp" || !errors.Is(err, claims.ErrClaims) {
				t.Errorf("exp of a wrong type: %v", err)
			}
		}
	}
	if _, err := claims.NewVerifier("short", 1); err == nil {
		t.Error("a short secret was taken")
	}
}

// A key that names no algorithm serves for all of its kind, and for no other.
func TestVerifierTakesAllAlgorithmsOfAKey(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key, err := jwk.FromRaw(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	k, err := claims.NewVerifier(secret.String(text), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, algorithm := range []jwa.SignatureAlgorithm{jwa.RS256, jwa.RS512, jwa.PS384} {
		token, err := jws.Sign([]byte(`{"role":"anon"}`), jws.WithKey(algorithm, private))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Verify(string(token)); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
	confused, err := jws.Sign([]byte(`{"role":"anon"}`), jws.WithKey(jwa.HS256, text))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Verify(string(confused)); !errors.Is(err, claims.ErrAlgorithm) {
		t.Errorf("the public key as a secret: %v", err)
	}
}
