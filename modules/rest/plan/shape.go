package plan

import (
	"slices"

	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/rows"
	"github.com/madbase/madbase/modules/rest/schema"
)

// Shape is what PostgreSQL answers a statement with.
type Shape int

// The shapes.
const (
	// Document is one row with the body in it, which PostgreSQL made of the rows, and
	// their number and the variables beside. Every request can be answered so.
	Document Shape = iota
	// Rows are the rows themselves, of which package rows makes the same body. It is
	// for what is asked for most, a list and a row inserted, which may be alone or not
	// asked for at all: PostgreSQL needs half the time for a list of a hundred.
	Rows
)

// largestRow bounds the payload, in bytes, of an insert that is answered by Rows:
// they go through memory.
const largestRow = 64 << 10

// shape chooses p's shape.
func (b *builder) shape(p *Plan) {
	if b.rules.Plain || p.Explain != nil || p.Read.aggregates() || slices.ContainsFunc(p.Read.Embeds, spreads) {
		return
	}
	table := b.schema.Table(p.Read.Of)
	switch {
	case table == nil:
	case p.Action == ast.Read && p.Body == JSONBody && p.Prefer.Count == "" && b.mayBeMany(p, table):
		b.listed(p, table)
	case p.Write == nil || !p.Write.One || len(p.Read.Embeds) > 0 || len(p.Write.Payload) > largestRow:
	case p.Body == JSONBody || p.Body == ObjectBody:
		b.returned(p, table)
	case p.Body == NoBody && p.Prefer.Return != ast.ReturnHeadersOnly:
		p.Shape = Rows
	}
}

func spreads(e *Read) bool { return e.Spread }

// mayBeMany reports whether more than one row can be expected. One is not worth
// the second statement that reads the variables after the rows.
func (b *builder) mayBeMany(p *Plan, t *schema.Table) bool {
	if n, bounded := p.Read.Range.Limit(); bounded && n <= 1 {
		return false
	}
	for _, key := range t.PrimaryKey {
		if !slices.ContainsFunc(b.req.Query.Filters, func(f ast.At[ast.Filter]) bool { return equals(f, key) }) {
			return true
		}
	}
	return len(t.PrimaryKey) == 0
}

// equals reports whether f asks for one value of the top level's column.
func equals(f ast.At[ast.Filter], column string) bool {
	v := &f.Value
	return len(f.Path) == 0 && v.Field.Name == column && len(v.Field.Path) == 0 && v.Op.Name == "eq" && !v.Negate && v.Quantifier == ""
}

// listed has a read answered by rows. "*" stays as it is, so that columns come and
// go without the schema's being read anew, but beside flat embeds, where their number
// must be known; it needs columns that can all be written.
func (b *builder) listed(p *Plan, t *schema.Table) {
	star := len(p.Read.Select) == 0 && len(p.Read.Embeds) == 0 || slices.ContainsFunc(p.Read.Select, isStar)
	if p.Tail = b.flatten(p.Read, t); p.Tail != nil && star {
		p.Read.Select, p.Spelled, star = b.spelled(p.Read.Select, t), true, false
	}
	if star && slices.ContainsFunc(t.Columns, func(c *schema.Column) bool { return !rows.Writes(c.BaseType, false) }) {
		return
	}
	for i := range p.Read.Select {
		c := &p.Read.Select[i]
		c.ToJSON = c.Field.Name != "*" && !b.written(t, c, false)
	}
	p.Shape = Rows
}

// returned has an insert answered by the row. It cannot be asked for it a second
// time, so that its columns are known beforehand and sure to be written.
func (b *builder) returned(p *Plan, t *schema.Table) {
	p.Write.Row = b.spelled(p.Read.Select, t)
	for i := range p.Write.Row {
		c := &p.Write.Row[i]
		c.ToJSON = !b.written(t, c, true)
	}
	p.Shape = Rows
}

// written reports whether the selected column's values can be written as they come.
func (b *builder) written(t *schema.Table, c *Column, settled bool) bool {
	switch known := t.Column(c.Field.Name); {
	case c.Cast != "", known == nil:
		return false
	case len(c.Field.Path) > 0, c.Field.Show != "":
		return true // it is JSON, or a text out of it
	default:
		return rows.Writes(known.BaseType, settled)
	}
}
