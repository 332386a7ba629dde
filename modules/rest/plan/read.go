package plan

import (
	"strconv"

	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/schema"
)

// Read is one level of what is read: the top level or an embed.
type Read struct {
	// Name is what the request calls the relation, Alias how the answer does; Hint tells it from others.
	Name, Alias, Hint string
	// Of is the table or function whose rows these are.
	Of schema.Name
	// From is read, under FromAlias where there is one.
	From      schema.Name
	FromAlias string
	Select    []Column
	Where     []Condition
	Order     []Order
	Range     ast.Range
	Embeds    []*Read

	// Of an embed: its relationship to the level above, how it is joined, and the
	// alias under which the level above sees its rows.
	Relation *schema.Relation
	Join     ast.JoinType
	On       []JoinCondition
	AggAlias string
	Depth    int
	// Parent is the alias or, without one, the name of the level above.
	Parent schema.Name
	// Spread embeds put their columns into the level above: SpreadColumns. One with
	// several rows makes a list of each, in SpreadOrder over what SpreadExtra selects besides.
	Spread        bool
	SpreadColumns []SpreadColumn
	SpreadOrder   []Order
	SpreadExtra   []ExtraColumn
	// Canonical embeds look in JSON as they would in jsonb, when their Members are
	// selected in order.
	Canonical bool
	Members   []Member
	// Flat embeds have so many Columns from the First on in place of JSON.
	Flat           bool
	First, Columns int
}

// Label is the embed's name in the answer, in filters and in orders.
func (r *Read) Label() string {
	if r.Alias != "" {
		return r.Alias
	}
	return r.Name
}

// Qualifier is what the level's columns are qualified with.
func (r *Read) Qualifier() schema.Name {
	switch {
	case r.FromAlias != "":
		return schema.Name{Name: r.FromAlias}
	case r.Relation != nil && r.Relation.Kind == schema.Computed:
		return schema.Name{Name: r.Relation.Function.Name}
	}
	return r.From
}

// SpreadsMany reports whether r spreads several rows into lists.
func (r *Read) SpreadsMany() bool { return r.Spread && r.Relation != nil && !r.Relation.ToOne() }

// Invisible reports whether the embed adds nothing to the answer: select has
// neither fields nor embeds that would, as in "clients()".
func (r *Read) Invisible() bool {
	if r.Spread || len(r.Select) > 0 {
		return false
	}
	for _, e := range r.Embeds {
		if !e.Invisible() {
			return false
		}
	}
	return true
}

// Field is a column with a path into its JSON and what must be done to it first.
type Field struct {
	Name string
	Path []ast.PathStep
	// ToJSON columns become jsonb before their Path is followed.
	ToJSON bool
	// ToVector columns become a tsvector before they are searched.
	ToVector bool
	// Show is the function that makes the column's value what callers see, as SQL of the schema's own.
	Show string
	// WholeRow stands for the row itself.
	WholeRow bool
}

// Column is a selected field.
type Column struct {
	Field                    Field
	Cast, Alias              string
	Aggregate, AggregateCast string
	// Canonical values look the same in JSON as in jsonb.
	Canonical bool
	// ToJSON columns are selected as JSON.
	ToJSON bool
}

// Label is the column's name in the rows.
func (c *Column) Label() string {
	if c.Alias != "" {
		return c.Alias
	}
	return c.Field.Name
}

// SpreadColumn is a column that a level takes over from a spread embed.
type SpreadColumn struct {
	Name                            string
	Aggregate, AggregateCast, Alias string
}

// ExtraColumn is selected only to order by, of the embed Relation where that is set.
type ExtraColumn struct {
	Relation string
	Column   Column
}

// Condition is a tree of conditions: a leaf has a Filter, an inner node Children.
type Condition struct {
	Filter   *Filter
	Negate   bool
	Or       bool
	Children []Condition
}

// Filter is a condition on a field, or with Embed set on whether the embed has rows.
type Filter struct {
	*ast.Filter
	Field Field
	Embed *Read
	// Parse is the function that reads the operand's text, as SQL of the schema's own.
	Parse string
}

// Order is one term of an order; Relation is the alias of the embed whose field it is.
type Order struct {
	Relation         string
	Field            Field
	Direction, Nulls string
}

// JoinCondition says that two columns are equal.
type JoinCondition struct {
	Left, Right             schema.Name
	LeftColumn, RightColumn string
}

