package plan

import (
	"bytes"
	"slices"

	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/schema"
)

// Write is an insert, update or delete.
type Write struct {
	Table schema.Name
	// Columns are those that the payload gives.
	Columns []WriteColumn
	// Payload is JSON, an object when IsObject and else an array.
	Payload  []byte
	IsObject bool
	// One says that exactly one row is inserted, unless it is an error.
	One bool
	// Values are those of Columns, where they can be told without PostgreSQL's reading
	// the payload; nil where they cannot.
	Values []Value
	// Defaults fills absent columns with their defaults rather than NULL.
	Defaults bool
	// Conflict says what happens to rows that are there already; nil: an error.
	Conflict *Conflict
	// Where says which rows are written; for Upsert, that the payload is of the addressed row.
	Where []Condition
	// Returning are the columns to be read of the rows written; none only counts them.
	Returning []string
	// Row are the columns of the row inserted, where that is the answer's Shape.
	Row []Column
	// PrimaryKey is the table's.
	PrimaryKey []string
}

// WriteColumn is a column that is written. Parse is the function that reads its
// value from JSON, as SQL of the schema's own; empty leaves that to PostgreSQL.
type WriteColumn struct {
	*schema.Column
	Parse string
}

// Conflict is an upsert's rule: rows that agree in Columns are merged, or left when Ignore.
type Conflict struct {
	Columns []string
	Ignore  bool
}

// CountsInserts reports whether rows that are merged must be told from new ones.
func (w *Write) CountsInserts() bool { return w.Conflict != nil && !w.Conflict.Ignore }

func (b *builder) write(t *schema.Table, read *Read) (*Write, error) {
	w := &Write{Table: t.Name, PrimaryKey: t.PrimaryKey, Payload: b.req.Payload.Raw}
	w.IsObject = bytes.HasPrefix(bytes.TrimLeft(w.Payload, " \t\r\n"), []byte("{"))
	w.Where = b.writeConditions(t)
	if b.req.Prefer.Return == ast.ReturnRepresentation || b.req.Prefer.Return == ast.ReturnHeadersOnly {
		w.Returning = neededColumns(read, t.PrimaryKey)
	}
	switch b.req.Action {
	case ast.Delete:
		return w, nil
	case ast.Upsert:
		if !b.addressesOneRow(t) {
			return nil, errPutFilters()
		}
		w.Conflict = &Conflict{Columns: t.PrimaryKey}
	case ast.Insert:
		w.Where = nil
		w.Conflict = b.conflict(t)
		w.One = w.IsObject && t.TakesAll && w.Conflict == nil
	}
	w.Defaults = b.req.Prefer.Missing == ast.MissingDefault && b.req.Action != ast.Upsert
	for _, name := range b.req.Columns {
		c := t.Column(name)
		if c == nil {
			return nil, errNoColumn(t.Name.Name, name)
		}
		w.Columns = append(w.Columns, WriteColumn{c, b.schema.Cast("json", c.Type)})
	}
	return w, nil
}

func (b *builder) writeConditions(t *schema.Table) []Condition {
	var where []Condition
	resolve := func(f *ast.Filter) *Filter { return b.tableFilter(t.Name, f) }
	for i := range b.req.Query.Filters {
		if f := &b.req.Query.Filters[i]; len(f.Path) == 0 {
			where = append(where, Condition{Filter: resolve(&f.Value)})
		}
	}
	for i := range b.req.Query.Logic {
		if l := &b.req.Query.Logic[i]; len(l.Path) == 0 {
			where = append(where, logic(&l.Value, resolve))
		}
	}
	return where
}

// conflict is the rule of an insert with a preference for duplicates.
func (b *builder) conflict(t *schema.Table) *Conflict {
	if b.req.Prefer.Resolution == "" {
		return nil
	}
	columns := t.PrimaryKey
	if b.req.Query.HasOnConflict {
		columns = b.req.Query.OnConflict
	}
	return &Conflict{Columns: columns, Ignore: b.req.Prefer.Resolution == ast.IgnoreDuplicates}
}

// addressesOneRow reports whether the filters are all and only of the primary
// key, each with eq.
func (b *builder) addressesOneRow(t *schema.Table) bool {
	if len(t.PrimaryKey) == 0 || len(b.req.Query.Logic) > 0 {
		return false
	}
	var filtered []string
	for _, f := range b.req.Query.Filters {
		v := &f.Value
		if len(f.Path) > 0 || v.Op.Name != "eq" || v.Negate || v.Quantifier != "" || len(v.Field.Path) > 0 {
			return false
		}
		filtered = append(filtered, v.Field.Name)
	}
	slices.Sort(filtered)
	key := slices.Clone(t.PrimaryKey)
	slices.Sort(key)
	return slices.Equal(slices.Compact(filtered), key)
}

// neededColumns are the columns that reading takes of the rows written or
// returned: those selected, those that embeds are joined by, and also.
func neededColumns(read *Read, also []string) []string {
	var names []string
	for _, c := range read.Select {
		if c.Field.Name == "*" {
			return []string{"*"}
		}
		names = append(names, c.Field.Name)
	}
	for _, e := range read.Embeds {
		r := e.Relation
		switch {
		case r.Kind == schema.Computed: // the function may look at any
			return []string{"*"}
		case r.Junction != nil:
			names = appendColumns(names, r.Junction.Source)
		default:
			names = appendColumns(names, r.Columns)
		}
	}
	names = append(names, also...)
	slices.Sort(names)
	return slices.Compact(names)
}

func appendColumns(names []string, pairs []schema.Pair) []string {
	for _, p := range pairs {
		names = append(names, p.Column)
	}
	return names
}
