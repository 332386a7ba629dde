package gateway

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
)

// surface is what the gateway knows of the requests below a prefix.
type surface struct {
	// class names the surface in logs.
	class string
	// upstream serves it.
	upstream *group
	// keyed surfaces want an API key, but for their open routes.
	keyed bool
	// body is the largest request body in bytes; 0 is any.
	body int64
	// once says whether an Idempotency-Key is honoured.
	once bool
	// sockets says whether there are WebSockets, which last as long as their clients like.
	sockets bool
}

// methods are those of the surfaces. CONNECT and TRACE are none: what they would
// do is between a client and its own proxy.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

// Routes lists every surface and where it is served. Paths pass as they are, but
// for that of discovery.
func (m *Module) Routes(g *echo.Group) {
	limits := m.cfg.Limits
	// What auth answers has tokens, which nobody keeps: no key there has an answer repeated.
	m.mount(g, "/auth/v1", m.admit(surface{class: "auth", upstream: m.worker, keyed: true, body: limits.BodyAuth}))
	m.mount(g, "/rest/v1", m.admit(surface{class: "rest", upstream: m.worker, keyed: true, body: limits.BodyREST, once: true}))
	m.mount(g, "/storage/v1", m.admit(surface{class: "storage", upstream: m.worker, keyed: true, once: true})) // it has limits of its own
	m.mount(g, "/realtime/v1", m.admit(surface{class: "realtime", upstream: m.worker, keyed: true, body: limits.BodyREST, once: true, sockets: true}))
	m.mount(g, "/functions/v1", m.admit(surface{class: "functions", upstream: m.worker, keyed: true, body: limits.BodyREST, once: true, sockets: true}))
	for _, name := range []string{"oauth-authorization-server", "openid-configuration"} {
		m.mount(g, "/.well-known/"+name, m.discovery("/auth/v1/.well-known/"+name))
	}
	m.mount(g, "/platform/v1", m.admit(surface{class: "platform", upstream: m.control, body: limits.BodyPlatform}))
	m.mount(g, "/graphql/v1", noGraphQL)
	g.GET("/", m.root)
	g.HEAD("/", m.root)
}

func (m *Module) mount(g *echo.Group, prefix string, h echo.HandlerFunc) {
	g.Match(methods, prefix, h)
	g.Match(methods, prefix+"/*", h)
}

// Around sees every request, also those of no surface. CORS comes first, so that
// a refusal has its headers too.
func (m *Module) Around(next echo.HandlerFunc) echo.HandlerFunc {
	return m.cors(m.wellFormed(next))
}

// wellFormed drops the headers of the client's own connection, before any header
// is set here, and refuses what no client sends that means well. A connection ends
// with a body in chunks: whether there was a Content-Length too, by which a proxy
// before this one may have read, cannot be seen here (RFC 9112, section 6.1).
func (m *Module) wellFormed(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if r.URL.Opaque != "" {
			return apierr.New(http.StatusBadRequest, "bad_target", "The request target is not a path")
		}
		if err := m.limits.checkHeader(r); err != nil {
			return err
		}
		dropHopHeaders(r.Header)
		if len(r.TransferEncoding) > 0 {
			c.Response().Header().Set("Connection", "close")
		}
		return next(c)
	}
}

// discovery serves what auth says of itself as an OAuth server at the address that
// clients make of its issuer: RFC 8414, section 3.1, puts the issuer's path behind
// that of the document.
func (m *Module) discovery(path string) echo.HandlerFunc {
	admit := m.admit(surface{class: "auth", upstream: m.worker, body: m.cfg.Limits.BodyAuth})
	return func(c echo.Context) error {
		if rest := c.Param("*"); rest != "" && rest != "auth/v1" && "/"+rest != m.public.Path+"/auth/v1" {
			return echo.ErrNotFound
		}
		r := c.Request()
		r.URL.Path, r.URL.RawPath = path, ""
		return admit(c)
	}
}

func noGraphQL(echo.Context) error {
	return apierr.New(http.StatusNotImplemented, "graphql_unavailable", "GraphQL is not available here").
		WithDetail("The tables and functions of the database are served at /rest/v1")
}

func (m *Module) root(c echo.Context) error {
	return httpx.JSON(c, http.StatusOK, struct {
		Name    string `json:"name"`
		Version string `json:"version,omitempty"`
	}{"madbase", m.deps.Version})
}
