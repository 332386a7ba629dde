package edge

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// v2 is a header of version 2 with the given command, family and body.
func v2(command, family byte, body string) string {
	return signature + string([]byte{command, family, byte(len(body) >> 8), byte(len(body))}) + body
}

const (
	v4Addresses = "\xcb\x00\x71\x07\x0a\x00\x00\x01\x30\x39\x01\xbb"
	v6Addresses = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" + "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x30\x39\x01\xbb"
)

func TestProxyHeaders(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		send   string
		client string // the address, "" for the balancer's own, "-" for a refusal
	}{
		"1 over IPv4":          {"PROXY TCP4 203.0.113.7 10.0.0.1 12345 443\r\n", "203.0.113.7:12345"},
		"1 over IPv6":          {"PROXY TCP6 2001:db8::7 2001:db8::1 12345 443\r\n", "[2001:db8::7]:12345"},
		"1 unknown":            {"PROXY UNKNOWN\r\n", ""},
		"1 unknown with more":  {"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", ""},
		"1 of the wrong kind":  {"PROXY TCP4 2001:db8::7 2001:db8::1 12345 443\r\n", "-"},
		"1 with a zone":        {"PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n", "-"},
		"1 with a name":        {"PROXY TCP4 example.com 10.0.0.1 12345 443\r\n", "-"},
		"1 with a wild port":   {"PROXY TCP4 203.0.113.7 10.0.0.1 99999 443\r\n", "-"},
		"1 with fewer fields":  {"PROXY TCP4 203.0.113.7 10.0.0.1 443\r\n", "-"},
		"1 with two spaces":    {"PROXY  TCP4 203.0.113.7 10.0.0.1 1 443\r\n", "-"},
		"1 over UDP":           {"PROXY UDP4 203.0.113.7 10.0.0.1 12345 443\r\n", "-"},
		"1 without end":        {"PROXY TCP4 " + strings.Repeat("1", 200), "-"},
		"1 with a bare feed":   {"PROXY TCP4 203.0.113.7 10.0.0.1 12345 443\n" + strings.Repeat(" ", 100), "-"},
		"2 over IPv4":          {v2(0x21, 0x11, v4Addresses), "203.0.113.7:12345"},
		"2 over IPv6":          {v2(0x21, 0x21, v6Addresses), "[2001:db8::7]:12345"},
		"2 with extensions":    {v2(0x21, 0x11, v4Addresses+"\x03\x00\x04\x00\x00\x00\x00"), "203.0.113.7:12345"},
		"2 local":              {v2(0x20, 0x00, ""), ""},
		"2 local with more":    {v2(0x20, 0x11, v4Addresses), ""},
		"2 of a unix socket":   {v2(0x21, 0x31, strings.Repeat("a", 216)), ""},
		"2 cut short":          {v2(0x21, 0x11, v4Addresses[:8]), "-"},
		"2 of another version": {v2(0x31, 0x11, v4Addresses), "-"},
		"2 with a command":     {v2(0x22, 0x11, v4Addresses), "-"},
		"2 too long":           {v2(0x21, 0x11, v4Addresses+strings.Repeat("x", longestV2)), "-"},
		"none":                 {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "-"},
		"nothing":              {"", "-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := strings.NewReader(test.send + "rest")
			client, err := readHeader(in)
			if test.client == "-" {
				if !errors.Is(err, errNoHeader) {
					t.Errorf("accepted as %s, %v", client, err)
				}
				return
			}
			got := ""
			if client.IsValid() {
				got = client.String()
			}
			if rest, _ := io.ReadAll(in); err != nil || got != test.client || string(rest) != "rest" {
				t.Errorf("%q %v, with %q behind it", got, err, rest)
			}
		})
	}
}

// Only a trusted peer's header counts, and each connection waits for its own alone.
func TestProxyListener(t *testing.T) {
	t.Parallel()
	trusted := netip.MustParseAddr("127.0.0.2")
	inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &proxyListener{Listener: inner, trusts: func(a netip.Addr) bool { return a == trusted }}
	defer func() { _ = l.Close() }()
	exchange := func(from, send string) (client, body string) {
		dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		conn, err := dialer.DialContext(t.Context(), "tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		accepted, err := l.Accept() // before anything was sent
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = accepted.Close() }()
		if _, err := io.WriteString(conn, send); err != nil {
			t.Fatal(err)
		}
		_ = conn.(*net.TCPConn).CloseWrite()
		_ = accepted.SetDeadline(time.Now().Add(5 * time.Second))
		var b bytes.Buffer
		_, err = io.Copy(&b, accepted)
		host, _, _ := net.SplitHostPort(accepted.RemoteAddr().String())
		if err != nil {
			return host, "refused"
		}
		return host, b.String()
	}
	const header = "PROXY TCP4 203.0.113.7 10.0.0.1 12345 443\r\n"
	for _, test := range [][4]string{
		{"127.0.0.2", header + "body", "203.0.113.7", "body"},
		{"127.0.0.2", "body without a header", "127.0.0.2", "refused"},
		{"127.0.0.3", header + "body", "127.0.0.3", header + "body"},
	} {
		if client, body := exchange(test[0], test[1]); client != test[2] || body != test[3] {
			t.Errorf("from %s: %s %q", test[0], client, body)
		}
	}
}

func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 203.0.113.7 10.0.0.1 12345 443\r\n"))
	f.Add([]byte(v2(0x21, 0x21, v6Addresses)))
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bytes.NewReader(data)
		client, err := readHeader(in)
		if err != nil && client.IsValid() {
			t.Errorf("%s with %v", client, err)
		}
		if read := len(data) - in.Len(); read > len(signature)+4+longestV2 {
			t.Errorf("%d bytes read", read)
		}
	})
}
