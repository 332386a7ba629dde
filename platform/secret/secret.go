// Package secret keeps confidential settings out of logs and makes comparing
// them safe against timing.
package secret

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"log/slog"
)

const mask = "[redacted]"

// String is a confidential text. Printing, formatting, logging or marshalling
// it shows a mask; Reveal is the only way to its value.
type String string

// Reveal returns the confidential value.
func (s String) Reveal() string { return string(s) }

// String shows a mask, or nothing when the secret is empty.
func (s String) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString masks the secret for %#v.
func (s String) GoString() string { return s.String() }

// MarshalText masks the secret in JSON and the like.
func (s String) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue masks the secret in structured logs.
func (s String) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Equal compares given with the secret in time independent of where they
// differ and of their lengths. An empty secret equals nothing.
func (s String) Equal(given string) bool {
	want, got := sha256.Sum256([]byte(s)), sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1 && s != ""
}

// Derive returns a hex key of size random-looking bytes that depends on the
// secret and on purpose alone (HKDF, RFC 5869): every process that knows the
// secret derives the same one.
func (s String) Derive(purpose string, size int) String {
	key, err := hkdf.Key(sha256.New, []byte(s), nil, "madbase/"+purpose, size)
	if err != nil { // only for sizes beyond 255 hashes, a programming error
		return ""
	}
	return String(hex.EncodeToString(key))
}
