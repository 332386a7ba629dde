package plan

import (
	"slices"
	"strings"

	"github.com/madbase/madbase/modules/rest/rows"
	"github.com/madbase/madbase/modules/rest/schema"
)

// In the shape Rows an embed can be flat: it is no JSON, but its values are columns
// of the level above, and in the end of the row. Those of a list are arrays there.

// longestName is the number of bytes that PostgreSQL keeps of a name: a longer one
// would not be the same in the answer.
const longestName = 63

// mostColumns bounds the columns of a statement with flat embeds; PostgreSQL's own
// bound is 1664.
const mostColumns = 500

// Formats are the formats in which p's rows are to come, as in PostgreSQL's protocol;
// none is text for all.
func (p *Plan) Formats() []int16 { return rows.Formats(len(p.Read.Select), p.Tail) }

// flattener makes embeds flat.
type flattener struct {
	*builder
	// columns is the number of columns so far behind those of the top level itself,
	// wanted that of all which there will be.
	columns, wanted int
}

// flatten makes embeds of a list's top level flat where they can be, and returns
// what the end of its rows is made up of then; nil without a flat one.
func (b *builder) flatten(root *Read, t *schema.Table) []rows.Member {
	f := flattener{builder: b, wanted: len(root.Select) + len(t.Columns) + len(root.Embeds)}
	var tail []rows.Member
	anyFlat := false
	for _, e := range root.Embeds {
		if !e.Invisible() {
			m := f.member(Member{Embed: e}, root, false)
			anyFlat = anyFlat || m.Kind != rows.Value
			tail = append(tail, m)
		}
	}
	if !anyFlat {
		return nil
	}
	return tail
}

// member gives m, a member of node, its columns, and returns what they make up.
// Inside a list they are arrays.
func (f *flattener) member(m Member, node *Read, inList bool) rows.Member {
	switch {
	case m.Embed != nil && f.fits(m.Embed, node):
		return f.flat(m.Embed, inList)
	case m.Column != nil:
		table := f.schema.Table(node.From)
		m.Column.ToJSON = inList && !isElement(table, m.Column) || !f.written(table, m.Column, false)
	}
	f.columns++
	return rows.Member{Label: m.Label()}
}

// fits reports whether e, an embed of node, can be flat: its columns are known and
// have their places, and only the answer needs them.
func (f *flattener) fits(e, node *Read) bool {
	return e.Canonical && f.schema.Table(e.From) != nil && f.wanted+len(e.Members) < mostColumns &&
		!slices.ContainsFunc(node.Order, func(o Order) bool { return o.Relation == e.AggAlias }) &&
		!slices.ContainsFunc(e.Members, func(m Member) bool {
			return len(m.Label()) > longestName || strings.ContainsRune(m.Label(), 0)
		})
}

func (f *flattener) flat(e *Read, inList bool) rows.Member {
	f.wanted += len(e.Members)
	e.Flat, e.First = true, f.columns
	m := rows.Member{Kind: rows.List, Label: e.Label(), Members: make([]rows.Member, len(e.Members))}
	if e.Relation.ToOne() {
		m.Kind = rows.Object
		f.columns++
	}
	for i := range e.Members {
		m.Members[i] = f.member(e.Members[i], e, inList || m.Kind == rows.List)
	}
	e.Columns = f.columns - e.First
	return m
}

// isElement reports whether the values of c can be written as elements of an array.
// A domain's array is none of its type's.
func isElement(t *schema.Table, c *Column) bool {
	if len(c.Field.Path) > 0 {
		return true // a text, else it is not canonical
	}
	known := t.Column(c.Field.Name)
	return known != nil && (known.Type == known.BaseType || strings.HasPrefix(known.Type, known.BaseType+"(")) &&
		rows.WritesInList(known.BaseType)
}
