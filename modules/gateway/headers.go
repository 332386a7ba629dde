package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"go.opentelemetry.io/otel/propagation"

	"github.com/madbase/madbase/platform/httpx"
)

// endToEnd are headers that Connection cannot name: they say who calls and from
// where, and RFC 9110, section 7.6.1, keeps such fields out of it.
func endToEnd(name string) bool {
	name = http.CanonicalHeaderKey(name)
	switch name {
	case "Authorization", "Apikey", "X-Api-Key", "Cookie", "Origin", "X-Real-Ip", "Te", httpx.HeaderRequestID:
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded-")
}

// dropHopHeaders removes what concerns only the connection that a message came on
// (RFC 9110, section 7.6.1), with the headers that Connection names. Of upgrades
// only that to a WebSocket stays: nobody here speaks another protocol, such as h2c.
func dropHopHeaders(h http.Header) {
	upgrade := ""
	for _, value := range h["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.TrimSpace(name); strings.EqualFold(name, "upgrade") {
				upgrade = h.Get("Upgrade")
			}
			if name != "" && !endToEnd(name) {
				h.Del(name)
			}
		}
	}
	for _, name := range [...]string{"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Transfer-Encoding", "Upgrade"} {
		delete(h, name)
	}
	if te := h.Get("Te"); te != "" && !strings.EqualFold(te, "trailers") {
		delete(h, "Te")
	}
	if strings.EqualFold(upgrade, "websocket") {
		h.Set("Connection", "Upgrade")
		h.Set("Upgrade", upgrade)
	}
}

// setForwarded says how the request reached madbase. What the client claims of
// it counts only when the client is a trusted proxy; what such a one leaves out
// is as in the public URL.
func (m *Module) setForwarded(r *http.Request) {
	h := r.Header
	trusted := m.proxies.Trusts(r)
	if !trusted {
		m.warnOfProxy(r)
		for _, name := range [...]string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix"} {
			delete(h, name)
		}
	}
	delete(h, "Forwarded") // the X- headers say the same
	if trusted && m.public.Path != "" && h.Get("X-Forwarded-Prefix") == "" {
		h.Set("X-Forwarded-Prefix", m.public.Path) // it takes that off
	}
	if m.deps.Tell != nil { // what is taken off here comes after what is taken off before
		m.deps.Tell(r)
	}
	client := m.proxies.ClientIP(r)
	setUnlessEmpty(h, "X-Real-Ip", client)
	// What else a proxy has passed on nobody vouches for, and whoever is told of it
	// may take the client for one more proxy, as its address is of a private network.
	setUnlessEmpty(h, "X-Forwarded-For", client)
	if h.Get("X-Forwarded-Proto") == "" {
		h.Set("X-Forwarded-Proto", m.scheme(r, trusted))
	}
	if h.Get("X-Forwarded-Host") == "" {
		h.Set("X-Forwarded-Host", r.Host)
		if _, port, err := net.SplitHostPort(r.Host); err == nil && h.Get("X-Forwarded-Port") == "" {
			h.Set("X-Forwarded-Port", port)
		}
	}
}

// warnOfProxy tells once that something on this machine or network forwards
// requests without being trusted: all its clients then count as one.
func (m *Module) warnOfProxy(r *http.Request) {
	if r.Header["X-Forwarded-For"] == nil || m.warned.Load() {
		return
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().IsLoopback() && !peer.Addr().Unmap().IsPrivate() || m.warned.Swap(true) {
		return
	}
	m.deps.Log.WarnContext(r.Context(), "X-Forwarded-For of a proxy is ignored: list it in TRUSTED_PROXIES, else its clients share their rate limits",
		"proxy", peer.Addr().Unmap().String())
}

func setUnlessEmpty(h http.Header, name, value string) {
	if value == "" {
		h.Del(name)
		return
	}
	h.Set(name, value)
}

// scheme is how the client speaks. A trusted proxy that does not say is the one
// at the public address.
func (m *Module) scheme(r *http.Request, trusted bool) string {
	switch {
	case r.TLS != nil:
		return "https"
	case trusted && m.public.Scheme != "":
		return m.public.Scheme
	}
	return "http"
}

// inject names the gateway's span as the parent of the worker's. Without tracing
// the caller's traceparent passes as it is.
func inject(r *http.Request) {
	propagation.TraceContext{}.Inject(r.Context(), propagation.HeaderCarrier(r.Header))
}
