package auth

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// TestRedirectRules holds addresses against GoTrue's rules. Those that a stranger
// might use to be led elsewhere are refused.
func TestRedirectRules(t *testing.T) {
	rules, err := newRedirects("", []string{"myapp://callback", "https://*.allowed.example.com/cb", " https://wild.example.com/** ", "", "https://b{a,e}st.example.com/?x", "https://*.any.example.com/**"})
	if err != nil {
		t.Fatal(err)
	}
	const site = "https://app.example.com"
	for address, want := range map[string]bool{
		"https://app.example.com":                       true,
		"https://app.example.com/any/page?x=1#y":        true,
		"https://app.example.com:443/":                  false,
		"http://app.example.com/":                       false,
		"https://app.example.com.evil.example/":         false,
		"https://app.example.com@evil.example/":         false,
		"https://evil.example/#https://app.example.com": false,
		`https://app.example.com\@evil.example/`:        false,
		"https://evil.example\\.app.example.com/":       false,
		"//app.example.com/":                            false,
		"/relative":                                     false,
		"javascript:alert(1)":                           false,
		"data:text/html,x":                              false,
		"https:app.example.com":                         false,
		"http://127.0.0.1:3000/cb":                      true,
		"http://[::1]:3000/cb":                          true,
		"http://[::ffff:127.0.0.1]/":                    true,
		"http://localhost:3000/":                        false,
		"http://2130706433/":                            false,
		"http://10.0.0.1/":                              false,
		"https://0x8080808?.allowed.example.com/cb":     false,
		"https://evil?.allowed.example.com/cb":          false,
		"https://wild.example.com?a":                    false,
		"http://8.8.8.8/":                               false,
		"https://0x5db8d822?.any.example.com/cb":        false,
		"https://0X5DB8D822#.any.example.com/cb":        false,
		"https://x.any.example.com/cb":                  true,
		"myapp://callback":                              true,
		"myapp://callback/more":                         false,
		"myapp://callback#fragment":                     true,
		"https://a.allowed.example.com/cb":              true,
		"https://a.b.allowed.example.com/cb":            false,
		"https://a.allowed.example.com/cb?x=1":          false,
		"https://evil.example/.allowed.example.com/cb":  false,
		"https://wild.example.com/a/b.c?d":              true,
		"https://wild.example.com":                      false,
		"https://best.example.com/yx":                   true,
		"https://boast.example.com/yx":                  false,
		"https://wild.example.com%2f@evil.example/":     false,
		"https://wild.example.com/\r\nSet-Cookie: a=b":  false,
		"https://xn--bcher-kva.wild.example.com":        false,
		"":                                              false,
	} {
		if got := rules.allow(site, address); got != want {
			t.Errorf("%q: got %t, want %t", address, got, want)
		}
	}
	if !rules.allow("http://localhost:3000", "http://localhost:5173/cb") {
		t.Error("another port of this machine is refused where the site is there")
	}
	if _, err := newRedirects("", []string{"https://[a.example"}); err == nil {
		t.Error("a pattern that cannot be read is taken")
	}
}

func TestRedirectTo(t *testing.T) {
	rules, _ := newRedirects("https://app.example.com", []string{"https://*.example.org/cb"})
	m := &Module{redirects: rules}
	for _, c := range []struct{ header, query, referer, want string }{
		{"", "", "", "https://app.example.com"},
		{"", "https://app.example.com/q", "https://app.example.com/r", "https://app.example.com/q"},
		{"https://a.example.org/cb", "https://app.example.com/q", "", "https://a.example.org/cb"},
		{"https://evil.example/", "https://app.example.com/q", "", "https://app.example.com"},
		{"", "https://evil.example/", "https://app.example.com/r", "https://app.example.com/r"},
	} {
		r := httptest.NewRequest("GET", "/verify", nil)
		r.Header.Set("redirect_to", c.header)
		r.Header.Set("Referer", c.referer)
		q := r.URL.Query()
		q.Set("redirect_to", c.query)
		r.URL.RawQuery = q.Encode()
		if got := m.redirectTo(r); got != c.want {
			t.Errorf("%+v: got %q", c, got)
		}
	}
}

// FuzzAllowList looks for an address that is allowed although a browser would go to another host with it.
func FuzzAllowList(f *testing.F) {
	rules, err := newRedirects("", []string{"myapp://callback", "https://*.allowed.example.com/cb", "https://wild.example.com/**"})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"https://app.example.com/a", `https://app.example.com\@evil.example`, "https://wild.example.com/a", "http://[::1]:1/", "https://a.allowed.example.com/cb#"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		if !rules.allow("https://app.example.com", address) {
			return
		}
		if host, ok := browserHost(address); ok && !trustedHost(host) {
			t.Errorf("%q leads to %q", address, host)
		}
	})
}

// browserHost is the host to which a browser goes, by the WHATWG URL Standard as
// far as it takes more than RFC 3986: backslashes are slashes, tabs and line
// breaks are nothing. It has none outside http and https.
func browserHost(address string) (string, bool) {
	address = strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(strings.TrimLeft(address, " \x00\x01\x02\x03\x04\x05\x06\a\b\v\f\x0e\x0f\x1f"))
	scheme, rest, found := strings.Cut(address, ":")
	if scheme = strings.ToLower(scheme); !found || scheme != "http" && scheme != "https" {
		return "", false
	}
	rest = strings.TrimLeft(rest, "/")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	if i := strings.LastIndex(rest, "@"); i >= 0 {
		rest = rest[i+1:]
	}
	if strings.HasPrefix(rest, "[") {
		host, _, _ := strings.Cut(rest[1:], "]")
		return host, true
	}
	host, _, _ := strings.Cut(rest, ":")
	return strings.ToLower(host), true
}

func trustedHost(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return host == "app.example.com" || host == "wild.example.com" || strings.HasSuffix(host, ".allowed.example.com") && strings.Count(host, ".") == 3
}
