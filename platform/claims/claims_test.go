package claims_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/secret"
)

const testSecret = "a-secret-of-more-than-thirty-two-characters"

func newKeys(t testing.TB, cfg claims.Config) *claims.Keys {
	t.Helper()
	if cfg.Secret == "" {
		cfg.Secret = testSecret
	}
	keys, err := claims.NewKeys(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// ecKey returns a private JWK and its set as JSON.
func ecKey(t testing.TB, kid string) (jwk.Key, secret.String) {
	t.Helper()
	raw, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := jwk.FromRaw(raw)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]any{jwk.KeyIDKey: kid, jwk.AlgorithmKey: jwa.ES256} {
		if err := key.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal([]jwk.Key{key})
	if err != nil {
		t.Fatal(err)
	}
	return key, secret.String(text)
}

func sign(t testing.TB, alg jwa.SignatureAlgorithm, key any, payload string) string {
	t.Helper()
	token, err := jws.Sign([]byte(payload), jws.WithKey(alg, key))
	if err != nil {
		t.Fatal(err)
	}
	return string(token)
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	ec, set := ecKey(t, "k1")
	keys := newKeys(t, claims.Config{SigningKeys: set})
	public, err := ec.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	publicText, err := json.Marshal(public)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	hs := func(payload string) string { return sign(t, jwa.HS256, []byte(testSecret), payload) }
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"role":"service_role"}`)) + "."
	foreign, _ := ecKey(t, "k2")
	for name, test := range map[string]struct {
		token string
		want  error
	}{
		"not a token":                      {"abc", claims.ErrMalformed},
		"three empty parts":                {"..", claims.ErrMalformed},
		"algorithm none":                   {none, claims.ErrAlgorithm},
		"another secret":                   {sign(t, jwa.HS256, []byte(strings.Repeat("x", 40)), `{}`), claims.ErrSignature},
		"another algorithm of the secret":  {sign(t, jwa.HS512, []byte(testSecret), `{}`), claims.ErrAlgorithm},
		"the public key taken as a secret": {sign(t, jwa.HS256, publicText, `{"role":"service_role"}`), claims.ErrSignature},
		"another key id":                   {sign(t, jwa.ES256, foreign, `{}`), claims.ErrNoKey},
		"expired":                          {hs(fmt.Sprintf(`{"exp":%d}`, now-60)), claims.ErrExpired},
		"not yet valid":                    {hs(fmt.Sprintf(`{"nbf":%d}`, now+60)), claims.ErrNotYet},
		"issued in the future":             {hs(fmt.Sprintf(`{"iat":%d}`, now+60)), claims.ErrIssuedAhead},
		"exp is text":                      {hs(`{"exp":"soon"}`), claims.ErrClaims},
		"role is a list":                   {hs(`{"role":["anon"]}`), claims.ErrClaims},
		"payload is a list":                {hs(`[]`), claims.ErrClaims},
	} {
		if _, err := keys.Verify(test.token); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}

func TestVerifyAccepts(t *testing.T) {
	t.Parallel()
	ec, set := ecKey(t, "k1")
	keys := newKeys(t, claims.Config{SigningKeys: set})
	now := time.Now().Unix()
	payload := fmt.Sprintf(`{"sub":"u1","role":"authenticated","session_id":"s1","exp":%d}`, now-10)
	signed, err := keys.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"secret, within the skew": sign(t, jwa.HS256, []byte(testSecret), payload),
		"signing key":             sign(t, jwa.ES256, ec, payload),
		"signed by Sign":          signed,
	} {
		for range 2 { // the second answer comes from memory
			c, err := keys.Verify(token)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if c.Subject != "u1" || c.Role != claims.RoleAuthenticated || c.SessionID != "s1" || string(c.JSON) != payload {
				t.Errorf("%s: got %+v", name, c)
			}
		}
	}
}

// The keys that sign access tokens sign storage's URLs too: neither passes for the other.
func TestSignedURLsAreNoAccessTokens(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, claims.Config{})
	for payload, isURL := range map[string]bool{
		`{"url":"docs/a.txt","scope":"download"}`:     true,
		`{"url":"docs/a.txt","role":"authenticated"}`: false,
		`{"role":"anon"}`: false,
		`{"sub":"u1"}`:    false,
		`{"url":7}`:       false,
	} {
		token, err := keys.Sign([]byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second answer comes from memory
			c, err := keys.Verify(token)
			if (c == nil) != isURL || errors.Is(err, claims.ErrPurpose) != isURL {
				t.Errorf("%s as an access token: %v %v", payload, c, err)
			}
			c, err = keys.VerifyURL(token)
			if (c == nil) == isURL || errors.Is(err, claims.ErrPurpose) == isURL {
				t.Errorf("%s as a URL: %v %v", payload, c, err)
			}
		}
	}
}

func TestLongTokensAreAccepted(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, claims.Config{})
	token, err := keys.Sign([]byte(`{"sub":"` + strings.Repeat("u", 8<<10) + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if c, err := keys.Verify(token); err != nil || len(c.Subject) != 8<<10 {
			t.Errorf("got %v", err)
		}
	}
}

