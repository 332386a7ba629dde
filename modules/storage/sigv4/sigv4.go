// Package sigv4 verifies requests that are signed by version 4 of AWS's signature,
// as S3 has it: in the header Authorization, in a presigned URL or in the policy of
// a form. It follows Amazon S3's API reference ("Authenticating Requests (AWS
// Signature Version 4)") and knows neither credentials nor objects: a caller parses
// what a request says of its signature, finds the secret of its access key, and
// verifies.
//
//	signature, err := sigv4.Parse(r)
//	secret := ... // of signature.AccessKey
//	payload, err := verifier.Verify(r, signature, secret)
//	... // read payload to its end, then commit
//
// Proxies change a request's host and path. A signature is good when it is that of
// the request under any of the hosts and paths that the Verifier is told of.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"hash"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/madbase/madbase/platform/secret"
)

// The limits of AWS's specification.
const (
	// maxSkew is how far the client's clock may be off.
	maxSkew = 15 * time.Minute
	// maxExpires is how long a presigned URL may be good for.
	maxExpires = 7 * 24 * time.Hour
)

// maxCandidates bounds the canonical requests that one signature is compared with, and
// maxCompared their length in all, and so the work that a bad one makes.
const (
	maxCandidates = 128
	maxCompared   = 512 << 10
)

// Verifier verifies signatures. Its zero value takes any region and looks at a
// request as it came.
type Verifier struct {
	// Regions are those that a signature may be made for; none for any: a region is
	// no secret and this service has but one place.
	Regions []string
	// Hosts lists what the client may have called this server's host, likeliest
	// first, with the port where it is not the scheme's own. Nil for the request's Host.
	Hosts func(*http.Request) []string
	// Paths lists what the client may have called the request's path, as it is
	// written in URLs, likeliest first. Nil for the request's own.
	Paths func(*http.Request) []string
	// Now is the clock; nil for the real one.
	Now func() time.Time
}

// Verify checks s, which is that of Parse, and returns r's body. Any of secrets may
// have made it. The body is verified while it is read: see Payload. Errors are
// *apierr.Error with S3's codes.
func (v *Verifier) Verify(r *http.Request, s *Signature, secrets ...secret.String) (*Payload, error) {
	if err := v.checkScope(s); err != nil {
		return nil, err
	}
	if err := s.checkTime(v.now()); err != nil {
		return nil, err
	}
	if name := unsignedHeader(r, s); name != "" {
		return nil, errUnsignedHeader(name)
	}
	hosts, paths := distinct(v.hosts(r)), distinct(v.paths(r))
	key := signer(r, s, secrets, hosts, paths)
	if key == nil {
		// The log then tells what a proxy would have to pass on.
		return nil, errMismatch(s).Because(fmt.Errorf("sigv4: the signature is not of any of the hosts %q with the paths %q", hosts, paths))
	}
	return newPayload(r, s, key)
}

func (v *Verifier) now() time.Time {
	if v.Now != nil {
		return v.Now()
	}
	return time.Now()
}

func (v *Verifier) checkScope(s *Signature) error {
	if s.scope.service != service {
		return errDenied("Invalid Service")
	}
	if len(v.Regions) > 0 && !slices.Contains(v.Regions, s.scope.region) {
		return errDenied("Invalid Region")
	}
	return nil
}

// checkTime refuses what was signed too long ago or by a clock that is ahead.
func (s *Signature) checkTime(now time.Time) error {
	switch {
	case !s.presigned && now.Sub(s.at).Abs() > maxSkew:
		return errSkewed()
	case s.presigned && s.at.Sub(now) > maxSkew:
		return errDenied("Request is not valid yet")
	case s.presigned && now.After(s.at.Add(s.expires)):
		return errExpired()
	}
	return nil
}

// unsignedHeader returns a header that changes what the request does and was not
// signed: whoever came by a signed request could have added it. What CloudFront
// adds on its way means nothing here.
func unsignedHeader(r *http.Request, s *Signature) string {
	if !slices.Contains(s.headers, "host") {
		return "host"
	}
	for name := range r.Header {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "x-amz-") && lower != "x-amz-cf-id" && !slices.Contains(s.headers, lower) {
			return lower
		}
	}
	return ""
}

// signer returns the signing key of the secret that signed r as sent to one of hosts
// under one of paths, nil when it is none.
func signer(r *http.Request, s *Signature, secrets []secret.String, hosts, paths []string) []byte {
	c, err := newCanonical(r, s)
	if err != nil {
		return nil
	}
	keys := make([][]byte, 0, len(secrets))
	macs := make([]hash.Hash, 0, len(secrets))
	for _, secret := range secrets {
		if secret != "" {
			key := s.scope.key(secret)
			keys, macs = append(keys, key), append(macs, hmac.New(sha256.New, key))
		}
	}
	var sum [sha256.Size]byte
	for text := range c.candidates(hosts, paths) {
		toSign := []byte(s.stringToSign(text))
		for i, mac := range macs {
			mac.Reset()
			mac.Write(toSign)
			if subtle.ConstantTimeCompare(mac.Sum(sum[:0]), s.value) == 1 {
				return keys[i]
			}
		}
	}
	return nil
}

func (v *Verifier) hosts(r *http.Request) []string {
	if v.Hosts != nil {
		return v.Hosts(r)
	}
	return []string{r.Host}
}

func (v *Verifier) paths(r *http.Request) []string {
	if v.Paths != nil {
		return v.Paths(r)
	}
	return []string{r.URL.EscapedPath()}
}
