package auth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// code finds the code that the user with an address has pending in a column of
// auth.users, by trying all: what is stored is the hash for the addressee.
func (s *server) code(email, column, addressee string) string {
	s.t.Helper()
	var hash string
	if err := s.f.Owner.QueryRow(s.t.Context(), `SELECT `+column+` FROM auth.users WHERE email = $1`, email).Scan(&hash); err != nil {
		s.t.Fatal(err)
	}
	hash = strings.TrimPrefix(hash, "pkce_")
	for i := range 1_000_000 {
		code := fmt.Sprintf("%06d", i)
		if sum := sha256.Sum224([]byte(addressee + code)); hex.EncodeToString(sum[:]) == hash {
			return code
		}
	}
	s.t.Fatalf("%s of %s is no hash of a code: %q", column, email, hash)
	return ""
}

// verifyCode types a code.
func (s *server) verifyCode(kind, email, code string) answer {
	s.t.Helper()
	return s.call("POST", "/verify", "", map[string]any{"type": kind, "email": email, "token": code})
}

// hash is what a column of auth.users holds for an address.
func (s *server) hash(email, column string) (hash string) {
	s.t.Helper()
	if err := s.f.Owner.QueryRow(s.t.Context(), `SELECT coalesce(`+column+`, '') FROM auth.users WHERE email = $1`, email).Scan(&hash); err != nil {
		s.t.Fatal(err)
	}
	return hash
}

var _ testing.TB
