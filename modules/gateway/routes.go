package gateway

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
)

// Routes lists every surface and where it is served. Paths pass as they are.
func (m *Module) Routes(g *echo.Group) {
	g.Use(m.cors)
	m.surface(g, "/auth/v1", m.checked(m.worker))
	m.surface(g, "/rest/v1", m.checked(m.worker))
	m.surface(g, "/storage/v1", m.checked(m.worker))
	m.surface(g, "/realtime/v1", m.checked(m.worker))
	m.surface(g, "/functions/v1", m.checked(m.worker))
	m.surface(g, "/.well-known/oauth-authorization-server", m.forward(m.worker))
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
