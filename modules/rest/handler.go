package rest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/exec"
	"github.com/madbase/madbase/modules/rest/plan"
	"github.com/madbase/madbase/modules/rest/render"
	"github.com/madbase/madbase/modules/rest/request"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/rls"
)

// serve answers one request: the walk in a transaction, then the answer, and the
// errors of both and of the commit between in PostgREST's terms.
func (m *Module) serve(c echo.Context) error {
	caller := claims.From(c.Request().Context())
	authenticated := caller != nil && caller.Role != "" && caller.Role != m.cfg.AnonRole
	return exec.Translate(rls.Handle(m.walk)(c), authenticated)
}

// walk is the life of a request: HTTP -> ast -> plan -> SQL -> result -> answer.
func (m *Module) walk(c echo.Context, tx *rls.Tx) (rls.Responder, error) {
	ctx, path := c.Request().Context(), mountedPath(c)
	if err := m.admit(claims.From(ctx)); err != nil {
		return nil, err
	}
	snapshot, err := m.snapshot(ctx, project.From(ctx))
	if err != nil {
		return nil, err
	}
	body, err := m.readBody(c)
	if err != nil {
		return nil, err
	}
	req, err := request.Parse(c.Request(), path, body, m.requestRules)
	if err != nil {
		return nil, err
	}
	p, err := plan.Build(req, snapshot, m.planRules)
	if err != nil {
		return nil, err
	}
	if p.Action == ast.Inspect || p.Action == ast.InspectCall {
		return respond(render.Inspect(p)), nil
	}
	m.settings(&tx.Settings, p, path)
	if caller := claims.From(ctx); caller != nil && caller.Role == "" {
		tx.Settings.Claims = withRole(tx.Settings.Claims, tx.Settings.Role)
	}
	result, err := exec.Run(ctx, tx, p, exec.Options{PreRequest: m.preRequest, Rollback: m.rollsBack(p), Unprepared: !m.cfg.Prepared})
	if err != nil {
		return nil, err
	}
	answer, err := render.Answer(p, result)
	if err != nil {
		return nil, err
	}
	return respond(answer), nil
}

func respond(r *render.Response) rls.Responder {
	return func(c echo.Context) error { return r.Write(c.Response()) }
}

// settings completes what the transaction runs as by what the request asks for.
func (m *Module) settings(s *rls.Settings, p *plan.Plan, path string) {
	s.Path = path
	s.SearchPath = quoteName(p.Schema) + m.extraPath
	s.ReadOnly = p.ReadOnly()
	if p.Prefer.Timezone != "" {
		s.More = append(s.More, "timezone", p.Prefer.Timezone)
	}
}

// withRole adds to a token's claims the role that it runs as without naming one.
func withRole(payload, role string) string {
	members, name := strings.TrimSuffix(strings.TrimSpace(payload), "}"), strconv.Quote(role)
	if strings.TrimSpace(members) != "{" {
		members += ","
	}
	return members + `"role":` + name + "}"
}

func (m *Module) rollsBack(p *plan.Plan) bool {
	return p.Prefer.Tx == ast.TxRollback || m.cfg.rollsBack() && p.Prefer.Tx != ast.TxCommit
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
