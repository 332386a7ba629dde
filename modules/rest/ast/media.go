package ast

import "strings"

// MediaType is a media type in its normal form, with the parameters that change
// its meaning.
type MediaType string

// The media types with a meaning of their own.
const (
	JSON           MediaType = "application/json"
	CSV            MediaType = "text/csv"
	PlainText      MediaType = "text/plain"
	XML            MediaType = "text/xml"
	OctetStream    MediaType = "application/octet-stream"
	Form           MediaType = "application/x-www-form-urlencoded"
	GeoJSON        MediaType = "application/geo+json"
	OpenAPI        MediaType = "application/openapi+json"
	Any            MediaType = "*/*"
	Object         MediaType = "application/vnd.pgrst.object+json"
	ObjectStripped MediaType = "application/vnd.pgrst.object+json;nulls=stripped"
	ArrayStripped  MediaType = "application/vnd.pgrst.array+json;nulls=stripped"
)

// IsObject reports whether m is a single object rather than a list.
func (m MediaType) IsObject() bool { return m == Object || m == ObjectStripped }

// ContentType is m as the header Content-Type: known textual types name their charset.
func (m MediaType) ContentType() string {
	switch m {
	case JSON, CSV, PlainText, XML, Form, GeoJSON, OpenAPI, Any, Object, ObjectStripped, ArrayStripped:
		return string(m) + "; charset=utf-8"
	}
	if strings.HasPrefix(string(m), explainType) {
		return string(m) + "; charset=utf-8"
	}
	return string(m)
}

// Explain is an EXPLAIN of the statement that would answer, in place of the answer.
type Explain struct {
	// For is the media type of the answer that is not given.
	For MediaType
	// JSON asks for the plan as JSON rather than text.
	JSON bool
	// Options are words of ExplainOptions, in its order.
	Options []string
}

// ExplainOptions are the words that say what EXPLAIN shows besides.
var ExplainOptions = []string{"analyze", "verbose", "settings", "buffers", "wal"}

const explainType = "application/vnd.pgrst.plan+"

// MediaType is the media type that asks for e, in its normal form.
func (e *Explain) MediaType() MediaType {
	format := "text"
	if e.JSON {
		format = "json"
	}
	m := explainType + format + `; for="` + string(e.For) + `"`
	if len(e.Options) > 0 {
		m += "; options=" + strings.Join(e.Options, "|")
	}
	return MediaType(m)
}
