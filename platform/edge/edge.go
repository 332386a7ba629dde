// Package edge is what stands between the socket that clients reach and the HTTP
// server: the PROXY protocol of a balancer, TLS with certificates from files or
// from an authority by ACME, and the way from http to https.
package edge

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/acme/autocert"
)

// Config are the settings of the front door's socket.
type Config struct {
	CertFile string `env:"TLS_CERT_FILE" doc:"File with the certificate and those between it and the authority's, as PEM; read anew when it changes. Empty: no TLS, unless ACME_DOMAINS names hosts." group:"optional"`
	KeyFile  string `env:"TLS_KEY_FILE" doc:"File with the certificate's private key, as PEM." group:"optional"`

	ACMEDomains   []string `env:"ACME_DOMAINS" doc:"Host names for which certificates come from an authority by ACME, comma separated; who sets it agrees to the authority's terms." group:"optional"`
	ACMEEmail     string   `env:"ACME_EMAIL" doc:"Address at which the authority may tell of trouble with certificates." group:"optional"`
	ACMEDirectory string   `env:"ACME_DIRECTORY_URL" default:"https://acme-v02.api.letsencrypt.org/directory" doc:"The authority's directory." group:"optional"`
	ACMEAuthority string   `env:"ACME_CA_FILE" doc:"File with the certificates, as PEM, by which the authority's own address is trusted; empty: the system's." group:"optional"`

	Redirect      string `env:"HTTP_REDIRECT_ADDR" doc:"Address as host:port on which plain HTTP is answered with the way to https, and ACME's questions are; needs TLS. Empty: none." group:"optional"`
	ProxyProtocol bool   `env:"PROXY_PROTOCOL" doc:"Take the client's address from the PROXY protocol (1 or 2) that every connection of TRUSTED_PROXIES must then begin with." group:"optional"`

	SendTimeout time.Duration `env:"MADBASE_SEND_TIMEOUT" default:"1m" doc:"How long a client may take nothing of what it is sent before it is cut off, on Linux; 0: for ever." group:"optional"`
}

// TLS reports whether clients are spoken to by TLS.
func (c Config) TLS() bool { return c.CertFile != "" || len(c.ACMEDomains) > 0 }

