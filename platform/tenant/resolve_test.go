package tenant_test

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/tenant"
	"github.com/madbase/madbase/platform/testkit"
)

// told is what a proxy is told in tests: of one key.
type told struct {
	key, ref string
	trusted  bool
}

func (t told) ProjectOfKey(text string) (string, bool) { return t.ref, text == t.key }
func (t told) Trusted() bool                           { return t.trusted }

// seen is what a request comes to behind a Front.
type seen struct{ ref, target, prefix string }

func front(v tenant.Resolver, r *http.Request) (s seen) {
	v.Front(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		tenant.Tell(r)
		s = seen{r.Header.Get(tenant.Header), r.URL.RequestURI(), r.Header.Get("X-Forwarded-Prefix")}
	})).ServeHTTP(httptest.NewRecorder(), r)
	return s
}

// token is a token with the payload.
func token(payload string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
}

func TestWhoseARequestIs(t *testing.T) {
	t.Parallel()
	reg := newRegistry(t, "blog", "shop")
	keys, err := claims.NewKeys(claims.Config{Secret: testkit.JWTSecret})
	if err != nil {
		t.Fatal(err)
	}
	blog, _ := reg.Snapshot().Project("blog")
	own, err := reg.Keys(blog)
	if err != nil {
		t.Fatal(err)
	}
	opaque := own.API().Publishable.Reveal()
	v := tenant.Resolver{Config: tenant.Config{Domain: "projects.test:8443"}, Registry: reg, Keys: keys, Host: "api.projects.test"}
	proxy, untold, unsigned := v, v, v
	proxy.Registry, untold.Registry, unsigned.Registry = nil, nil, nil
	proxy.Told = func() tenant.Told { return told{opaque, "blog", true} }
	untold.Told = func() tenant.Told { return nil }
	unsigned.Told = func() tenant.Told { return told{opaque, "blog", false} }
	for _, test := range []struct {
		target, host, key string
		want              seen
		proxy             string // what a proxy tells, where that is another thing
	}{
		{"/rest/v1/a?b=c", "x", "", seen{"default", "/rest/v1/a?b=c", ""}, ""},
		{"/project/blog/rest/v1/a%2Fb?c=%20", "x", "", seen{"blog", "/rest/v1/a%2Fb?c=%20", "/project/blog"}, ""},
		{"/project/blog", "x", "", seen{"blog", "/", "/project/blog"}, ""},
		{"/project/nobody/rest/v1/a", "x", "", seen{"nobody", "/rest/v1/a", "/project/nobody"}, ""},
		{"/project/default/rest/v1/a", "x", "", seen{"default", "/rest/v1/a", "/project/default"}, ""},
		{"/project/Blog/rest/v1/a", "x", "", seen{"default", "/project/Blog/rest/v1/a", ""}, ""},
		{"/project/..%2Fblog/rest/v1/a", "x", "", seen{"default", "/project/..%2Fblog/rest/v1/a", ""}, ""},
		{"/a", "blog.projects.test", "", seen{"blog", "/a", ""}, ""},
		{"/a", "BLOG.projects.test.:99", "", seen{"blog", "/a", ""}, ""},
		{"/a", "a.blog.projects.test", "", seen{"a.blog", "/a", ""}, ""},
		{"/a", "projects.test", "", seen{"default", "/a", ""}, ""},
		{"/a", "api.projects.test", "", seen{"default", "/a", ""}, ""},
		{"/a", "blogprojects.test", "", seen{"default", "/a", ""}, ""},
		{"/a", "x", own.API().Anon.Reveal(), seen{"blog", "/a", ""}, ""},
		{"/a", "x", opaque, seen{"blog", "/a", ""}, ""},
		{"/a", "x", keys.API().Publishable.Reveal(), seen{"default", "/a", ""}, tenant.Unchecked},
		{"/project/default/a", "x", keys.API().Secret.Reveal(), seen{"default", "/a", "/project/default"}, tenant.Unchecked},
		{"/a", "x", "sb_secret_new", seen{"default", "/a", ""}, tenant.ByKey},
		{"/a", "x", keys.API().Anon.Reveal(), seen{"default", "/a", ""}, ""},
		{"/a", "shop.projects.test", opaque, seen{"shop", "/a", ""}, ""},
		{"/project/shop/a", "blog.projects.test", opaque, seen{"shop", "/a", "/project/shop"}, ""},
		{"/a", "x", token(`{"ref":"nobody"}`), seen{"nobody", "/a", ""}, ""},
		{"/a", "x", token(`{"ref":"No body"}`), seen{"default", "/a", ""}, ""},
		{"/a", "x", token(`{"ref":7}`), seen{"default", "/a", ""}, ""},
	} {
		for _, header := range []string{"apikey", "Authorization"} {
			r := httptest.NewRequest(http.MethodGet, test.target, nil)
			r.Host = test.host
			r.Header.Set(tenant.Header, "shop") // what clients say of it counts for nothing
			r.Header.Set(header, strings.TrimSpace(map[string]string{"Authorization": "Bearer "}[header]+test.key))
			if got := front(v, r.Clone(t.Context())); got != test.want {
				t.Errorf("%s at %s with %.20s: %+v", test.target, test.host, test.key, got)
			}
			want := test.want
			want.ref = cmp.Or(test.proxy, want.ref)
			if got := front(proxy, r.Clone(t.Context())); got != want {
				t.Errorf("in a proxy: %s at %s with %.20s: %+v", test.target, test.host, test.key, got)
			}
			want.ref = strings.Replace(want.ref, registry.DefaultRef, tenant.Unchecked, 1)
			if test.proxy != "" {
				want.ref = test.proxy
			}
			if got := front(unsigned, r.Clone(t.Context())); got != want {
				t.Errorf("where no token counts: %s at %s with %.20s: %+v", test.target, test.host, test.key, got)
			}
			if test.key == opaque && want.prefix == "" && test.host == "x" {
				want.ref = tenant.ByKey
			}
			if got := front(untold, r); got != want {
				t.Errorf("in a proxy that was told nothing: %s at %s with %.20s: %+v", test.target, test.host, test.key, got)
			}
		}
	}
}

