package sqlgen

import (
	"strconv"

	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/plan"
	"github.com/madbase/madbase/modules/rest/schema"
)

// read writes the query of one level; embeds are lateral joins of the same kind.
func (g *generator) read(r *plan.Read) {
	q := r.Qualifier()
	g.write("SELECT ")
	g.selectList(r, q)
	g.from(r)
	for _, e := range r.Embeds {
		g.join(e)
	}
	g.where(r.Where, r.On, q)
	g.groupBy(r, q)
	g.orderBy(r.Order, q)
	g.limit(r.Range)
}

func (g *generator) selectList(r *plan.Read, q schema.Name) {
	switch {
	case r.Flat:
		g.flatList(r, q)
		return
	case r.Canonical:
		list(g, r.Members, func(m plan.Member) {
			g.member(q, m)
			g.as(m.Label())
		})
		return
	}
	first := true
	next := func() {
		if !first {
			g.write(", ")
		}
		first = false
	}
	if len(r.Select) == 0 && len(r.Embeds) == 0 {
		next() // an empty select still has rows; what they hold is left out later
		g.column(q, "*")
	}
	for i := range r.Select {
		next()
		g.selected(q, &r.Select[i])
	}
	for i := range r.SpreadExtra {
		next()
		of := q
		if relation := r.SpreadExtra[i].Relation; relation != "" {
			of = schema.Name{Name: relation}
		}
		g.selected(of, &r.SpreadExtra[i].Column)
	}
	for _, e := range r.Embeds {
		switch {
		case e.Spread:
			for _, c := range e.SpreadColumns {
				next()
				g.spreadColumn(e.AggAlias, c)
			}
		case e.Invisible():
		case e.Flat:
			next()
			g.flatColumns(e)
		default:
			next()
			g.embedded(e)
			g.as(e.Label())
		}
	}
}

// member writes a column of a canonical level.
func (g *generator) member(q schema.Name, m plan.Member) {
	switch {
	case m.Embed != nil:
		g.embedded(m.Embed)
	case m.Column.Canonical:
		g.unnamed(q, m.Column)
	default:
		g.write("to_json(")
		g.cast(m.Column.Cast, func() { g.shown(q, m.Column.Field) })
		g.write(")::jsonb")
	}
}

// embedded writes an embed as JSON: an object or a list.
func (g *generator) embedded(e *plan.Read) {
	if e.Relation.ToOne() {
		g.write("row_to_json(")
		g.ident(e.AggAlias)
		g.write(".*)")
		g.jsonb(e)
		return
	}
	g.write("COALESCE(")
	g.column(schema.Name{Name: e.AggAlias}, e.AggAlias)
	g.write(", '[]')")
}

// jsonb converts the JSON of an embed where it may look otherwise.
func (g *generator) jsonb(e *plan.Read) {
	if !e.Canonical {
		g.write("::jsonb")
	}
}

func (g *generator) selected(q schema.Name, c *plan.Column) {
	g.unnamed(q, c)
	if c.ToJSON {
		g.as(c.Label())
	} else {
		g.as(c.Alias)
	}
}

// unnamed writes a selected column without its name.
func (g *generator) unnamed(q schema.Name, c *plan.Column) {
	value := func() {
		g.cast(c.Cast, func() { g.shown(q, c.Field) })
	}
	if c.ToJSON {
		g.write("to_json(")
		value()
		g.write(")")
		return
	}
	g.aggregate(c.Aggregate, c.AggregateCast, value)
}

func (g *generator) spreadColumn(alias string, c plan.SpreadColumn) {
	g.aggregate(c.Aggregate, c.AggregateCast, func() { g.column(schema.Name{Name: alias}, c.Name) })
	g.as(c.Alias)
}

func (g *generator) as(alias string) {
	if alias != "" {
		g.write(" AS ")
		g.ident(alias)
	}
}

