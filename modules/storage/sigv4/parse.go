package sigv4

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a stranger may send at most: AWS's own names are far shorter.
const (
	maxAuthorization = 8 << 10
	maxSignedHeaders = 64
	maxAccessKey     = 128
	maxSessionToken  = 16 << 10
)

// Signature is what a request says of its own signature.
type Signature struct {
	// AccessKey names the secret that the request is signed with.
	AccessKey string
	// SessionToken is the token of a temporary secret; empty when there is none.
	SessionToken string

	scope   scope
	date    string // as signed, 20060102T150405Z
	at      time.Time
	headers []string // those signed, in lower case and ascending order
	value   []byte
	// payload is the last line of the canonical request: the body's SHA-256 in hex,
	// or one of the words for bodies that are signed otherwise.
	payload string
	// unhashed is set where the header should say which and does not.
	unhashed bool

	presigned bool
	expires   time.Duration // of a presigned URL, after at
}

// Parse reads the signature of a request's Authorization header or, where that is
// none of ours, of its query. It looks at nothing but its form.
func Parse(r *http.Request) (*Signature, error) {
	if list := r.Header["Authorization"]; len(list) > 0 && strings.HasPrefix(list[0], algorithm+" ") {
		if len(list) > 1 || len(list[0]) > maxAuthorization {
			return nil, errForm("Invalid signature format")
		}
		return parseHeader(r, list[0])
	}
	if strings.Contains(r.URL.RawQuery, "X-Amz-") {
		query, err := parseQuery(r.URL.RawQuery)
		if err != nil {
			return nil, err
		}
		if query.has("X-Amz-Credential") {
			return parsePresigned(r, query)
		}
	}
	return nil, errDenied("Missing signature")
}

// Presigned reports whether the signature is that of a URL.
func (s *Signature) Presigned() bool { return s.presigned }

func parseHeader(r *http.Request, authorization string) (*Signature, error) {
	parts, err := parseAuthorization(authorization)
	if err != nil {
		return nil, err
	}
	s := &Signature{}
	if err := s.fill(parts["Credential"], parts["SignedHeaders"], parts["Signature"]); err != nil {
		return nil, err
	}
	if err := s.dated(headerDate(r)); err != nil {
		return nil, err
	}
	var ok bool
	if s.SessionToken, ok = single(r, "X-Amz-Security-Token"); !ok || len(s.SessionToken) > maxSessionToken {
		return nil, errForm("Invalid signature format")
	}
	if s.payload, ok = single(r, "X-Amz-Content-Sha256"); !ok {
		return nil, errForm("Invalid signature format")
	}
	if s.payload == "" { // S3 asks for it; who leaves it out may have signed one of these
		s.payload, s.unhashed = unsignedPayload, true
		if r.ContentLength == 0 {
			s.payload, s.unhashed = emptySHA256, false
		}
	}
	return s, nil
}

// parseAuthorization reads "AWS4-HMAC-SHA256 Credential=.., SignedHeaders=.., Signature=..".
func parseAuthorization(text string) (map[string]string, error) {
	parts := make(map[string]string, 3)
	for part := range strings.SplitSeq(strings.TrimPrefix(text, algorithm), ",") {
		name, value, found := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := parts[name]; !found || twice || len(parts) == 3 {
			return nil, errForm("Invalid signature format")
		}
		parts[name] = value
	}
	return parts, nil
}

func parsePresigned(r *http.Request, query parameters) (*Signature, error) {
	s := &Signature{presigned: true, payload: unsignedPayload}
	value := map[string]string{}
	for _, name := range []string{
		"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires",
		"X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Security-Token", "X-Amz-Content-Sha256",
	} {
		list := query.values(name)
		if len(list) > 1 {
			return nil, errForm("Invalid signature format")
		}
		if len(list) == 1 {
			value[name] = list[0]
		}
	}
	if given, found := value["X-Amz-Algorithm"]; found && given != algorithm {
		return nil, errForm("Unsupported authorization type")
	}
	if err := s.fill(value["X-Amz-Credential"], value["X-Amz-SignedHeaders"], value["X-Amz-Signature"]); err != nil {
		return nil, err
	}
	if err := s.dated(value["X-Amz-Date"]); err != nil {
		return nil, err
	}
	seconds, err := strconv.ParseInt(value["X-Amz-Expires"], 10, 32)
	if err != nil || seconds < 1 || seconds > int64(maxExpires/time.Second) {
		return nil, errForm("Invalid expiration")
	}
	s.expires = time.Duration(seconds) * time.Second
	if s.SessionToken = value["X-Amz-Security-Token"]; len(s.SessionToken) > maxSessionToken {
		return nil, errForm("Invalid signature format")
	}
	return s, s.presignedPayload(r, value["X-Amz-Content-Sha256"])
}

