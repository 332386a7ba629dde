// Package egress makes HTTP requests to addresses that others choose: an
// administrator of an app who names an identity provider, a document that names
// where its keys are. Such an address must not reach what only this machine or
// its network can reach (server-side request forgery). A Guard refuses it twice:
// when it is named, so that whoever names it hears why, and when the connection
// is made, so that neither a redirect nor a name that resolves to something else
// by then leads further.
package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// Why an address is refused. The texts may be shown to whoever named it.
var (
	ErrURL         = errors.New("Invalid URL format")
	ErrScheme      = errors.New("URL must use HTTPS")
	ErrHost        = errors.New("URL must have a valid hostname")
	ErrLocalhost   = errors.New("URL cannot point to localhost or loopback addresses")
	ErrUnresolved  = errors.New("Unable to resolve hostname")
	ErrLoopback    = errors.New("URL cannot resolve to loopback addresses")
	ErrPrivate     = errors.New("URL cannot resolve to private network addresses")
	ErrLinkLocal   = errors.New("URL cannot resolve to link-local addresses")
	ErrMulticast   = errors.New("URL cannot resolve to multicast addresses")
	ErrUnspecified = errors.New("URL cannot resolve to unspecified addresses")
)

// maxRedirects is how many redirects a client follows.
const maxRedirects = 3

// Guard decides which addresses may be reached. The zero value lets nothing but
// public addresses pass.
type Guard struct {
	// AllowPrivate lets every address pass; only https is still asked for.
	AllowPrivate bool
	// Lookup resolves a host name; nil asks the system.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// TLS is the clients' configuration; nil is Go's.
	TLS *tls.Config
}

// Check refuses a URL that is not https or whose host is, or resolves to, an
// address that may not be reached. The error is one of the package's.
func (g *Guard) Check(ctx context.Context, text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return ErrURL
	case u.Scheme != "https":
		return ErrScheme
	case u.Hostname() == "" || u.User != nil:
		return ErrHost
	case g.AllowPrivate:
		return nil
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return ErrLocalhost
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return Public(addr)
	}
	addrs, err := g.lookup(ctx, host)
	if err != nil || len(addrs) == 0 {
		return ErrUnresolved
	}
	for _, addr := range addrs {
		if err := Public(addr); err != nil {
			return err
		}
	}
	return nil
}

func (g *Guard) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if g.Lookup != nil {
		return g.Lookup(ctx, host)
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// special are ranges that netip has no name for and that lead to no public host
// (IANA's registries of special-purpose addresses), with those that carry an
// IPv4 address inside, whatever it is.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("::/96"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2001::/32"),
	netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"),
}

// Public refuses an address that is not a public host's, also when it is an IPv4
// address in the clothes of an IPv6 one.
func Public(addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	switch {
	case addr.IsLoopback():
		return ErrLoopback
	case addr.IsPrivate():
		return ErrPrivate
	case addr.IsLinkLocalUnicast(), addr.IsLinkLocalMulticast():
		return ErrLinkLocal
	case addr.IsMulticast():
		return ErrMulticast
	case addr.IsUnspecified():
		return ErrUnspecified
	}
	for _, p := range special {
		if p.Contains(addr) {
			return ErrPrivate
		}
	}
	return nil
}

// Client returns a client whose every connection and redirect is checked. It uses
// no proxy, keeps no cookies, and a whole exchange takes timeout at the most; its
// user bounds the body.
func (g *Guard) Client(timeout time.Duration) *http.Client {
	dialer := &net.Dialer{Timeout: timeout, Control: g.control}
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: g.TLS, ForceAttemptHTTP2: true, TLSHandshakeTimeout: timeout,
			ResponseHeaderTimeout: timeout, MaxResponseHeaderBytes: 64 << 10, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return errors.New("egress: too many redirects")
			}
			if err := g.Check(r.Context(), r.URL.String()); err != nil {
				return fmt.Errorf("egress: redirect: %w", err)
			}
			return nil
		},
	}
}

// control sees the address that is about to be dialled, after all resolving.
func (g *Guard) control(_, address string, _ syscall.RawConn) error {
	if g.AllowPrivate {
		return nil
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("egress: %w", ErrHost)
	}
	if err := Public(to.Addr()); err != nil {
		return fmt.Errorf("egress: %w", err)
	}
	return nil
}
