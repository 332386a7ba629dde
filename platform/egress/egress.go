// Package egress makes HTTP requests to addresses that a caller has chosen, such
// as the metadata of an identity provider: within a time, of a bounded answer,
// and not into the network that the server itself stands in (SSRF).
package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// ErrPrivate is the cause when an address is not one of the public internet.
var ErrPrivate = errors.New("egress: the address is not a public one")

// ErrTooLarge is the cause when an answer is longer than the limit.
var ErrTooLarge = errors.New("egress: the answer is too long")

// StatusError is the cause when a server answers with another status than 200.
type StatusError int

// Error names the status.
func (e StatusError) Error() string { return fmt.Sprintf("egress: status %d", int(e)) }

// maxRedirects is how often an answer may name another address.
const maxRedirects = 3

// Client returns a client whose requests end after timeout at the latest. Unless
// private is set it connects to public addresses only; that is checked when it
// connects, so that a name cannot point elsewhere a moment after it was looked
// up. It uses no proxy: behind one nothing could be checked. Redirects from
// https to http are refused.
func Client(timeout time.Duration, private bool) *http.Client {
	dialer := &net.Dialer{Timeout: timeout}
	if !private {
		dialer.Control = func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("egress: %w", err)
			}
			if !Public(to.Addr()) {
				return ErrPrivate
			}
			return nil
		}
	}
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: timeout, ResponseHeaderTimeout: timeout,
			MaxResponseHeaderBytes: 64 << 10, MaxIdleConns: 16, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return errors.New("egress: too many redirects")
			}
			if via[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
				return errors.New("egress: redirected from https to " + r.URL.Scheme)
			}
			return nil
		},
	}
}

// special are networks that net/netip does not tell from public ones (IANA's
// special-purpose registries), and those that lead into IPv4 by another name.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("::ffff:0:0:0/96"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("3fff::/20"), netip.MustParsePrefix("fec0::/10"),
}

// Public reports whether ip is an address of a host on the public internet.
func Public(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, p := range special {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// Get returns the body at address, of at most limit bytes, when the status is 200.
func Get(ctx context.Context, client *http.Client, address, accept string, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	req.Header.Set("Accept", accept)
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, StatusError(resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("egress: %w", err)
	case int64(len(body)) > limit:
		return nil, ErrTooLarge
	}
	return body, nil
}
