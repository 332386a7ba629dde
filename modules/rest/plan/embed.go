package plan

import (
	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/schema"
)

// embedInto plans the embeds of a select list below node. Relationships are
// looked up by the name "origin" of the table that node's rows are of.
func (b *builder) embedInto(node *Read, items []ast.SelectItem, origin string) error {
	parent := node.Qualifier()
	if node.Depth == 0 && (b.req.Action.IsMutation() || b.req.Action.IsCall()) {
		parent = schema.Name{Name: origin}
	}
	for _, item := range items {
		if item.Kind == ast.SelectField {
			continue
		}
		relation, err := b.findRelation(origin, item.Relation, item.Hint)
		if err != nil {
			return err
		}
		e := &Read{
			Name: item.Relation, Alias: item.Alias, Hint: item.Hint, Join: item.Join, Range: ast.AllRows,
			Relation: relation, From: relation.Foreign, Depth: node.Depth + 1, Parent: parent,
			Spread: item.Kind == ast.SelectSpread,
		}
		e.AggAlias = aliasAt(relation.Table.Name+"_"+e.Label(), e.Depth)
		if relation.Kind != schema.ManyToMany {
			e.FromAlias = aliasAt(relation.Foreign.Name, e.Depth)
		}
		e.On = joinConditions(e)
		b.selectInto(e, item.Select)
		if err := b.embedInto(e, item.Select, relation.Foreign.Name); err != nil {
			return err
		}
		node.Embeds = append(node.Embeds, e)
	}
	return nil
}

// joinConditions say which rows of e belong to a row of the level above.
func joinConditions(e *Read) []JoinCondition {
	var on []JoinCondition
	r := e.Relation
	switch r.Kind {
	case schema.Computed:
	case schema.ManyToMany:
		for _, p := range r.Junction.Target {
			on = append(on, JoinCondition{r.Junction.Table, r.Foreign, p.Foreign, p.Column})
		}
		for _, p := range r.Junction.Source {
			on = append(on, JoinCondition{r.Junction.Table, e.Parent, p.Foreign, p.Column})
		}
	default:
		for _, p := range r.Columns {
			on = append(on, JoinCondition{schema.Name{Name: e.FromAlias}, e.Parent, p.Foreign, p.Column})
		}
	}
	return on
}

// findRelation finds the relationship that a request means by a target's name
// and a hint. PGRST200 when there is none, PGRST201 when there are several.
func (b *builder) findRelation(origin, target, hint string) (*schema.Relation, error) {
	name := schema.Name{Schema: b.req.Schema, Name: origin}
	var found []*schema.Relation
	for _, r := range b.schema.Relations(name, b.req.Schema) {
		if matches(r, target, hint) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 0:
		return nil, b.errNoRelation(origin, target, hint)
	case 1:
		return found[0], nil
	}
	return nil, errAmbiguousRelation(origin, target, found)
}

// matches reports whether r is meant by target and hint: PostgREST's rules.
func matches(r *schema.Relation, target, hint string) bool {
	byName := target == r.Foreign.Name
	switch {
	case r.Kind == schema.Computed:
		return target == r.Function.Name
	case r.Self && hint == "":
		// One foreign key makes two relationships: the table's name means the many,
		// the column's name the one.
		return byName && r.Kind == schema.OneToMany || r.Kind == schema.ManyToOne && isColumn(r, target)
	case r.Self:
		return byName && r.Kind == schema.OneToMany && isForeignColumn(r, hint)
	case hint == "":
		return byName || !r.ForeignView && (isConstraint(r, target) || isColumn(r, target))
	}
	return byName && (isConstraint(r, hint) || isColumn(r, hint) || isForeignColumn(r, hint) ||
		r.Junction != nil && r.Junction.Table.Name == hint)
}

func isConstraint(r *schema.Relation, name string) bool {
	return r.Constraint != "" && r.Constraint == name
}

func isColumn(r *schema.Relation, name string) bool {
	return len(r.Columns) == 1 && r.Columns[0].Column == name
}

func isForeignColumn(r *schema.Relation, name string) bool {
	return len(r.Columns) == 1 && r.Columns[0].Foreign == name
}
