package httpx

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"sync"
	"time"
)

// Direct sends requests without a body from the caller's own goroutine, where
// http.Transport keeps two for each connection and hands each request to one and
// its answer back by the other: between processes on one machine that is a third
// of what a small read costs. Everything else it leaves to the Transport, with
// which it shares its settings.
type Direct struct {
	transport *http.Transport

	mu    sync.Mutex
	idle  map[string][]*directConn // by host, the one used last at the end
	swept time.Time
}

// NewDirect returns a Direct beside t.
func NewDirect(t *http.Transport) *Direct {
	return &Direct{transport: t, idle: map[string][]*directConn{}}
}

const (
	// sweepEvery is how often idle connections are looked over for old ones.
	sweepEvery = 10 * time.Second
	// mostInformational is how many 1xx answers may come before the real one.
	mostInformational = 5
	directBuffer      = 4 << 10
)

// direct reports whether r can be sent here: plain HTTP, nothing behind the
// header, and nothing done twice if a connection turns out to have ended.
func direct(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodDelete:
	default:
		return false
	}
	return r.URL.Scheme == "http" && (r.Body == nil || r.Body == http.NoBody) && r.Header["Connection"] == nil && r.Header["Upgrade"] == nil && r.URL.Opaque == ""
}

// RoundTrip implements http.RoundTripper. Closing the answer's body before its
// end closes the connection.
func (d *Direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if !direct(r) {
		return d.transport.RoundTrip(r)
	}
	host := r.URL.Host
	conn := d.take(host)
	for ; conn != nil && !quiet(conn.Conn); conn = d.take(host) {
		_ = conn.Close()
	}
	if conn != nil {
		res, err := d.exchange(conn, r)
		if err == nil || conn.answered || r.Context().Err() != nil || isTimeout(err) {
			return res, err
		}
		d.closeIdle(host) // it had ended while it was idle, and the others with it
	}
	address := host
	if r.URL.Port() == "" {
		address = net.JoinHostPort(r.URL.Hostname(), "80")
	}
	socket, err := d.transport.DialContext(r.Context(), "tcp", address)
	if err != nil {
		return nil, err
	}
	conn = &directConn{Conn: socket, host: host, out: bufio.NewWriterSize(socket, directBuffer)}
	conn.in = bufio.NewReaderSize(conn, directBuffer)
	return d.exchange(conn, r)
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// notSent are headers that say what the message's framing or its target does.
var notSent = map[string]bool{"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Trailer": true}

// exchange sends r and reads the header of its answer. The connection is closed
// with an error; else the answer's body gives it back.
func (d *Direct) exchange(c *directConn, r *http.Request) (res *http.Response, err error) {
	c.answered = false
	c.release = context.AfterFunc(r.Context(), c.abort)
	defer func() {
		if err != nil {
			c.release()
			_ = c.Close()
			if cause := r.Context().Err(); cause != nil {
				err = cause
			}
		}
	}()
	if err := c.send(r); err != nil {
		return nil, fmt.Errorf("httpx: send request: %w", err)
	}
	if timeout := d.transport.ResponseHeaderTimeout; timeout > 0 {
		_ = c.SetReadDeadline(time.Now().Add(timeout))
	}
	c.left = max(d.transport.MaxResponseHeaderBytes, directBuffer)
	if res, err = c.receive(r); err != nil {
		return nil, fmt.Errorf("httpx: read answer: %w", err)
	}
	c.left = math.MaxInt64
	if d.transport.ResponseHeaderTimeout > 0 {
		_ = c.SetReadDeadline(time.Time{})
	}
	body := &directBody{ReadCloser: res.Body, conn: c, pool: d, keep: !res.Close && res.StatusCode != http.StatusSwitchingProtocols}
	if res.Body == http.NoBody {
		body.end(body.keep)
	} else {
		res.Body = body
	}
	return res, nil
}

// directConn is a connection and what is buffered of it.
type directConn struct {
	net.Conn
	host string
	in   *bufio.Reader
	out  *bufio.Writer

	left     int64 // bytes that may be read
	answered bool  // anything was
	release  func() bool
	since    time.Time // when it became idle
}

// abort ends what is under way on c, when its request does. A deadline would not
// do: exchange may set another one at that moment.
func (c *directConn) abort() { _ = c.Close() }

// Read implements io.Reader.
func (c *directConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.New("httpx: the answer's header is too large")
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	c.answered = c.answered || n > 0
	return n, err
}

// send writes r's header. http.Header takes line breaks out of values.
func (c *directConn) send(r *http.Request) error {
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	for _, part := range [...]string{r.Method, " ", r.URL.RequestURI(), " HTTP/1.1\r\nHost: ", host, "\r\n"} {
		_, _ = c.out.WriteString(part) // Flush tells of its errors
	}
	_ = r.Header.WriteSubset(c.out, notSent)
	_, _ = c.out.WriteString("\r\n")
	return c.out.Flush()
}

// receive reads the answer's header, and leaves informational ones out.
func (c *directConn) receive(r *http.Request) (*http.Response, error) {
	for range mostInformational {
		res, err := http.ReadResponse(c.in, r)
		if err != nil || res.StatusCode >= http.StatusOK || res.StatusCode == http.StatusSwitchingProtocols {
			return res, err
		}
	}
	return nil, errors.New("no end of informational answers")
}

// directBody is an answer's body, at whose end the connection is free again.
type directBody struct {
	io.ReadCloser
	conn  *directConn
	pool  *Direct
	keep  bool
	ended bool
}

// Read implements io.Reader.
func (b *directBody) Read(p []byte) (int, error) {
	if b.ended {
		return 0, io.EOF
	}
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.end(b.keep && errors.Is(err, io.EOF))
	}
	return n, err
}

