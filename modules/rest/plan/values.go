package plan

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/madbase/madbase/modules/rest/ast"
)

// Value is a column's value as the text that PostgreSQL reads it from.
type Value struct {
	// Text is nil for NULL.
	Text []byte
	// Type is the type it is read as, in SQL: the column's without modifiers, which
	// the assignment to the column applies.
	Type string
}

// values gives an insert of one object the values themselves, where all of them are
// what json_to_record would make of the object: that takes PostgreSQL a tenth of a
// small insert's time. It reads strings without their escapes and all else as the
// text it is, null being NULL. What it refuses then is to be asked for anew, as Plain.
func (b *builder) values(p *Plan) {
	w, payload := p.Write, &b.req.Payload
	if b.rules.Plain || p.Action != ast.Insert || p.Explain != nil || w.Conflict != nil || w.Defaults || !p.Table.TakesAll ||
		len(w.Columns) == 0 || len(w.Columns) != len(payload.Members) || !isDecodable(payload.Raw) {
		return
	}
	values := make([]Value, len(w.Columns))
	for i := range w.Columns {
		value, ok := valueOf(&w.Columns[i], payload.Members[i].JSON)
		if !ok {
			return
		}
		values[i] = value
	}
	w.Values = values
}

// isDecodable reports whether every string of the valid JSON is one that PostgreSQL
// takes: escapes for code points it may refuse.
func isDecodable(payload []byte) bool {
	return utf8.Valid(payload) && !bytes.Contains(payload, []byte(`\u`))
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

// valueOf is c's value that is text in the payload, or false where only PostgreSQL can tell.
func valueOf(c *WriteColumn, text []byte) (v Value, ok bool) {
	if v.Type = plainTypes[withoutModifier(c.Type)]; v.Type == "" || c.Parse != "" {
		return v, false
	}
	isJSON := v.Type == "json" || v.Type == "jsonb"
	switch v.Text = text; text[0] {
	case 'n':
		v.Text = nil
	case '{', '[':
		return v, isJSON
	case '"':
		escapes := slices.Contains(text, '\\')
		switch {
		case v.Type == "json" && escapes: // it has PostgreSQL's own escapes then
			return v, false
		case isJSON:
		case escapes:
			var s string
			if json.Unmarshal(text, &s) != nil { // it is valid
				return v, false
			}
			v.Text = []byte(s)
		default:
			v.Text = text[1 : len(text)-1]
		}
	}
	return v, true
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
