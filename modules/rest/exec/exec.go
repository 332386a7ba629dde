// Package exec runs a plan's statement in the caller's transaction and checks what
// must hold before the commit. It turns PostgreSQL's errors into PostgREST's.
package exec

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/plan"
	"github.com/madbase/madbase/modules/rest/schema"
	"github.com/madbase/madbase/modules/rest/sqlgen"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/rls"
)

// Work is a plan and its statement.
type Work struct {
	// Plan need not have the request's values.
	Plan      *plan.Plan
	Statement sqlgen.Statement
	// Plain plans the request anew, with its values and by the rule Plain.
	Plain func() (*plan.Plan, error)
}

// plain is w by the rule Plain.
func (w Work) plain() (Work, error) {
	p, err := w.Plain()
	if err != nil {
		return w, err
	}
	return Work{Plan: p, Statement: sqlgen.Generate(p), Plain: w.Plain}, nil
}

// Run executes w. A statement that needs no check before its commit, and none but
// the reading of variables beside it, takes one round trip; any other runs in an explicit
// transaction, which an error from here rolls back.
func Run(ctx context.Context, tx *rls.Tx, w Work, how Options) (*plan.Result, error) {
	p, run, err := w.Plan, tx.Run, error(nil)
	switch {
	case how.PreRequest.Name != "":
		_, err = tx.Run(ctx, how.statement(sqlgen.Invoke(how.PreRequest)))
	case !how.Rollback && tx.Settings.Isolation == "" && !explains(p) && (p.ReadOnly() || !checked(p)):
		run = tx.Together
	case p.Spelled || p.Write != nil && p.Write.Values != nil:
		w, err = w.plain()
	}
	if err != nil {
		return nil, err
	}
	result, err := answer(ctx, run, w, how)
	if err != nil {
		return nil, err
	}
	if how.Rollback {
		if err := discard(ctx, tx); err != nil {
			return nil, err
		}
	}
	if explains(p) {
		err = estimate(ctx, tx, w, result, how)
	}
	return result, err
}

// runner runs statements and returns the last one's result.
type runner func(context.Context, ...rls.Statement) (rls.Result, error)

// answer runs w in its shape, or as a plain document where that turns out not to do.
func answer(ctx context.Context, run runner, w Work, how Options) (*plan.Result, error) {
	inShape := document
	if w.Plan.Shape == plan.Rows {
		inShape = list
	}
	result, err := inShape(ctx, run, w, how)
	if !isUnfit(w.Plan, err) {
		return result, err
	}
	plain, again := w.plain()
	if again == nil {
		result, again = document(ctx, run, plain, how)
	}
	if isAborted(again) {
		return nil, err
	}
	return result, again
}

// document runs w, which is in the shape Document.
func document(ctx context.Context, run runner, w Work, how Options) (*plan.Result, error) {
	answer, err := run(ctx, how.statement(w.Statement))
	if err != nil {
		return nil, err
	}
	result, err := decode(w.Plan, answer.Rows)
	if err != nil {
		answer.Aside.Close()
		return nil, err
	}
	result.Aside = answer.Aside
	return result, nil
}

// Options say how a statement is run.
type Options struct {
	// PreRequest is a function that is called before, in the same transaction; none when empty.
	PreRequest schema.Name
	// Rollback keeps nothing of what the statement did.
	Rollback bool
	// Unprepared statements are not kept prepared on their connections.
	Unprepared bool
}

func (o Options) statement(s sqlgen.Statement) rls.Statement {
	return rls.Statement{SQL: s.SQL, Args: s.Args, Formats: s.Formats, Aside: true, Fresh: o.Unprepared}
}

// explains reports whether the total is, or may be, the planner's estimate.
func explains(p *plan.Plan) bool {
	return p.Action == ast.Read && p.Explain == nil && (p.Prefer.Count == ast.CountPlanned || p.Prefer.Count == ast.CountEstimated)
}

// checked reports whether check can fail for p.
func checked(p *plan.Plan) bool {
	if p.Explain != nil {
		return false
	}
	return p.Media.IsObject() && (p.Write == nil || !p.Write.One) || p.Action == ast.Upsert || p.Prefer.HasMaxAffected && p.Prefer.Strict()
}

