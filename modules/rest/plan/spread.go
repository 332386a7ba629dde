package plan

import (
	"slices"
	"strconv"

	"github.com/madbase/madbase/modules/rest/schema"
)

// expandStars writes out "*" where the columns must be known: beside aggregates,
// below them, in spreads of several rows, and where a column has its own way to be shown.
func (b *builder) expandStars(root *Read) error {
	b.expandStar(root, false)
	return nil
}

func (b *builder) expandStar(node *Read, needed bool) {
	needed = needed || node.SpreadsMany() || slices.ContainsFunc(node.Select, func(c Column) bool { return c.Aggregate != "" })
	table := b.schema.Table(node.From)
	if table != nil && (needed || b.showsAny(table)) {
		node.Select = b.spelled(node.Select, table)
		for i := range node.Select {
			if c := &node.Select[i]; node.Spread && isStar(*c) {
				c.Field.WholeRow = true
			}
		}
	}
	for _, e := range node.Embeds {
		b.expandStar(e, needed)
	}
}

func (b *builder) showsAny(t *schema.Table) bool {
	return slices.ContainsFunc(t.Columns, func(c *schema.Column) bool { return b.schema.Cast(c.Type, "json") != "" })
}

func (b *builder) checkAggregates(node *Read) error {
	if !b.rules.Aggregates && slices.ContainsFunc(node.Select, func(c Column) bool { return c.Aggregate != "" }) {
		return errAggregates()
	}
	return forEach(node.Embeds, b.checkAggregates)
}

// spread tells each level which columns it takes over from its spread embeds.
// Aggregates of a spread of one row are computed at the nearest level that is
// none itself: there they have rows to aggregate.
func (b *builder) spread(node *Read) error {
	for _, e := range node.Embeds {
		if e.Spread {
			e.SpreadColumns = hoist(e)
		}
	}
	if node.SpreadsMany() {
		if err := orderLists(node); err != nil {
			return err
		}
	}
	return forEach(node.Embeds, b.spread)
}

// hoist returns what the level above selects of the spread embed e. Called again
// for the levels between it finds the aggregates gone and selects plain columns.
func hoist(e *Read) []SpreadColumn {
	var columns []SpreadColumn
	for i := range e.Select {
		c := &e.Select[i]
		columns = append(columns, SpreadColumn{Name: c.Label()})
		if c.Aggregate != "" && !e.SpreadsMany() {
			last := &columns[len(columns)-1]
			last.Aggregate, last.AggregateCast, last.Alias = c.Aggregate, c.AggregateCast, c.Alias
			c.Aggregate, c.AggregateCast = "", ""
		}
	}
	for _, inner := range e.Embeds {
		switch {
		case inner.Spread:
			for _, c := range hoist(inner) {
				if c.Alias != "" {
					c.Name = c.Alias
				}
				columns = append(columns, c)
			}
		case !inner.Invisible():
			columns = append(columns, SpreadColumn{Name: inner.Label()})
		}
	}
	return columns
}

// orderLists moves the order of a spread of several rows from its rows, where it
// would be lost, to the lists made of them. What it orders by must be selected.
func orderLists(node *Read) error {
	aggregated := slices.ContainsFunc(node.Select, func(c Column) bool { return c.Aggregate != "" })
	for _, e := range node.Embeds {
		aggregated = aggregated || slices.ContainsFunc(e.SpreadColumns, func(c SpreadColumn) bool { return c.Aggregate != "" })
	}
	if aggregated {
		return errNotImplemented("Aggregates are not implemented for one-to-many or many-to-many spreads.")
	}
	for i, o := range node.Order {
		alias := node.AggAlias + "_" + o.Field.Name + "_" + strconv.Itoa(i+1)
		node.SpreadExtra = append(node.SpreadExtra, ExtraColumn{Relation: o.Relation, Column: Column{Field: o.Field, Alias: alias}})
		node.SpreadOrder = append(node.SpreadOrder, Order{Field: Field{Name: alias}, Direction: o.Direction, Nulls: o.Nulls})
	}
	node.Order = nil
	return nil
}