func TestJWKSHidesSecrets(t *testing.T) {
	t.Parallel()
	_, set := ecKey(t, "k1")
	for want, cfg := range map[string]claims.Config{`{"keys":[]}`: {}, `"kid":"k1"`: {SigningKeys: set}} {
		got := string(newKeys(t, cfg).JWKS())
		if !strings.Contains(got, want) || strings.Contains(got, `"d":`) || strings.Contains(got, `"k":`) {
			t.Errorf("published %s, want %s and nothing private", got, want)
		}
	}
}

func TestTokenOfRequest(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, claims.Config{})
	api := keys.API()
	anon := api.Anon.Reveal()
	forAnon, forService := exchange(t, keys, api.Publishable), exchange(t, keys, api.Secret)
	for _, test := range []struct {
		name, target, apikey, authorization, want string
		err                                       error
	}{
		{name: "nothing", want: ""},
		{name: "a user's token wins", apikey: api.Secret.Reveal(), authorization: "Bearer user.jwt.token", want: "user.jwt.token"},
		{name: "publishable key", apikey: api.Publishable.Reveal(), want: forAnon},
		{name: "secret key, sent as both", apikey: api.Secret.Reveal(), authorization: "Bearer " + api.Secret.Reveal(), want: forService},
		{name: "secret key as bearer alone", authorization: "bearer " + api.Secret.Reveal(), want: forService},
		{name: "legacy key", apikey: anon, want: anon},
		{name: "in the query", target: "/?apikey=" + api.Publishable.Reveal(), want: forAnon},
		{name: "foreign key", apikey: "sb_secret_guess", err: claims.ErrUnknownKey},
		{name: "empty secret key", apikey: "sb_", err: claims.ErrUnknownKey},
	} {
		if test.target == "" {
			test.target = "/"
		}
		r := httptest.NewRequest("GET", test.target, nil)
		r.Header.Set("apikey", test.apikey)
		r.Header.Set("Authorization", test.authorization)
		got, err := keys.Token(r)
		if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: got %q, %v", test.name, got, err)
		}
	}
}

func TestKeysAreDerivedAlike(t *testing.T) {
	t.Parallel()
	a, b := newKeys(t, claims.Config{}).API(), newKeys(t, claims.Config{}).API()
	other := newKeys(t, claims.Config{Secret: "another-secret-of-more-than-thirty-two-chars"}).API()
	if a != b {
		t.Error("two processes with one secret derive different keys")
	}
	if a.Secret == other.Secret || a.Anon == other.Anon || a.Publishable == other.Publishable {
		t.Error("two secrets share a key")
	}
	if strings.Contains(fmt.Sprintf("%v %+v %#v", a, a, a), a.Secret.Reveal()) {
		t.Error("printing shows a key")
	}
}

func TestConfigNamesEveryFault(t *testing.T) {
	t.Parallel()
	err := claims.Config{Secret: "short", PublishableKey: "sb_secret_x", SecretKey: "x", SigningKeys: "{", JWKS: `[{"kty":"oct","k":"AA","alg":"ES256"}]`}.Validate()
	for _, name := range []string{"JWT_SECRET", "JWT_KEYS", "JWT_JWKS", "PUBLISHABLE_KEY", "SECRET_KEY"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
}

// Keys that were swapped would give what is public all rights.
func TestGivenAPIKeysAreChecked(t *testing.T) {
	t.Parallel()
	api := newKeys(t, claims.Config{}).API()
	foreign := newKeys(t, claims.Config{Secret: "another-secret-of-more-than-thirty-two-chars"}).API()
	for want, cfg := range map[string]claims.Config{
		"ANON_KEY must be":          {AnonKey: api.Service},
		"SERVICE_ROLE_KEY must be":  {ServiceKey: api.Anon},
		"ANON_KEY is not valid":     {AnonKey: foreign.Anon},
		"SERVICE_ROLE_KEY is not v": {ServiceKey: "x"},
	} {
		cfg.Secret = testSecret
		if _, err := claims.NewKeys(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if got := newKeys(t, claims.Config{AnonKey: api.Anon, ServiceKey: api.Service}).API(); got != api {
		t.Error("right keys are not taken")
	}
}

func FuzzVerify(f *testing.F) {
	keys := newKeys(f, claims.Config{})
	f.Add(keys.API().Anon.Reveal())
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		c, err := keys.Verify(token)
		if (c == nil) == (err == nil) {
			t.Errorf("caller %v with error %v", c, err)
		}
	})
}

func BenchmarkVerifyHot(b *testing.B) {
	keys := newKeys(b, claims.Config{})
	token := keys.API().Anon.Reveal()
	for b.Loop() {
		if _, err := keys.Verify(token); err != nil {
			b.Fatal(err)
		}
	}
}
