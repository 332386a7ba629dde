package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// Why Check refuses an address. The texts may be shown to whoever named it.
var (
	ErrURL         = errors.New("invalid URL format")
	ErrScheme      = errors.New("URL must use HTTPS")
	ErrHost        = errors.New("URL must have a valid hostname")
	ErrLocalhost   = errors.New("URL cannot point to localhost or loopback addresses")
	ErrUnresolved  = errors.New("unable to resolve hostname")
	ErrLoopback    = errors.New("URL cannot resolve to loopback addresses")
	ErrInternal    = errors.New("URL cannot resolve to private network addresses")
	ErrLinkLocal   = errors.New("URL cannot resolve to link-local addresses")
	ErrMulticast   = errors.New("URL cannot resolve to multicast addresses")
	ErrUnspecified = errors.New("URL cannot resolve to unspecified addresses")
)

// Resolver finds the addresses of a host; net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Check refuses a URL that is not https, or whose host is, or now resolves to, an
// address of the machine's own or its networks', for whoever names it to hear why:
// a Client refuses to connect there in any case. A nil resolver asks the system.
// Unlike a Client it lets documentation's networks pass: they lead nowhere.
func Check(ctx context.Context, resolver Resolver, text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return ErrURL
	case u.Scheme != "https":
		return ErrScheme
	case u.Hostname() == "" || u.User != nil:
		return ErrHost
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return ErrLocalhost
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return reason(addr)
	}
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	addrs, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(addrs) == 0 {
		return ErrUnresolved
	}
	for _, addr := range addrs {
		if err := reason(addr); err != nil {
			return err
		}
	}
	return nil
}

// documentation are networks for examples (RFC 5737, RFC 3849).
var documentation = []netip.Prefix{
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("2001:db8::/32"),
}

func reason(addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	switch {
	case addr.IsLoopback():
		return ErrLoopback
	case addr.IsPrivate():
		return ErrInternal
	case addr.IsLinkLocalUnicast(), addr.IsLinkLocalMulticast():
		return ErrLinkLocal
	case addr.IsMulticast():
		return ErrMulticast
	case addr.IsUnspecified():
		return ErrUnspecified
	}
	for _, p := range documentation {
		if p.Contains(addr) {
			return nil
		}
	}
	if !Public(addr) {
		return ErrInternal
	}
	return nil
}
