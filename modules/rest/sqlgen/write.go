package sqlgen

import (
	"strconv"

	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/plan"
	"github.com/madbase/madbase/modules/rest/schema"
)

// The rows that a payload is turned into, by the names and types of the columns.
const payloadRows = "pgrst_body"

func (g *generator) mutation(w *plan.Write) {
	switch g.plan.Action {
	case ast.Insert, ast.Upsert:
		g.insert(w)
	case ast.Update:
		g.update(w)
	case ast.Delete:
		g.write("DELETE FROM ")
		g.name(w.Table)
		g.where(w.Where, nil, w.Table)
		g.returning(w)
	}
}

func (g *generator) insert(w *plan.Write) {
	g.insertSelected(w)
	g.onConflict(w)
	g.returning(w)
}

// insertSelected writes an insert of the payload's rows, or of the one whose values
// are known.
func (g *generator) insertSelected(w *plan.Write) {
	g.write("INSERT INTO ")
	g.name(w.Table)
	if len(w.Columns) > 0 {
		g.write(" (")
		list(g, w.Columns, func(c plan.WriteColumn) { g.ident(c.Name) })
		g.write(")")
	}
	if w.Values != nil {
		g.write(" VALUES (")
		list(g, w.Values, g.value)
		g.write(")")
		return
	}
	g.write(" SELECT ")
	list(g, w.Columns, func(c plan.WriteColumn) { g.column(schema.Name{Name: payloadRows}, c.Name) })
	g.write(" ")
	fields := fieldsOf(w.Columns)
	g.payload(payload{data: w.Payload, isObject: w.IsObject, fields: fields, defaults: w.Defaults})
	and := g.conjunction()
	if w.CountsInserts() {
		and()
		g.countInserted("+", "0")
	}
	for i := range w.Where {
		and()
		g.condition(schema.Name{Name: payloadRows}, &w.Where[i])
	}
}

// value writes a parameter with its type, by which the statement of a column that is
// altered becomes another.
func (g *generator) value(v plan.Value) {
	g.args = append(g.args, v.Text)
	g.filledBy(v.Slot, &v)
	g.write("$", strconv.Itoa(len(g.args)), "::", v.Type)
}

// countInserted writes a condition that always holds and counts in a variable of
// the transaction: up for each row that comes, down for each that was merged. What
// remains are those inserted.
func (g *generator) countInserted(sign, never string) {
	g.write("set_config('pgrst.inserted', (coalesce(", insertedRows, ", 0) ", sign, " 1)::text, true) <> '", never, "'")
}

func (g *generator) onConflict(w *plan.Write) {
	if w.Conflict == nil || len(w.Conflict.Columns) == 0 {
		return
	}
	g.write(" ON CONFLICT (")
	list(g, w.Conflict.Columns, g.ident)
	if w.Conflict.Ignore || len(w.Columns) == 0 {
		g.write(") DO NOTHING")
		return
	}
	g.write(") DO UPDATE SET ")
	list(g, w.Columns, func(c plan.WriteColumn) {
		g.ident(c.Name)
		g.write(" = EXCLUDED.")
		g.ident(c.Name)
	})
	g.write(" WHERE ")
	g.countInserted("-", "-1")
}

func (g *generator) update(w *plan.Write) {
	if len(w.Columns) == 0 { // nothing to set: no row, with the columns that reading expects
		g.write("SELECT ")
		if len(w.Returning) == 0 {
			g.write("NULL")
		}
		list(g, w.Returning, func(name string) { g.column(schema.Name{Name: w.Table.Name}, name) })
		g.write(" FROM ")
		g.name(w.Table)
		g.write(" WHERE false")
		return
	}
	g.write("UPDATE ")
	g.name(w.Table)
	g.write(" SET ")
	list(g, w.Columns, func(c plan.WriteColumn) {
		g.ident(c.Name)
		g.write(" = ")
		g.column(schema.Name{Name: payloadRows}, c.Name)
	})
	g.write(" ")
	g.payload(payload{data: w.Payload, isObject: w.IsObject, fields: fieldsOf(w.Columns), defaults: w.Defaults})
	g.where(w.Where, nil, w.Table)
	g.returning(w)
}

func (g *generator) returning(w *plan.Write) {
	g.write(" RETURNING ")
	if len(w.Returning) == 0 {
		g.write("1")
		return
	}
	list(g, w.Returning, func(name string) { g.column(w.Table, name) })
}

// typedField is a field of a payload with the type that it is read as. The type's
// text, the default's and the function's that reads it come from the catalog.
type typedField struct{ name, sqlType, defaultSQL, parse string }

func fieldsOf(columns []plan.WriteColumn) []typedField {
	fields := make([]typedField, len(columns))
	for i, c := range columns {
		fields[i] = typedField{c.Name, c.Type, c.Default, c.Parse}
		if c.Parse != "" {
			fields[i].sqlType = "json"
		}
	}
	return fields
}

// payload says how a JSON payload becomes rows.
type payload struct {
	data     []byte
	isObject bool
	fields   []typedField
	// defaults fills absent members; firstOnly takes one row of many.
	defaults, firstOnly bool
}

// payload writes the FROM clause whose last item pgrst_body has a row for each
// object of the payload. PostgreSQL itself converts the values to the columns' types.
func (g *generator) payload(p payload) {
	jsonType := "json"
	if p.defaults {
		jsonType = "jsonb"
	}
	g.write("FROM (SELECT ")
	g.bytes(p.data)
	g.filled(g.plan.Payload.Slot)
	g.write("::", jsonType, " AS json_data) pgrst_payload, ")
	data := "pgrst_payload.json_data"
	if p.defaults {
		data = "pgrst_json_defs.val"
		g.defaults(p)
	}
	g.write("LATERAL (SELECT ")
	list(g, p.fields, func(f typedField) {
		if f.parse == "" {
			g.ident(f.name)
			return
		}
		g.write(f.parse, "(")
		g.ident(f.name)
		g.write(") AS ")
		g.ident(f.name)
	})
	g.write(" FROM ")
	switch {
	case len(p.fields) > 0:
		g.write(jsonType, "_to_record")
		if !p.isObject {
			g.write("set")
		}
		g.write("(", data, ") AS _(")
		list(g, p.fields, func(f typedField) {
			g.ident(f.name)
			g.write(" ", f.sqlType)
		})
		g.write(")")
		if p.firstOnly {
			g.write(" LIMIT 1")
		}
	case p.isObject: // {} is one row of nothing but defaults
		g.write("(VALUES (1)) _")
	default:
		g.write(jsonType, "_array_elements(", data, ") _")
	}
	g.write(") ", payloadRows)
}

// defaults writes the step that puts the columns' defaults under each object.
func (g *generator) defaults(p payload) {
	object := func() {
		g.write("jsonb_build_object(")
		first := true
		for _, f := range p.fields {
			if f.defaultSQL == "" {
				continue
			}
			if !first {
				g.write(", ")
			}
			first = false
			g.write(literal(f.name), ", ", f.defaultSQL)
		}
		g.write(")")
	}
	g.write("LATERAL (SELECT ")
	if p.isObject {
		object()
		g.write(" || pgrst_payload.json_data AS val) pgrst_json_defs, ")
		return
	}
	g.write("jsonb_agg(")
	object()
	g.write(" || elem) AS val FROM jsonb_array_elements(pgrst_payload.json_data) elem) pgrst_json_defs, ")
}
