package edge_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/acme/autocert"

	"github.com/madbase/madbase/platform/edge"
)

const domain = "api.example.com"

// acmeServer is an authority that speaks ACME (RFC 8555) as far as one order needs
// it, believes every signature, and asks for one kind of proof.
type acmeServer struct {
	*httptest.Server
	*authority
	challenge string                   // tls-alpn-01 or http-01
	prove     func(token string) error // asks the applicant
	orders    atomic.Int64
	valid     atomic.Bool
	issued    atomic.Pointer[[]byte]
}

const challengeToken = "a-token-of-the-authority-0123456789"

func newACMEServer(t *testing.T, challenge string) *acmeServer {
	s := &acmeServer{authority: newAuthority(t), challenge: challenge}
	s.Server = httptest.NewTLSServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *acmeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Replay-Nonce", fmt.Sprintf("nonce-%d", s.orders.Load()))
	var signed struct{ Payload string }
	_ = json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&signed)
	payload, _ := base64.RawURLEncoding.DecodeString(signed.Payload)
	status := map[bool]string{false: "pending", true: "valid"}[s.valid.Load()]
	identifier := map[string]string{"type": "dns", "value": domain}
	challenge := map[string]string{"type": s.challenge, "url": s.URL + "/challenge", "token": challengeToken, "status": status}
	order := map[string]any{
		"status": map[bool]string{false: "pending", true: "ready"}[s.valid.Load()], "identifiers": []any{identifier},
		"authorizations": []string{s.URL + "/authorization"}, "finalize": s.URL + "/finalize",
	}
	answer := func(code int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(v)
	}
	switch r.URL.Path {
	case "/directory":
		answer(http.StatusOK, map[string]string{"newNonce": s.URL + "/nonce", "newAccount": s.URL + "/account", "newOrder": s.URL + "/order"})
	case "/nonce":
	case "/account":
		w.Header().Set("Location", s.URL+"/account/1")
		answer(http.StatusCreated, map[string]any{"status": "valid"})
	case "/order":
		s.orders.Add(1)
		w.Header().Set("Location", s.URL+"/order/1")
		answer(http.StatusCreated, order)
	case "/authorization":
		answer(http.StatusOK, map[string]any{"status": status, "identifier": identifier, "challenges": []any{challenge}})
	case "/challenge":
		if err := s.prove(challengeToken); err != nil {
			answer(http.StatusForbidden, map[string]string{"type": "urn:ietf:params:acme:error:unauthorized", "detail": err.Error()})
			return
		}
		s.valid.Store(true)
		answer(http.StatusOK, challenge)
	case "/finalize":
		var request struct{ CSR string }
		_ = json.Unmarshal(payload, &request)
		der, _ := base64.RawURLEncoding.DecodeString(request.CSR)
		csr, err := x509.ParseCertificateRequest(der)
		if err != nil {
			answer(http.StatusBadRequest, map[string]string{"detail": err.Error()})
			return
		}
		cert, _ := s.sign(csr.PublicKey, 100, csr.DNSNames...)
		s.issued.Store(&cert)
		order["status"], order["certificate"] = "valid", s.URL+"/certificate"
		w.Header().Set("Location", s.URL+"/order/1")
		answer(http.StatusOK, order)
	case "/certificate":
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		_ = pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: *s.issued.Load()})
		_ = pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: s.cert.Raw})
	default:
		answer(http.StatusOK, order)
	}
}

// config is what an edge needs to order from s.
func (s *acmeServer) config(t *testing.T) edge.Config {
	file := filepath.Join(t.TempDir(), "ca.pem")
	writeFile(t, file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	return edge.Config{ACMEDomains: []string{domain}, ACMEEmail: "ops@example.com", ACMEDirectory: s.URL + "/directory", ACMEAuthority: file, Redirect: "127.0.0.1:0"}
}

func TestACME(t *testing.T) {
	t.Parallel()
	for _, challenge := range []string{"tls-alpn-01", "http-01"} {
		t.Run(challenge, func(t *testing.T) {
			t.Parallel()
			s, cache := newACMEServer(t, challenge), autocert.DirCache(t.TempDir())
			cfg := s.config(t)
			if err := cfg.Validate(); err != nil {
				t.Fatal(err)
			}
			open := func() (address string, redirect *edge.Redirect) {
				e, err := edge.New(cfg, edge.Deps{Log: slog.New(slog.DiscardHandler), Cache: cache, PublicURL: "https://" + domain})
				if err != nil {
					t.Fatal(err)
				}
				redirect = e.Redirect()
				if err := redirect.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = redirect.Stop(t.Context()) })
				return serve(t, e), redirect
			}
			address, redirect := open()
			s.prove = func(token string) error {
				if challenge == "http-01" {
					return proveByHTTP(t, redirect.Address().String(), token)
				}
				return proveByTLS(t, address)
			}
			for range 2 {
				conn, err := dial(t, address, &tls.Config{RootCAs: s.pool(), NextProtos: []string{"h2"}})
				if err != nil {
					t.Fatal(err)
				}
				if state := conn.ConnectionState(); state.PeerCertificates[0].SerialNumber.Int64() != 100 || state.NegotiatedProtocol != "h2" {
					t.Errorf("%+v", state)
				}
			}
			again, _ := open() // another process, or this one after a restart
			if _, err := dial(t, again, &tls.Config{RootCAs: s.pool()}); err != nil {
				t.Error(err)
			}
			if n := s.orders.Load(); n != 1 {
				t.Errorf("%d orders", n)
			}
			other := &tls.Dialer{Config: &tls.Config{RootCAs: s.pool(), ServerName: "other.example.com"}}
			if _, err := other.DialContext(t.Context(), "tcp", address); err == nil || s.orders.Load() != 1 {
				t.Errorf("another name: %v, %d orders", err, s.orders.Load())
			}
		})
	}
}

// proveByTLS checks a proof as RFC 8737 wants it, but for the account's key.
func proveByTLS(t *testing.T, address string) error {
	conn, err := dial(t, address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"acme-tls/1"}}) //nolint:gosec // the proof signs itself
	if err != nil {
		return err
	}
	for _, extension := range conn.ConnectionState().PeerCertificates[0].Extensions {
		if extension.Critical && extension.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}) && len(extension.Value) == 34 {
			return nil
		}
	}
	return fmt.Errorf("no proof in the certificate, protocol %q", conn.ConnectionState().NegotiatedProtocol)
}

// proveByHTTP checks a proof as RFC 8555, section 8.3, wants it, but for the account's key.
func proveByHTTP(t *testing.T, address, token string) error {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/.well-known/acme-challenge/"+token, nil)
	if err != nil {
		return err
	}
	r.Host = domain
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), token+".") {
		return fmt.Errorf("%s: %q", res.Status, body)
	}
	return nil
}
