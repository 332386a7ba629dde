package sqlgen

import (
	"strings"

	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/plan"
	"github.com/madbase/madbase/modules/rest/schema"
)

// condition writes a tree of conditions on the columns of q.
func (g *generator) condition(q schema.Name, c *plan.Condition) {
	switch {
	case c.Filter == nil:
		g.tree(c, func(child *plan.Condition) { g.condition(q, child) })
	case c.Filter.Embed != nil:
		g.rowsOf(c.Filter.Embed)
		if c.Filter.Negate {
			g.write(" IS DISTINCT FROM NULL")
		} else {
			g.write(" IS NOT DISTINCT FROM NULL")
		}
	default:
		g.filter(q, c.Filter)
	}
}

func (g *generator) tree(c *plan.Condition, child func(*plan.Condition)) {
	if c.Negate {
		g.write("NOT ")
	}
	g.write("(")
	for i := range c.Children {
		switch {
		case i > 0 && c.Or:
			g.write(" OR ")
		case i > 0:
			g.write(" AND ")
		}
		child(&c.Children[i])
	}
	g.write(")")
}

// isOperands are the words that may follow IS; it takes no parameter.
var isOperands = map[string]string{
	"null": "NULL", "not_null": "NOT NULL", "true": "TRUE", "false": "FALSE", "unknown": "UNKNOWN",
}

// filter writes one condition. The parameters' types are those of the columns.
func (g *generator) filter(q schema.Name, f *plan.Filter) {
	if f.Negate {
		g.write("NOT ")
	}
	if f.Field.ToVector {
		g.write("to_tsvector(")
		g.language(f.Language)
		g.field(q, f.Field)
		g.write(")")
	} else {
		g.field(q, f.Field)
	}
	op := f.Op
	switch op.Kind {
	case ast.Is:
		g.write(" IS ", isOperands[f.Value])
	case ast.In:
		g.in(f.List, f.Parse)
	case ast.Search:
		g.write(" @@ ", op.SQL, "(")
		g.language(f.Language)
		g.arg(f.Value)
		g.filled(f.Slot)
		g.write(")")
	case ast.Pattern:
		g.write(" ", op.SQL, " ")
		g.quantified(f.Quantifier, "", strings.ReplaceAll(f.Value, "*", "%"), 0)
	default:
		g.write(" ", op.SQL, " ")
		g.quantified(f.Quantifier, f.Parse, f.Value, f.Slot)
	}
}

func (g *generator) language(language string) {
	if language != "" {
		g.arg(language)
		g.write(", ")
	}
}

// in compares with one array rather than many parameters: it can be empty, and
// its length does not make another statement.
func (g *generator) in(values []string, parse string) {
	switch {
	case len(values) == 1 && values[0] == "":
		g.write(" = ANY ('{}')")
	case parse != "":
		g.write(" = ANY (SELECT ", parse, "(unnest(")
		g.arg(arrayLiteral(values))
		g.write("::text[])))")
	default:
		g.write(" = ANY (")
		g.arg(arrayLiteral(values))
		g.write(")")
	}
}

func (g *generator) quantified(quantifier, parse, value string, slot int) {
	closing := ""
	switch quantifier {
	case "any":
		g.write("ANY (")
		closing = ")"
	case "all":
		g.write("ALL (")
		closing = ")"
	}
	if parse != "" {
		g.write(parse, "(")
		closing += ")"
	}
	g.arg(value)
	g.filled(slot)
	g.write(closing)
}
