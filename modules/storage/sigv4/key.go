package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/madbase/madbase/platform/secret"
)

const (
	algorithm   = "AWS4-HMAC-SHA256"
	service     = "s3"
	terminator  = "aws4_request"
	emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// scope is what a signing key is good for: one day, region and service.
type scope struct{ day, region, service string }

// String is the scope as strings to sign have it.
func (s scope) String() string {
	return strings.Join([]string{s.day, s.region, s.service, terminator}, "/")
}

// key derives the signing key of a secret.
func (s scope) key(secret secret.String) []byte {
	key := []byte("AWS4" + secret.Reveal())
	for _, part := range []string{s.day, s.region, s.service, terminator} {
		key = sign(key, part)
	}
	return key
}

func sign(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// stringToSign is that of a canonical request.
func (s *Signature) stringToSign(canonical string) string {
	return strings.Join([]string{algorithm, s.date, s.scope.String(), hexSHA256(canonical)}, "\n")
}

func hexSHA256(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
