// Package s3api is what Amazon S3's protocol looks like on the wire: what a request
// is about, the XML that goes either way, and how lists, ranges and sources of
// copies are written. It follows Amazon S3's API reference and knows neither
// objects nor signatures.
package s3api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Level is what a request is about.
type Level int

// The levels of a path.
const (
	Service Level = iota
	Bucket
	Object
)

// Target is a request's bucket and object; of either that it does not name, empty.
type Target struct{ Bucket, Key string }

// Level says how much t names.
func (t Target) Level() Level {
	switch {
	case t.Bucket == "":
		return Service
	case t.Key == "":
		return Bucket
	}
	return Object
}

// ParseTarget reads what stands in an escaped path behind the place where S3 is
// served. A bucket may have a slash behind it.
func ParseTarget(escaped string) (t Target, err error) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(escaped, "/"), "/")
	if t.Bucket, err = url.PathUnescape(bucket); err == nil {
		t.Key, err = url.PathUnescape(key)
	}
	if err != nil {
		return Target{}, errURI(err)
	}
	return t, nil
}

// ParseQuery reads a query as S3 does, in which only "&" parts parameters. What
// cannot be read is an error: a request must not do something else for it.
func ParseQuery(raw string) (url.Values, error) {
	query := url.Values{}
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return nil, errURI(err)
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return nil, errURI(err)
		}
		query.Add(name, value)
	}
	return query, nil
}

// parameters are the names in a query that only tell how reading is done.
var parameters = []string{
	"bucket-region", "continuation-token", "delimiter", "encoding-type", "fetch-owner", "key-marker", "list-type", "marker",
	"max-buckets", "max-keys", "max-parts", "max-uploads", "part-number-marker", "partNumber", "prefix", "start-after", "upload-id-marker", "version-id-marker", "versionId",
}

// Subresource returns the names in the query that say what is asked for beside the
// target itself, in their order joined by "&": "" or "acl" or "partNumber&uploadId".
// All that is not known as anything else counts, lest a request that means a part
// of the object, such as its tags, does something to the object itself. When
// something is only read, a name of no meaning may come with a value.
func Subresource(method string, query url.Values) string {
	reads := method == http.MethodGet || method == http.MethodHead
	var names []string
	for name, values := range query {
		switch {
		case name == "x-id", len(name) > 6 && strings.EqualFold(name[:6], "x-amz-"), name == "versionId" && method == http.MethodDelete:
		case reads && (slices.Contains(parameters, name) || strings.HasPrefix(name, "response-")):
		case reads && name != "uploadId" && values[0] != "":
		default:
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, "&")
}

// signing are the parameters of a presigned URL that are about the signature.
var signing = []string{
	"X-Amz-Algorithm", "X-Amz-Content-Sha256", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires",
	"X-Amz-Security-Token", "X-Amz-Signature", "X-Amz-Signedheaders",
}

// TakeHeaders adds to h the x-amz- headers that clients put into the query of
// presigned URLs. Those that h has already stay.
func TakeHeaders(h http.Header, query url.Values) {
	for name, values := range query {
		name = http.CanonicalHeaderKey(name)
		if _, there := h[name]; !there && strings.HasPrefix(name, "X-Amz-") && !slices.Contains(signing, name) {
			h[name] = values
		}
	}
}

// metaPrefix begins the headers that are an object's user metadata.
const metaPrefix = "X-Amz-Meta-"

// UserMetadata returns the user metadata in h, its names in lower case.
func UserMetadata(h http.Header) map[string]string {
	metadata := map[string]string{}
	for name, values := range h {
		if key, found := strings.CutPrefix(name, metaPrefix); found {
			metadata[strings.ToLower(key)] = strings.Join(values, ",")
		}
	}
	return metadata
}

// SetUserMetadata sets the headers for an object's user metadata, which need not
// have come by S3. What no header can hold is counted in x-amz-missing-meta.
func SetUserMetadata(h http.Header, metadata map[string]any) {
	missing := 0
	for name, value := range metadata {
		text, isText := value.(string)
		if !isText || !headerName(name) || !headerValue(text) {
			missing++
			continue
		}
		h.Set(metaPrefix+name, text)
	}
	if missing > 0 {
		h.Set("X-Amz-Missing-Meta", itoa(missing))
	}
}

// headerName reports whether name is a token of RFC 9110, section 5.6.2.
func headerName(name string) bool {
	for i := range len(name) {
		c := name[i]
		alphanumeric := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alphanumeric && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return name != ""
}

// headerValue reports whether value is printable ASCII.
func headerValue(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return true
}
