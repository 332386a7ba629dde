// Package token makes what a session is carried by: the payload of access tokens
// and the refresh tokens.
package token

import (
	"crypto/rand"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// Method is an entry of the claim amr (RFC 8176): how and when (in Unix seconds)
// the user proved who they are.
type Method struct {
	Method    string `json:"method"`
	Timestamp int64  `json:"timestamp"`
	Provider  string `json:"provider,omitempty"`
}

// Claims are an access token's payload, named as GoTrue names them.
type Claims struct {
	Issuer       string          `json:"iss"`
	Subject      string          `json:"sub"`
	Audience     string          `json:"aud"`
	ExpiresAt    int64           `json:"exp"`
	IssuedAt     int64           `json:"iat"`
	Email        string          `json:"email"`
	Phone        string          `json:"phone"`
	AppMetadata  json.RawMessage `json:"app_metadata"`
	UserMetadata json.RawMessage `json:"user_metadata"`
	Role         string          `json:"role"`
	AAL          string          `json:"aal"`
	Methods      []Method        `json:"amr"`
	SessionID    string          `json:"session_id"`
	IsAnonymous  bool            `json:"is_anonymous"`
	ClientID     string          `json:"client_id,omitempty"`
	Scope        string          `json:"scope,omitempty"`
}

// The assurance levels of NIST SP 800-63B that a session may have.
const (
	AAL1 = "aal1"
	AAL2 = "aal2"
)

// SecondFactors are the methods that raise a session to AAL2.
var SecondFactors = []string{"totp", "mfa/phone", "mfa/webauthn"}

// Level is the assurance that the methods give: AAL2 with a second factor among them.
func Level(methods []Method) string {
	if slices.ContainsFunc(methods, func(m Method) bool { return slices.Contains(SecondFactors, m.Method) }) {
		return AAL2
	}
	return AAL1
}

// RefreshLength is the number of characters of a refresh token.
const RefreshLength = 12

var refreshPattern = regexp.MustCompile(`^[a-z0-9]{12}$`)

// IsRefresh reports whether text has a refresh token's form.
func IsRefresh(text string) bool { return refreshPattern.MatchString(text) }

// NewRefresh returns a random refresh token of 62 bits, as GoTrue's: enough for
// what is looked up in a table behind a rate limit.
func NewRefresh() string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	// Bytes from the last, incomplete round of the alphabet are left out, so that
	// each character is as likely as any other.
	const limit = 256 - 256%len(alphabet)
	var out strings.Builder
	var random [2 * RefreshLength]byte
	for out.Len() < RefreshLength {
		_, _ = rand.Read(random[:]) // never fails
		for _, b := range random {
			if int(b) < limit && out.Len() < RefreshLength {
				out.WriteByte(alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return out.String()
}