func TestPublicURLs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ domain, base, want string }{
		{"", "https://api.test", "https://api.test/project/blog"},
		{"", "https://api.test/base/", "https://api.test/base/project/blog"},
		{"projects.test:8443", "https://api.test", "https://blog.projects.test:8443"},
	} {
		if got := (tenant.Config{Domain: test.domain}).PublicURL(test.base, "blog"); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}

func TestFaultySettings(t *testing.T) {
	t.Parallel()
	good := tenant.Config{Open: 1, Connections: 4, API: 1, Auth: 1, Storage: 1, Requests: 1, Strangers: 1, Idle: 1}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*tenant.Config){
		"MADBASE_PROJECTS_OPEN":        func(c *tenant.Config) { c.Open = 0 },
		"MADBASE_PROJECTS_CONNECTIONS": func(c *tenant.Config) { c.Connections = 3 },
		"MADBASE_PROJECT_DB_POOL":      func(c *tenant.Config) { c.API = 0 },
		"MADBASE_PROJECT_REQUESTS":     func(c *tenant.Config) { c.Requests = 0 },
		"MADBASE_PROJECT_OPENINGS":     func(c *tenant.Config) { c.Strangers = 0 },
		"MADBASE_PROJECT_IDLE":         func(c *tenant.Config) { c.Idle = 0 },
		"MADBASE_PROJECTS_DOMAIN":      func(c *tenant.Config) { c.Domain = "http://x" },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever a stranger sends is somebody's request, and no panic.
func FuzzFront(f *testing.F) {
	f.Add("/project/blog/rest/v1/a%2Fb", "blog.projects.test", token(`{"ref":"blog"}`))
	f.Add("/project/", ".projects.test", "a.b")
	f.Add("//project/blog", "[::1]:80", "sb_secret_x")
	keys, err := claims.NewKeys(claims.Config{Secret: testkit.JWTSecret})
	if err != nil {
		f.Fatal(err)
	}
	v := tenant.Resolver{Config: tenant.Config{Domain: "projects.test"}, Keys: keys}
	f.Fuzz(func(t *testing.T, path, host, key string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path, r.Host = path, host
		r.Header.Set("apikey", key)
		if got := front(v, r); got.ref == "" {
			t.Errorf("%q at %q with %q is nobody's", path, host, key)
		}
	})
}
