package rest

import (
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/rls"
)

// Routes registers the surface. All paths take the same walk: what a path and a
// method mean is decided in package request, which answers as PostgREST does.
func (m *Module) Routes(g *echo.Group) {
	// Put together here, as Echo would do it anew for each request.
	serve := m.enter(m.cors(m.authenticate(rls.Middleware(m.transactions())(m.serve))))
	g.Any("", serve)               // the root: a description of the API
	g.Any("/", serve)              // the same
	g.Any("/:table", serve)        // a table or view
	g.Any("/rpc/:function", serve) // a function
	g.Any("/*", serve)             // anything deeper: 404
}
