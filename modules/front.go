package modules

import (
	"net"
	"net/netip"
	"path/filepath"
	"slices"

	"golang.org/x/crypto/acme/autocert"

	"github.com/madbase/madbase/config"
	"github.com/madbase/madbase/platform/edge"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/module"
)

// front puts on the listener what the settings ask for in a process with the
// gateway, and returns what redirects plain HTTP, if anything. Other processes
// are spoken to by madbase's own only.
func (f *foundation) front(listener net.Listener, names []string) (net.Listener, []module.Module, error) {
	if !slices.Contains(names, "gateway") {
		return listener, nil, nil
	}
	proxies, err := httpx.ParseProxies(f.cfg.Gateway.TrustedProxies)
	if err != nil {
		return nil, nil, err
	}
	cache, err := f.acmeCache()
	if err != nil {
		return nil, nil, err
	}
	e, err := edge.New(f.cfg.Edge, edge.Deps{Log: f.log, Trusts: proxies.Has, Cache: cache, PublicURL: publicURL(f.cfg)})
	if err != nil {
		return nil, nil, err
	}
	if redirect := e.Redirect(); redirect != nil {
		return e.Listener(listener), []module.Module{redirect}, nil
	}
	return e.Listener(listener), nil, nil
}

// acmeCache is common to all proxies where they have a Redis in common.
func (f *foundation) acmeCache() (autocert.Cache, error) {
	if f.redis == nil {
		return autocert.DirCache(filepath.Join(f.cfg.Server.DataDir, "acme")), nil
	}
	return edge.NewSharedCache(f.redis, f.cfg.Claims.Secret.Reveal())
}

// ownAddress is how the process itself is asked at its listening address, for
// which nobody has a certificate: host is what it listens on.
func ownAddress(cfg *config.Config, host string) (scheme string, proxyHeader bool) {
	if cfg.Server.Role != config.RoleAll && cfg.Server.Role != config.RoleProxy {
		return "http", false
	}
	if scheme = "http"; cfg.Edge.TLS() {
		scheme = "https"
	}
	proxies, err := httpx.ParseProxies(cfg.Gateway.TrustedProxies) // faultless, as cfg was validated
	address, parseErr := netip.ParseAddr(host)
	return scheme, cfg.Edge.ProxyProtocol && err == nil && parseErr == nil && proxies.Has(address)
}
