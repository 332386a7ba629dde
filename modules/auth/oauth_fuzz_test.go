package auth

import (
	"net/url"
	"strings"
	"testing"

	"github.com/madbase/madbase/modules/auth/store"
)

// Whatever address an app may register, users are sent to the same place with
// and without our parameters, and no other address hides in it.
func FuzzRedirectURI(f *testing.F) {
	for _, uri := range []string{
		"https://client.example.com/cb", "https://client.example.com/cb?x=1&x=2", "com.example.app://cb", "http://localhost:3000", "http://[::1]:3000/cb",
		"javascript:alert(1)", "https://host/cb,javascript:alert(1)", "https://a@b/", "https://a\\@b/", "https://host:443", "https://h%20/", "x://y?z=%", "https://host/?a;b",
	} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if redirectURIFault(uri) != "" {
			return
		}
		if strings.Contains(uri, ",") || strings.Contains(uri, "#") {
			t.Fatalf("%q is taken", uri)
		}
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		sent, err := url.Parse(codeRedirect(&store.OAuthAuthorization{RedirectURI: uri, Code: "the-code", State: "the state&x"}))
		if err != nil {
			t.Fatalf("%q: %v", uri, err)
		}
		if sent.Scheme != u.Scheme || sent.Host != u.Host || sent.EscapedPath() != u.EscapedPath() || sent.User != nil {
			t.Fatalf("%q leads to %q", uri, sent)
		}
		if q := sent.Query(); q.Get("code") != "the-code" || q.Get("state") != "the state&x" {
			t.Fatalf("%q: %q", uri, sent)
		}
		if u.Scheme == "http" && u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1" && u.Hostname() != "::1" {
			t.Fatalf("%q is taken", uri)
		}
	})
}
