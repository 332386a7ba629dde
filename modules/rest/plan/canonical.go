package plan

import (
	"cmp"
	"slices"

	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/schema"
)

// PostgREST answers embeds as jsonb writes them: the keys of an object by their
// length and then by their bytes, and values in one form. Converting to jsonb is a
// third of an embed's time, so it is done only where it is needed: an embed whose
// columns are known is selected in that order, and only those columns are
// converted whose JSON may look otherwise. To know them "*" is written out, where
// the statement can be asked for again without that. What is left to differ is
// white space.

// canonical marks the embeds of p that need no conversion as a whole. JSON has no
// equality, so that beside aggregates, which group by all others, everything stays
// jsonb; and so it does in a text, as in CSV, where white space would show.
func (b *builder) canonical(p *Plan) {
	switch p.Body {
	case JSONBody, JSONStripped, ObjectBody, ObjectStripped:
		if !p.Read.aggregates() {
			p.Spelled = !b.rules.Plain && (p.ReadOnly() || p.Write != nil) && b.spell(p.Read.Embeds)
			markCanonical(p.Read)
		}
	}
}

// spell writes out "*" in embeds, and reports whether there was any.
func (b *builder) spell(embeds []*Read) (any bool) {
	for _, e := range embeds {
		any = b.spell(e.Embeds) || any
		t := b.schema.Table(e.From)
		if star := slices.ContainsFunc(e.Select, isStar); star && !e.Spread && t != nil && len(t.Columns) > 0 {
			e.Select, any = b.spelled(e.Select, t), true
		}
	}
	return any
}

func isStar(c Column) bool { return c.Field.Name == "*" && !c.Field.WholeRow }

// spelled is a select list with the columns of t in place of "*".
func (b *builder) spelled(list []Column, t *schema.Table) []Column {
	spelled := make([]Column, 0, len(list)+len(t.Columns))
	for _, c := range list {
		if !isStar(c) || c.Aggregate != "" {
			spelled = append(spelled, c)
			continue
		}
		for _, known := range t.Columns {
			column := Column{Field: b.shown(t.Name, ast.Field{Name: known.Name})}
			if column.Field.Show != "" {
				column.Alias = known.Name
			}
			column.Canonical = b.looksCanonical(t.Name, &column)
			spelled = append(spelled, column)
		}
	}
	return spelled
}

func markCanonical(node *Read) {
	for _, e := range node.Embeds {
		markCanonical(e)
		if e.Canonical = !e.Spread && !e.Invisible() && e.named(); e.Canonical {
			e.Members = e.members()
		}
	}
}

// named reports whether the names of all columns that e yields are known.
func (r *Read) named() bool {
	spreads := slices.ContainsFunc(r.Embeds, func(e *Read) bool { return e.Spread })
	return !spreads && len(r.SpreadExtra) == 0 && !slices.ContainsFunc(r.Select, func(c Column) bool {
		return isStar(c) || c.Field.WholeRow
	})
}

// aggregates reports whether there is an aggregate at any level, be it of a spread's columns.
func (r *Read) aggregates() bool {
	return slices.ContainsFunc(r.Select, func(c Column) bool { return c.Aggregate != "" }) ||
		slices.ContainsFunc(r.SpreadColumns, func(c SpreadColumn) bool { return c.Aggregate != "" }) ||
		slices.ContainsFunc(r.Embeds, (*Read).aggregates)
}

// Member is a column or an embed of a canonical level; one of them is nil.
type Member struct {
	Column *Column
	Embed  *Read
}

// Label is the member's name.
func (m Member) Label() string {
	if m.Embed != nil {
		return m.Embed.Label()
	}
	return m.Column.Label()
}

// members are what r yields, in the order of jsonb's keys. Of those with one name the
// last counts, for readers of JSON as for jsonb.
func (r *Read) members() []Member {
	members := make([]Member, 0, len(r.Select)+len(r.Embeds))
	for i := range r.Select {
		members = append(members, Member{Column: &r.Select[i]})
	}
	for _, e := range r.Embeds {
		if !e.Invisible() {
			members = append(members, Member{Embed: e})
		}
	}
	slices.SortStableFunc(members, func(a, b Member) int {
		x, y := a.Label(), b.Label()
		return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y))
	})
	return members
}

// canonicalTypes are those whose values look the same in json and in jsonb.
var canonicalTypes = map[string]bool{
	"smallint": true, "integer": true, "bigint": true, "numeric": true, "boolean": true,
	"text": true, "character varying": true, "character": true, "name": true, "uuid": true, "bytea": true,
	"date": true, "timestamp without time zone": true, "timestamp with time zone": true,
	"time without time zone": true, "time with time zone": true, "interval": true, "jsonb": true,
}