// check says whether the number of rows is one that the request allows.
func check(p *plan.Plan, rows int64) error {
	if p.Action == ast.Upsert {
		if rows != 1 {
			return apierr.New(http.StatusBadRequest, "PGRST115", "Payload values do not match URL in primary key column(s)")
		}
		return nil
	}
	if p.Media.IsObject() && rows != 1 {
		return apierr.New(http.StatusNotAcceptable, "PGRST116", "Cannot coerce the result to a single JSON object").
			WithDetail(fmt.Sprintf("The result contains %d rows", rows))
	}
	limited := p.Action == ast.Update || p.Action == ast.Delete || p.Action.IsCall()
	if limited && p.Prefer.HasMaxAffected && p.Prefer.Strict() && rows > p.Prefer.MaxAffected {
		return apierr.New(http.StatusBadRequest, "PGRST124", "Query result exceeds max-affected preference constraint").
			WithDetail(fmt.Sprintf("The query affects %d rows", rows))
	}
	return nil
}

// discard makes the transaction one that is rolled back, after constraints have
// had their say as they would at a commit.
func discard(ctx context.Context, tx *rls.Tx) error {
	if _, err := tx.Exec(ctx, "SET CONSTRAINTS ALL IMMEDIATE"); err != nil {
		return fmt.Errorf("exec: check constraints: %w", err)
	}
	tx.RollbackOnly = true
	return nil
}

// estimate asks the planner for the total. For an estimated one an exact count up
// to the bound on rows is better; without a bound PostgREST takes the larger.
func estimate(ctx context.Context, tx *rls.Tx, w Work, result *plan.Result, how Options) error {
	p, err := w.Plain()
	if err != nil {
		return err
	}
	answer, err := tx.Run(ctx, how.statement(sqlgen.Explain(p)))
	if err != nil {
		return err
	}
	var plans []struct {
		Plan struct {
			Rows int64 `json:"Plan Rows"`
		}
	}
	if len(answer.Rows) != 1 || json.Unmarshal(answer.Rows[0][0], &plans) != nil || len(plans) != 1 {
		return nil
	}
	planned := plans[0].Plan.Rows
	switch {
	case p.Prefer.Count == ast.CountPlanned:
		result.Total = &planned
	case result.Total != nil && *result.Total > p.MaxRows: // which is 0 without a bound
		more := max(planned, *result.Total)
		result.Total = &more
	}
	return nil
}

// decode reads the rows of p's statement, and checks what they say of it.
func decode(p *plan.Plan, rows [][][]byte) (*plan.Result, error) {
	if p.Explain != nil {
		return &plan.Result{Body: lines(rows)}, nil
	}
	result, err := decodeRow(rows)
	if err != nil {
		return nil, err
	}
	return result, check(p, result.Rows)
}

// lines are the lines of an EXPLAIN as one text.
func lines(rows [][][]byte) []byte {
	var b bytes.Buffer
	for _, row := range rows {
		b.Write(row[0])
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// decodeRow reads the one row of a statement; a function whose row was filtered out has none.
func decodeRow(rows [][][]byte) (*plan.Result, error) {
	if len(rows) == 0 {
		none := int64(0)
		return &plan.Result{Total: &none}, nil
	}
	row := rows[0]
	var key []byte
	if len(row) > sqlgen.NumColumns {
		key = row[sqlgen.ColLocation]
		row = slices.Delete(row, sqlgen.ColLocation, sqlgen.ColLocation+1)
	}
	if len(row) != sqlgen.NumColumns {
		return nil, fmt.Errorf("exec: statement returned %d columns", len(row))
	}
	result := &plan.Result{
		Total: integer(row[sqlgen.ColTotal]), Body: row[sqlgen.ColBody], Inserted: integer(row[sqlgen.ColInserted]),
		Headers: row[sqlgen.ColHeaders], Status: row[sqlgen.ColStatus],
	}
	if n := integer(row[sqlgen.ColRows]); n != nil {
		result.Rows = *n
	}
	var err error
	result.Location, err = location(key)
	return result, err
}

// integer reads a number, which is nil for NULL.
func integer(text []byte) *int64 {
	if text == nil {
		return nil
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil { // it is a bigint
		return nil
	}
	return &n
}

// location reads the JSON object of a primary key as filters, in its order.
func location(text []byte) ([]ast.Param, error) {
	if len(text) == 0 {
		return nil, nil
	}
	var filters []ast.Param
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil { // the brace
		return nil, fmt.Errorf("exec: location: %w", err)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("exec: location: %w", err)
		}
		value, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("exec: location: %w", err)
		}
		filter := ast.Param{Value: "is.null"}
		filter.Name, _ = key.(string)
		if s, ok := value.(string); ok {
			filter.Value = "eq." + s
		}
		filters = append(filters, filter)
	}
	return filters, nil
}
