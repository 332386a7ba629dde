package ast

import "bytes"

// ValueForm is what matters of a JSON value to how it is written as a parameter.
type ValueForm int

// The forms.
const (
	Scalar  ValueForm = iota
	Escaped           // a string with a backslash in it
	Nested            // an object or an array
)

// FormOf is the form of a valid JSON value without spaces around it.
func FormOf(value []byte) ValueForm {
	switch {
	case value[0] == '{' || value[0] == '[':
		return Nested
	case value[0] == '"' && bytes.IndexByte(value, '\\') >= 0:
		return Escaped
	}
	return Scalar
}

// Example is a value of the form.
func (f ValueForm) Example() []byte { return []byte([...]string{"0", `"\\"`, "{}"}[f]) }
