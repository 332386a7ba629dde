package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/schema"
	"github.com/madbase/madbase/platform/apierr"
)

func errPutFilters() error {
	return apierr.New(405, "PGRST105", "Filters must include all and only primary key columns with 'eq' operators")
}

func errMediaType(accept []ast.MediaType) error {
	names := make([]string, len(accept))
	for i, m := range accept {
		names[i] = string(m)
	}
	return apierr.New(406, "PGRST107", "None of these media types are available: "+strings.Join(names, ", "))
}

func errNotEmbedded(name string) error {
	return apierr.New(400, "PGRST108", "'"+name+"' is not an embedded resource in this request").
		WithHint("Verify that '" + name + "' is included in the 'select' query parameter.")
}

func errReplacedName(name, alias string) error {
	return apierr.New(400, "PGRST108", "'"+name+"' is not an embedded resource in this request").
		WithDetail("Target names are not allowed in filters if they have an alias").
		WithHint("Change '" + name + "' to '" + alias + "' in filters, orders or limits.")
}

func errRelatedOrder(from, target string) error {
	return apierr.New(400, "PGRST118", "A related order on '"+target+"' is not possible").
		WithDetail("'" + from + "' and '" + target + "' do not form a many-to-one or one-to-one relationship")
}

func errPreferences(unknown []string) error {
	return apierr.New(400, "PGRST122", "Invalid preferences given with handling=strict").
		WithDetail("Invalid preferences: " + strings.Join(unknown, ", "))
}

func errAggregates() error {
	return apierr.New(400, "PGRST123", "Use of aggregate functions is not allowed")
}

func errNotImplemented(what string) error {
	return apierr.New(400, "PGRST127", "Feature not implemented").WithDetail(what)
}

func errMaxAffectedCall() error {
	return apierr.New(400, "PGRST128", "Function must return SETOF or TABLE when max-affected preference is used with handling=strict")
}

func errNoColumn(table, column string) error {
	return apierr.New(400, "PGRST204", "Could not find the '"+column+"' column of '"+table+"' in the schema cache")
}

// hintScore is how alike a name must be to be suggested; nameless guesses would
// tell a stranger what there is.
const hintScore, looseScore = 0.75, 0.33

// tablesForHints bounds the schemas whose tables are searched for suggestions.
const tablesForHints = 500

// findTable finds the request's table. PGRST205 when there is none.
func (b *builder) findTable() (*schema.Table, error) {
	if t := b.schema.Table(schema.Name{Schema: b.req.Schema, Name: b.req.Name}); t != nil {
		return t, nil
	}
	qualified := b.req.Schema + "." + b.req.Name
	e := apierr.New(404, "PGRST205", "Could not find the table '"+qualified+"' in the schema cache")
	if names := b.schema.TableNames(b.req.Schema); len(names) < tablesForHints {
		if similar, _ := schema.Similar(b.req.Name, names, hintScore); similar != "" {
			return nil, e.WithHint("Perhaps you meant the table '" + b.req.Schema + "." + similar + "'")
		}
	}
	return nil, e
}

func (b *builder) errNoRelation(origin, target, hint string) error {
	using := ""
	if hint != "" {
		using = "' using the hint '" + hint
	}
	e := apierr.New(400, "PGRST200", "Could not find a relationship between '"+origin+"' and '"+target+"' in the schema cache").
		WithDetail("Searched for a foreign key relationship between '" + origin + "' and '" + target + using +
			"' in the schema '" + b.req.Schema + "', but no matches were found.")
	from := schema.Name{Schema: b.req.Schema, Name: origin}
	if !b.schema.Related(from) {
		if similar, _ := schema.Similar(origin, b.schema.RelatedNames(b.req.Schema), looseScore); similar != "" {
			e.Hint = "Perhaps you meant '" + similar + "' instead of '" + origin + "'."
		}
		return e
	}
	var children []string
	for _, r := range b.schema.Relations(from, b.req.Schema) {
		children = append(children, r.Foreign.Name)
	}
	// A child that exists is not the mistake: the hint is.
	if similar, score := schema.Similar(target, children, looseScore); similar != "" && score < 1 {
		e.Hint = "Perhaps you meant '" + similar + "' instead of '" + target + "'."
	}
	return e
}

// candidate describes one of several relationships.
type candidate struct {
	Cardinality  string `json:"cardinality"`
	Embedding    string `json:"embedding"`
	Relationship string `json:"relationship"`
}

