package gateway

import (
	"net/http"
	"strings"
)

// openRoute is a route that needs no API key: people and other services follow
// links to it, and it checks what it is given by itself.
type openRoute struct {
	// methods are separated by spaces; empty means all.
	methods string
	// path is exact, or a prefix when it ends in a slash.
	path string
}

var openRoutes = [...]openRoute{
	// Links in mails and the browser's way through a provider.
	{"", "/auth/v1/verify"},
	{"", "/auth/v1/callback"},
	{"", "/auth/v1/authorize"},
	{"", "/auth/v1/sso/saml/"},
	{"GET HEAD", "/auth/v1/.well-known/"},
	// madbase as an OAuth 2.1 server: its clients know no project key.
	{"", "/auth/v1/oauth/authorize"},
	{"", "/auth/v1/oauth/token"},
	{"", "/auth/v1/oauth/userinfo"},
	{"", "/auth/v1/oauth/clients/register"},
	// Objects of public buckets, and URLs that carry their own signature.
	{"GET HEAD", "/storage/v1/object/"},
	{"PUT", "/storage/v1/object/upload/sign/"},
	{"GET HEAD", "/storage/v1/render/image/public/"},
	{"GET HEAD", "/storage/v1/render/image/sign/"},
	{"", "/storage/v1/upload/resumable/sign"},
	{"", "/storage/v1/upload/resumable/sign/"},
	{"OPTIONS", "/storage/v1/upload/resumable"},
	{"OPTIONS", "/storage/v1/upload/resumable/"},
	{"", "/storage/v1/s3"},
	{"", "/storage/v1/s3/"},
	// Functions are called by other services' webhooks; each has its own rule.
	{"", "/functions/v1/"},
}

// needsKey reports whether r has to come with an API key. Storage takes any
// Authorization in its place, as clients of its upload protocol send no other header.
func needsKey(r *http.Request) bool {
	path := r.URL.Path
	if strings.Contains(path+"/", "/../") || strings.Contains(path+"/", "/./") {
		return true // an upstream might read such a path as another one
	}
	if strings.HasPrefix(path, "/storage/v1/") && r.Header.Get("Authorization") != "" {
		return false
	}
	for _, open := range openRoutes {
		if open.matches(r.Method, path) && open.matches(r.Method, r.URL.EscapedPath()) {
			return false // spelt in letters: what an escape stands for is the upstream's to judge
		}
	}
	return true
}

func (o openRoute) matches(method, path string) bool {
	if path != o.path && (!strings.HasSuffix(o.path, "/") || !strings.HasPrefix(path, o.path)) {
		return false
	}
	if o.methods == "" {
		return true
	}
	for m := range strings.SplitSeq(o.methods, " ") {
		if m == method {
			return true
		}
	}
	return false
}
