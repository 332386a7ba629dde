package rows

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// array is what values of one type become in a column "c" each.
func array(t testing.TB, a *Array, oid uint32, values ...string) (string, error) {
	t.Helper()
	if err := a.Columns([]pgconn.FieldDescription{{Name: "c", DataTypeOID: oid}}); err != nil {
		return "", err
	}
	for _, v := range values {
		if err := a.Row([][]byte{[]byte(v)}); err != nil {
			return "", err
		}
	}
	text, large, err := a.End()
	if large != nil {
		t.Cleanup(large.Close)
		var b strings.Builder
		_, err = large.WriteTo(&b)
		return b.String(), err
	}
	return string(text), err
}

func TestForms(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		oid  uint32
		text string
		want string // empty: not of the form
	}{
		{pgtype.Int8OID, "-1", "-1"},
		{pgtype.NumericOID, "1.50", "1.50"},
		{pgtype.Float8OID, "1e+20", "1e+20"},
		{pgtype.Float8OID, "-Infinity", `"-Infinity"`},
		{pgtype.BoolOID, "t", "true"},
		{pgtype.BoolOID, "f", "false"},
		{pgtype.BoolOID, "1", ""},
		{pgtype.TextOID, "\x01\x1f\x7f\b\f\n\r\t\"\\/é\u2028", `"\u0001\u001f` + "\x7f" + `\b\f\n\r\t\"\\/é` + "\u2028" + `"`},
		{pgtype.DateOID, "2024-02-29", `"2024-02-29"`},
		{pgtype.DateOID, "0044-03-15 BC", `"0044-03-15 BC"`},
		{pgtype.DateOID, "infinity", `"infinity"`},
		{pgtype.DateOID, "02-29-2024", ""},
		{pgtype.DateOID, "29.02.2024", ""},
		{pgtype.DateOID, "02/29/2024", ""},
		{pgtype.TimestampOID, "2024-02-29 01:02:03.5", `"2024-02-29T01:02:03.5"`},
		{pgtype.TimestampOID, "Thu Feb 29 01:02:03 2024", ""},
		{pgtype.TimestampOID, "2024-02-29", ""},
		{pgtype.TimestamptzOID, "2024-02-29 01:02:03+00", `"2024-02-29T01:02:03+00:00"`},
		{pgtype.TimestamptzOID, "2024-02-29 01:02:03-03:30", `"2024-02-29T01:02:03-03:30"`},
		{pgtype.TimestamptzOID, "1800-01-01 01:02:03-03:30:17", `"1800-01-01T01:02:03-03:30:17"`},
		{pgtype.TimestamptzOID, "12024-02-29 01:02:03+00", `"12024-02-29T01:02:03+00:00"`},
		{pgtype.TimestamptzOID, "0044-03-15 01:02:03+00 BC", `"0044-03-15T01:02:03+00:00 BC"`},
		{pgtype.TimestamptzOID, "Thu Feb 29 01:02:03 2024 -03", ""},
		{pgtype.TimestamptzOID, "29.02.2024 01:02:03-03", ""},
		{pgtype.PointOID, "(1,2)", ""},
	} {
		got, err := array(t, &Array{}, test.oid, test.text)
		switch want := `[{"c":` + test.want + `}]`; {
		case test.want == "" && !errors.Is(err, ErrForm):
			t.Errorf("%q: got %s, %v; want ErrForm", test.text, got, err)
		case test.want != "" && (err != nil || got != want):
			t.Errorf("%q: got %s, %v; want %s", test.text, got, err, want)
		}
		if got, err = array(t, &Array{Lenient: true}, test.oid, test.text); err != nil || !json.Valid([]byte(strings.ReplaceAll(got, "\x7f", ""))) {
			t.Errorf("%q, leniently: got %s, %v", test.text, got, err)
		}
	}
}

