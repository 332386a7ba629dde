package request

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/madbase/madbase/modules/rest/ast"
)

// objects is what the objects of a payload have in common.
type objects struct {
	// keys are the sorted keys of the object, or those that all objects of an array share.
	keys []string
	// uniform is false when they differ or when an element is no object.
	uniform bool
	// empty is an empty array, as which any other value counts.
	empty bool
	// members are those of the only object outside an array, unless a key recurs.
	members []ast.Member
}

// scanObjects reads the objects of text, which must be valid JSON: values are
// skipped, not decoded.
func scanObjects(text []byte) objects {
	w := walker{text: text}
	w.spaces()
	switch w.peek() {
	case '{':
		members := w.object(nil)
		keys := keysOf(members)
		if len(keys) < len(members) {
			members = nil
		}
		return objects{keys: keys, uniform: true, members: members}
	case '[':
	default:
		return objects{uniform: true, empty: true}
	}
	w.pos++
	if w.spaces(); w.peek() == ']' {
		return objects{uniform: true, empty: true}
	}
	var first []string
	for n, members := 0, []ast.Member(nil); ; n++ {
		if w.spaces(); w.peek() != '{' {
			return objects{}
		}
		members = w.object(members[:0])
		if keys := keysOf(members); n == 0 {
			first = keys
		} else if !slices.Equal(first, keys) {
			return objects{}
		}
		if w.spaces(); w.peek() != ',' {
			return objects{keys: first, uniform: true}
		}
		w.pos++
	}
}

// keysOf are the names of sorted members, each once; nil of none.
func keysOf(members []ast.Member) []string {
	if len(members) == 0 {
		return nil
	}
	keys := make([]string, len(members))
	for i := range members {
		keys[i] = members[i].Name
	}
	return slices.Compact(keys)
}

// walker moves over valid JSON.
type walker struct {
	text []byte
	pos  int
}

func (w *walker) peek() byte {
	if w.pos < len(w.text) {
		return w.text[w.pos]
	}
	return 0
}

func (w *walker) spaces() {
	for w.pos < len(w.text) && isSpace(w.text[w.pos]) {
		w.pos++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// object skips an object and appends its members to an empty list, sorted by name.
func (w *walker) object(members []ast.Member) []ast.Member {
	w.pos++
	for {
		if w.spaces(); w.peek() != '"' {
			break
		}
		name := decodeKey(w.str())
		w.spaces()
		w.pos++ // the colon
		w.spaces()
		start := w.pos
		w.value()
		members = append(members, ast.Member{Name: name, JSON: bytes.TrimRight(w.text[start:w.pos], " \t\r\n")})
		if w.spaces(); w.peek() != ',' {
			break
		}
		w.pos++
	}
	w.pos++ // the brace
	slices.SortFunc(members, func(a, b ast.Member) int { return strings.Compare(a.Name, b.Name) })
	return members
}

// value skips one value.
func (w *walker) value() {
	depth := 0
	for w.pos < len(w.text) {
		switch c := w.text[w.pos]; {
		case c == '"':
			w.str()
			if depth == 0 {
				return
			}
			continue
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth == 0 {
				return
			}
			if depth--; depth == 0 {
				w.pos++
				return
			}
		case c == ',' && depth == 0:
			return
		}
		w.pos++
	}
}

// str skips a string and returns it with its quotes.
func (w *walker) str() []byte {
	start := w.pos
	for w.pos++; w.pos < len(w.text); w.pos++ {
		switch w.text[w.pos] {
		case '\\':
			w.pos++
		case '"':
			w.pos++
			return w.text[start:w.pos]
		}
	}
	return w.text[start:]
}

func decodeKey(quoted []byte) string {
	if inner := quoted[1 : len(quoted)-1]; bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	var key string
	if json.Unmarshal(quoted, &key) != nil { // of valid JSON it never fails
		return string(quoted)
	}
	return key
}
