package exec

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/madbase/madbase/modules/rest/plan"
	"github.com/madbase/madbase/modules/rest/rows"
	"github.com/madbase/madbase/modules/rest/sqlgen"
	"github.com/madbase/madbase/platform/rls"
)

// list runs w, which is in the shape Rows, and makes the body of what comes.
func list(ctx context.Context, run runner, w Work, how Options) (*plan.Result, error) {
	p, array := w.Plan, &rows.Array{Tail: w.Plan.Tail}
	main := how.statement(w.Statement)
	main.Into, main.Aside = array, p.Write == nil
	statements := []rls.Statement{main}
	if p.Write != nil {
		array.Variables, array.Lenient, array.Single = sqlgen.NumVariables, true, true
		array.Bare = p.Body == plan.ObjectBody
	} else {
		statements = append(statements, how.statement(sqlgen.Variables()))
	}
	answer, err := run(ctx, statements...)
	if err != nil {
		array.Close()
		return nil, err
	}
	variables := array.Last()
	if p.Write == nil {
		variables = answer.Rows[0]
	}
	result := &plan.Result{Rows: array.Rows(), Headers: variables[sqlgen.VarHeaders], Status: variables[sqlgen.VarStatus]}
	if result.Body, result.Aside, err = array.End(); err != nil {
		return nil, err
	}
	return result, check(p, result.Rows)
}

// isUnfit reports whether err may be none, or another, in a plain document: a value
// is too large or of another form than p could know, or a column that the request does not
// name was dropped a moment ago. A write that met one of the former would be done already.
// Values that are none of their types are found before the privileges are looked at, and
// those of a payload after that.
func isUnfit(p *plan.Plan, err error) bool {
	switch {
	case p.Write == nil && (errors.Is(err, rows.ErrForm) || errors.Is(err, rls.ErrLarge)):
		return true
	case p.Tail != nil && (hasClass(err, "22004") || hasClass(err, "2202E")): // a column has arrays by now, of which there is no array
		return true
	case p.Write != nil && p.Write.Values != nil && (hasClass(err, "22") || hasClass(err, "54")):
		return true
	}
	return (p.Write != nil || p.Spelled) && hasClass(err, "42703")
}

// isAborted reports whether err only says that an earlier statement of the
// transaction has failed.
func isAborted(err error) bool { return hasClass(err, "25P02") }

// hasClass reports whether err is PostgreSQL's, with a code that begins with class.
func hasClass(err error, class string) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && strings.HasPrefix(e.Code, class)
}
