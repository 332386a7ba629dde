package claims

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// maxToken bounds a token's length in bytes; request headers end before it.
const maxToken = 16 << 10

// maxRemembered bounds the length of tokens that are remembered. Users choose
// part of what their tokens hold, and many long ones would fill the memory.
const maxRemembered = 4 << 10

// Verify checks an access token: a compact JWS, by the project's keys and by its
// time claims (exp, nbf, iat) with 30 s of skew, as PostgREST allows. The algorithm
// is the key's, never the token's: "none" and confusions of public key and secret
// find no key. A verified token is remembered until it expires, so a hot one costs
// no signature check. The token of a signed URL and an ID token, which the same
// keys sign, are refused. The error wraps one of this package's Err values.
func (k *Keys) Verify(token string) (*Caller, error) {
	c, err := k.verify(token)
	if _, isURL := c.SignedURL(); err == nil && (isURL || c.isIDToken()) {
		return nil, ErrPurpose
	}
	return c, err
}

// VerifyURL is Verify for the token of a signed URL; an access token is refused.
func (k *Keys) VerifyURL(token string) (*Caller, error) {
	c, err := k.verify(token)
	if _, isURL := c.SignedURL(); err == nil && !isURL {
		return nil, ErrPurpose
	}
	return c, err
}

func (k *Keys) verify(token string) (*Caller, error) {
	now, m := k.now(), k.current.Load()
	if c := m.recall(token); c != nil {
		if err := c.checkTime(now); err != nil {
			return nil, err
		}
		return c, nil
	}
	if len(token) > maxToken {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrMalformed, maxToken)
	}
	payload, err := m.checkSignature(token)
	if err != nil {
		return nil, err
	}
	if m.refused[string(payload)] {
		return nil, ErrUnknownKey
	}
	c, err := newCaller(token, payload)
	if err != nil {
		return nil, err
	}
	if err := c.checkTime(now); err != nil {
		return nil, err
	}
	m.remember(token, c, now)
	return c, nil
}

func (m *material) recall(token string) *Caller {
	if m.verified == nil {
		return nil
	}
	c, _ := m.verified.Get(token)
	return c
}

func (m *material) remember(token string, c *Caller, now time.Time) {
	if m.verified == nil || len(token) > maxRemembered {
		return
	}
	until := c.Expires
	if until.IsZero() {
		until = now.Add(time.Hour)
	}
	m.verified.Put(token, c, until.Add(skew))
}

func (m *material) checkSignature(token string) ([]byte, error) {
	if n := strings.Count(token, ".") + 1; n != 3 {
		return nil, PartsError(n)
	}
	message, err := jws.ParseString(token)
	if err != nil || len(message.Signatures()) != 1 {
		return nil, ErrMalformed
	}
	header := message.Signatures()[0].ProtectedHeaders()
	if len(header.Critical()) > 0 {
		return nil, fmt.Errorf("%w: critical header extensions", ErrMalformed)
	}
	if header.Algorithm() == jwa.NoSignature {
		return nil, ErrUnsecured
	}
	failure := ErrAlgorithm
	for _, key := range m.verifying {
		if key.Algorithm().String() != header.Algorithm().String() {
			continue
		}
		if header.KeyID() != "" && key.KeyID() != "" && header.KeyID() != key.KeyID() {
			if errors.Is(failure, ErrAlgorithm) {
				failure = ErrNoKey
			}
			continue
		}
		payload, err := jws.Verify([]byte(token), jws.WithKey(key.Algorithm(), key))
		if err == nil {
			return payload, nil
		}
		failure = ErrSignature
	}
	return nil, failure
}

// newCaller decodes the claims that madbase itself reads; their types are checked.
func newCaller(token string, payload []byte) (*Caller, error) {
	c := &Caller{Token: token, JSON: payload}
	if err := json.Unmarshal(payload, &c.Payload); err != nil || c.Payload == nil {
		return nil, ErrClaims
	}
	for name, into := range map[string]*string{"role": &c.Role, "sub": &c.Subject, "session_id": &c.SessionID} {
		switch v := c.Payload[name].(type) {
		case nil:
		case string:
			*into = v
		default:
			return nil, &ClaimTypeError{Claim: name, Want: "a string"}
		}
	}
	for _, name := range []string{"exp", "nbf", "iat"} {
		if _, err := c.time(name); err != nil {
			return nil, err
		}
	}
	c.Expires, _ = c.time("exp")
	return c, nil
}

// time returns a NumericDate claim (RFC 7519, section 2), zero when absent.
func (c *Caller) time(name string) (time.Time, error) {
	switch v := c.Payload[name].(type) {
	case nil:
		return time.Time{}, nil
	case float64:
		if math.Abs(v) > 1<<52 {
			return time.Time{}, fmt.Errorf("%w: the JWT %q claim is out of range", ErrClaims, name)
		}
		return time.Unix(int64(v), 0), nil
	}
	return time.Time{}, &ClaimTypeError{Claim: name, Want: "a number"}
}

// skew is how far the clocks of issuer and verifier may be apart.
const skew = 30 * time.Second

func (c *Caller) checkTime(now time.Time) error {
	nbf, _ := c.time("nbf") // the types were checked when the caller was made
	iat, _ := c.time("iat")
	switch {
	case !c.Expires.IsZero() && now.After(c.Expires.Add(skew)):
		return ErrExpired
	case !nbf.IsZero() && now.Add(skew).Before(nbf):
		return ErrNotYet
	case !iat.IsZero() && now.Add(skew).Before(iat):
		return ErrIssuedAhead
	}
	return nil
}

// public returns the verifying half of key with its algorithm bound. What is
// published says that it is for that, as WebCrypto asks before it takes a key.
func public(key jwk.Key) (jwk.Key, error) {
	if key.KeyType() == jwa.OctetSeq {
		return key, nil
	}
	pub, err := key.PublicKey()
	if err != nil {
		return nil, err
	}
	if err := pub.Set(jwk.KeyUsageKey, jwk.ForSignature); err != nil {
		return nil, err
	}
	return pub, pub.Set(jwk.KeyOpsKey, jwk.KeyOperationList{jwk.KeyOpVerify})
}
