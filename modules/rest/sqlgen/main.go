package sqlgen

import (
	"strconv"

	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/plan"
	"github.com/madbase/madbase/modules/rest/schema"
)

// source is the CTE that later parts see the rows of.
const source = plan.Source

func (g *generator) mainRead() {
	p := g.plan
	g.write("WITH ", source, " AS (")
	g.read(p.Read)
	g.write(")")
	counted := g.countCTE()
	g.outputs(counted, "pg_catalog.count(*)", "")
	g.write(" FROM (SELECT * FROM ", source, ") _postgrest_t")
}

// mainRows writes what returns the rows that are read, or the one that is inserted
// and with it the variables.
func (g *generator) mainRows() {
	w := g.plan.Write
	if w == nil {
		g.read(g.plan.Read)
		return
	}
	g.insertSelected(w)
	g.write(" RETURNING ")
	list(g, w.Row, func(c plan.Column) { g.selected(schema.Name{Name: w.Table.Name}, &c) })
	if len(w.Row) > 0 {
		g.write(", ")
	}
	g.write(responseHeaders, ", ", responseStatus)
}

func (g *generator) mainCall() {
	g.write("WITH ", source, " AS (")
	g.call(g.plan.Call)
	g.write(")")
	counted := g.countCTE()
	rows := "pg_catalog.count(_postgrest_t)"
	if !g.plan.Routine.SetOf {
		rows = "1"
	}
	g.outputs(counted, rows, "")
	g.write(" FROM (")
	g.read(g.plan.Read)
	g.write(") _postgrest_t")
}

func (g *generator) mainWrite() {
	p := g.plan
	g.write("WITH ", source, " AS (")
	g.mutation(p.Write)
	g.write(")")
	inserted := ""
	if p.Write.CountsInserts() {
		inserted = insertedRows
	}
	g.outputs(notCounted, "pg_catalog.count(*)", inserted)
	g.write(" FROM (")
	if p.Body == plan.NoBody {
		g.write("SELECT * FROM ", source)
	} else {
		g.read(p.Read)
	}
	g.write(") _postgrest_t")
}

// How the total is had: not at all, as the page's rows, or by the CTE of countCTE.
type counting int

const (
	notCounted counting = iota
	countedAsRows
	countedApart
)

// countCTE writes the query that counts all rows, where the page may not be all.
func (g *generator) countCTE() counting {
	p := g.plan
	switch {
	case !p.Prefer.Counts():
		return notCounted
	case p.MaxRows <= 0 && p.Range.IsAll():
		return countedAsRows
	}
	g.write(", pgrst_source_count AS (")
	g.countQuery(p.Read)
	if p.Prefer.Count == ast.CountEstimated && p.MaxRows > 0 {
		// One more than the bound tells that the estimate is to be used.
		g.write(" LIMIT ")
		g.write(strconv.FormatInt(p.MaxRows+1, 10))
	}
	g.write(")")
	return countedApart
}

// outputs writes the select list of the statement's one row.
func (g *generator) outputs(counted counting, rows, inserted string) {
	g.write(" SELECT ")
	switch counted {
	case notCounted:
		g.write("NULL::bigint")
	case countedAsRows:
		g.write(rows)
	case countedApart:
		g.write("(SELECT pg_catalog.count(*) FROM pgrst_source_count)")
	}
	g.write(" AS total_result_set, ", rows, " AS page_total, ")
	if g.plan.Write != nil {
		g.location()
		g.write(" AS header, ")
	}
	g.body()
	g.write(" AS body, ", responseHeaders, " AS response_headers, ",
		responseStatus, " AS response_status, ")
	if inserted == "" {
		inserted = "NULL::int"
	}
	g.write(inserted, " AS response_inserted")
}

// location writes the primary key of the only row inserted as a JSON object.
func (g *generator) location() {
	p := g.plan
	if p.Action != ast.Insert || p.Prefer.Return != ast.ReturnHeadersOnly || len(p.Write.PrimaryKey) == 0 {
		g.write("NULL::json")
		return
	}
	g.write("CASE WHEN pg_catalog.count(_postgrest_t) = 1 THEN (SELECT json_object_agg(d.key, d.value) FROM json_each_text((SELECT row_to_json(s) FROM ",
		source, " AS s LIMIT 1)) AS d WHERE d.key = ANY (")
	g.arg(arrayLiteral(p.Write.PrimaryKey))
	g.write("::text[])) END")
}

// body writes the aggregate that makes the answer's body.
func (g *generator) body() {
	rows, empty := "json_agg(_postgrest_t)", "[]"
	if r := g.plan.Routine; r != nil && g.plan.Body != plan.CSVBody && g.plan.Body != plan.GeoJSONBody {
		if !r.Composite {
			rows = "json_agg(_postgrest_t.pgrst_scalar)"
		}
		if !r.SetOf {
			rows, empty = rows+"->0", "null"
		}
	}
	switch g.plan.Body {
	case plan.NoBody:
		g.write("''::text")
	case plan.JSONBody:
		g.write("coalesce(", rows, ", '", empty, "')")
	case plan.JSONStripped:
		g.write("coalesce(json_strip_nulls(", rows, "), '", empty, "')")
	case plan.ObjectBody:
		g.write("coalesce(", single(rows), ", 'null')")
	case plan.ObjectStripped:
		g.write("coalesce(json_strip_nulls(", single(rows), "), 'null')")
	case plan.CSVBody:
		// The header line is the keys of the first row as JSON, each row its text as a record without the parentheses.
		g.write("(SELECT coalesce(string_agg(k, ','), '') FROM (SELECT json_object_keys(r)::text AS k FROM (SELECT row_to_json(h) AS r FROM ",
			source, " AS h LIMIT 1) s) a) || E'\\n' || coalesce(string_agg(substring(_postgrest_t::text, 2, length(_postgrest_t::text) - 2), E'\\n'), '')")
	case plan.GeoJSONBody:
		g.write("json_build_object('type', 'FeatureCollection', 'features', coalesce(json_agg(ST_AsGeoJSON(_postgrest_t)::json), '[]'))")
	case plan.CustomBody:
		g.handled(g.plan.Handler)
	}
}

// handled writes the call of the users' own function that makes the body.
func (g *generator) handled(h *schema.Handler) {
	g.name(h.Function)
	g.write("(_postgrest_t")
	switch r := g.plan.Routine; {
	case r != nil && r.ReturnsScalar():
		g.write(".pgrst_scalar")
	case h.Target.Name != "":
		g.write("::")
		g.name(h.Target)
	}
	g.write(")")
}

// single makes an aggregate its first element, unless it is that already.
func single(rows string) string {
	if rows[len(rows)-1] == '0' {
		return rows
	}
	return rows + "->0"
}