func TestArray(t *testing.T) {
	t.Parallel()
	a := &Array{Variables: 1}
	columns := []pgconn.FieldDescription{{Name: `a"`, DataTypeOID: pgtype.Int4OID}, {Name: "b", DataTypeOID: pgtype.TextOID}, {Name: "v"}}
	for range 2 { // the second time from the beginning
		if err := a.Columns(columns); err != nil {
			t.Fatal(err)
		}
		for _, row := range [][][]byte{{[]byte("1"), nil, []byte("x")}, {nil, {}, []byte("y")}} {
			if err := a.Row(row); err != nil {
				t.Fatal(err)
			}
		}
	}
	text, _, err := a.End()
	if want := "[{\"a\\\"\":1,\"b\":null}, \n {\"a\\\"\":null,\"b\":\"\"}]"; err != nil || string(text) != want {
		t.Errorf("got %s, %v; want %s", text, err, want)
	}
	if a.Rows() != 2 || string(a.Last()[0]) != "y" {
		t.Errorf("got %d rows, variable %s", a.Rows(), a.Last())
	}
	if got, err := array(t, &Array{Single: true, Bare: true}, pgtype.TextOID, "x"); got != `{"c":"x"}` || err != nil {
		t.Errorf("bare: %s, %v", got, err)
	}
	if got, err := array(t, &Array{}, pgtype.TextOID); got != "[]" || err != nil {
		t.Errorf("without rows: %s, %v", got, err)
	}
}

// An array that is too large for memory is the same in its file.
func TestLargeArray(t *testing.T) {
	t.Parallel()
	value := strings.Repeat("0123456789", 100_000)
	values := make([]string, 11)
	for i := range values {
		values[i] = value
	}
	got, err := array(t, &Array{}, pgtype.TextOID, values...)
	if want := `[{"c":"` + strings.Join(values, "\"}, \n {\"c\":\"") + `"}]`; err != nil || got != want {
		t.Errorf("got %d bytes, %v; want %d", len(got), err, len(want))
	}
}

// escape is PostgreSQL's escape_json, written plainly.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if short := strings.IndexByte("\b\f\n\r\t\"\\", s[i]); short >= 0 {
			b.WriteString(`\` + `bfnrt"\`[short:short+1])
		} else if s[i] < ' ' {
			fmt.Fprintf(&b, `\u%04x`, s[i])
		} else {
			b.WriteByte(s[i])
		}
	}
	return `"` + b.String() + `"`
}

func FuzzString(f *testing.F) {
	for _, seed := range []string{"", "plain", "\x00\x1f\"\\", "é\u2028\xff", "a\nb"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := string(appendString([]byte("x"), []byte(s)))[1:]
		if want := escape(s); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
		var back string
		if err := json.Unmarshal([]byte(got), &back); utf8.ValidString(s) && (err != nil || back != s) {
			t.Fatalf("%s reads as %q, %v", got, back, err)
		}
	})
}

// No text of a date is too odd, and what comes of it is a string.
func FuzzDate(f *testing.F) {
	for _, seed := range []string{"", "-", "0000-", "2024-01-01 ", "2024-01-01 +00", "2024-01-01 01:02:03+00 BC", "infinity"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, form := range []form{date, moment, momentAt} {
			if got, ok := appendDate(nil, []byte(s), form); ok && (len(got) < 2 || got[0] != '"' || got[len(got)-1] != '"') {
				t.Fatalf("%q becomes %s", s, got)
			}
		}
	})
}

func BenchmarkRow(b *testing.B) {
	a := &Array{}
	columns := []pgconn.FieldDescription{{Name: "id", DataTypeOID: pgtype.Int4OID}, {Name: "author", DataTypeOID: pgtype.Int4OID}, {Name: "title", DataTypeOID: pgtype.TextOID}, {Name: "rank", DataTypeOID: pgtype.Int4OID}}
	row := [][]byte{[]byte("12345"), []byte("17"), []byte("The title of a book"), []byte("3")}
	for b.Loop() {
		_ = a.Columns(columns)
		for range 100 {
			_ = a.Row(row)
		}
	}
}