// aggregates are the functions that a request may name.
var aggregates = map[string]string{"count": "COUNT", "sum": "SUM", "avg": "AVG", "max": "MAX", "min": "MIN"}

func (g *generator) aggregate(function, cast string, inner func()) {
	if function == "" {
		inner()
		return
	}
	g.cast(cast, func() {
		g.write(aggregates[function], "(")
		inner()
		g.write(")")
	})
}

// shown writes a field as callers see it.
func (g *generator) shown(q schema.Name, f plan.Field) {
	if f.Show == "" {
		g.field(q, f)
		return
	}
	g.write(f.Show, "(")
	g.field(q, f)
	g.write(")")
}

// field writes a column with its JSON path.
func (g *generator) field(q schema.Name, f plan.Field) {
	switch {
	case f.WholeRow:
		g.ident(q.Name)
		return
	case len(f.Path) == 0:
		g.column(q, f.Name)
		return
	case f.ToJSON:
		g.write("to_jsonb(")
		g.column(q, f.Name)
		g.write(")")
	default:
		g.column(q, f.Name)
	}
	for _, step := range f.Path {
		g.step(step)
	}
}

func (g *generator) step(s ast.PathStep) {
	if g.write("->"); s.Text {
		g.write(">")
	}
	g.arg(s.Key)
	if s.Index {
		g.write("::int")
	}
}

func (g *generator) from(r *plan.Read) {
	g.write(" FROM ")
	if r.Relation != nil && r.Relation.Kind == schema.Computed {
		g.name(r.Relation.Function)
		g.write("(")
		g.ident(r.Parent.Name)
		// Overloads are told apart by the row's type, which a CTE's rows do not have of themselves.
		g.write("::")
		g.name(r.Relation.Table)
		g.write(")")
	} else {
		g.name(r.From)
	}
	g.as(r.FromAlias)
	if r.Relation != nil && r.Relation.Junction != nil {
		g.write(", ")
		g.name(r.Relation.Junction.Table)
	}
}

// join writes an embed's lateral join. A list's subquery always has one row, so
// an inner join asks whether the list is NULL.
func (g *generator) join(e *plan.Read) {
	kind := " LEFT JOIN LATERAL ("
	if e.Join == ast.JoinInner {
		kind = " INNER JOIN LATERAL ("
	}
	g.write(kind)
	condition := "TRUE"
	if e.Relation.ToOne() {
		g.read(e)
	} else {
		g.aggregated(e)
		if e.Join == ast.JoinInner {
			condition = ""
		}
	}
	g.write(") AS ")
	g.ident(e.AggAlias)
	g.write(" ON ")
	if condition == "" {
		g.rowsOf(e)
		condition = " IS NOT NULL"
	}
	g.write(condition)
}

// aggregated writes an embed of several rows as one row: the list of them, and
// for a spread also a list of each column.
func (g *generator) aggregated(e *plan.Read) {
	g.write("SELECT ")
	if e.Flat {
		g.flatArrays(e)
	} else {
		g.write("json_agg(")
		g.ident(e.AggAlias)
		g.write(")")
		g.jsonb(e)
		g.as(e.AggAlias)
	}
	if e.Spread {
		for _, c := range e.SpreadColumns {
			g.write(", COALESCE(json_agg(")
			g.column(schema.Name{Name: e.AggAlias}, c.Name)
			g.orderBy(e.SpreadOrder, schema.Name{Name: e.AggAlias})
			g.write("), '[]')::jsonb AS ")
			g.ident(c.Name)
		}
	}
	g.write(" FROM (")
	g.read(e)
	g.write(") AS ")
	g.ident(e.AggAlias)
}

func (g *generator) where(conditions []plan.Condition, on []plan.JoinCondition, q schema.Name) {
	w := g.conjunction()
	for i := range conditions {
		w()
		g.condition(q, &conditions[i])
	}
	for _, j := range on {
		w()
		g.joinCondition(j)
	}
}

