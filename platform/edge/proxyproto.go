package edge

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What the PROXY protocol (haproxy's proxy-protocol.txt) fixes: how long a header
// may be here and how version 2 begins.
const (
	longestV1 = 107
	longestV2 = 4 << 10 // with room for the extensions that balancers add
	signature = "\r\n\r\n\x00\r\nQUIT\n"
)

// headerTimeout is how long a balancer may take for its header, which comes first of all.
const headerTimeout = 5 * time.Second

var errNoHeader = errors.New("edge: the connection does not begin with the PROXY protocol")

// proxyListener takes the clients' addresses from the headers of trusted peers.
// Others are clients themselves, and what they send is no header.
type proxyListener struct {
	net.Listener
	trusts func(netip.Addr) bool
}

// Accept implements net.Listener. It does not wait for the header.
func (l *proxyListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn, nil // a unix socket's peer has no address that could be trusted
	}
	peer, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil || !l.trusts(peer.Addr().Unmap().WithZone("")) {
		return conn, nil
	}
	return &proxied{TCPConn: tcp}, nil
}

// proxied is a balancer's connection. It reads the header at the first use, and
// not a byte more, so that the rest is the bare connection's.
type proxied struct {
	*net.TCPConn
	once   sync.Once
	client net.Addr
	err    error
}

func (p *proxied) begin() {
	p.once.Do(func() {
		p.client = p.TCPConn.RemoteAddr()
		_ = p.SetReadDeadline(time.Now().Add(headerTimeout))
		client, err := readHeader(p.TCPConn)
		_ = p.SetReadDeadline(time.Time{})
		if err != nil {
			p.err = err
			_ = p.Close()
			return
		}
		if client.IsValid() {
			p.client = net.TCPAddrFromAddrPort(client)
		}
	})
}

// Read implements net.Conn.
func (p *proxied) Read(b []byte) (int, error) {
	if p.begin(); p.err != nil {
		return 0, p.err
	}
	return p.TCPConn.Read(b)
}

// WriteTo implements io.WriterTo, behind the header.
func (p *proxied) WriteTo(w io.Writer) (int64, error) {
	if p.begin(); p.err != nil {
		return 0, p.err
	}
	return p.TCPConn.WriteTo(w)
}

// RemoteAddr is the client's address, or the balancer's for what it asks itself.
func (p *proxied) RemoteAddr() net.Addr {
	p.begin()
	return p.client
}

// readHeader reads a header of version 1 or 2 and nothing behind it. The address
// is invalid for a connection that the balancer opened by itself, and for clients
// without an IP address.
func readHeader(r io.Reader) (netip.AddrPort, error) {
	start := make([]byte, len(signature)) // less than the shortest header of either version
	if _, err := io.ReadFull(r, start); err != nil {
		return netip.AddrPort{}, fmt.Errorf("%w: %w", errNoHeader, err)
	}
	switch {
	case string(start) == signature:
		return readV2(r)
	case bytes.HasPrefix(start, []byte("PROXY ")):
		return readV1(r, start)
	}
	return netip.AddrPort{}, errNoHeader
}

// readV1 reads "PROXY TCP4 client server port port\r\n".
func readV1(r io.Reader, line []byte) (netip.AddrPort, error) {
	var next [1]byte
	for !bytes.HasSuffix(line, []byte("\r\n")) {
		if len(line) == longestV1 {
			return netip.AddrPort{}, fmt.Errorf("%w: no end of the line", errNoHeader)
		}
		if _, err := io.ReadFull(r, next[:]); err != nil {
			return netip.AddrPort{}, fmt.Errorf("%w: %w", errNoHeader, err)
		}
		line = append(line, next[0])
	}
	fields := strings.Split(strings.TrimSuffix(string(line), "\r\n"), " ")
	if fields[1] == "UNKNOWN" {
		return netip.AddrPort{}, nil
	}
	if len(fields) != 6 || fields[1] != "TCP4" && fields[1] != "TCP6" {
		return netip.AddrPort{}, fmt.Errorf("%w: %q", errNoHeader, line)
	}
	client, err := netip.ParseAddr(fields[2])
	port, portErr := strconv.ParseUint(fields[4], 10, 16)
	if err != nil || portErr != nil || client.Zone() != "" || client.Is4() != (fields[1] == "TCP4") {
		return netip.AddrPort{}, fmt.Errorf("%w: %q", errNoHeader, line)
	}
	return netip.AddrPortFrom(client.Unmap(), uint16(port)), nil
}

// readV2 reads what follows the signature: version and command, family, length,
// addresses and extensions, which mean nothing here.
func readV2(r io.Reader) (netip.AddrPort, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return netip.AddrPort{}, fmt.Errorf("%w: %w", errNoHeader, err)
	}
	length := int(binary.BigEndian.Uint16(head[2:]))
	if head[0]>>4 != 2 || head[0]&0xf > 1 || length > longestV2 {
		return netip.AddrPort{}, fmt.Errorf("%w: version and command %#x, %d bytes", errNoHeader, head[0], length)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return netip.AddrPort{}, fmt.Errorf("%w: %w", errNoHeader, err)
	}
	size := 0
	switch head[1] >> 4 {
	case 1:
		size = 4
	case 2:
		size = 16
	}
	if head[0]&0xf == 0 || size == 0 { // the balancer's own, or no IP
		return netip.AddrPort{}, nil
	}
	if length < 2*size+4 {
		return netip.AddrPort{}, fmt.Errorf("%w: %d bytes of addresses", errNoHeader, length)
	}
	client, _ := netip.AddrFromSlice(body[:size])
	return netip.AddrPortFrom(client.Unmap(), binary.BigEndian.Uint16(body[2*size:])), nil
}
