package schema

import "slices"

// foreignKey is a foreign key with the column numbers that views are traced by.
type foreignKey struct {
	Constraint           string
	Table, Foreign       Name
	TableOid, ForeignOid int64
	Columns              []Pair
	Numbers              []int
	ForeignNumbers       []int
	// Unique keys relate one row to one row.
	Unique bool
}

func (k *foreignKey) relation(table, foreign Name, columns []Pair) *Relation {
	r := &Relation{Kind: ManyToOne, Table: table, Foreign: foreign, Constraint: k.Constraint, Columns: columns}
	if k.Unique {
		r.Kind = OneToOne
	}
	return r
}

// relate derives all relationships from the foreign keys: those of the tables,
// of the views that show the keys' columns, through junctions, and the reverse of each.
func relate(tables []*Table, keys []*foreignKey, deps *dependencies) []*Relation {
	var direct []*Relation
	for _, k := range keys {
		own := k.relation(k.Table, k.Foreign, k.Columns)
		own.Self = k.TableOid == k.ForeignOid
		direct = append(direct, own)
		direct = append(direct, deps.relations(k)...)
	}
	all := append(slices.Clone(direct), junctions(tables, direct)...)
	for _, r := range direct {
		all = append(all, inverse(r))
	}
	return all
}

// inverse is r read from its other end.
func inverse(r *Relation) *Relation {
	inv := &Relation{
		Kind: OneToMany, Table: r.Foreign, Foreign: r.Table, Self: r.Self,
		TableView: r.ForeignView, ForeignView: r.TableView, Constraint: r.Constraint, Columns: swap(r.Columns),
	}
	if r.Kind == OneToOne {
		inv.Kind, inv.Parent = OneToOne, true
	}
	return inv
}

// junctions finds the many-to-many relationships: two many-to-one relationships
// of a table whose columns are all part of its primary key.
func junctions(tables []*Table, direct []*Relation) []*Relation {
	primary := make(map[Name][]string, len(tables))
	for _, t := range tables {
		primary[t.Name] = t.PrimaryKey
	}
	from := map[Name][]*Relation{}
	for _, r := range direct {
		if r.Kind == ManyToOne {
			from[r.Table] = append(from[r.Table], r)
		}
	}
	var found []*Relation
	for _, a := range direct {
		if a.Kind != ManyToOne || !within(a.Columns, primary[a.Table]) {
			continue
		}
		for _, b := range from[a.Table] {
			if a.Constraint == b.Constraint || !within(b.Columns, primary[a.Table]) {
				continue
			}
			found = append(found, &Relation{
				Kind: ManyToMany, Table: a.Foreign, Foreign: b.Foreign, Self: a.Foreign == b.Foreign,
				TableView: a.ForeignView, ForeignView: b.ForeignView,
				Junction: &Junction{
					Table: a.Table, SourceConstraint: a.Constraint, TargetConstraint: b.Constraint,
					Source: swap(a.Columns), Target: swap(b.Columns),
				},
			})
		}
	}
	return found
}

func within(pairs []Pair, key []string) bool {
	for _, p := range pairs {
		if !slices.Contains(key, p.Column) {
			return false
		}
	}
	return true
}

func swap(pairs []Pair) []Pair {
	swapped := make([]Pair, len(pairs))
	for i, p := range pairs {
		swapped[i] = Pair{p.Foreign, p.Column}
	}
	return swapped
}

// override puts computed relationships in the place of detected ones from the
// same table to a table of the function's name.
func override(relations, computed []*Relation) []*Relation {
	type ends struct{ table, target Name }
	taken := map[ends]bool{}
	for _, c := range computed {
		taken[ends{c.Table, c.Function}] = true
	}
	kept := slices.Clone(computed)
	for _, r := range relations {
		if !taken[ends{r.Table, r.Foreign}] {
			kept = append(kept, r)
		}
	}
	return kept
}
