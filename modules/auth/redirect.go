package auth

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/gobwas/glob"

	"github.com/madbase/madbase/platform/project"
)

// maxRedirect bounds the addresses that are held against the allow-list, in bytes.
const maxRedirect = 8 << 10

// redirects are the addresses to which links and sign-ins may lead (GoTrue's
// rules): those of the site, this machine, and what the operator allows.
type redirects struct {
	// site is GOTRUE_SITE_URL; empty stands for the project's public URL.
	site    string
	allowed []*glob.Pattern
}

// newRedirects compiles the allow-list. Its globs know *, **, ?, [] and {}; one
// star passes neither a dot nor a slash.
func newRedirects(site string, allow []string) (redirects, error) {
	r := redirects{site: site}
	for _, text := range allow {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		pattern, err := glob.Compile(text, '.', '/')
		if err != nil {
			return redirects{}, fmt.Errorf("GOTRUE_URI_ALLOW_LIST: %q is no pattern: %w", text, err)
		}
		r.allowed = append(r.allowed, pattern)
	}
	return r, nil
}

var (
	decimalHost = regexp.MustCompile(`^[0-9]+$`)
	plainHost   = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?$`)
	// numericHost is what browsers read as an IP address (WHATWG URL, "ends in a number"): 0x7f000001, 127.1.
	numericHost = regexp.MustCompile(`(^|[.])([0-9]+|0[xX][0-9a-fA-F]*)$`)
)

// allow reports whether address is one to which a link may lead, where base is the site's.
func (r redirects) allow(base, address string) bool {
	if address == "" || len(address) > maxRedirect {
		return false
	}
	site, siteErr := url.Parse(base)
	to, err := url.Parse(address)
	if siteErr != nil || err != nil || to.Scheme == "" {
		return false
	}
	host := to.Hostname()
	if site.Scheme == to.Scheme && site.Hostname() == host && (site.Port() == to.Port() || isLocal(host)) {
		return true
	}
	if decimalHost.MatchString(host) { // an IP address in disguise
		return false
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	isWeb := to.Scheme == "http" || to.Scheme == "https"
	if isWeb && (!plainHost.MatchString(host) || numericHost.MatchString(host)) {
		return false
	}
	address, _, _ = strings.Cut(address, "#")
	parted := address
	if isWeb && to.Path == "" { // a pattern's star for a label of the host must not take a query for part of it
		parted = strings.Replace(address, "?", "/?", 1)
	}
	for _, pattern := range r.allowed {
		if pattern.Match(address) && pattern.Match(parted) {
			return true
		}
	}
	return false
}

// isLocal reports whether host is this machine, whose apps may listen on any port (RFC 8252, section 7.3).
func isLocal(host string) bool {
	host = strings.ToLower(host)
	switch host {
	case "localhost", "127.0.0.1", "::1", "0.0.0.0", "::":
		return true
	}
	return strings.HasSuffix(host, ".localhost")
}

// siteURL is where the app is.
func (m *Module) siteURL(ctx context.Context) string {
	if m.redirects.site != "" {
		return m.redirects.site
	}
	if p := project.From(ctx); p != nil {
		return p.PublicURL
	}
	return ""
}

// redirectAllowed reports whether links and sign-ins may lead to address.
func (m *Module) redirectAllowed(r *http.Request, address string) bool {
	return m.redirects.allow(m.siteURL(r.Context()), address)
}

// redirectTo is where the request's link or sign-in leads: what its header or
// query asks for by redirect_to, else the page that it comes from, the first of
// them that is allowed; else the site. What is not allowed is passed over
// without a word, as in GoTrue.
func (m *Module) redirectTo(r *http.Request) string {
	asked := r.Header.Get("redirect_to")
	if asked == "" {
		asked = r.URL.Query().Get("redirect_to")
	}
	for _, address := range []string{asked, r.Referer()} {
		if m.redirectAllowed(r, address) {
			return address
		}
	}
	return m.siteURL(r.Context())
}
