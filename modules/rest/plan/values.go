package plan

import (
	"encoding/json"
	"strings"

	"github.com/madbase/madbase/modules/rest/ast"
)

// Value is a column's value as the text that PostgreSQL reads it from.
type Value struct {
	// Text is nil for NULL.
	Text []byte
	// Type is the type it is read as, in SQL: the column's without modifiers, which
	// the assignment to the column applies.
	Type string
	// Slot is that of the member, from which Read makes the text.
	Slot int
}

// values gives an insert of one object the values themselves, where all of them are
// what json_to_record would make of the object: that takes PostgreSQL a tenth of a
// small insert's time. It reads strings without their escapes and all else as the
// text it is, null being NULL. What it refuses then is to be asked for anew, as Plain.
func (b *builder) values(p *Plan) {
	w, payload := p.Write, &b.req.Payload
	if b.rules.Plain || p.Action != ast.Insert || p.Explain != nil || w.Conflict != nil || w.Defaults || !p.Table.TakesAll ||
		len(w.Columns) == 0 || len(w.Columns) != len(payload.Members) {
		return
	}
	values := make([]Value, len(w.Columns))
	for i := range w.Columns {
		value, ok := valueOf(&w.Columns[i], &payload.Members[i])
		if !ok {
			return
		}
		values[i] = value
	}
	w.Values = values
}

// plainTypes are those whose values are read from JSON as from any text, by the name
// under which a value is read that has no modifier yet. A bit string's length and an
// interval's fields are wanted for reading already.
var plainTypes = map[string]string{
	"smallint": "smallint", "integer": "integer", "bigint": "bigint", "numeric": "numeric",
	"real": "real", "double precision": "double precision", "boolean": "boolean",
	"text": "text", "character varying": "varchar", "character": "bpchar", "name": "name",
	"uuid": "uuid", "bytea": "bytea", "inet": "inet", "cidr": "cidr", "macaddr": "macaddr",
	"date": "date", "time without time zone": "time", "time with time zone": "timetz",
	"timestamp without time zone": "timestamp", "timestamp with time zone": "timestamptz",
	"json": "json", "jsonb": "jsonb",
}

// valueOf is c's value that is m in the payload, or false where only PostgreSQL can tell.
// What is not null, nested or a string with escapes is one as the other.
func valueOf(c *WriteColumn, m *ast.Member) (v Value, ok bool) {
	if v.Type = plainTypes[withoutModifier(c.Type)]; v.Type == "" || c.Parse != "" {
		return v, false
	}
	switch ast.FormOf(m.JSON) {
	case ast.Nested:
		ok = v.isJSON()
	case ast.Escaped:
		ok = v.Type != "json" // which would have PostgreSQL's own escapes
	default:
		ok = true
	}
	v.Slot, v.Text = m.Slot, v.Read(m.JSON)
	return v, ok
}

func (v *Value) isJSON() bool { return v.Type == "json" || v.Type == "jsonb" }

// Read is the text of the member of a payload whose value is v.
func (v *Value) Read(member []byte) []byte {
	switch {
	case member[0] == 'n':
		return nil
	case member[0] != '"' || v.isJSON():
		return member
	case ast.FormOf(member) == ast.Escaped:
		var s string
		if json.Unmarshal(member, &s) == nil { // it is valid
			return []byte(s)
		}
	}
	return member[1 : len(member)-1]
}

// withoutModifier is a type's name without what is in parentheses.
func withoutModifier(name string) string {
	before, rest, found := strings.Cut(name, "(")
	if !found {
		return name
	}
	_, after, _ := strings.Cut(rest, ")")
	return before + after
}