// presignedPayload takes the body's hash from where the client has it signed: in the
// query, or in a header; most leave it open.
func (s *Signature) presignedPayload(r *http.Request, inQuery string) error {
	inHeader, ok := single(r, "X-Amz-Content-Sha256")
	switch {
	case !ok:
		return errForm("Invalid signature format")
	case inQuery != "":
		s.payload = inQuery
	case inHeader != "" && slices.Contains(s.headers, "x-amz-content-sha256"):
		s.payload = inHeader
	}
	return nil
}

// fill reads what every form of signature has.
func (s *Signature) fill(credential, signedHeaders, signature string) error {
	if credential == "" || signedHeaders == "" || signature == "" {
		return errForm("Invalid signature format")
	}
	if err := s.setCredential(credential); err != nil {
		return err
	}
	s.headers = strings.Split(signedHeaders, ";")
	slices.Sort(s.headers)
	distinct := len(slices.Compact(slices.Clone(s.headers)))
	if distinct != len(s.headers) || distinct > maxSignedHeaders || strings.ToLower(signedHeaders) != signedHeaders {
		return errForm("Invalid signature format")
	}
	return s.setValue(signature)
}

// setCredential reads ACCESSKEY/20060102/region/s3/aws4_request.
func (s *Signature) setCredential(credential string) error {
	parts := strings.Split(credential, "/")
	if len(parts) != 5 || parts[0] == "" || len(parts[0]) > maxAccessKey || parts[4] != terminator {
		return errForm("Invalid credentials")
	}
	if _, err := time.Parse("20060102", parts[1]); err != nil || len(parts[2]) > maxAccessKey {
		return errForm("Invalid credentials")
	}
	s.AccessKey = parts[0]
	s.scope = scope{day: parts[1], region: parts[2], service: parts[3]}
	return nil
}

func (s *Signature) setValue(signature string) (err error) {
	if s.value, err = hex.DecodeString(signature); err != nil || len(s.value) != 32 {
		return errForm("Invalid signature format")
	}
	return nil
}

// dated sets when the request was signed, which is on the scope's day.
func (s *Signature) dated(date string) (err error) {
	if s.at, err = time.Parse("20060102T150405Z", date); err != nil {
		return errForm("Invalid signature format")
	}
	if !strings.HasPrefix(date, s.scope.day) {
		return errForm("Invalid credentials")
	}
	s.date = date
	return nil
}

// headerDate is the time of X-Amz-Date or, where there is none, of Date.
func headerDate(r *http.Request) string {
	if date, ok := single(r, "X-Amz-Date"); !ok || date != "" {
		return date
	}
	at, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil {
		return ""
	}
	return at.UTC().Format("20060102T150405Z")
}

// single returns a header that may be there once, or else is not ok.
func single(r *http.Request, name string) (value string, ok bool) {
	switch list := r.Header[name]; len(list) {
	case 0:
		return "", true
	case 1:
		return list[0], true
	}
	return "", false
}

// maxParameters bounds a query; a list of uploads has seven.
const maxParameters = 128

// parameters are a query's, decoded and in its order.
type parameters []struct{ name, value string }

func parseQuery(raw string) (parameters, error) {
	if strings.Count(raw, "&") >= maxParameters {
		return nil, errForm("Invalid signature format")
	}
	var list parameters
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return nil, errForm("Invalid signature format")
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return nil, errForm("Invalid signature format")
		}
		list = append(list, struct{ name, value string }{name, value})
	}
	return list, nil
}

func (p parameters) has(name string) bool { return len(p.values(name)) > 0 }

func (p parameters) values(name string) (list []string) {
	for _, parameter := range p {
		if parameter.name == name {
			list = append(list, parameter.value)
		}
	}
	return list
}
