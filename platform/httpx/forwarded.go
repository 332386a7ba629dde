package httpx

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the networks whose X-Forwarded-* headers are believed.
type Proxies []netip.Prefix

// PrivateRanges is the word that stands for loopback and private networks in a
// list of proxies.
const PrivateRanges = "private_ranges"

func privateRanges() []string {
	return []string{"127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "169.254.0.0/16", "fe80::/10"}
}

// ParseProxies reads addresses, networks in CIDR form and the word private_ranges.
func ParseProxies(list []string) (Proxies, error) {
	var p Proxies
	for _, text := range list {
		text = strings.TrimSpace(text)
		if text == PrivateRanges {
			private, err := ParseProxies(privateRanges())
			if err != nil {
				return nil, err
			}
			p = append(p, private...)
			continue
		}
		if addr, err := netip.ParseAddr(text); err == nil {
			p = append(p, netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%q is neither an address, nor a network like 10.0.0.0/8, nor %s", text, PrivateRanges)
		}
		p = append(p, prefix.Masked())
	}
	return p, nil
}

// Trusts reports whether r comes directly from one of the proxies.
func (p Proxies) Trusts(r *http.Request) bool { return p.Has(peer(r)) }

// ClientIP is the address of the client behind the proxies: the last one in
// X-Forwarded-For that is no proxy, where every hop before it is one. It is
// empty when the peer has no IP address, as on a unix socket.
func (p Proxies) ClientIP(r *http.Request) string {
	client := peer(r)
	if client.IsValid() && !p.Has(client) {
		return client.String()
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && p.Has(client); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		client = hop.Unmap()
	}
	if !client.IsValid() {
		return ""
	}
	return client.String()
}

// Subscriber is what limits tell clients apart by: an IPv4 address, or the first
// 64 bits of an IPv6 one, as a subscriber has all addresses of such a network.
// What is no address stays as it is.
func Subscriber(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if ip = ip.Unmap(); ip.Is6() {
		return netip.PrefixFrom(ip.WithZone(""), 64).Masked().String()
	}
	return ip.String()
}

// Has reports whether addr is one of the proxies'.
func (p Proxies) Has(addr netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// peer is the address at the other end of r's connection, invalid when it has none.
func peer(r *http.Request) netip.Addr {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Addr().Unmap().WithZone("")
}
