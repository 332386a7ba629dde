package rows

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

// elements are what is left to be read of an array in PostgreSQL's binary form (array_send):
// the number of dimensions, whether there are NULLs, the elements' type, the length and
// the lower bound of each dimension, and the elements, each after its length.
type elements struct {
	left int // elements
	form form
	rest []byte
}

// Sizes in bytes: of an array without elements, of the head of any other, and of an
// element's length, which is -1 for NULL.
const (
	emptyArray  = 12
	arrayHead   = 20
	elementSize = 4
)

// open begins to read v, which is NULL or an array of one dimension.
func (a *elements) open(v []byte) bool {
	if *a = (elements{}); v == nil {
		return true
	}
	if len(v) < emptyArray {
		return false
	}
	dimensions := binary.BigEndian.Uint32(v)
	a.form = formsByOID[binary.BigEndian.Uint32(v[8:])].element
	if dimensions == 0 {
		return len(v) == emptyArray
	}
	if dimensions != 1 || len(v) < arrayHead || a.form == unknown {
		return false
	}
	length := binary.BigEndian.Uint32(v[emptyArray:])
	a.rest = v[arrayHead:]
	if uint64(length) > uint64(len(a.rest)/elementSize) {
		return false
	}
	a.left = int(length)
	return true
}

// next reads the next element, of which there must be one left.
func (a *elements) next() (v []byte, ok bool) {
	if len(a.rest) < elementSize {
		return nil, false
	}
	size := binary.BigEndian.Uint32(a.rest)
	a.left, a.rest = a.left-1, a.rest[elementSize:]
	if int32(size) == -1 { //nolint:gosec // a negative number on purpose
		return nil, true
	}
	if uint64(size) > uint64(len(a.rest)) {
		return nil, false
	}
	v, a.rest = a.rest[:size:size], a.rest[size:]
	return v, true
}

// appendBinary appends the JSON of a value in PostgreSQL's binary form, or reports
// that it is not of that form.
func appendBinary(b, v []byte, f form) ([]byte, bool) {
	switch {
	case f == integer && len(v) == 2:
		return strconv.AppendInt(b, int64(int16(binary.BigEndian.Uint16(v))), 10), true //nolint:gosec // the same bits
	case f == integer && len(v) == 4:
		return strconv.AppendInt(b, int64(int32(binary.BigEndian.Uint32(v))), 10), true //nolint:gosec // the same bits
	case f == integer && len(v) == 8:
		return strconv.AppendInt(b, int64(binary.BigEndian.Uint64(v)), 10), true //nolint:gosec // the same bits
	case f == bit && len(v) == 1:
		return strconv.AppendBool(b, v[0] != 0), true
	case f == versioned && len(v) > 1 && v[0] == 1:
		return append(b, v[1:]...), true
	case f == identifier && len(v) == 16:
		return appendIdentifier(b, v), true
	}
	return b, false
}

// appendIdentifier appends a UUID as PostgreSQL writes them.
func appendIdentifier(b, v []byte) []byte {
	b = append(b, '"')
	for i, group := range [][]byte{v[:4], v[4:6], v[6:8], v[8:10], v[10:]} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, group)
	}
	return append(b, '"')
}
