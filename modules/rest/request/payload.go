package request

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"slices"
	"unicode/utf8"

	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/platform/apierr"
)

var noRows = []byte("[]")

// parsePayload reads the body of a write into req, with the names of its columns or arguments.
func parsePayload(req *ast.Request, body []byte) error {
	if !hasPayload(req.Action) {
		return nil
	}
	isCall := req.Action == ast.Call
	switch {
	case req.ContentType == ast.JSON:
		return jsonPayload(req, body, isCall)
	case req.ContentType == ast.CSV:
		text, err := csvToJSON(body)
		if err != nil {
			return err
		}
		return uniformPayload(req, text, "All lines must have same number of fields")
	case req.ContentType == ast.Form && isCall:
		req.Payload = ast.Payload{Kind: ast.FormPayload, Form: formParams(body)}
		for _, p := range req.Payload.Form {
			req.Columns = append(req.Columns, p.Name)
		}
		slices.Sort(req.Columns)
		req.Columns = slices.Compact(req.Columns)
		return nil
	case req.ContentType == ast.Form:
		return uniformPayload(req, formToJSON(body), "All object keys must match")
	case isCall && (req.ContentType == ast.PlainText || req.ContentType == ast.XML || req.ContentType == ast.OctetStream):
		req.Payload = ast.Payload{Kind: ast.RawPayload, Raw: body}
		return nil
	}
	return invalidBody("Content-Type not acceptable: " + string(req.ContentType))
}

func hasPayload(a ast.Action) bool {
	return a == ast.Insert || a == ast.Upsert || a == ast.Update || a == ast.Call
}

// jsonPayload reads a JSON body. With ?columns= it is not even looked at: PostgreSQL will.
func jsonPayload(req *ast.Request, body []byte, isCall bool) error {
	if req.Query.HasColumns && req.Action != ast.Upsert {
		req.Payload = ast.Payload{Kind: ast.JSONPayload, Raw: body}
		req.Columns = req.Query.Columns
		return nil
	}
	if len(body) == 0 && isCall {
		body = []byte("{}")
	}
	if !json.Valid(body) {
		return invalidBody("Empty or invalid json")
	}
	return uniformPayload(req, body, "All object keys must match")
}

func uniformPayload(req *ast.Request, text []byte, complaint string) error {
	found := scanObjects(text)
	if !found.uniform {
		return invalidBody(complaint)
	}
	if found.empty {
		text = noRows
	}
	req.Payload = ast.Payload{Kind: ast.JSONPayload, Raw: text}
	if isDecodable(text) {
		req.Payload.Members = found.members
	}
	req.Columns = found.keys
	return nil
}

// isDecodable reports whether every string of the valid JSON is one that PostgreSQL
// takes: escapes for code points it may refuse.
func isDecodable(payload []byte) bool {
	return utf8.Valid(payload) && !bytes.Contains(payload, []byte(`\u`))
}

func invalidBody(message string) error { return apierr.New(400, "PGRST102", message) }

// csvToJSON makes a JSON array of objects of strings; the word NULL is null.
func csvToJSON(body []byte) ([]byte, error) {
	records, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
	switch {
	case errors.Is(err, csv.ErrFieldCount):
		return nil, invalidBody("All lines must have same number of fields")
	case err != nil || len(records) == 0:
		return nil, invalidBody("Empty or invalid csv")
	}
	var b bytes.Buffer
	b.WriteByte('[')
	for i, record := range records[1:] {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('{')
		for j, value := range record {
			if j > 0 {
				b.WriteByte(',')
			}
			writeString(&b, records[0][j])
			b.WriteByte(':')
			if value == "NULL" {
				b.WriteString("null")
				continue
			}
			writeString(&b, value)
		}
		b.WriteByte('}')
	}
	b.WriteByte(']')
	return b.Bytes(), nil
}

func formParams(body []byte) []ast.Param {
	var params []ast.Param
	for _, p := range splitQuery(string(body)) {
		params = append(params, ast.Param{Name: p.key, Value: p.value})
	}
	return params
}

func formToJSON(body []byte) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, p := range formParams(body) {
		if i > 0 {
			b.WriteByte(',')
		}
		writeString(&b, p.Name)
		b.WriteByte(':')
		writeString(&b, p.Value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

func writeString(b *bytes.Buffer, s string) {
	text, err := json.Marshal(s)
	if err != nil { // strings always marshal
		text = []byte(`""`)
	}
	b.Write(text)
}
