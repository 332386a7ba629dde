package rest

import (
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/exec"
	"github.com/madbase/madbase/modules/rest/openapi"
	"github.com/madbase/madbase/modules/rest/plan"
	"github.com/madbase/madbase/modules/rest/render"
	"github.com/madbase/madbase/modules/rest/schema"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/rls"
)

// describe answers requests for the root: with what the schema has, for the
// caller's eyes or for all, as the settings say.
func (v *visit) describe(c echo.Context, tx *rls.Tx, req *ast.Request, s *schema.Snapshot) (rls.Responder, error) {
	ctx := c.Request().Context()
	if req.Action == ast.InspectRoot {
		return v.respond(render.InspectRoot()), nil
	}
	if err := plan.NegotiateRoot(req.Accept); err != nil {
		return nil, err
	}
	v.took(partPlan)
	v.requestSettings(&tx.Settings, req, mountedPath(c))
	tx.Settings.ReadOnly = true
	how := exec.Options{PreRequest: v.preRequest, Unprepared: !v.Prepared}
	notes, err := exec.Notes(ctx, tx, req.Schema, v.OpenAPIMode == openAPIFollows, how)
	if err != nil {
		return nil, err
	}
	v.took(partTransaction)
	in := openapi.Input{Notes: notes, Server: v.address(c), Secured: v.OpenAPISecurity}
	in.Tables, in.Routines = s.Noted(req.Schema, notes)
	in.Foreign = func(of schema.Name) []*schema.Relation { return s.Relations(of, of.Schema) }
	body, err := openapi.Describe(in)
	if err != nil {
		return nil, err
	}
	return v.respond(render.Description(req, body)), nil
}

// address is where callers reach the API: as the settings say, below the project's
// public address, or where the request went to.
func (v *visit) address(c echo.Context) openapi.Server {
	if v.server != (openapi.Server{}) {
		return v.server
	}
	r := c.Request()
	mounted := strings.TrimSuffix(r.URL.Path, mountedPath(c))
	if p := project.From(r.Context()); !v.dropIn && p.PublicURL != "" {
		if s, err := openapi.ParseServer(p.PublicURL + mounted); err == nil {
			return s
		}
	}
	return openapi.Addressed(r.Host, mounted)
}
