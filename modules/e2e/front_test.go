package e2e_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/madbase/madbase/platform/testkit"
)

// certificate writes a certificate for example.com and loopback, and returns its
// files and who trusts it.
func certificate(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	pair := s.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots = x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return certFile, keyFile, roots
}

// TestFrontDoor speaks TLS and HTTP/2 with a proxy that stands behind a balancer
// with the PROXY protocol, and plain HTTP with the address that leads there.
func TestFrontDoor(t *testing.T) {
	t.Parallel()
	worker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-For")+" "+r.Header.Get("X-Forwarded-Proto"))
	}))
	defer worker.Close()
	certFile, keyFile, roots := certificate(t)
	env := []string{
		"JWT_SECRET=" + jwtSecret, "WORKER_UPSTREAM_URLS=" + worker.URL, "TLS_CERT_FILE=" + certFile, "TLS_KEY_FILE=" + keyFile,
		"PROXY_PROTOCOL=true", "TRUSTED_PROXIES=127.0.0.1", "MADBASE_PUBLIC_URL=https://example.com", "HTTP_REDIRECT_ADDR=127.0.0.1:0",
	}
	p := testkit.Start(t, binary, env, "serve", "--role", "proxy", "--listen", "127.0.0.1:0")
	address := strings.TrimPrefix(p.URL, "http://")

	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "PROXY TCP4 203.0.113.7 127.0.0.1 12345 443\r\n"); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			secured := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "example.com", NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12})
			return secured, secured.HandshakeContext(ctx)
		},
	}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://example.com/rest/v1/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("apikey", newKeys(t).Anon.Reveal())
	res, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if body, err := io.ReadAll(res.Body); err != nil || res.ProtoMajor != 2 || res.StatusCode != http.StatusOK || string(body) != "203.0.113.7, 127.0.0.1 https" && string(body) != "203.0.113.7 https" {
		t.Errorf("%s %s %q %v", res.Proto, res.Status, body, err)
	}
	if out, err := testkit.Command(t, binary, append(env, "LISTEN_ADDR="+address), "health", "--role", "proxy"); err != nil || out != "ready\n" {
		t.Errorf("health: %q %v", out, err)
	}
	bare, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bare.Close() }()
	_, _ = io.WriteString(bare, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
	if res, err := http.ReadResponse(bufio.NewReader(bare), nil); err == nil {
		_ = res.Body.Close()
		t.Errorf("a balancer's connection without a header is served: %s", res.Status)
	}
}
