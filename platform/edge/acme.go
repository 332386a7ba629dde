package edge

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// challengeProtocol is how an authority asks over TLS (RFC 8737).
const challengeProtocol = acme.ALPNProto

// acmeTimeout bounds each request to the authority; the protocol's library bounds the answers.
const acmeTimeout = 30 * time.Second

// newManager returns what orders and renews certificates: at the first handshake
// for a name, and 30 days before the end.
func newManager(cfg Config, deps Deps) (*autocert.Manager, error) {
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSHandshakeTimeout: acmeTimeout}
	if cfg.ACMEAuthority != "" {
		text, err := os.ReadFile(cfg.ACMEAuthority)
		if err != nil {
			return nil, fmt.Errorf("ACME_CA_FILE: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(text) {
			return nil, errors.New("ACME_CA_FILE: there is no certificate in it")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: deps.Cache, HostPolicy: autocert.HostWhitelist(cfg.ACMEDomains...), Email: cfg.ACMEEmail,
		Client: &acme.Client{DirectoryURL: cfg.ACMEDirectory, HTTPClient: &http.Client{Transport: transport, Timeout: acmeTimeout}, UserAgent: "madbase"},
	}, nil
}
