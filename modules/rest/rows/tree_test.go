package rows

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// sent is an array as array_send writes it; "\xff" stands for NULL.
func sent(oid uint32, elements ...string) []byte {
	b := binary.BigEndian.AppendUint32(nil, 1)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint32(b, oid)
	b = binary.BigEndian.AppendUint32(b, uint32(len(elements)))
	b = binary.BigEndian.AppendUint32(b, 1)
	for _, e := range elements {
		if e == "\xff" {
			b = binary.BigEndian.AppendUint32(b, 0xffffffff)
			continue
		}
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(e))), e...)
	}
	return b
}

// document is what one row becomes whose columns are of type int, and bytea behind.
func document(tail []Member, values ...[]byte) (string, error) {
	a := &Array{Tail: tail}
	fields := make([]pgconn.FieldDescription, len(values))
	formats := Formats(max(len(values)-columnsOf(tail), 0), tail)
	for i := range fields {
		fields[i] = pgconn.FieldDescription{Name: "c" + string(rune('0'+i)), DataTypeOID: pgtype.Int4OID}
		if formats != nil && formats[i] == pgtype.BinaryFormatCode {
			fields[i].DataTypeOID = pgtype.ByteaOID
		}
	}
	if err := a.Columns(fields); err != nil {
		return "", err
	}
	if err := a.Row(values); err != nil {
		return "", err
	}
	text, _, err := a.End()
	return string(text), err
}

func TestTree(t *testing.T) {
	t.Parallel()
	one := []byte("1")
	names := Member{Kind: List, Label: "names", Members: []Member{{Label: "n"}}}
	books := Member{Kind: List, Label: "books", Members: []Member{
		{Label: "id"},
		{Kind: Object, Label: "of", Members: []Member{{Label: "x"}, names}},
		names,
	}}
	for name, test := range map[string]struct {
		tail   []Member
		values [][]byte
		want   string // empty: ErrForm
	}{
		"only values":     {nil, [][]byte{one, nil}, `[{"c0":1,"c1":null}]`},
		"value between":   {[]Member{names, {}}, [][]byte{one, nil, one}, `[{"c0":1,"names":[],"c2":1}]`},
		"object":          {[]Member{{Kind: Object, Label: "o", Members: []Member{{Label: "a"}}}}, [][]byte{one, one, nil}, `[{"c0":1,"o":{"a":null}}]`},
		"no object":       {[]Member{{Kind: Object, Label: "o", Members: []Member{{Label: "a"}}}}, [][]byte{one, nil, nil}, `[{"c0":1,"o":null}]`},
		"object of list":  {[]Member{{Kind: Object, Label: "o", Members: []Member{names}}}, [][]byte{one, sent(pgtype.TextOID, "a")}, `[{"o":{"names":[{"n":"a"}]}}]`},
		"list":            {[]Member{names}, [][]byte{sent(pgtype.TextOID, "a", "\xff", "", "\"")}, "[{\"names\":[{\"n\":\"a\"}, \n {\"n\":null}, \n {\"n\":\"\"}, \n {\"n\":\"\\\"\"}]}]"},
		"empty array":     {[]Member{names}, [][]byte{make([]byte, emptyArray)}, `[{"names":[]}]`},
		"no list":         {[]Member{books}, make([][]byte, 5), `[{"books":[]}]`},
		"missing columns": {[]Member{books}, make([][]byte, 4), ""},
		"lists in lists": {
			[]Member{books},
			[][]byte{
				sent(pgtype.Int2OID, "\x00\x07", "\xff\xfe"), sent(pgtype.BoolOID, "\x01", "\xff"), sent(pgtype.JSONBOID, "\x01{}", "\xff"),
				sent(pgtype.ByteaOID, string(sent(pgtype.NameOID, "x", "y")), "\xff"), sent(pgtype.ByteaOID, "\xff", string(sent(pgtype.UUIDOID, "0123456789abcdef"))),
			},
			`[{"books":[{"id":7,"of":{"x":{},"names":[{"n":"x"}, ` + "\n" + ` {"n":"y"}]},"names":[]}, ` + "\n" +
				` {"id":-2,"of":null,"names":[{"n":"30313233-3435-3637-3839-616263646566"}]}]}]`,
		},
		"list of lists that is none": {[]Member{books}, [][]byte{sent(pgtype.Int2OID, "ab"), sent(pgtype.BoolOID, "\x01"), sent(pgtype.TextOID, "a"), sent(pgtype.TextOID, "a"), sent(pgtype.TextOID, "a")}, ""},
		"lengths that differ":        {[]Member{books}, [][]byte{sent(pgtype.Int2OID, "ab"), nil, nil, nil, nil}, ""},
		"array as a value":           {[]Member{names}, [][]byte{sent(pgtype.ByteaOID, "a")}, ""},
		"unknown type":               {[]Member{names}, [][]byte{sent(pgtype.PointOID, "a")}, ""},
		"integer of three bytes":     {[]Member{names}, [][]byte{sent(pgtype.Int8OID, "abc")}, ""},
		"json of another version":    {[]Member{names}, [][]byte{sent(pgtype.JSONBOID, "\x02{}")}, ""},
		"no head":                    {[]Member{names}, [][]byte{{}}, ""},
		"half a head":                {[]Member{names}, [][]byte{sent(pgtype.TextOID)[:15]}, ""},
		"cut off":                    {[]Member{names}, [][]byte{sent(pgtype.TextOID, "abc")[:22]}, ""},
		"element cut off":            {[]Member{names}, [][]byte{sent(pgtype.TextOID, "abc")[:26]}, ""},
		"a length of billions":       {[]Member{names}, [][]byte{append(sent(pgtype.TextOID)[:12], 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 0)}, ""},
		"an element of minus two":    {[]Member{names}, [][]byte{append(sent(pgtype.TextOID)[:12], 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe)}, ""},
		"two dimensions":             {[]Member{names}, [][]byte{append([]byte{0, 0, 0, 2}, sent(pgtype.TextOID, "a")[4:]...)}, ""},
	} {
		got, err := document(test.tail, test.values...)
		if test.want == "" && !errors.Is(err, ErrForm) || test.want != "" && (err != nil || got != test.want) {
			t.Errorf("%s:\n got %s, %v\nwant %s", name, got, err, test.want)
		}
	}
}