// builder plans one request.
type builder struct {
	req    *ast.Request
	schema *schema.Snapshot
	rules  Rules
	// renamed are the embeds that the request called by their old names.
	renamed []Renamed
}

// Source is the name under which a statement sees the rows that it wrote or that
// a function returned.
const Source = "pgrst_source"

// read plans the levels of a read whose top is the table or row type "of".
func (b *builder) read(of schema.Name) (*Read, error) {
	root := &Read{Name: of.Name, Of: of, From: of, Range: ast.AllRows}
	b.selectInto(root, b.req.Query.Select)
	// The columns' types are looked up with the real table, of which a write's or
	// a call's rows are copies.
	if err := b.embedInto(root, b.req.Query.Select, of.Name); err != nil {
		return nil, err
	}
	steps := []func(*Read) error{
		b.addFilters, b.addOrders, b.addRanges, b.addLogic, b.expandStars, addAliases,
		addRelatedOrders, b.checkAggregates, b.spread, b.restrict,
	}
	for _, step := range steps {
		if err := step(root); err != nil {
			return nil, err
		}
	}
	if b.req.Action != ast.Read {
		root.From, root.FromAlias = schema.Name{Name: Source}, of.Name
	}
	return root, nil
}

// selectInto resolves the fields of a select list.
func (b *builder) selectInto(node *Read, items []ast.SelectItem) {
	for _, item := range items {
		if item.Kind == ast.SelectField {
			c := Column{
				Field: b.shown(node.From, item.Field), Cast: item.Cast, Alias: item.Alias,
				Aggregate: item.Aggregate, AggregateCast: item.AggregateCast,
			}
			c.Canonical = b.looksCanonical(node.From, &c)
			node.Select = append(node.Select, c)
		}
	}
}

// looksCanonical reports whether the column's values are known to look in JSON as in jsonb.
func (b *builder) looksCanonical(table schema.Name, c *Column) bool {
	if steps := c.Field.Path; len(steps) > 0 {
		return c.Cast == "" && steps[len(steps)-1].Text
	}
	known := b.column(table, c.Field.Name)
	return known != nil && c.Cast == "" && c.Field.Show == "" && canonicalTypes[known.BaseType]
}

// field resolves a field of a table. What the schema does not know may still be
// there, as a computed column: PostgreSQL will tell.
func (b *builder) field(table schema.Name, f ast.Field) Field {
	resolved := Field{Name: f.Name, Path: f.Path, ToJSON: true}
	if c := b.column(table, f.Name); c != nil && (c.Type == "json" || c.Type == "jsonb") {
		resolved.ToJSON = false
	}
	return resolved
}

// shown is field for one that is selected: a domain may have its own way to be shown.
func (b *builder) shown(table schema.Name, f ast.Field) Field {
	field := b.field(table, f)
	if c := b.column(table, f.Name); c != nil && len(f.Path) == 0 {
		field.Show = b.schema.Cast(c.Type, "json")
	}
	return field
}

func (b *builder) column(table schema.Name, name string) *schema.Column {
	if t := b.schema.Table(table); t != nil {
		return t.Column(name)
	}
	return nil
}

// at applies do to the embed at path below node.
func (b *builder) at(node *Read, path []string, do func(*Read)) error {
	if len(path) == 0 {
		do(node)
		return nil
	}
	for _, e := range node.Embeds {
		if e.Name == path[0] || e.Alias == path[0] {
			if e.Label() != path[0] {
				if b.rules.AliasesOnly {
					return errReplacedName(e.Name, e.Alias)
				}
				b.renamed = append(b.renamed, Renamed{e.Name, e.Alias})
			}
			return b.at(e, path[1:], do)
		}
	}
	return errNotEmbedded(path[0])
}

