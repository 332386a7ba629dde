package claims_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
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

// privateKey is a JWK of raw with further members.
func privateKey(t *testing.T, raw any, members map[string]any) jwk.Key {
	t.Helper()
	key, err := jwk.FromRaw(raw)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range members {
		if err := key.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return key
}

func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ellipticKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func asSet(t *testing.T, keys ...jwk.Key) secret.String {
	t.Helper()
	text, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	return secret.String(text)
}

func headerOf(t *testing.T, token string) jws.Headers {
	t.Helper()
	message, err := jws.ParseString(token)
	if err != nil {
		t.Fatal(err)
	}
	return message.Signatures()[0].ProtectedHeaders()
}

func TestSigningKeys(t *testing.T) {
	t.Parallel()
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for algorithm, raw := range map[string]any{
		"RS256": rsaKey(t), "RS512": rsaKey(t), "ES256": ellipticKey(t, elliptic.P256()), "ES512": ellipticKey(t, elliptic.P521()), "EdDSA": edwards,
	} {
		keys := newKeys(t, claims.Config{SigningKeys: asSet(t, privateKey(t, raw, map[string]any{
			"alg": algorithm, "kid": "k1", "key_ops": []string{"sign", "verify"}, "use": "sig",
		}))})
		token, err := keys.Sign([]byte(`{"sub":"u1"}`))
		if err != nil {
			t.Fatal(err)
		}
		if h := headerOf(t, token); h.Algorithm().String() != algorithm || h.KeyID() != "k1" || h.Type() != "JWT" {
			t.Errorf("%s: header %v", algorithm, h)
		}
		if c, err := keys.Verify(token); err != nil || c.Subject != "u1" {
			t.Errorf("%s: %v", algorithm, err)
		}
		if keys.Algorithm() != algorithm || !keys.Asymmetric() {
			t.Errorf("%s: says it signs with %s", algorithm, keys.Algorithm())
		}
		if !keys.API().Anon.Equal(newKeys(t, claims.Config{}).API().Anon.Reveal()) {
			t.Errorf("%s: the API keys changed with the signing key", algorithm)
		}
	}
}

// Browsers' WebCrypto takes a key for verifying only if it says that it is for that.
func TestPublishedKeysArePublic(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, claims.Config{SigningKeys: asSet(t,
		privateKey(t, rsaKey(t), map[string]any{"alg": "RS256", "kid": "now", "key_ops": []string{"sign", "verify"}}),
		privateKey(t, ellipticKey(t, elliptic.P256()), map[string]any{"alg": "ES256", "kid": "before", "key_ops": []string{"verify"}}),
		privateKey(t, []byte(strings.Repeat("s", 40)), map[string]any{"alg": "HS256", "kid": "shared", "key_ops": []string{"verify"}}),
	)})
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(keys.JWKS(), &set); err != nil || len(set.Keys) != 2 {
		t.Fatalf("published: %s (%v)", keys.JWKS(), err)
	}
	for i, kid := range []string{"now", "before"} {
		key := set.Keys[i]
		ops, _ := key["key_ops"].([]any)
		if key["kid"] != kid || key["use"] != "sig" || len(ops) != 1 || ops[0] != "verify" {
			t.Errorf("published: %v", key)
		}
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if _, there := key[private]; there {
				t.Errorf("key %s shows %s", kid, private)
			}
		}
	}
}

func TestSigningKeyIsOne(t *testing.T) {
	t.Parallel()
	private := ellipticKey(t, elliptic.P256())
	signing := privateKey(t, private, map[string]any{"alg": "ES256", "kid": "a", "key_ops": []string{"sign"}})
	public := privateKey(t, private.Public(), map[string]any{"alg": "ES256", "kid": "b"})
	for name, keys := range map[string][]jwk.Key{
		"two that sign":    {signing, privateKey(t, private, map[string]any{"alg": "ES256", "kid": "c", "key_ops": []string{"sign"}})},
		"none that signs":  {privateKey(t, private, map[string]any{"alg": "ES256", "key_ops": []string{"verify"}})},
		"only a public":    {public},
		"a public signer":  {privateKey(t, private.Public(), map[string]any{"alg": "ES256", "key_ops": []string{"sign"}})},
		"no fitting curve": {privateKey(t, ellipticKey(t, elliptic.P384()), map[string]any{"alg": "ES256"})},
	} {
		if err := (claims.Config{Secret: testSecret, SigningKeys: asSet(t, keys...)}).Validate(); err == nil || !strings.Contains(err.Error(), "JWT_KEYS") {
			t.Errorf("%s: %v", name, err)
		}
	}
	keys := newKeys(t, claims.Config{SigningKeys: asSet(t, public, privateKey(t, private, map[string]any{"alg": "ES256", "kid": "c"}))})
	if token, err := keys.Sign([]byte("{}")); err != nil || headerOf(t, token).KeyID() != "c" {
		t.Errorf("the only private key does not sign: %v", err)
	}
}

