// Package schema is what the REST surface knows of a database: its tables,
// relationships and functions, read from pg_catalog into immutable snapshots that
// a Cache keeps current.
package schema

import (
	"cmp"
	"slices"
)

// Name is a schema-qualified name.
type Name struct{ Schema, Name string }

// Snapshot is the database at one moment. It is immutable and safe for use by many requests.
type Snapshot struct {
	tables    map[Name]*Table
	relations map[Name][]*Relation
	routines  map[Name][]*Routine
	casts     map[[2]string]string
	handlers  map[handled]*Handler
}

// Handler makes a body of a media type out of rows or a value: an aggregate over
// rows, or the conversion to a domain that is named like the media type.
type Handler struct {
	Function Name
	// Target is the table, or the function, whose rows or value it takes. The zero Name is any.
	Target Name
	// Takes is the media type that it is asked for by; Media is what it makes.
	Takes, Media string
}

type handled struct {
	target Name
	media  string
}

// Handler finds what makes the media type of target's rows; nil when there is
// nothing. The zero target finds a handler of any rows.
func (s *Snapshot) Handler(target Name, media string) *Handler {
	return s.handlers[handled{target, media}]
}

// Cast is the function, as SQL, of the implicit cast between a domain and json or
// text by which users say how the domain's values look to callers; empty when
// there is none.
func (s *Snapshot) Cast(from, to string) string { return s.casts[[2]string{from, to}] }

// Table finds a table or view; nil when there is none.
func (s *Snapshot) Table(n Name) *Table { return s.tables[n] }

// Routines are the overloads of a function, those with the fewest parameters first.
func (s *Snapshot) Routines(n Name) []*Routine { return s.routines[n] }

// Relations are the relationships of a table or view to those of the schema target.
func (s *Snapshot) Relations(of Name, target string) []*Relation {
	var found []*Relation
	for _, r := range s.relations[of] {
		if r.Foreign.Schema == target {
			found = append(found, r)
		}
	}
	return found
}

// Table is a table, view, materialized view, foreign or partitioned table.
type Table struct {
	Name
	IsView bool
	// What can be done to it, be it by an INSTEAD OF trigger; privileges are another matter.
	Insertable, Updatable, Deletable bool
	// TakesAll tables have each row that was inserted: no trigger or rule can leave one out.
	TakesAll bool
	// PrimaryKey are the key's columns; a view has those of its base table that it shows.
	PrimaryKey []string
	Columns    []*Column

	byName map[string]*Column
}

// Column finds a column by its name; nil when there is none.
func (t *Table) Column(name string) *Column { return t.byName[name] }

// Column is a column of a table.
type Column struct {
	Name string
	// Type is the type as declared, with its modifiers.
	Type string
	// BaseType is the type itself, under a domain and without modifiers.
	BaseType string
	// Default is the default's expression, empty when there is none.
	Default string
	// Nullable columns may hold NULL; generated ones are computed by PostgreSQL.
	Nullable, Generated bool
}

// RelationKind is the cardinality of a relationship, read from the table to the foreign one.
type RelationKind int

// The kinds of relationships.
const (
	ManyToOne RelationKind = iota
	OneToOne
	OneToMany
	ManyToMany
	Computed
)

// Pair is a column and the one it is compared with.
type Pair struct{ Column, Foreign string }

// Relation is a relationship between two tables or views.
type Relation struct {
	Kind           RelationKind
	Table, Foreign Name
	// Self is a relationship of a table with itself.
	Self bool
	// TableView and ForeignView say that the end is a view.
	TableView, ForeignView bool
	// Constraint is the foreign key's name, and Columns its columns.
	Constraint string
	Columns    []Pair
	// Parent is the referenced end of a one-to-one relationship.
	Parent bool
	// Junction is the table between, of ManyToMany.
	Junction *Junction
	// Function computes the related rows, of Computed; SingleRow says that it returns one at most.
	Function  Name
	SingleRow bool
}

// Junction is the table between two others, with its two foreign keys.
type Junction struct {
	Table                              Name
	SourceConstraint, TargetConstraint string
	// Source pairs the table's columns with the junction's, Target the foreign table's.
	Source, Target []Pair
}

