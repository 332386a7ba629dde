package rest

import (
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/rls"
)

// Routes registers the surface. All paths take the same walk: what a path and a
// method mean is decided in package request, which answers as PostgREST does.
func (m *Module) Routes(g *echo.Group) {
	g.Use(m.enter, m.cors, m.authenticate, rls.Middleware(m.transactions()))
	g.Any("", m.serve)               // the root: a description of the API
	g.Any("/", m.serve)              // the same
	g.Any("/:table", m.serve)        // a table or view
	g.Any("/rpc/:function", m.serve) // a function
	g.Any("/*", m.serve)             // anything deeper: 404
}
