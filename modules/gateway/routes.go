package gateway

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
)

// Routes lists every surface and where it is served. Paths pass as they are, but
// for that of discovery.
func (m *Module) Routes(g *echo.Group) {
	g.Use(m.cors)
	m.surface(g, "/auth/v1", m.checked(m.worker))
	m.surface(g, "/rest/v1", m.checked(m.worker))
	m.surface(g, "/storage/v1", m.checked(m.worker))
	m.surface(g, "/realtime/v1", m.checked(m.worker))
	m.surface(g, "/functions/v1", m.checked(m.worker))
	for _, name := range []string{"oauth-authorization-server", "openid-configuration"} {
		m.surface(g, "/.well-known/"+name, m.discovery("/auth/v1/.well-known/"+name))
	}
	m.surface(g, "/platform/v1", m.forward(m.control))
	m.surface(g, "/graphql/v1", noGraphQL)
	g.GET("/", m.root)
	g.HEAD("/", m.root)
}

func (m *Module) surface(g *echo.Group, prefix string, h echo.HandlerFunc) {
	g.Any(prefix, h, endToEnd)
	g.Any(prefix+"/*", h, endToEnd)
}

// endToEnd drops the headers of the client's own connection. It runs before any
// header is set here, so that a client cannot have ours removed.
func endToEnd(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		dropHopHeaders(c.Request().Header)
		return next(c)
	}
}

// discovery serves what auth says of itself as an OAuth server at the address that
// clients make of its issuer: RFC 8414, section 3.1, puts the issuer's path behind
// that of the document.
func (m *Module) discovery(path string) echo.HandlerFunc {
	forward := m.forward(m.worker)
	return func(c echo.Context) error {
		if rest := c.Param("*"); rest != "" && rest != "auth/v1" {
			return echo.ErrNotFound
		}
		r := c.Request()
		r.URL.Path, r.URL.RawPath = path, ""
		return forward(c)
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
