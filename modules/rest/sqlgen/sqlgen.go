// Package sqlgen writes a plan as one SQL statement, in which PostgreSQL itself
// makes the answer's body unless rows are to be the answer. Names reach the text only quoted, what a caller sends
// only as parameters. The shapes of the statements are PostgREST's, so that
// policies, triggers and EXPLAIN see what they know.
package sqlgen

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/plan"
	"github.com/madbase/madbase/modules/rest/schema"
)

// Statement is SQL with its parameters in text format; nil is NULL.
type Statement struct {
	SQL  string
	Args [][]byte
	// Formats are the formats of the result's columns, 1 for binary; none is text for all.
	Formats []int16
	// Holes are the parameters whose values the request of the plan has in slots.
	Holes []Hole
}

// Hole is a parameter, by its index in Args, whose value is that of a slot, or made of
// that by Value where there is one.
type Hole struct {
	Arg, Slot int
	Value     *plan.Value
}

// Fill is s with the values, of which each slot has one in turn.
func (s *Statement) Fill(values [][]byte) Statement {
	filled := Statement{SQL: s.SQL, Args: slices.Clone(s.Args), Formats: s.Formats}
	for _, h := range s.Holes {
		if value := values[h.Slot-1]; h.Value != nil {
			filled.Args[h.Arg] = h.Value.Read(value)
		} else {
			filled.Args[h.Arg] = given(value)
		}
	}
	return filled
}

// Takes reports whether s has a hole for the slot.
func (s *Statement) Takes(slot int) bool {
	return slices.ContainsFunc(s.Holes, func(h Hole) bool { return h.Slot == slot })
}

// Columns of the one row that a statement in the shape Document returns. Those of writes
// have one more, ColLocation, before the body.
const (
	ColTotal = iota
	ColRows
	ColBody
	ColHeaders
	ColStatus
	ColInserted
	NumColumns

	ColLocation = ColBody
)

// In these formats a body of any bytes comes as it is.
var (
	bodyInBinary      = []int16{0, 0, 1, 0, 0, 0}
	writeBodyInBinary = []int16{0, 0, 0, 1, 0, 0, 0}
)

// Columns of Variables' row. A write in the shape Rows has them behind its own.
const (
	VarHeaders = iota
	VarStatus
	NumVariables
)

// Generate writes p's statement. In the shape Document it returns one row with the
// columns of that, or the lines of an EXPLAIN if that is asked for; in the shape Rows
// the answer's rows.
func Generate(p *plan.Plan) Statement {
	g := &generator{plan: p, args: make([][]byte, 0, 8)}
	g.sql.Grow(1024) // most statements fit
	if p.Explain != nil {
		g.explain(p.Explain)
	}
	switch {
	case p.Shape == plan.Rows:
		g.mainRows()
	case p.Write != nil:
		g.mainWrite()
	case p.Call != nil:
		g.mainCall()
	default:
		g.mainRead()
	}
	s := Statement{SQL: g.sql.String(), Args: g.args, Formats: p.Formats(), Holes: g.holes}
	if p.Body == plan.CustomBody && p.Explain == nil {
		if s.Formats = bodyInBinary; p.Write != nil {
			s.Formats = writeBodyInBinary
		}
	}
	return s
}

func (g *generator) explain(e *ast.Explain) {
	format := "TEXT"
	if e.JSON {
		format = "JSON"
	}
	g.write("EXPLAIN (FORMAT ", format)
	for _, option := range ast.ExplainOptions { // the caller's words are only looked up
		if slices.Contains(e.Options, option) {
			g.write(", ", option)
		}
	}
	g.write(") ")
}

// Invoke writes the call of a function without parameters.
func Invoke(function schema.Name) Statement {
	g := &generator{}
	g.write("SELECT ")
	g.name(function)
	g.write("()")
	return Statement{SQL: g.sql.String()}
}

// Variables writes the statement that reads the variables by which functions
// change answers.
func Variables() Statement {
	return Statement{SQL: "SELECT " + responseHeaders + ", " + responseStatus}
}

// Explain writes the statement whose plan tells how many rows p's read has by the
// planner's estimate.
func Explain(p *plan.Plan) Statement {
	g := &generator{plan: p}
	g.write("EXPLAIN (FORMAT JSON) ")
	g.countQuery(p.Read)
	return Statement{SQL: g.sql.String(), Args: g.args}
}

// generator writes one statement.
type generator struct {
	plan *plan.Plan
	sql  strings.Builder
	args [][]byte
	// holes are those of args that are to be filled.
	holes []Hole
}

func (g *generator) write(parts ...string) {
	for _, p := range parts {
		g.sql.WriteString(p)
	}
}

// ident writes a quoted name. This is the only way by which names reach the text.
func (g *generator) ident(name string) {
	g.sql.WriteByte('"')
	for i := range len(name) {
		switch c := name[i]; c {
		case 0: // cannot be in a name, and would end the statement
		case '"':
			g.sql.WriteString(`""`)
		default:
			g.sql.WriteByte(c)
		}
	}
	g.sql.WriteByte('"')
}

func (g *generator) name(n schema.Name) {
	if n.Schema != "" {
		g.ident(n.Schema)
		g.sql.WriteByte('.')
	}
	g.ident(n.Name)
}

func (g *generator) column(of schema.Name, name string) {
	g.name(of)
	if name == "*" {
		g.write(".*")
		return
	}
	g.sql.WriteByte('.')
	g.ident(name)
}

// literal is a column's name, which is the schema's own, as a string of SQL.
func literal(name string) string {
	prefix := ""
	if strings.Contains(name, `\`) {
		prefix, name = "E", strings.ReplaceAll(name, `\`, `\\`)
	}
	return prefix + "'" + strings.ReplaceAll(name, "'", "''") + "'"
}

// arg writes a parameter for value.
func (g *generator) arg(value string) { g.bytes([]byte(value)) }

func (g *generator) bytes(value []byte) {
	g.args = append(g.args, given(value))
	g.sql.WriteByte('$')
	g.sql.WriteString(strconv.Itoa(len(g.args)))
}

// given is a value that is not NULL, be it empty.
func given(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}

// filled notes that the parameter written last has its value in a slot; 0 is none.
func (g *generator) filled(slot int) { g.filledBy(slot, nil) }

// filledBy is filled for what value makes of the slot's.
func (g *generator) filledBy(slot int, value *plan.Value) {
	if slot > 0 {
		g.holes = append(g.holes, Hole{len(g.args) - 1, slot, value})
	}
}

// list writes each item with do and commas between.
func list[T any](g *generator, items []T, do func(T)) {
	for i, item := range items {
		if i > 0 {
			g.write(", ")
		}
		do(item)
	}
}

// arrayLiteral is values as the text of a PostgreSQL array.
func arrayLiteral(values []string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('"')
		for j := range len(v) {
			if v[j] == '"' || v[j] == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(v[j])
		}
		b.WriteByte('"')
	}
	b.WriteByte('}')
	return b.String()
}

// byteaLiteral is data as the text of a bytea.
func byteaLiteral(data []byte) string { return `\x` + hex.EncodeToString(data) }

// Variables of the transaction, NULL when they are not set.
const (
	responseHeaders = "nullif(current_setting('response.headers', true), '')"
	responseStatus  = "nullif(current_setting('response.status', true), '')"
	insertedRows    = "nullif(current_setting('pgrst.inserted', true), '')::int"
)
