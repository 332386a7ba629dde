package request

import (
	"encoding/json"
	"slices"
)

// objectKeys returns the sorted keys of a JSON object, or those that all objects
// of a JSON array share. uniform is false when they differ or when an element is
// no object. Any other value counts as an empty array: empty is true then, and
// for one. The text must be valid JSON: values are skipped, not decoded.
func objectKeys(text []byte) (keys []string, uniform, empty bool) {
	w := walker{text: text}
	w.spaces()
	switch w.peek() {
	case '{':
		return w.object(), true, false
	case '[':
	default:
		return nil, true, true
	}
	w.pos++
	if w.spaces(); w.peek() == ']' {
		return nil, true, true
	}
	for first := true; ; first = false {
		if w.spaces(); w.peek() != '{' {
			return nil, false, false
		}
		own := w.object()
		if first {
			keys = own
		} else if !slices.Equal(keys, own) {
			return nil, false, false
		}
		if w.spaces(); w.peek() != ',' {
			return keys, true, false
		}
		w.pos++
	}
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

// object skips an object and returns its sorted keys.
func (w *walker) object() []string {
	var keys []string
	w.pos++
	for {
		if w.spaces(); w.peek() != '"' {
			break
		}
		keys = append(keys, decodeKey(w.str()))
		w.spaces()
		w.pos++ // the colon
		w.spaces()
		w.value()
		if w.spaces(); w.peek() != ',' {
			break
		}
		w.pos++
	}
	w.pos++ // the brace
	slices.Sort(keys)
	return slices.Compact(keys)
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
	var key string
	if json.Unmarshal(quoted, &key) != nil { // of valid JSON it never fails
		return string(quoted)
	}
	return key
}
