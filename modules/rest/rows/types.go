package rows

import "github.com/jackc/pgx/v5/pgtype"

// form is how a value becomes JSON: its text, or from integer on its binary form.
type form byte

const (
	unknown  form = iota
	verbatim      // is JSON
	number        // is JSON, but for NaN and infinities
	truth         // t or f
	text          // becomes a string
	date          // becomes a string, if it is in the style ISO
	moment        // likewise, with a T between date and time
	momentAt      // likewise, with a zone that has its minutes

	integer    // of two, four or eight bytes
	bit        // 0 or 1
	identifier // of 16 bytes
	versioned  // is JSON, after a byte
	arrayed    // is an array, and no value
)

// types are those whose values JSON has in a form that their text tells. Their
// names are those of format_type without a modifier. That all others become
// strings holds for the types that PostgreSQL comes with, but not for arrays,
// records, and types that users make JSON of by a cast. Elements of arrays come in
// binary form, so that they are only of types where that is simple.
var types = []struct {
	name string
	oid  uint32
	forms
}{
	{"smallint", pgtype.Int2OID, forms{verbatim, integer}},
	{"integer", pgtype.Int4OID, forms{verbatim, integer}},
	{"bigint", pgtype.Int8OID, forms{verbatim, integer}},
	{"json", pgtype.JSONOID, forms{verbatim, verbatim}},
	{"jsonb", pgtype.JSONBOID, forms{verbatim, versioned}},
	{"numeric", pgtype.NumericOID, forms{number, unknown}},
	{"real", pgtype.Float4OID, forms{number, unknown}},
	{"double precision", pgtype.Float8OID, forms{number, unknown}},
	{"boolean", pgtype.BoolOID, forms{truth, bit}},
	{"text", pgtype.TextOID, forms{text, text}},
	{"character varying", pgtype.VarcharOID, forms{text, text}},
	{"character", pgtype.BPCharOID, forms{text, text}},
	{"name", pgtype.NameOID, forms{text, text}},
	{"uuid", pgtype.UUIDOID, forms{text, identifier}},
	{"bytea", pgtype.ByteaOID, forms{text, arrayed}},
	{"time without time zone", pgtype.TimeOID, forms{text, unknown}},
	{"time with time zone", pgtype.TimetzOID, forms{text, unknown}},
	{"interval", pgtype.IntervalOID, forms{text, unknown}},
	{"inet", pgtype.InetOID, forms{text, unknown}},
	{"cidr", pgtype.CIDROID, forms{text, unknown}},
	{"macaddr", pgtype.MacaddrOID, forms{text, unknown}},
	{"bit", pgtype.BitOID, forms{text, unknown}},
	{"bit varying", pgtype.VarbitOID, forms{text, unknown}},
	{"tsvector", pgtype.TSVectorOID, forms{text, unknown}},
	{"xml", pgtype.XMLOID, forms{text, unknown}},
	{"date", pgtype.DateOID, forms{date, unknown}},
	{"timestamp without time zone", pgtype.TimestampOID, forms{moment, unknown}},
	{"timestamp with time zone", pgtype.TimestamptzOID, forms{momentAt, unknown}},
}

// forms are those of a type's values, as text and as elements of an array.
type forms struct{ text, element form }

var formsByName, formsByOID = index()

func index() (byName map[string]forms, byOID map[uint32]forms) {
	byName, byOID = make(map[string]forms, len(types)), make(map[uint32]forms, len(types))
	for _, t := range types {
		byName[t.name], byOID[t.oid] = t.forms, t.forms
	}
	return byName, byOID
}

// Writes reports whether an Array can write the values of the type so named. With
// settled it is sure to; else it may meet dates in a style that it does not know.
func Writes(typeName string, settled bool) bool {
	f := formsByName[typeName].text
	return f != unknown && !(settled && f >= date)
}

// WritesInList reports whether the values of the type so named, and of no domain
// over it, can be written as the elements of a List's arrays.
func WritesInList(typeName string) bool {
	f := formsByName[typeName].element
	return f != unknown && f != arrayed
}
