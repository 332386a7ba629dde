package sqlgen

import (
	"strconv"

	"github.com/madbase/madbase/modules/rest/plan"
	"github.com/madbase/madbase/modules/rest/schema"
)

// flatColumn is the name of a flat embed's column, on all levels.
func flatColumn(number int) string { return "pgrst_" + strconv.Itoa(number) }

// flatList writes the select list of a flat embed: of an object that it is there, and
// the members.
func (g *generator) flatList(r *plan.Read, q schema.Name) {
	number := r.First
	if r.Relation.ToOne() {
		g.write("TRUE")
		g.as(flatColumn(number))
		number++
	}
	for _, m := range r.Members {
		if number > r.First {
			g.write(", ")
		}
		if m.Embed != nil && m.Embed.Flat {
			g.flatColumns(m.Embed)
			number += m.Embed.Columns
			continue
		}
		g.member(q, m)
		g.as(flatColumn(number))
		number++
	}
}

// flatColumns writes the columns of the flat embed e for the level above.
func (g *generator) flatColumns(e *plan.Read) {
	for i := range e.Columns {
		if i > 0 {
			g.write(", ")
		}
		g.column(schema.Name{Name: e.AggAlias}, flatColumn(e.First+i))
	}
}

// flatArrays writes the columns of a list: each as an array in binary form, which
// has no NULL for a list without elements.
func (g *generator) flatArrays(e *plan.Read) {
	for i := range e.Columns {
		if i > 0 {
			g.write(", ")
		}
		g.write("array_send(array_agg(")
		g.column(schema.Name{Name: e.AggAlias}, flatColumn(e.First+i))
		g.write("))")
		g.as(flatColumn(e.First + i))
	}
}

// rowsOf writes what is NULL where an embed has no rows.
func (g *generator) rowsOf(e *plan.Read) {
	if e.Flat {
		g.column(schema.Name{Name: e.AggAlias}, flatColumn(e.First))
		return
	}
	g.ident(e.AggAlias)
}
