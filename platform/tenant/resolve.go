package tenant

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/registry"
)

// Header names a request's project between gateway and worker. Whoever sends it to
// a worker gains nothing: each project checks keys and tokens by itself.
const Header = "X-Madbase-Project"

// ByKey in place of a project's ref says that the request's opaque key names the
// project, which the gateway does not know and has not checked.
const ByKey = "*"

// Unchecked in place of a project's ref says that it is the default one, and that the
// gateway has not checked the key.
const Unchecked = "?" + registry.DefaultRef

// pathPrefix comes before the ref in addresses without a domain of their own.
const pathPrefix = "/project/"

// Resolver finds the project that a request is for: by the path, by the host's
// name, or else by the key. What it finds decides only who is to judge the request.
type Resolver struct {
	Config Config
	// Registry knows the projects; nil in a proxy, which leaves to the workers what
	// it cannot tell.
	Registry *registry.Registry
	// Keys are the default project's, and Host the name that its public URL has:
	// no project's, also where it is below their domain.
	Keys *claims.Keys
	Host string
	// Told returns what a proxy was told of keys, nil while it was told nothing.
	Told func() Told
}

// Told is what a proxy knows of keys from elsewhere.
type Told interface {
	// ProjectOfKey returns the project of an opaque key that is valid.
	ProjectOfKey(text string) (ref string, found bool)
	// Trusted reports whether the proxy's own keys tell which tokens are API keys.
	Trusted() bool
}

type contextKey struct{}

// found is what Front found out of a request.
type found struct {
	ref string
	// tell is what the worker is told: ref, or one of ByKey and Unchecked.
	tell string
	// prefix is what it took off the path.
	prefix string
}

// Ref is the project that Front found for r: the default one where it has not seen r.
func Ref(r *http.Request) string {
	if f, ok := r.Context().Value(contextKey{}).(found); ok {
		return f.ref
	}
	return registry.DefaultRef
}

// Left reports whether r's key is left for the worker to check.
func Left(r *http.Request) bool { return told(r) != registry.DefaultRef }

func told(r *http.Request) string {
	if f, ok := r.Context().Value(contextKey{}).(found); ok {
		return f.tell
	}
	return registry.DefaultRef
}

// Tell has r's header tell the worker what Front found, whatever the client said of it.
func Tell(r *http.Request) {
	r.Header.Set(Header, told(r))
	if f, ok := r.Context().Value(contextKey{}).(found); ok && f.prefix != "" {
		r.Header.Set(prefixHeader, strings.TrimSuffix(r.Header.Get(prefixHeader), "/")+f.prefix)
	}
}

// prefixHeader tells of the path that clients know and the worker does not, as
// signatures of the S3 protocol need.
const prefixHeader = "X-Forwarded-Prefix"

// Front is the gateway's side: it notes each request's project for Ref and takes
// the project's prefix off the path.
func (v Resolver) Front(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, v.resolve(r))
	})
}

// resolve returns r without the prefix of its project, which Ref tells.
func (v Resolver) resolve(r *http.Request) *http.Request {
	ref, path, inPath := byPath(r.URL.Path)
	known := inPath
	if !known {
		ref, known = v.byHost(r.Host)
	}
	if !known {
		ref, known = v.byKey(r)
	}
	if !known {
		ref = registry.DefaultRef
	}
	tell := ref
	if ref == registry.DefaultRef && v.Registry == nil && !v.checks(r) {
		tell = Unchecked
	}
	if tell == registry.DefaultRef && !inPath {
		return r
	}
	f := found{ref: ref, tell: tell}
	if inPath {
		f.prefix = pathPrefix + ref
	}
	out := r.WithContext(context.WithValue(r.Context(), contextKey{}, f))
	if inPath {
		target := *r.URL
		target.Path = path
		if target.RawPath != "" { // the prefix has no letter that is ever escaped
			_, target.RawPath, _ = byPath(target.RawPath)
		}
		out.URL = &target
		out.RequestURI = target.RequestURI()
	}
	return out
}

// byPath splits /project/<ref>/rest/v1/... into the ref and the path after it.
func byPath(path string) (ref, rest string, found bool) {
	after, found := strings.CutPrefix(path, pathPrefix)
	if !found {
		return "", path, false
	}
	ref, rest, _ = strings.Cut(after, "/")
	if !registry.ValidRef(ref) {
		return "", path, false
	}
	return ref, "/" + rest, true
}

// byHost takes the one label before the domain for a ref. One that can be none is
// still a project's, which there is not.
func (v Resolver) byHost(host string) (string, bool) {
	domain := v.Config.host()
	if domain == "" {
		return "", false
	}
	name := withoutPort(host)
	ref, found := strings.CutSuffix(name, "."+domain)
	return ref, found && ref != "" && name != v.Host
}

// byKey finds the project of an sb_ key and of a token with the claim ref.
func (v Resolver) byKey(r *http.Request) (string, bool) {
	if v.Registry != nil && len(v.Registry.Snapshot().Projects()) < 2 {
		return "", false
	}
	key := Key(r)
	switch {
	case key == "":
		return "", false
	case !strings.HasPrefix(key, "sb_"):
		ref := refClaim(key)
		return ref, ref != ""
	case v.Registry == nil:
		return v.byTold(key), true
	}
	return v.Registry.Snapshot().ProjectOfKey(key)
}

// Key is r's API key, or else its bearer, which may be one.
func Key(r *http.Request) string {
	if key := claims.APIKey(r); key != "" {
		return key
	}
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "bearer") {
		return strings.TrimSpace(token)
	}
	return ""
}

// byTold finds a proxy's project of an opaque key. One that is not known may have
// been made just now.
func (v Resolver) byTold(key string) string {
	if _, err := v.Keys.Exchange(key); err == nil {
		return registry.DefaultRef
	}
	if t := v.told(); t != nil {
		if ref, found := t.ProjectOfKey(key); found {
			return ref
		}
	}
	return ByKey
}

func (v Resolver) told() Told {
	if v.Told == nil {
		return nil
	}
	return v.Told()
}

// checks reports whether a proxy checks r's key, where it is the default project's:
// not while it does not know what was revoked, nor a key that may have been made
// while it runs.
func (v Resolver) checks(r *http.Request) bool {
	t := v.told()
	return t != nil && t.Trusted() && !strings.HasPrefix(Key(r), "sb_")
}

// maxPayload bounds how much of a token is looked at, in bytes of base64. Tokens
// with the claim are API keys, which are short.
const maxPayload = 1024

// refClaim is the claim ref of a token that nobody has verified yet; empty without one.
func refClaim(token string) string {
	_, payload, _ := strings.Cut(token, ".")
	payload, _, found := strings.Cut(payload, ".")
	if !found || len(payload) > maxPayload {
		return ""
	}
	var buffer [maxPayload]byte
	n, err := base64.RawURLEncoding.Decode(buffer[:], []byte(payload))
	if err != nil || !bytes.Contains(buffer[:n], []byte(`"ref"`)) {
		return ""
	}
	var c struct {
		Ref string `json:"ref"`
	}
	if json.Unmarshal(buffer[:n], &c) != nil || !registry.ValidRef(c.Ref) {
		return ""
	}
	return c.Ref
}
