package claims_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/secret"
)

// exchange is the token that an opaque key stands for.
func exchange(t testing.TB, keys *claims.Keys, key secret.String) string {
	t.Helper()
	token, err := keys.Exchange(key.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func use(t testing.TB, keys *claims.Keys, live claims.Live) {
	t.Helper()
	if err := keys.Use(live); err != nil {
		t.Fatal(err)
	}
}

func TestAnOpaqueKeyStandsForAShortToken(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, claims.Config{})
	for key, role := range map[secret.String]string{keys.API().Publishable: "anon", keys.API().Secret: "service_role"} {
		caller, err := keys.Verify(exchange(t, keys, key))
		if err != nil || caller.Role != role || time.Until(caller.Expires) > time.Hour || time.Until(caller.Expires) < 29*time.Minute {
			t.Errorf("%s: %+v, %v", role, caller, err)
		}
	}
}

func TestFurtherAPIKeys(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, claims.Config{})
	record := func(id, kind string, expires time.Time, revoked bool) (secret.String, claims.APIKeyRecord) {
		key := claims.NewAPIKey(kind)
		return key, claims.APIKeyRecord{ID: id, Role: claims.RoleOf(kind), Hash: claims.HashKey(key), Expires: expires, Revoked: revoked}
	}
	good, a := record("a", claims.KindSecret, time.Time{}, false)
	later, b := record("b", claims.KindPublishable, time.Now().Add(time.Hour), false)
	expired, c := record("c", claims.KindPublishable, time.Now().Add(-time.Second), false)
	revoked, d := record("d", claims.KindSecret, time.Time{}, true)
	use(t, keys, claims.Live{API: []claims.APIKeyRecord{a, b, c, d}})
	for key, role := range map[secret.String]string{good: "service_role", later: "anon"} {
		if caller, err := keys.Verify(exchange(t, keys, key)); err != nil || caller.Role != role {
			t.Errorf("%s: %v", role, err)
		}
	}
	for _, key := range []secret.String{expired, revoked, good[:len(good)-1], good + "x"} {
		if token, err := keys.Exchange(key.Reveal()); token != "" || !errors.Is(err, claims.ErrUnknownKey) {
			t.Errorf("got %q, %v", token, err)
		}
	}
	if used := keys.TakeUsed(); len(used) != 2 || time.Since(used["a"]) > time.Minute || used["b"].IsZero() {
		t.Errorf("used: got %v", used)
	}
	if used := keys.TakeUsed(); len(used) != 0 {
		t.Errorf("used again: got %v", used)
	}
	exchange(t, keys, good)
	a.Revoked = true
	use(t, keys, claims.Live{API: []claims.APIKeyRecord{a, b}})
	if _, err := keys.Exchange(good.Reveal()); !errors.Is(err, claims.ErrUnknownKey) {
		t.Errorf("revoked while in use: got %v", err)
	}
	if used := keys.TakeUsed(); len(used) != 1 {
		t.Errorf("a use before the change is lost: got %v", used)
	}
}

// The keys that a project begins with are revoked by a record of their hash.
func TestConfiguredAPIKeysAreRevoked(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, claims.Config{})
	api := keys.API()
	for _, token := range []secret.String{api.Anon, api.Service} {
		if _, err := keys.Verify(token.Reveal()); err != nil { // now it is remembered
			t.Fatal(err)
		}
	}
	use(t, keys, claims.Live{API: []claims.APIKeyRecord{
		{ID: "p", Role: "anon", Hash: claims.HashKey(api.Publishable), Revoked: true},
		{ID: "s", Role: "service_role", Hash: claims.HashKey(api.Service), Revoked: true},
	}})
	if _, err := keys.Exchange(api.Publishable.Reveal()); !errors.Is(err, claims.ErrUnknownKey) {
		t.Errorf("publishable: got %v", err)
	}
	if _, err := keys.Verify(api.Service.Reveal()); !errors.Is(err, claims.ErrUnknownKey) {
		t.Errorf("service_role: got %v", err)
	}
	for _, text := range rewritten(api.Service.Reveal()) {
		if _, err := keys.Verify(text); err == nil {
			t.Errorf("service_role is taken as %s", text)
		}
	}
	if _, err := keys.Verify(api.Anon.Reveal()); err != nil {
		t.Errorf("anon: got %v", err)
	}
	if caller, err := keys.Verify(exchange(t, keys, api.Secret)); err != nil || caller.Role != "service_role" {
		t.Errorf("secret: got %v", err)
	}
	use(t, keys, claims.Live{})
	if _, err := keys.Verify(api.Service.Reveal()); err != nil {
		t.Errorf("given back: got %v", err)
	}
}