func errAmbiguousRelation(origin, target string, found []*schema.Relation) error {
	var details []candidate
	var hints []string
	for _, r := range found {
		c := candidate{Embedding: r.Table.Name + " with " + r.Foreign.Name}
		hint := r.Constraint
		if j := r.Junction; j != nil {
			hint = j.Table.Name
			c.Cardinality = "many-to-many"
			c.Relationship = j.Table.Name + " using " + j.SourceConstraint + columnList(j.Source, false) +
				" and " + j.TargetConstraint + columnList(j.Target, false)
		} else {
			c.Cardinality = map[schema.RelationKind]string{
				schema.ManyToOne: "many-to-one", schema.OneToOne: "one-to-one", schema.OneToMany: "one-to-many",
			}[r.Kind]
			c.Relationship = r.Constraint + " using " + r.Table.Name + columnList(r.Columns, true) +
				" and " + r.Foreign.Name + columnList(r.Columns, false)
		}
		details = append(details, c)
		hints = append(hints, "'"+r.Foreign.Name+"!"+hint+"'")
	}
	return apierr.New(300, "PGRST201", "Could not embed because more than one relationship was found for '"+origin+"' and '"+target+"'").
		WithDetail(details).
		WithHint("Try changing '" + target + "' to one of the following: " + strings.Join(hints, ", ") +
			". Find the desired relationship in the 'details' key.")
}

func columnList(pairs []schema.Pair, own bool) string {
	names := make([]string, len(pairs))
	for i, p := range pairs {
		if names[i] = p.Foreign; own {
			names[i] = p.Column
		}
	}
	return "(" + strings.Join(names, ", ") + ")"
}

func (b *builder) errNoRoutine(overloads []*schema.Routine) error {
	name := b.req.Schema + "." + b.req.Name
	args := b.req.Columns
	shown, searched := " without parameters", " without parameters"
	if len(args) > 0 {
		list := strings.Join(args, ", ")
		shown = "(" + list + ")"
		searched = " with parameter " + list
		if len(args) > 1 {
			searched = " with parameters " + list
		}
	}
	if b.req.Action == ast.Call {
		switch b.req.ContentType {
		case ast.PlainText:
			shown, searched = "", " with a single unnamed text parameter"
		case ast.XML:
			shown, searched = "", " with a single unnamed xml parameter"
		case ast.OctetStream:
			shown, searched = "", " with a single unnamed bytea parameter"
		case ast.JSON:
			searched += " or with a single unnamed json/jsonb parameter"
		}
	}
	e := apierr.New(404, "PGRST202", "Could not find the function "+name+shown+" in the schema cache").
		WithDetail("Searched for the function " + name + searched + ", but no matches were found in the schema cache.")
	if !b.rawBody() {
		e.Hint = b.routineHint(overloads)
	}
	return e
}

// routineHint suggests a function of a similar name, or one of this name with similar parameters.
func (b *builder) routineHint(overloads []*schema.Routine) string {
	prefix := "Perhaps you meant to call the function " + b.req.Schema + "."
	if len(overloads) == 0 {
		if similar, _ := schema.Similar(b.req.Name, b.schema.RoutineNames(b.req.Schema), hintScore); similar != "" {
			return prefix + similar
		}
		return ""
	}
	var lists []string
	for _, r := range overloads {
		var names []string
		for _, p := range r.Params {
			names = append(names, p.Name)
		}
		slices.Sort(names)
		lists = append(lists, "("+strings.Join(names, ", ")+")")
	}
	if similar, _ := schema.Similar("("+strings.Join(b.req.Columns, ", ")+")", lists, looseScore); similar != "" {
		return prefix + b.req.Name + similar
	}
	return ""
}

func errAmbiguousRoutine(found []*schema.Routine) error {
	var shown []string
	for _, r := range found {
		var params []string
		for _, p := range r.Params {
			params = append(params, p.Name+" => "+p.Type)
		}
		shown = append(shown, fmt.Sprintf("%s.%s(%s)", r.Schema, r.Name.Name, strings.Join(params, ", ")))
	}
	return apierr.New(300, "PGRST203", "Could not choose the best candidate function between: "+strings.Join(shown, ", ")).
		WithHint("Try renaming the parameters or the function itself in the database so function overloading can be resolved")
}
