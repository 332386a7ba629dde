package rest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/exec"
	"github.com/madbase/madbase/modules/rest/render"
	"github.com/madbase/madbase/modules/rest/request"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/rls"
)

// serve answers one request: the walk in a transaction, then the answer, and the
// errors of both and of the commit between in PostgREST's terms.
func (m *Module) serve(c echo.Context) error {
	err := rls.Handle(m.walk)(c)
	return exec.Translate(err, visitOf(c).authenticated)
}

// walk is the life of a request: HTTP -> ast -> plan -> SQL -> result -> answer.
func (m *Module) walk(c echo.Context, tx *rls.Tx) (rls.Responder, error) {
	ctx, path, v := c.Request().Context(), mountedPath(c), visitOf(c)
	if err := v.become(&tx.Settings, claims.From(ctx)); err != nil {
		return nil, err
	}
	compiler, err := m.compiler(ctx, project.From(ctx), v.surface)
	if err != nil {
		return nil, err
	}
	body, err := m.readBody(c)
	if err != nil {
		return nil, err
	}
	compiled, err := compiler.Compile(request.Read(c.Request(), path, body), func() { v.took(partParse) })
	if err != nil {
		return nil, err
	}
	p := compiled.Plan
	if p.Action == ast.Describe || p.Action == ast.InspectRoot {
		return v.describe(c, tx, p.Request, compiler.Schema)
	}
	v.took(partPlan)
	if p.Action == ast.Inspect || p.Action == ast.InspectCall {
		return v.respond(render.Inspect(p)), nil
	}
	v.txSettings(&tx.Settings, p, path)
	work := exec.Work{Plan: p, Statement: compiled.Statement, Plain: compiled.Plain}
	result, err := exec.Run(ctx, tx, work, exec.Options{PreRequest: v.preRequest, Rollback: v.rollsBackPlan(p), Unprepared: !v.Prepared})
	if err != nil {
		return nil, err
	}
	v.took(partTransaction)
	answer, err := render.Answer(p, result)
	if err != nil {
		return nil, err
	}
	return v.respond(answer), nil
}

// readBody reads the whole body, up to the bound: PostgreSQL takes it in one piece.
func (m *Module) readBody(c echo.Context) ([]byte, error) {
	r := c.Request()
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, m.cfg.MaxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); err != nil && !tooLarge {
		return nil, fmt.Errorf("rest: read body: %w", errors.Join(r.Context().Err(), err))
	}
	return body, err
}

// mountedPath is the request's path below the mount point, which is the route's
// pattern up to what this module added to it.
func mountedPath(c echo.Context) string {
	prefix := c.Path()
	for _, own := range []string{"/rpc/:function", "/:table", "/*", "/"} {
		if cut, found := strings.CutSuffix(prefix, own); found {
			prefix = cut
			break
		}
	}
	path := strings.TrimPrefix(c.Request().URL.Path, prefix)
	if path == "" {
		return "/"
	}
	return path
}

func quoteName(name string) string { return pgx.Identifier{name}.Sanitize() }