// rewritten are other texts of a token's signature that some readers of base64 take for the same.
func rewritten(token string) []string {
	texts := []string{token + "="}
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(letters, token[len(token)-1])
	for unused := range 4 { // 43 letters have two bits more than 32 bytes
		texts = append(texts, token[:len(token)-1]+string(letters[last&^3|unused]))
	}
	standard := strings.NewReplacer("-", "+", "_", "/")
	signature := strings.LastIndexByte(token, '.') + 1
	return append(texts, token[:signature]+standard.Replace(token[signature:]))
}

// kids are the names of the published keys.
func kids(t testing.TB, keys *claims.Keys) string {
	t.Helper()
	var set struct {
		Keys []struct{ Kid, D string }
	}
	if err := json.Unmarshal(keys.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(set.Keys))
	for _, key := range set.Keys {
		names = append(names, key.Kid)
		if key.D != "" {
			t.Errorf("%s: the private key is published", key.Kid)
		}
	}
	return strings.Join(names, " ")
}

func TestSigningKeysRotateWithOverlap(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, claims.Config{})
	token := func() string {
		text, err := keys.Sign([]byte(fmt.Sprintf(`{"role":"authenticated","exp":%d}`, time.Now().Add(time.Hour).Unix())))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	check := func(when string, want error, tokens ...string) {
		t.Helper()
		for i, text := range tokens {
			if _, err := keys.Verify(text); !errors.Is(err, want) {
				t.Errorf("%s: token %d: got %v, want %v", when, i, err, want)
			}
		}
	}
	signing := func(id, algorithm, state string) claims.SigningKey {
		material, err := claims.NewSigningKey(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		return claims.SigningKey{ID: id, State: state, JWK: material}
	}
	first := token()
	one, two := signing("one", "ES256", claims.KeyStandby), signing("two", "EdDSA", claims.KeyStandby)
	use(t, keys, claims.Live{Signing: []claims.SigningKey{one}})
	if keys.Algorithm() != "HS256" || kids(t, keys) != "one" {
		t.Errorf("standby: %s, %s", keys.Algorithm(), kids(t, keys))
	}
	one.State = claims.KeyInUse
	use(t, keys, claims.Live{Signing: []claims.SigningKey{one, two}})
	second := token()
	if keys.Algorithm() != "ES256" || kids(t, keys) != "one two" {
		t.Errorf("in use: %s, %s", keys.Algorithm(), kids(t, keys))
	}
	check("after the first rotation", nil, first, second, keys.API().Anon.Reveal(), exchange(t, keys, keys.API().Secret))
	one.State, two.State = claims.KeyPrevious, claims.KeyInUse
	configured := claims.SigningKey{ID: claims.Configured, State: claims.KeyRevoked}
	use(t, keys, claims.Live{Signing: []claims.SigningKey{configured, one, two}})
	third := token()
	check("after the second rotation", nil, second, third, exchange(t, keys, keys.API().Secret))
	check("configured key revoked", claims.ErrAlgorithm, first, keys.API().Anon.Reveal())
	one.State = claims.KeyRevoked
	use(t, keys, claims.Live{Signing: []claims.SigningKey{configured, one, two}})
	check("first key revoked", claims.ErrAlgorithm, second)
	check("first key revoked", nil, third)
	if kids(t, keys) != "two" {
		t.Errorf("published: %s", kids(t, keys))
	}
	two.State = claims.KeyPrevious
	if err := keys.Use(claims.Live{Signing: []claims.SigningKey{configured, two}}); err == nil {
		t.Error("a revoked key signs")
	}
	check("after a faulty change", nil, third)
}

func TestOnlyPrivateKeysSign(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"ES256", "RS256", "EdDSA", "HS256"} {
		key, err := claims.NewSigningKey(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := claims.SigningAlgorithm(key); got != algorithm || err != nil {
			t.Errorf("%s: got %q, %v", algorithm, got, err)
		}
		public, err := claims.PublicKey("kid", key)
		if err != nil || (public == nil) != (algorithm == "HS256") {
			t.Errorf("%s: public key %s, %v", algorithm, public, err)
		}
		if _, err := claims.SigningAlgorithm(secret.String(public)); err == nil {
			t.Errorf("%s: a public key signs", algorithm)
		}
	}
	for _, text := range []secret.String{"", "{}", "null", "[]", `{"kty":"oct","k":"c2hvcnQ"}`, `{"kty":"EC"}`, `{"kty":"oct","k":"x"},{"kty":"oct","k":"y"}`} {
		if _, err := claims.SigningAlgorithm(text); !errors.Is(err, claims.ErrSigningKey) {
			t.Errorf("%s: got %v", text.Reveal(), err)
		}
	}
	if _, err := claims.NewSigningKey("none"); err == nil {
		t.Error("an algorithm none")
	}
}
