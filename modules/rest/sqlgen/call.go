package sqlgen

import (
	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/plan"
	"github.com/madbase/madbase/modules/rest/schema"
)

// call writes the query of a function's result.
func (g *generator) call(c *plan.Call) {
	g.write("SELECT ")
	switch {
	case !c.Routine.Composite:
		g.write("pgrst_call.pgrst_scalar")
	case len(c.Columns) == 0:
		g.write("*")
	default:
		list(g, c.Columns, func(name string) { g.column(schema.Name{Name: "pgrst_call"}, name) })
	}
	g.write(" ")
	switch {
	case c.Whole != nil:
		g.write("FROM ")
		g.invoke(c, func() { g.whole(c) })
	case len(c.Params) == 0:
		g.write("FROM ")
		g.invoke(c, func() {})
	case c.Direct:
		g.write("FROM ")
		g.invoke(c, func() { list(g, c.Params, func(p schema.Param) { g.directArgument(p, c.Args[p.Name]) }) })
	default:
		fields := make([]typedField, len(c.Params))
		for i, p := range c.Params {
			fields[i] = typedField{name: p.Name, sqlType: p.MaxType}
		}
		g.payload(payload{data: c.Payload, isObject: c.IsObject, fields: fields, firstOnly: true})
		g.write(", LATERAL ")
		g.invoke(c, func() {
			list(g, c.Params, func(p schema.Param) {
				g.parameter(p)
				g.column(schema.Name{Name: payloadRows}, p.Name)
			})
		})
	}
}

// invoke writes the call itself, a bare value under the name pgrst_scalar.
func (g *generator) invoke(c *plan.Call, arguments func()) {
	scalar := !c.Routine.Composite
	if scalar {
		g.write("(SELECT ")
	}
	g.name(c.Routine.Name)
	g.write("(")
	arguments()
	g.write(")")
	if scalar {
		g.write(" pgrst_scalar)")
	}
	g.write(" pgrst_call")
}

// parameter writes the name that an argument is given by.
func (g *generator) parameter(p schema.Param) {
	if p.Variadic {
		g.write("VARIADIC ")
	}
	g.ident(p.Name)
	g.write(" := ")
}

// directArgument writes an argument that came as text.
func (g *generator) directArgument(p schema.Param, values []ast.Param) {
	g.parameter(p)
	switch {
	case len(values) == 0:
		g.write("NULL")
	case p.Variadic:
		texts := make([]string, len(values))
		for i := range values {
			texts[i] = values[i].Value
		}
		g.arg(arrayLiteral(texts))
	default:
		g.arg(values[0].Value)
		g.filled(values[0].Slot)
	}
	g.write("::", p.MaxType)
}

// whole writes the payload as the only argument.
func (g *generator) whole(c *plan.Call) {
	if c.Whole.Type == "bytea" {
		g.arg(byteaLiteral(c.Payload))
	} else {
		g.bytes(c.Payload)
		g.filled(g.plan.Payload.Slot)
	}
	g.write("::", c.Whole.Type)
}