func TestSecretHasAName(t *testing.T) {
	t.Parallel()
	before, after := newKeys(t, claims.Config{}), newKeys(t, claims.Config{KeyID: "the-secret"})
	old, err := before.Sign([]byte(`{"sub":"u1"}`))
	if err != nil {
		t.Fatal(err)
	}
	token, err := after.Sign([]byte(`{"sub":"u1"}`))
	if err != nil || headerOf(t, token).KeyID() != "the-secret" {
		t.Fatalf("not named: %v", err)
	}
	for _, keys := range []*claims.Keys{before, after} {
		for _, token := range []string{old, token} {
			if _, err := keys.Verify(token); err != nil {
				t.Error(err)
			}
		}
	}
	if before.API() != after.API() {
		t.Error("the API keys changed with the name")
	}
}

// A token cannot say by which key, or where, it is to be verified.
func TestHeaderChoosesNoKey(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, claims.Config{SigningKeys: asSet(t, privateKey(t, rsaKey(t), map[string]any{"alg": "RS256", "kid": "k1"}))})
	mine := rsaKey(t)
	embedded := privateKey(t, mine.Public(), map[string]any{"alg": "RS256", "kid": "k1"})
	for name, members := range map[string]map[string]any{
		"the kid of ours": {"kid": "k1"}, "a path": {"kid": "../../../../dev/null"}, "SQL": {"kid": "k1' UNION SELECT 'x"}, "its own key": {"kid": "k1", "jwk": embedded},
		"its own address": {"kid": "k1", "jku": "https://evil.example.net/jwks.json"}, "a certificate's": {"x5u": "https://evil.example.net/x.pem"},
	} {
		h := jws.NewHeaders()
		for member, value := range members {
			if err := h.Set(member, value); err != nil {
				t.Fatal(err)
			}
		}
		token, err := jws.Sign([]byte(`{"role":"service_role"}`), jws.WithKey(jwa.RS256, mine, jws.WithProtectedHeaders(h)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := keys.Verify(string(token)); !errors.Is(err, claims.ErrSignature) && !errors.Is(err, claims.ErrNoKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, kid := range []string{"", "k1", "/dev/null"} { // a secret that an attacker hopes for
		h := jws.NewHeaders()
		if err := h.Set("kid", kid); err != nil {
			t.Fatal(err)
		}
		for _, guess := range [][]byte{[]byte("k1"), keys.JWKS(), {0}} {
			token, err := jws.Sign([]byte(`{"role":"service_role"}`), jws.WithKey(jwa.HS256, guess, jws.WithProtectedHeaders(h)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := keys.Verify(string(token)); !errors.Is(err, claims.ErrSignature) {
				t.Errorf("kid %q: %v", kid, err)
			}
		}
	}
}

func TestIDTokenLetsNobodyIn(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, claims.Config{})
	for payload, want := range map[string]error{
		`{"sub":"u1","aud":"c1","client_id":"c1","auth_time":1}`:                                               claims.ErrPurpose,
		`{"sub":"u1","aud":"c2","client_id":"c1","auth_time":1}`:                                               nil,
		`{"sub":"u1","aud":"authenticated","client_id":"c1","role":"authenticated","session_id":"s","amr":[]}`: nil,
		`{"sub":"u1","aud":"c1","auth_time":1}`:                                                                nil,
	} {
		token, err := keys.Sign([]byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := keys.Verify(token); !errors.Is(err, want) {
			t.Errorf("%s: %v", payload, err)
		}
	}
}