// addFilters puts each filter where it belongs. Those on the top level of a
// write say which rows are written, and not which are read.
func (b *builder) addFilters(root *Read) error {
	for _, f := range b.req.Query.Filters {
		if len(f.Path) == 0 && b.req.Action.IsMutation() {
			continue
		}
		err := b.at(root, f.Path, func(node *Read) {
			node.Where = append(node.Where, Condition{Filter: b.filter(node, &f.Value)})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// filter resolves a condition; a null test on an embed's name asks whether it has rows.
func (b *builder) filter(node *Read, f *ast.Filter) *Filter {
	if f.Op.Kind == ast.Is && f.Value == "null" && len(f.Field.Path) == 0 {
		for _, e := range node.Embeds {
			if e.Label() == f.Field.Name {
				return &Filter{Filter: f, Embed: e}
			}
		}
	}
	return b.tableFilter(node.From, f)
}

func (b *builder) tableFilter(table schema.Name, f *ast.Filter) *Filter {
	filter := &Filter{Filter: f, Field: b.field(table, f.Field)}
	c := b.column(table, f.Field.Name)
	if c == nil {
		return filter
	}
	switch f.Op.Kind {
	case ast.Search:
		filter.Field.ToVector = c.BaseType != "tsvector"
	case ast.Plain, ast.Quantable, ast.In:
		filter.Parse = b.schema.Cast("text", c.Type)
	}
	return filter
}

func (b *builder) addLogic(root *Read) error {
	for _, l := range b.req.Query.Logic {
		if len(l.Path) == 0 && b.req.Action.IsMutation() {
			continue
		}
		err := b.at(root, l.Path, func(node *Read) {
			node.Where = append(node.Where, logic(&l.Value, func(f *ast.Filter) *Filter { return b.filter(node, f) }))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func logic(l *ast.Logic, resolve func(*ast.Filter) *Filter) Condition {
	if l.Filter != nil {
		return Condition{Filter: resolve(l.Filter)}
	}
	c := Condition{Negate: l.Negate, Or: l.Or}
	for i := range l.Children {
		c.Children = append(c.Children, logic(&l.Children[i], resolve))
	}
	return c
}

func (b *builder) addOrders(root *Read) error {
	for _, o := range b.req.Query.Orders {
		err := b.at(root, o.Path, func(node *Read) {
			node.Order = nil
			for _, term := range o.Value {
				order := Order{Relation: term.Relation, Direction: term.Direction, Nulls: term.Nulls}
				if order.Field = b.field(node.From, term.Field); term.Relation != "" {
					order.Field = Field{Name: term.Field.Name, Path: term.Field.Path}
				}
				node.Order = append(node.Order, order)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) addRanges(root *Read) error {
	if b.req.Action.IsMutation() {
		return nil
	}
	root.Range = b.req.Range
	for _, r := range b.req.Query.Ranges {
		if len(r.Path) == 0 {
			continue // it is in the request's range already
		}
		if err := b.at(root, r.Path, func(node *Read) { node.Range = r.Value }); err != nil {
			return err
		}
	}
	return nil
}

// restrict applies the bound on rows to every level.
func (b *builder) restrict(node *Read) error {
	if b.rules.MaxRows <= 0 || b.req.Action.IsMutation() {
		return nil
	}
	node.Range = node.Range.AtMost(b.rules.MaxRows)
	for _, e := range node.Embeds {
		_ = b.restrict(e) // never fails
	}
	return nil
}

// addAliases names what would otherwise be called after PostgreSQL's taste: a
// JSON path by its last key, an aggregate in a spread by its function.
func addAliases(node *Read) error {
	for i := range node.Select {
		c := &node.Select[i]
		switch {
		case c.Alias != "":
		case c.Aggregate != "":
			if node.Spread {
				c.Alias = c.Aggregate
			}
		case len(c.Field.Path) > 0:
			c.Alias = lastKey(c.Field)
		case c.Field.Show != "":
			c.Alias = c.Field.Name
		}
	}
	return forEach(node.Embeds, addAliases)
}

func lastKey(f Field) string {
	for i := len(f.Path) - 1; i >= 0; i-- {
		if !f.Path[i].Index {
			return f.Path[i].Key
		}
	}
	return f.Name
}

// addRelatedOrders resolves the terms like "clients(name)".
func addRelatedOrders(node *Read) error {
	for i := range node.Order {
		o := &node.Order[i]
		if o.Relation == "" {
			continue
		}
		embed := node.embed(o.Relation)
		if embed == nil {
			return errNotEmbedded(o.Relation)
		}
		if !embed.Relation.ToOne() {
			return errRelatedOrder(node.From.Name, embed.Label())
		}
		o.Relation = embed.AggAlias
	}
	return forEach(node.Embeds, addRelatedOrders)
}

// embed finds an embed by its label; nil when there is none.
func (r *Read) embed(label string) *Read {
	for _, e := range r.Embeds {
		if e.Label() == label {
			return e
		}
	}
	return nil
}

func forEach(nodes []*Read, do func(*Read) error) error {
	for _, n := range nodes {
		if err := do(n); err != nil {
			return err
		}
	}
	return nil
}

// aliasAt is the alias of a relation at a depth.
func aliasAt(name string, depth int) string { return name + "_" + strconv.Itoa(depth) }