// A list that is too large for memory goes to the file before its row has ended.
func TestLargeList(t *testing.T) {
	t.Parallel()
	elements := strings.Split(strings.Repeat("\x01\x01\x01\x01\x01", 3000), "")
	label := strings.Repeat("0123456789", 100)
	a := &Array{Tail: []Member{{Kind: List, Label: "l", Members: []Member{{Label: label}}}}}
	if err := a.Columns([]pgconn.FieldDescription{{DataTypeOID: pgtype.ByteaOID}}); err != nil {
		t.Fatal(err)
	}
	if err := a.Row([][]byte{sent(pgtype.BoolOID, elements...)}); err != nil {
		t.Fatal(err)
	}
	if a.file == nil || cap(a.buf) > 2*largestBuffer {
		t.Errorf("a buffer of %d bytes", cap(a.buf))
	}
	_, large, err := a.End()
	if err != nil {
		t.Fatal(err)
	}
	defer large.Close()
	var got strings.Builder
	if _, err = large.WriteTo(&got); err != nil {
		t.Fatal(err)
	}
	item := `{"` + label + `":true}`
	if want := `[{"l":[` + strings.Repeat(item+", \n ", len(elements)-1) + item + "]}]"; got.String() != want {
		t.Errorf("got %d bytes, want %d", got.Len(), len(want))
	}
}

// No array is too odd, and what comes of it is JSON where its values are.
func FuzzList(f *testing.F) {
	f.Add(sent(pgtype.Int4OID, "1234", "\xff"), sent(pgtype.ByteaOID, "\xff", string(sent(pgtype.TextOID, "a"))))
	f.Add(sent(pgtype.UUIDOID, "0123456789abcdef"), sent(pgtype.ByteaOID, string(sent(pgtype.BoolOID, "\x01"))))
	f.Add(sent(pgtype.JSONBOID, "\x01{}"), []byte(nil))
	f.Add(sent(pgtype.JSONOID), make([]byte, 12))
	tail := []Member{{Kind: List, Label: "l", Members: []Member{{Label: "v"}, {Kind: List, Label: "m", Members: []Member{{Label: "w"}}}}}}
	f.Fuzz(func(t *testing.T, outer, inner []byte) {
		got, err := document(tail, outer, inner)
		if err != nil {
			return
		}
		for _, v := range [][]byte{outer, inner} { // JSON is believed to be it
			for _, oid := range []string{"\x00\x00\x00\x72", "\x00\x00\x0e\xda"} {
				if strings.Contains(string(v), oid) {
					return
				}
			}
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("%q", got)
		}
	})
}

func BenchmarkList(b *testing.B) {
	a := &Array{Tail: []Member{{Kind: List, Label: "books", Members: []Member{{Label: "title"}, {Kind: List, Label: "pages", Members: []Member{{Label: "body"}}}}}}}
	columns := []pgconn.FieldDescription{{Name: "name", DataTypeOID: pgtype.TextOID}, {DataTypeOID: pgtype.ByteaOID}, {DataTypeOID: pgtype.ByteaOID}}
	titles, pages := make([]string, 10), make([]string, 10)
	for i := range titles {
		titles[i], pages[i] = "The title of a book", string(sent(pgtype.TextOID, "body 1", "body 2", "body 3", "body 4", "body 5"))
	}
	row := [][]byte{[]byte("author"), sent(pgtype.TextOID, titles...), sent(pgtype.ByteaOID, pages...)}
	b.ReportAllocs()
	for b.Loop() {
		_ = a.Columns(columns)
		for range 10 {
			_ = a.Row(row)
		}
	}
}
