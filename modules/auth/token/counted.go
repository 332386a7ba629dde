package token

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"math"

	"github.com/google/uuid"
)

// Counted is a refresh token of GoTrue's second version: it names its session and
// its place in the session's line, signed with the session's own key. In base64url:
// a zero byte, the session's UUID, the counter as uvarint, 16 bytes of HMAC-SHA256
// over all of that, and 4 bytes of SHA-256 over the whole.
type Counted struct {
	SessionID string
	Counter   int64

	signed, signature []byte
}

const (
	signatureLength = 16
	checksumLength  = 4
	shortestCounted = 1 + 16 + 1 + signatureLength + checksumLength
	longestCounted  = shortestCounted + binary.MaxVarintLen64 - 1
)

// ParseCounted reads a token; it reports false for what is none, or was damaged.
func ParseCounted(text string) (Counted, bool) {
	if len(text) > base64.RawURLEncoding.EncodedLen(longestCounted) {
		return Counted{}, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) < shortestCounted || raw[0] != 0 {
		return Counted{}, false
	}
	body, checksum := raw[:len(raw)-checksumLength], raw[len(raw)-checksumLength:]
	if sum := sha256.Sum256(body); subtle.ConstantTimeCompare(sum[:checksumLength], checksum) != 1 {
		return Counted{}, false
	}
	signed, signature := body[:len(body)-signatureLength], body[len(body)-signatureLength:]
	counter, n := binary.Uvarint(signed[17:])
	if n <= 0 || n != len(signed)-17 || counter > math.MaxInt64 {
		return Counted{}, false
	}
	return Counted{SessionID: uuid.UUID(signed[1:17]).String(), Counter: int64(counter), signed: signed, signature: signature}, true
}

// SignedBy reports whether the session's key signed the token.
func (c Counted) SignedBy(key []byte) bool {
	return hmac.Equal(c.signature, signatureOf(key, c.signed))
}

// NewCounted returns the session's token of a counter.
func NewCounted(session uuid.UUID, counter int64, key []byte) string {
	raw := binary.AppendUvarint(append([]byte{0}, session[:]...), uint64(counter))
	raw = append(raw, signatureOf(key, raw)...)
	sum := sha256.Sum256(raw)
	return base64.RawURLEncoding.EncodeToString(append(raw, sum[:checksumLength]...))
}

func signatureOf(key, signed []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(signed)
	return mac.Sum(nil)[:signatureLength]
}

// NewKey returns the key of a session, in base64url as it is stored.
func NewKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return base64.RawURLEncoding.EncodeToString(key)
}
