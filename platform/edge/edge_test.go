package edge_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/edge"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// sign returns a certificate for names as DER.
func (a *authority) sign(public any, serial int64, names ...string) ([]byte, error) {
	return x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
	}, a.cert, public, a.key)
}

// write puts a new certificate into the two files.
func (a *authority) write(t *testing.T, certFile, keyFile string, serial int64) {
	t.Helper()
	key := newKey(t)
	der, err := a.sign(&key.PublicKey, serial, "api.example.com")
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	writeFile(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}))
}

func writeFile(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// serve answers on e with the protocol that was spoken, and returns the address.
func serve(t *testing.T, e *edge.Edge) string {
	t.Helper()
	inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
	})}
	go func() { _ = server.Serve(e.Listener(inner)) }()
	t.Cleanup(func() { _ = server.Close() })
	return inner.Addr().String()
}

// dial shakes hands with address for the name api.example.com.
func dial(t *testing.T, address string, cfg *tls.Config) (*tls.Conn, error) {
	t.Helper()
	cfg.ServerName = "api.example.com"
	conn, err := (&tls.Dialer{Config: cfg}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*tls.Conn), nil
}

func TestCertificateFiles(t *testing.T) {
	t.Parallel()
	a, dir := newAuthority(t), t.TempDir()
	cfg := edge.Config{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	deps := edge.Deps{Log: slog.New(slog.DiscardHandler)}
	if _, err := edge.New(cfg, deps); err == nil || !strings.Contains(err.Error(), "TLS_CERT_FILE") {
		t.Fatalf("without files: %v", err)
	}
	a.write(t, cfg.CertFile, cfg.KeyFile, 10)
	e, err := edge.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, e)
	serial := func() int64 {
		conn, err := dial(t, address, &tls.Config{RootCAs: a.pool(), NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		state := conn.ConnectionState()
		if state.NegotiatedProtocol != "h2" || state.Version != tls.VersionTLS13 {
			t.Errorf("%s, version %#x", state.NegotiatedProtocol, state.Version)
		}
		return state.PeerCertificates[0].SerialNumber.Int64()
	}
	if n := serial(); n != 10 {
		t.Errorf("certificate %d", n)
	}
	if _, err := dial(t, address, &tls.Config{RootCAs: a.pool(), MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	writeFile(t, cfg.CertFile, []byte("half a certif"))
	await(t, func() bool { return serial() == 10 }, 1100*time.Millisecond)
	a.write(t, cfg.CertFile, cfg.KeyFile, 11)
	await(t, func() bool { return serial() == 11 }, 0)
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: a.pool(), ServerName: "api.example.com"}}}
	defer client.CloseIdleConnections()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/", nil)
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if body, _ := io.ReadAll(res.Body); string(body) != "HTTP/2.0" {
		t.Errorf("served by %s", body)
	}
}

// await asks until cond holds, and that it held for so long.
func await(t *testing.T, cond func() bool, long time.Duration) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for {
		if held := cond(); held && time.Since(began) >= long {
			return
		} else if !held && long > 0 || time.Since(began) > 10*time.Second {
			t.Fatal("it does not hold")
		}
		<-tick.C
	}
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	a, dir := newAuthority(t), t.TempDir()
	cfg := edge.Config{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), Redirect: "127.0.0.1:0"}
	a.write(t, cfg.CertFile, cfg.KeyFile, 1)
	for public, test := range map[string]map[string]string{
		"https://api.example.com": {
			"api.example.com/rest/v1/a?b=c%20d": "https://api.example.com/rest/v1/a?b=c%20d",
			"api.example.com:80/":               "https://api.example.com/",
			"ref.API.example.com/a%2fb":         "https://ref.api.example.com/a%2fb",
			"evil.example/a":                    "https://api.example.com/a",
			"evilapi.example.com/a":             "https://api.example.com/a",
			"api.example.com//evil.example/":    "https://api.example.com//evil.example/",
			"x@api.example.com/":                "https://api.example.com/",
		},
		"https://localhost:8443": {"localhost:8000/a": "https://localhost:8443/a", "127.0.0.1/a": "https://localhost:8443/a"},
	} {
		e, err := edge.New(cfg, edge.Deps{Log: slog.New(slog.DiscardHandler), PublicURL: public})
		if err != nil {
			t.Fatal(err)
		}
		redirect := e.Redirect()
		if err := redirect.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		for target, want := range test {
			host, path, _ := strings.Cut(target, "/")
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+redirect.Address().String()+"/"+path, nil)
			r.Host = host
			res, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if got := res.Header.Get("Location"); got != want || (want != "") != (res.StatusCode == http.StatusPermanentRedirect) {
				t.Errorf("%s: %s %q, want %q", target, res.Status, got, want)
			}
		}
		if err := redirect.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if err := redirect.Stop(context.Background()); err != nil { // once more does nothing
			t.Error(err)
		}
	}
}

func TestFaultsAreNamedAtOnce(t *testing.T) {
	t.Parallel()
	err := edge.Config{KeyFile: "k", ACMEDomains: []string{"*.example.com", "a b", "API.example.com"}, ACMEDirectory: "http://ca", Redirect: "80"}.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"TLS_CERT_FILE", `"*.example.com"`, `"a b"`, `"API.example.com"`, "ACME_DIRECTORY_URL", "HTTP_REDIRECT_ADDR"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in %v", want, err)
		}
	}
	for _, good := range []edge.Config{{}, {CertFile: "c", KeyFile: "k", Redirect: ":80"}, {ACMEDomains: []string{"a.example.com"}, ACMEDirectory: "https://ca/d"}} {
		if err := good.Validate(); err != nil {
			t.Error(err)
		}
	}
	if err := (edge.Config{Redirect: ":80"}).Validate(); err == nil {
		t.Error("a redirect without TLS is accepted")
	}
}
