package rows

import "github.com/jackc/pgx/v5/pgtype"

// form is how the text of a value becomes JSON.
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
)

// types are those whose values JSON has in a form that their text tells. Their
// names are those of format_type without a modifier. That all others become
// strings holds for the types that PostgreSQL comes with, but not for arrays,
// records, and types that users make JSON of by a cast.
var types = []struct {
	name string
	oid  uint32
	form form
}{
	{"smallint", pgtype.Int2OID, verbatim},
	{"integer", pgtype.Int4OID, verbatim},
	{"bigint", pgtype.Int8OID, verbatim},
	{"json", pgtype.JSONOID, verbatim},
	{"jsonb", pgtype.JSONBOID, verbatim},
	{"numeric", pgtype.NumericOID, number},
	{"real", pgtype.Float4OID, number},
	{"double precision", pgtype.Float8OID, number},
	{"boolean", pgtype.BoolOID, truth},
	{"text", pgtype.TextOID, text},
	{"character varying", pgtype.VarcharOID, text},
	{"character", pgtype.BPCharOID, text},
	{"name", pgtype.NameOID, text},
	{"uuid", pgtype.UUIDOID, text},
	{"bytea", pgtype.ByteaOID, text},
	{"time without time zone", pgtype.TimeOID, text},
	{"time with time zone", pgtype.TimetzOID, text},
	{"interval", pgtype.IntervalOID, text},
	{"inet", pgtype.InetOID, text},
	{"cidr", pgtype.CIDROID, text},
	{"macaddr", pgtype.MacaddrOID, text},
	{"bit", pgtype.BitOID, text},
	{"bit varying", pgtype.VarbitOID, text},
	{"tsvector", pgtype.TSVectorOID, text},
	{"xml", pgtype.XMLOID, text},
	{"date", pgtype.DateOID, date},
	{"timestamp without time zone", pgtype.TimestampOID, moment},
	{"timestamp with time zone", pgtype.TimestamptzOID, momentAt},
}

var formsByName, formsByOID = index()

func index() (byName map[string]form, byOID map[uint32]form) {
	byName, byOID = make(map[string]form, len(types)), make(map[uint32]form, len(types))
	for _, t := range types {
		byName[t.name], byOID[t.oid] = t.form, t.form
	}
	return byName, byOID
}

// Writes reports whether an Array can write the values of the type so named. With
// settled it is sure to; else it may meet dates in a style that it does not know.
func Writes(typeName string, settled bool) bool {
	f := formsByName[typeName]
	return f != unknown && !(settled && f >= date)
}