// conjunction returns what writes WHERE before the first condition and AND before the others.
func (g *generator) conjunction() func() {
	word := " WHERE "
	return func() {
		g.write(word)
		word = " AND "
	}
}

func (g *generator) joinCondition(j plan.JoinCondition) {
	g.column(j.Left, j.LeftColumn)
	g.write(" = ")
	g.column(j.Right, j.RightColumn)
}

// groupBy groups by all that is selected beside aggregates.
func (g *generator) groupBy(r *plan.Read, q schema.Name) {
	if !hasAggregate(r) {
		return
	}
	word := " GROUP BY "
	next := func() {
		g.write(word)
		word = ", "
	}
	for i := range r.Select {
		switch c := &r.Select[i]; {
		case c.Aggregate != "":
		case c.Alias != "":
			next()
			g.ident(c.Alias)
		default:
			next()
			g.field(q, c.Field)
		}
	}
	for _, e := range r.Embeds {
		if !e.Spread && !e.Invisible() {
			next()
			g.ident(e.Label())
		}
		for _, c := range e.SpreadColumns {
			if c.Aggregate == "" {
				next()
				g.column(schema.Name{Name: e.AggAlias}, c.Name)
			}
		}
	}
}

func hasAggregate(r *plan.Read) bool {
	for i := range r.Select {
		if r.Select[i].Aggregate != "" {
			return true
		}
	}
	for _, e := range r.Embeds {
		for _, c := range e.SpreadColumns {
			if c.Aggregate != "" {
				return true
			}
		}
	}
	return false
}

var directions = map[string]string{"asc": " ASC", "desc": " DESC"}

var nulls = map[string]string{"first": " NULLS FIRST", "last": " NULLS LAST"}

func (g *generator) orderBy(order []plan.Order, q schema.Name) {
	if len(order) == 0 {
		return
	}
	g.write(" ORDER BY ")
	list(g, order, func(o plan.Order) {
		of := q
		if o.Relation != "" {
			of = schema.Name{Name: o.Relation}
			o.Field.ToJSON = false
		}
		g.field(of, o.Field)
		g.write(directions[o.Direction], nulls[o.Nulls])
	})
}

// limit writes the range of rows. The number of rows is part of the text: the
// planner guesses at one that it does not see, and then prefers to plan anew at
// every execution to its own guess.
func (g *generator) limit(r ast.Range) {
	if n, bounded := r.Limit(); bounded {
		g.write(" LIMIT ", strconv.FormatInt(n, 10))
	}
	if r.Lower != 0 {
		g.write(" OFFSET ")
		g.arg(strconv.FormatInt(r.Lower, 10))
	}
}

// countQuery writes a query with one row for each row that r would have without
// its range. Embeds count where they decide whether a row is there at all.
func (g *generator) countQuery(r *plan.Read) {
	q := r.Qualifier()
	g.write("SELECT 1")
	g.from(r)
	w := g.conjunction()
	for i := range r.Where {
		w()
		g.countCondition(q, &r.Where[i])
	}
	for _, j := range r.On {
		w()
		g.joinCondition(j)
	}
	for _, e := range r.Embeds {
		if e.Join == ast.JoinInner {
			w()
			g.exists(e)
		}
	}
}

func (g *generator) exists(e *plan.Read) {
	g.write("EXISTS (")
	g.countQuery(e)
	g.write(")")
}

// countCondition is condition where the embeds are not joined.
func (g *generator) countCondition(q schema.Name, c *plan.Condition) {
	switch {
	case c.Filter == nil:
		g.tree(c, func(child *plan.Condition) { g.countCondition(q, child) })
	case c.Filter.Embed != nil:
		if !c.Filter.Negate {
			g.write("NOT ")
		}
		g.exists(c.Filter.Embed)
	default:
		g.filter(q, c.Filter)
	}
}
