package edge

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
)

// ToSelf makes t a client of this process's own front door: no certificate is for
// its listening address, and where the process takes it for a balancer, each
// connection begins with a PROXY header that says it comes from nowhere else.
func ToSelf(t *http.Transport, proxied bool) *http.Transport {
	t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // nothing secret is asked or told
	if !proxied {
		return t
	}
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if _, err := io.WriteString(conn, "PROXY UNKNOWN\r\n"); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("edge: %w", err)
		}
		return conn, nil
	}
	return t
}
