package rows

import (
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// Kind is what a Member is.
type Kind int

// The kinds of members, and the columns that each takes.
const (
	// Value is one column.
	Value Kind = iota
	// Object is a column that is NULL where there is no object, and then its members'.
	Object
	// List is a list of objects: of each column of its members' an array of the values of
	// all objects, or NULL when there are none. Such arrays are of one length and in
	// PostgreSQL's binary form, in which those of a List in a List are values of type bytea.
	List
)

// Member is a part of an object that is made of columns.
type Member struct {
	Kind    Kind
	Label   string // a Value of the row itself is called as its column
	Members []Member
}

// columnsOf is the number of columns that members take.
func columnsOf(members []Member) (n int) {
	for _, m := range members {
		if n += columnsOf(m.Members); m.Kind != List {
			n++
		}
	}
	return n
}

// Formats are the formats in which a row is to come that has so many columns and
// then those of tail. None is text for all.
func Formats(columns int, tail []Member) []int16 {
	if tail == nil {
		return nil
	}
	return appendFormats(make([]int16, columns, columns+columnsOf(tail)), tail)
}

func appendFormats(formats []int16, members []Member) []int16 {
	for _, m := range members {
		if m.Kind == List {
			formats = append(formats, slices.Repeat([]int16{pgtype.BinaryFormatCode}, columnsOf(m.Members))...)
			continue
		}
		formats = appendFormats(append(formats, pgtype.TextFormatCode), m.Members)
	}
	return formats
}

// node is a Member as it is written.
type node struct {
	kind    Kind
	key     []byte // with what comes before it, and the colon
	column  int    // the first of its columns
	members []node
	items   *items // of a List
}

// columns are the values that an object is made of.
type columns struct {
	values [][]byte
	forms  []form
}

// items are the columns of a List's objects, of one object after the other.
type items struct {
	columns
	arrays []elements
}

// tree makes nodes of members. It keeps the number of columns and the size of the keys.
type tree struct {
	columns int
	keys    []byte
}

// row makes the nodes of a row: of values, and of what the columns behind them make up.
func (t *tree) row(values, behind []pgconn.FieldDescription, tail []Member) []node {
	nodes := make([]node, len(values), len(values)+len(tail))
	for i := range values {
		nodes[i] = node{key: t.key(i, values[i].Name), column: i}
	}
	t.columns = len(values)
	for _, m := range tail {
		if m.Kind == Value {
			m.Label = behind[t.columns-len(values)].Name
		}
		nodes = append(nodes, t.node(len(nodes), m))
	}
	return nodes
}

// node makes the node of the member i of an object.
func (t *tree) node(i int, m Member) node {
	n := node{kind: m.Kind, key: t.key(i, m.Label), column: t.columns}
	switch m.Kind {
	case Value:
		t.columns++
	case Object:
		t.columns++
		n.members = t.nodes(m.Members)
	case List:
		inside := tree{keys: t.keys}
		n.members = inside.nodes(m.Members)
		t.keys = inside.keys
		t.columns += inside.columns
		n.items = &items{columns{make([][]byte, inside.columns), make([]form, inside.columns)}, make([]elements, inside.columns)}
	}
	return n
}

func (t *tree) nodes(members []Member) []node {
	nodes := make([]node, len(members))
	for i, m := range members {
		nodes[i] = t.node(i, m)
	}
	return nodes
}

// key is what comes before the value of an object's member.
func (t *tree) key(i int, label string) []byte {
	from := len(t.keys)
	t.keys = append(t.keys, "{,"[min(i, 1)])
	t.keys = append(appendString(t.keys, []byte(label)), ':')
	return t.keys[from:len(t.keys):len(t.keys)]
}

// object appends an object.
func (a *Array) object(b []byte, members []node, of columns) (_ []byte, err error) {
	if len(members) == 0 {
		b = append(b, '{')
	}
	for i := range members {
		m := &members[i]
		b = append(b, m.key...)
		switch {
		case m.kind == List:
			b, err = a.list(b, m, of)
		case m.kind == Object && of.values[m.column] != nil:
			b, err = a.object(b, m.members, of)
		default:
			b, err = a.value(b, of.values[m.column], of.forms[m.column])
		}
		if err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

// list appends a list of objects. It may be longer than is good for the buffer.
func (a *Array) list(b []byte, m *node, of columns) ([]byte, error) {
	n, err := m.items.open(of, m.column)
	if err != nil {
		return b, err
	}
	b = append(b, '[')
	for i := range n {
		if i > 0 {
			b = append(b, ", \n "...)
		}
		if err = m.items.next(); err != nil {
			return b, err
		}
		if b, err = a.object(b, m.members, m.items.columns); err != nil {
			return b, err
		}
		if len(b) > largestBuffer {
			if b, err = a.flush(b); err != nil {
				return b, err
			}
		}
	}
	return append(b, ']'), nil
}

// open begins with the arrays from the column first on, and returns their length.
func (l *items) open(of columns, first int) (n int, err error) {
	for i := range l.arrays {
		a := &l.arrays[i]
		if of.forms[first+i] != arrayed || !a.open(of.values[first+i]) || i > 0 && a.left != n {
			return 0, fmt.Errorf("%w: a list", ErrForm)
		}
		n, l.forms[i] = a.left, a.form
	}
	return n, nil
}

// next moves on to the next object.
func (l *items) next() error {
	for i := range l.arrays {
		var ok bool
		if l.values[i], ok = l.arrays[i].next(); !ok {
			return fmt.Errorf("%w: an element of a list", ErrForm)
		}
	}
	return nil
}
