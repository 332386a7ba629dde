package egress_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/madbase/madbase/platform/egress"
)

// names resolve hosts, each to addresses parted by spaces.
type names map[string]string

func (n names) LookupNetIP(_ context.Context, _, host string) (addrs []netip.Addr, err error) {
	text, ok := n[host]
	if !ok {
		return nil, errors.New("no such host")
	}
	for one := range strings.FieldsSeq(text) {
		addrs = append(addrs, netip.MustParseAddr(one))
	}
	return addrs, nil
}

func TestCheck(t *testing.T) {
	t.Parallel()
	resolver := names{
		"good.example": "93.184.216.34", "inside.example": "10.0.0.7", "meta.example": "169.254.169.254", "loop.example": "127.0.0.1",
		"six.example": "::ffff:127.0.0.1", "both.example": "93.184.216.34 192.168.1.1",
	}
	for text, want := range map[string]error{
		"https://good.example/x":         nil,
		"https://192.0.2.10/x":           nil,
		"https://[2606:2800::1]/":        nil,
		"http://good.example/":           egress.ErrScheme,
		"file:///etc/passwd":             egress.ErrScheme,
		"https:///x":                     egress.ErrHost,
		"https://a:b@good.example/":      egress.ErrHost,
		"https://good.example\x00/":      egress.ErrURL,
		"https://localhost/":             egress.ErrLocalhost,
		"https://LOCALHOST./":            egress.ErrLocalhost,
		"https://a.localhost/":           egress.ErrLocalhost,
		"https://127.0.0.1/":             egress.ErrLoopback,
		"https://127.8.8.8:8443/":        egress.ErrLoopback,
		"https://[::1]/":                 egress.ErrLoopback,
		"https://[::ffff:127.0.0.1]/":    egress.ErrLoopback,
		"https://[::ffff:a9fe:a9fe]/":    egress.ErrLinkLocal,
		"https://169.254.169.254/latest": egress.ErrLinkLocal,
		"https://10.1.2.3/":              egress.ErrInternal,
		"https://172.16.0.1/":            egress.ErrInternal,
		"https://192.168.0.1/":           egress.ErrInternal,
		"https://[fd00::1]/":             egress.ErrInternal,
		"https://100.64.0.1/":            egress.ErrInternal,
		"https://[64:ff9b::7f00:1]/":     egress.ErrInternal,
		"https://[2002:7f00:1::]/":       egress.ErrInternal,
		"https://[fe80::1]/":             egress.ErrLinkLocal,
		"https://239.1.1.1/":             egress.ErrMulticast,
		"https://0.0.0.0/":               egress.ErrUnspecified,
		"https://[::]/":                  egress.ErrUnspecified,
		"https://0.1.2.3/":               egress.ErrInternal,
		"https://2130706433/":            egress.ErrUnresolved, // a resolver that takes it for 127.0.0.1 answers with that
		"https://inside.example/":        egress.ErrInternal,
		"https://meta.example/":          egress.ErrLinkLocal,
		"https://loop.example/":          egress.ErrLoopback,
		"https://six.example/":           egress.ErrLoopback,
		"https://both.example/":          egress.ErrInternal,
		"https://nowhere.example/":       egress.ErrUnresolved,
	} {
		if got := egress.Check(t.Context(), resolver, text); !errors.Is(got, want) || (got == nil) != (want == nil) {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}
