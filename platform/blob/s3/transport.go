package s3

import (
	"context"
	"net"
	"net/http"
	"time"
)

const (
	// responseTimeout is the default of blob.Config.ResponseTimeout; slowFactor
	// times that is for requests that move much data within the service.
	responseTimeout = 30 * time.Second
	slowFactor      = 4
)

// transport sends requests, none of which hangs for ever: a connection on which no
// byte moves for a time is given up, be it in a request, before its answer or in it.
// The SDK tries a request again, but not what an answer breaks off.
type transport struct {
	quick, patient *http.Transport
}

func newTransport(stall time.Duration) *transport {
	return &transport{quick: newHTTP(stall), patient: newHTTP(slowFactor * stall)}
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	joins := r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
	if joins || r.Header.Get("X-Amz-Copy-Source") != "" {
		return t.patient.RoundTrip(r)
	}
	return t.quick.RoundTrip(r)
}

func newHTTP(stall time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &watched{Conn: conn, stall: stall}, nil
		},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: stall,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       stall * 3 / 4, // before it is given up, perhaps just as it is used again
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   256,
		ForceAttemptHTTP2:     true,
	}
}

// watched is a connection that fails when no byte moves for stall. HTTP waits for
// the answer, by Read, while it writes the request: what is written puts that off too.
type watched struct {
	net.Conn
	stall time.Duration
}

func (w *watched) Read(p []byte) (int, error) {
	if err := w.SetReadDeadline(time.Now().Add(w.stall)); err != nil {
		return 0, err
	}
	return w.Conn.Read(p)
}

func (w *watched) Write(p []byte) (int, error) {
	const piece = 64 << 10 // so that a slow connection is not taken for one that stands still
	written := 0
	for {
		n := min(len(p)-written, piece)
		if err := w.SetDeadline(time.Now().Add(w.stall)); err != nil {
			return written, err
		}
		n, err := w.Conn.Write(p[written : written+n])
		if written += n; err != nil || written == len(p) {
			return written, err
		}
	}
}