// Close implements io.Closer.
func (b *directBody) Close() error {
	if !b.ended {
		b.end(false)
	}
	return nil
}

// end gives the connection back, or closes it, as a request that has ended already
// may do just now.
func (b *directBody) end(keep bool) {
	b.ended = true
	if b.conn.release() && keep && b.conn.in.Buffered() == 0 {
		b.pool.put(b.conn)
		return
	}
	_ = b.conn.Close()
}

// take returns the idle connection to host that was used last, or nil.
func (d *Direct) take(host string) *directConn {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if now.Sub(d.swept) >= sweepEvery {
		d.sweep(now)
	}
	list := d.idle[host]
	if len(list) == 0 {
		return nil
	}
	conn := list[len(list)-1]
	d.idle[host] = list[:len(list)-1]
	if now.Sub(conn.since) >= d.transport.IdleConnTimeout {
		_ = conn.Close()
		return nil
	}
	return conn
}

func (d *Direct) put(c *directConn) {
	c.since = time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.idle[c.host]) >= d.transport.MaxIdleConnsPerHost {
		_ = c.Close()
		return
	}
	d.idle[c.host] = append(d.idle[c.host], c)
}

// sweep closes what was idle for too long, also of hosts that nobody asks any more.
func (d *Direct) sweep(now time.Time) {
	d.swept = now
	for host, list := range d.idle {
		old := 0
		for old < len(list) && now.Sub(list[old].since) >= d.transport.IdleConnTimeout {
			_ = list[old].Close()
			old++
		}
		if d.idle[host] = append(list[:0], list[old:]...); len(d.idle[host]) == 0 {
			delete(d.idle, host)
		}
	}
}

func (d *Direct) closeIdle(host string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.idle[host] {
		_ = c.Close()
	}
	delete(d.idle, host)
}

// CloseIdleConnections closes those to all hosts, and the Transport's.
func (d *Direct) CloseIdleConnections() {
	d.mu.Lock()
	hosts := make([]string, 0, len(d.idle))
	for host := range d.idle {
		hosts = append(hosts, host)
	}
	d.mu.Unlock()
	for _, host := range hosts {
		d.closeIdle(host)
	}
	d.transport.CloseIdleConnections()
}