// ToOne reports whether there is at most one related row.
func (r *Relation) ToOne() bool {
	return r.Kind == ManyToOne || r.Kind == OneToOne || (r.Kind == Computed && r.SingleRow)
}

// Volatility is whether a function may write.
type Volatility byte

// The volatilities, as pg_proc writes them.
const (
	Volatile  Volatility = 'v'
	Stable    Volatility = 's'
	Immutable Volatility = 'i'
)

// Routine is one overload of a function.
type Routine struct {
	Name
	Params     []Param
	Volatility Volatility
	Variadic   bool
	// Returns is the type of a row or value: a table's name where Composite.
	Returns          Name
	Composite, SetOf bool
	// Settings are what the function sets while it runs, as name=value; Oid is its object id.
	Settings []string
	Oid      int64
}

// Param is a function's input parameter.
type Param struct {
	Name string
	// Type is its type; MaxType the same without a length, so that long values are not cut.
	Type, MaxType string
	Required      bool
	Variadic      bool
}

// ReturnsVoid reports whether the function returns nothing.
func (r *Routine) ReturnsVoid() bool {
	return !r.SetOf && !r.Composite && r.Returns == Name{"pg_catalog", "void"}
}

// ReturnsScalar reports whether the result is one bare value.
func (r *Routine) ReturnsScalar() bool { return !r.SetOf && !r.Composite }

// ReturnsScalars reports whether the result is a list of bare values.
func (r *Routine) ReturnsScalars() bool { return r.SetOf && !r.Composite }

// ReturnsObject reports whether the result is one row.
func (r *Routine) ReturnsObject() bool { return !r.SetOf && r.Composite }

// Cast is an implicit cast by a function, whose name is SQL.
type Cast struct{ From, To, Function string }

// Conversions are by what users say how values and rows look to callers.
type Conversions struct {
	Casts    []*Cast
	Handlers []*Handler
}

// NewSnapshot indexes what was loaded, keeping relations and routines in a fixed order.
func NewSnapshot(tables []*Table, relations []*Relation, routines []*Routine, conversions Conversions) *Snapshot {
	s := &Snapshot{
		tables: map[Name]*Table{}, relations: map[Name][]*Relation{}, routines: map[Name][]*Routine{},
		casts: map[[2]string]string{}, handlers: map[handled]*Handler{},
	}
	for _, c := range conversions.Casts {
		s.casts[[2]string{c.From, c.To}] = c.Function
	}
	for _, h := range conversions.Handlers {
		s.handlers[handled{h.Target, h.Takes}] = h
	}
	for _, t := range tables {
		t.byName = make(map[string]*Column, len(t.Columns))
		for _, c := range t.Columns {
			t.byName[c.Name] = c
		}
		s.tables[t.Name] = t
	}
	for _, r := range relations {
		s.relations[r.Table] = append(s.relations[r.Table], r)
	}
	for _, rs := range s.relations {
		slices.SortStableFunc(rs, compareRelations)
	}
	for _, r := range routines {
		s.routines[r.Name] = append(s.routines[r.Name], r)
	}
	for _, rs := range s.routines {
		slices.SortStableFunc(rs, func(a, b *Routine) int {
			if d := cmp.Compare(len(a.Params), len(b.Params)); d != 0 {
				return d
			}
			return slices.CompareFunc(a.Params, b.Params, func(a, b Param) int {
				return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Type, b.Type))
			})
		})
	}
	return s
}

// compareRelations orders the candidates that an ambiguous embed's error lists.
func compareRelations(a, b *Relation) int {
	rank := map[RelationKind]int{OneToMany: 0, ManyToOne: 1, OneToOne: 2, ManyToMany: 3, Computed: 4}
	return cmp.Or(
		cmp.Compare(a.Foreign.Name, b.Foreign.Name),
		cmp.Compare(rank[a.Kind], rank[b.Kind]),
		cmp.Compare(a.Constraint, b.Constraint),
		cmp.Compare(a.junctionName(), b.junctionName()),
	)
}

func (r *Relation) junctionName() string {
	if r.Junction == nil {
		return ""
	}
	return r.Junction.Table.Name + "\x00" + r.Junction.SourceConstraint + "\x00" + r.Junction.TargetConstraint
}