// URL is the address that clients use when nothing else says one, with the port of
// the front door.
func (c Config) URL(port string) string {
	host, scheme, usual := "localhost", "http", "80"
	if c.TLS() {
		scheme, usual = "https", "443"
	}
	if len(c.ACMEDomains) > 0 {
		host = c.ACMEDomains[0]
	}
	if port == usual {
		return scheme + "://" + host
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// hostName is what an authority gives a certificate for by the challenges there are here.
var hostName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Validate names every fault of the settings.
func (c Config) Validate() error {
	var errs []error
	if (c.CertFile == "") != (c.KeyFile == "") {
		errs = append(errs, errors.New("TLS_CERT_FILE and TLS_KEY_FILE belong together"))
	}
	if c.SendTimeout < 0 || c.SendTimeout > 24*time.Hour {
		errs = append(errs, errors.New("MADBASE_SEND_TIMEOUT must be from 0 to 24h"))
	}
	if c.CertFile != "" && len(c.ACMEDomains) > 0 {
		errs = append(errs, errors.New("ACME_DOMAINS and TLS_CERT_FILE exclude each other"))
	}
	for _, domain := range c.ACMEDomains {
		if !hostName.MatchString(domain) || len(domain) > 253 {
			errs = append(errs, fmt.Errorf("ACME_DOMAINS: %q is not a host name in small letters, without a wildcard", domain))
		}
	}
	if u, err := url.Parse(c.ACMEDirectory); len(c.ACMEDomains) > 0 && (err != nil || u.Scheme != "https" || u.Host == "") {
		errs = append(errs, fmt.Errorf("ACME_DIRECTORY_URL: %q is not an https URL", c.ACMEDirectory))
	}
	if c.Redirect != "" {
		if _, _, err := net.SplitHostPort(c.Redirect); err != nil {
			errs = append(errs, fmt.Errorf("HTTP_REDIRECT_ADDR: %q is not host:port", c.Redirect))
		}
		if !c.TLS() {
			errs = append(errs, errors.New("HTTP_REDIRECT_ADDR needs TLS_CERT_FILE or ACME_DOMAINS"))
		}
	}
	return errors.Join(errs...)
}

// Deps are what an edge needs of its process.
type Deps struct {
	Log *slog.Logger
	// Trusts tells whether an address is a balancer's whose PROXY header is believed.
	Trusts func(netip.Addr) bool
	// Cache keeps ACME's account and certificates. With several processes of one
	// name all must have the same: an authority may ask another one than the one
	// that ordered.
	Cache autocert.Cache
	// PublicURL is where clients are sent that come by plain HTTP.
	PublicURL string
}

// Edge is an open front door.
type Edge struct {
	cfg  Config
	deps Deps
	tls  *tls.Config       // nil without TLS
	acme *autocert.Manager // nil without ACME
}

// New reads the certificates, so that a wrong file stops the start.
func New(cfg Config, deps Deps) (*Edge, error) {
	e := &Edge{cfg: cfg, deps: deps}
	switch {
	case cfg.CertFile != "":
		files := &certFiles{cert: cfg.CertFile, key: cfg.KeyFile, log: deps.Log}
		if err := files.load(); err != nil {
			return nil, fmt.Errorf("edge: %w", err)
		}
		e.tls = secure(files.get)
	case len(cfg.ACMEDomains) > 0:
		manager, err := newManager(cfg, deps)
		if err != nil {
			return nil, fmt.Errorf("edge: %w", err)
		}
		e.acme, e.tls = manager, secure(e.order)
		e.tls.NextProtos = append(e.tls.NextProtos, challengeProtocol)
	}
	return e, nil
}

// order is the certificate for a handshake, which may have to be ordered first.
func (e *Edge) order(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	certificate, err := e.acme.GetCertificate(hello)
	if err != nil && slices.Contains(e.cfg.ACMEDomains, hello.ServerName) {
		e.deps.Log.Warn("there is no certificate for one of ACME_DOMAINS", "domain", hello.ServerName, "error", err)
	}
	return certificate, err
}

// secure is TLS 1.2 and 1.3 with the cipher suites and curves of Go's defaults,
// which are what is safe at the time of the build, and HTTP/2.
func secure(certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: certificate}
}

// Listener puts on l what the settings ask for.
func (e *Edge) Listener(l net.Listener) net.Listener {
	if e.cfg.SendTimeout > 0 {
		l = &patientListener{Listener: l, limit: e.cfg.SendTimeout}
	}
	if e.cfg.ProxyProtocol {
		l = &proxyListener{Listener: l, trusts: e.deps.Trusts}
	}
	if e.tls != nil {
		l = tls.NewListener(l, e.tls)
	}
	return l
}

// redirect answers what comes by plain HTTP: ACME's questions, and everything else
// with the same path by https. The host is the public one, or a name below it, or
// one that there is a certificate for: what a client says its host is leads nowhere else.
func (e *Edge) redirect() http.Handler {
	public, err := url.Parse(e.deps.PublicURL)
	if err != nil {
		public = &url.URL{}
	}
	var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target := url.URL{Scheme: "https", Host: e.ownHost(r.Host, public), Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
		if target.Host == "" || !strings.HasPrefix(target.Path, "/") {
			http.Error(w, "this address is served by https only", http.StatusBadRequest)
			return
		}
		w.Header().Set("Location", target.String())
		w.WriteHeader(http.StatusPermanentRedirect) // which keeps the method
	})
	if e.acme != nil {
		h = e.acme.HTTPHandler(h)
	}
	return h
}

// ownHost is the host to send a client to that asked for said: that one where it
// is our own, with the public port.
func (e *Edge) ownHost(said string, public *url.URL) string {
	name := strings.ToLower(said)
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	own := name == public.Hostname() || strings.HasSuffix(name, "."+public.Hostname()) && hostName.MatchString(name)
	for _, domain := range e.cfg.ACMEDomains {
		own = own || name == domain
	}
	if !own {
		return public.Host
	}
	if port := public.Port(); port != "" {
		return net.JoinHostPort(name, port)
	}
	return name
}
