// Package rows writes rows of PostgreSQL as the JSON array that its json_agg would
// make of them, byte for byte, with objects and lists in them that come as columns.
// To build that text there takes PostgreSQL longer than to find a hundred rows.
package rows

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/madbase/madbase/platform/aside"
)

// ErrForm is the error for values whose JSON their text does not tell.
var ErrForm = errors.New("rows: a value of no known form")

// Sizes of an Array's buffer, in bytes.
const (
	initialBuffer = 4 << 10
	largestBuffer = 4 << 20 // what is more goes to a file
)

// Array is made of rows. Its zero value is ready to use.
type Array struct {
	// Variables is the number of the last columns that are not part of the array.
	Variables int
	// Lenient takes values of an unknown form for strings.
	Lenient bool
	// Single expects one row, and has a buffer of its size.
	Single bool
	// Bare leaves the brackets out, for one row that is to be an object.
	Bare bool
	// Tail is what the last columns before the Variables make up. All others are Values.
	Tail []Member

	members []node
	forms   []form // of all columns
	keys    int    // the size of all columns' keys
	buf     []byte
	file    *aside.File
	rows    int64
	last    [][]byte
}

// Columns begins the array anew.
func (a *Array) Columns(fields []pgconn.FieldDescription) (err error) {
	a.Close()
	n := max(len(fields)-a.Variables, 0)
	values := n - columnsOf(a.Tail)
	if values < 0 {
		return fmt.Errorf("%w: %d columns", ErrForm, len(fields))
	}
	*a = Array{
		Variables: a.Variables, Lenient: a.Lenient, Single: a.Single, Bare: a.Bare, Tail: a.Tail,
		forms: make([]form, n), last: make([][]byte, len(fields)-n),
	}
	t := tree{keys: make([]byte, 0, 16*n)}
	a.members = t.row(fields[:values], fields[values:], a.Tail)
	a.keys = len(t.keys)
	formats := Formats(values, a.Tail)
	for i := range a.forms {
		if a.forms[i], err = a.form(&fields[i], formats != nil && formats[i] == pgtype.BinaryFormatCode); err != nil {
			return err
		}
	}
	return nil
}

// form is the form of a column of the row.
func (a *Array) form(f *pgconn.FieldDescription, isBinary bool) (form, error) {
	known := formsByOID[f.DataTypeOID].text
	if isBinary {
		known = formsByOID[f.DataTypeOID].element
	}
	switch {
	case known != unknown:
		return known, nil
	case a.Lenient:
		return text, nil
	}
	return unknown, fmt.Errorf("%w: column %q", ErrForm, f.Name)
}

// Row appends a row.
func (a *Array) Row(values [][]byte) (err error) {
	b := append(a.room(values), a.before()...)
	a.rows++
	if a.buf, err = a.object(b, a.members, columns{values, a.forms}); err != nil {
		return err
	}
	for i := range a.last {
		a.last[i] = bytes.Clone(values[len(a.forms)+i])
	}
	if len(a.buf) > largestBuffer {
		a.buf, err = a.flush(a.buf)
	}
	return err
}

// value appends a column's value.
func (a *Array) value(b, v []byte, f form) ([]byte, error) {
	b, ok := appendValue(b, v, f)
	switch {
	case ok:
		return b, nil
	case a.Lenient:
		return appendString(b, v), nil
	}
	return b, fmt.Errorf("%w: %.64q", ErrForm, v)
}

// before is what comes before the next row.
func (a *Array) before() string {
	switch {
	case a.rows > 0:
		return ", \n "
	case a.Bare:
		return ""
	}
	return "["
}

// room is the buffer with room for a row. It grows by doubling, which append would not do.
func (a *Array) room(values [][]byte) []byte {
	if a.buf == nil && !a.Single {
		a.buf = make([]byte, 0, initialBuffer)
	}
	need := a.keys + len(", \n }]")
	for _, v := range values {
		need += len(v) + len(`"",`)
	}
	if cap(a.buf)-len(a.buf) < need {
		a.buf = slices.Grow(a.buf, max(need, cap(a.buf)))
	}
	return a.buf
}

// flush moves what is written so far to the file, and returns an empty buffer.
func (a *Array) flush(b []byte) (_ []byte, err error) {
	if a.file == nil {
		if a.file, err = aside.NewFile(); err != nil {
			return b, fmt.Errorf("rows: %w", err)
		}
	}
	_, err = a.file.Write(b)
	return b[:0], err //nolint:wrapcheck // it says all
}

// End completes the array and returns it, in a file when it is large. The file is
// the caller's to close.
func (a *Array) End() (text []byte, large *aside.File, err error) {
	if a.rows == 0 {
		a.buf = append(a.buf, a.before()...)
	}
	if !a.Bare {
		a.buf = append(a.buf, ']')
	}
	if a.file == nil {
		return a.buf, nil, nil
	}
	if a.buf, err = a.flush(a.buf); err != nil {
		return nil, nil, err
	}
	large, a.file = a.file, nil
	return nil, large, nil
}

// Close gives up an array that is not to be ended.
func (a *Array) Close() {
	a.file.Close()
	a.file = nil
}

// Rows is the number of rows.
func (a *Array) Rows() int64 { return a.rows }

// Last are the values of the last row's Variables, nil without a row.
func (a *Array) Last() [][]byte { return a.last }

// appendValue appends a value's JSON, or reports that it is not of the form.
func appendValue(b, v []byte, f form) ([]byte, bool) {
	switch {
	case v == nil:
		return append(b, "null"...), true
	case f == verbatim:
		return append(b, v...), true
	case f == text:
		return appendString(b, v), true
	case f == truth:
		return appendTruth(b, v)
	case f == number:
		if last := v[len(v)-1]; '0' <= last && last <= '9' {
			return append(b, v...), true
		}
		return appendString(b, v), true
	case f >= integer:
		return appendBinary(b, v, f)
	}
	return appendDate(b, v, f)
}

func appendTruth(b, v []byte) ([]byte, bool) {
	switch string(v) {
	case "t":
		return append(b, "true"...), true
	case "f":
		return append(b, "false"...), true
	}
	return b, false
}

// appendDate appends a date or a moment, whose text is in the style ISO that
// PostgreSQL has unless told otherwise; of JSON's style it lacks the T and the
// minutes of full hours' zones. Years have four digits at least, by which other
// styles are told from it.
func appendDate(b, v []byte, f form) ([]byte, bool) {
	if string(v) == "infinity" || string(v) == "-infinity" {
		return appendString(b, v), true
	}
	year := bytes.IndexByte(v, '-')
	if year < 4 || slices.ContainsFunc(v[:year], notDigit) {
		return b, false
	}
	if f == date {
		return appendString(b, v), true
	}
	v, isBC := bytes.CutSuffix(v, []byte(" BC"))
	day, time, found := bytes.Cut(v, []byte(" "))
	if !found {
		return b, false
	}
	b = append(b, '"')
	b = append(b, day...)
	b = append(b, 'T')
	b = append(b, time...)
	if sign := len(time) - 3; f == momentAt && sign > 0 && (time[sign] == '+' || time[sign] == '-') {
		b = append(b, ":00"...)
	}
	if isBC {
		b = append(b, " BC"...)
	}
	return append(b, '"'), true
}

func notDigit(c byte) bool { return c < '0' || c > '9' }

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string with PostgreSQL's escapes.
func appendString(b, s []byte) []byte {
	b = append(b, '"')
	from := 0
	for i, c := range s {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, `\b`...)
		case '\f':
			b = append(b, `\f`...)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, `\u00`...)
			b = append(b, hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(b, s[from:]...), '"')
}
