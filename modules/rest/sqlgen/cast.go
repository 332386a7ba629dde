package sqlgen

import "strings"

// typeKeywords are the types whose names are SQL keywords or several words:
// quoted they would mean nothing. All others are names and are quoted as such.
var typeKeywords = map[string]string{
	"int": "integer", "integer": "integer", "smallint": "smallint", "bigint": "bigint",
	"real": "real", "float": "double precision", "double precision": "double precision",
	"decimal": "numeric", "dec": "numeric", "numeric": "numeric", "boolean": "boolean",
	"char": "char", "character": "char", "varchar": "varchar", "character varying": "varchar", "bit": "bit", "bit varying": "varbit",
	"time": "time", "time with time zone": "timetz", "time without time zone": "time",
	"timestamp": "timestamp", "timestamp with time zone": "timestamptz", "timestamp without time zone": "timestamp",
	"interval": "interval",
}

// cast writes inner converted to a type that the caller named.
func (g *generator) cast(typeName string, inner func()) {
	if typeName == "" {
		inner()
		return
	}
	g.write("CAST(")
	inner()
	g.write(" AS ")
	lower := strings.ToLower(strings.Join(strings.Fields(typeName), " "))
	if keyword, found := typeKeywords[lower]; found {
		g.write(keyword)
	} else {
		g.ident(lower)
	}
	g.write(")")
}
