package auth_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// jwtHeader is the header of a JWT.
func jwtHeader(t *testing.T, jwt string) (header struct{ Alg, Kid, Typ string }) {
	t.Helper()
	first, _, _ := strings.Cut(jwt, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	if err == nil {
		err = json.Unmarshal(text, &header)
	}
	if err != nil {
		t.Fatal(err)
	}
	return header
}

// published are the names of the keys that jwks.json shows.
func (s *server) published() (kids []string) {
	s.t.Helper()
	a := s.call("GET", "/.well-known/jwks.json", "", nil).want(200, "")
	equal(s.t, "cache", a.header.Get("Cache-Control"), "public, max-age=600")
	keys, _ := a.body["keys"].([]any)
	for _, key := range keys {
		kids = append(kids, key.(map[string]any)["kid"].(string))
	}
	return kids
}

func verifying(t *testing.T, key jwk.Key) jwk.Key {
	t.Helper()
	retired, err := key.Clone()
	if err == nil {
		err = retired.Set(jwk.KeyOpsKey, jwk.KeyOperationList{jwk.KeyOpVerify})
	}
	if err != nil {
		t.Fatal(err)
	}
	return retired
}

// From the shared secret to a first key and on to a second: at no step is anybody
// signed out, and only when a key is taken away do its tokens end, and sessions go on.
func TestRotationSignsNobodyOut(t *testing.T) {
	s := start(t, config())
	first, second := newKey(t, "ES256", "k1", "sign", "verify"), newKey(t, "RS256", "k2", "sign", "verify")
	in := s.signup("ann@example.com", "secret-1")
	shared, refresh := in.str("access_token"), in.str("refresh_token")
	service := s.service()
	equal(t, "published of a shared secret", s.published(), nil)
	next := func(wantKid string) string {
		t.Helper()
		a := s.refresh(refresh).want(200, "")
		refresh = a.str("refresh_token")
		equal(t, "kid", jwtHeader(t, a.str("access_token")).Kid, wantKid)
		return a.str("access_token")
	}

	s.f.Keys = keysOf(t, first)
	s.call("GET", "/user", shared, nil).want(200, "")
	byFirst := next("k1")
	equal(t, "published", s.published(), []string{"k1"})

	s.f.Keys = keysOf(t, verifying(t, second), first) // announced, so that caches know it before it signs
	equal(t, "published", s.published(), []string{"k2", "k1"})
	next("k1")

	s.f.Keys = keysOf(t, second, verifying(t, first))
	bySecond := next("k2")
	for _, token := range []string{shared, byFirst, bySecond} {
		s.call("GET", "/user", token, nil).want(200, "")
	}
	s.call("GET", "/admin/users", service, nil).want(200, "")

	s.f.Keys = keysOf(t, second)
	s.call("GET", "/user", byFirst, nil).want(403, "bad_jwt")
	s.call("GET", "/user", bySecond, nil).want(200, "")
	s.call("GET", "/user", next("k2"), nil).want(200, "")
}
