// Package render makes the HTTP answer of a plan's result: status, headers and
// body as PostgREST has them. It knows no SQL.
package render

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/plan"
	"github.com/madbase/madbase/modules/rest/schema"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/aside"
)

// Response is an answer that is ready to be written.
type Response struct {
	Status int
	Header http.Header
	// Body may be nil; then there is no Content-Length either, unless Header has one.
	Body []byte
	// Aside is the body in place of Body; nil where it is not needed. Write closes it.
	Aside *aside.File

	values []string // of Header, in one piece of memory
}

// set gives a header its only value. The name must be in its canonical form.
func (r *Response) set(name, value string) {
	if r.values == nil {
		r.values = make([]string, 0, 8)
	}
	r.values = append(r.values, value)
	n := len(r.values)
	r.Header[name] = r.values[n-1 : n : n]
}

// Write writes the answer.
func (r *Response) Write(w http.ResponseWriter) error {
	for name, values := range r.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(r.Status)
	if r.Aside != nil {
		defer r.Aside.Close()
		_, err := r.Aside.WriteTo(w)
		return err
	}
	if _, err := w.Write(r.Body); err != nil && r.Body != nil {
		return fmt.Errorf("render: write answer: %w", err)
	}
	return nil
}

// Answer is the answer to p that result makes. The error is of the variables by
// which functions change answers: PGRST111, PGRST112.
func Answer(p *plan.Plan, result *plan.Result) (*Response, error) {
	r := &Response{Header: http.Header{}}
	if p.Explain != nil {
		r.Status = http.StatusOK
		r.typed(p)
		r.result(result)
		r.set("Vary", "Accept, Prefer, Range")
		return r, nil
	}
	switch {
	case p.Action == ast.Read, p.Action.IsCall():
		r.rows(p, result)
	case p.Action == ast.Insert:
		r.inserted(p, result)
	default:
		r.written(p, result)
	}
	if applied := applied(p); applied != "" {
		r.set("Preference-Applied", applied)
	}
	r.set("Vary", "Accept, Prefer, Range")
	r.warn(p.Renamed)
	if err := r.override(result); err != nil {
		return nil, err
	}
	return r, nil
}

// rows answers a read or a call.
func (r *Response) rows(p *plan.Plan, result *plan.Result) {
	r.set("Content-Range", contentRange(p.Range.Lower, p.Range.Lower+result.Rows-1, result.Total))
	if p.Action == ast.Read {
		location := "/" + p.Name
		if p.Query.Canonical != "" {
			location += "?" + p.Query.Canonical
		}
		r.set("Content-Location", location)
	} else if p.Routine.ReturnsVoid() {
		r.Status = http.StatusNoContent
		return
	}
	r.Status = rangeStatus(p.Range.Lower, result.Rows, result.Total)
	r.typed(p)
	switch {
	case p.HeadOnly:
	case r.Status == http.StatusRequestedRangeNotSatisfiable:
		r.body(outOfBounds(p.Range.Lower, *result.Total))
	default:
		r.result(result)
	}
}

// inserted answers a POST to a table.
func (r *Response) inserted(p *plan.Plan, result *plan.Result) {
	r.Status = http.StatusCreated
	if p.Prefer.Resolution == ast.MergeDuplicates && (result.Inserted == nil || *result.Inserted <= 0) {
		r.Status = http.StatusOK // all rows were there already
	}
	if len(result.Location) > 0 {
		r.set("Location", location(p.Name, result.Location))
	}
	r.set("Content-Range", contentRange(1, 0, counted(p, result)))
	if p.Prefer.Return == ast.ReturnRepresentation {
		r.typed(p)
		r.result(result)
		return
	}
	r.body([]byte{})
}

// written answers PUT, PATCH and DELETE.
func (r *Response) written(p *plan.Plan, result *plan.Result) {
	switch p.Action {
	case ast.Update:
		r.set("Content-Range", contentRange(0, result.Rows-1, counted(p, result)))
	case ast.Delete:
		r.set("Content-Range", contentRange(1, 0, counted(p, result)))
	}
	if p.Prefer.Return != ast.ReturnRepresentation {
		r.Status = http.StatusNoContent
		return
	}
	r.Status = http.StatusOK
	if p.Action == ast.Upsert && result.Inserted != nil && *result.Inserted > 0 {
		r.Status = http.StatusCreated
	}
	r.typed(p)
	r.result(result)
}

// result is the body that PostgreSQL made.
func (r *Response) result(result *plan.Result) {
	if r.Aside = result.Aside; r.Aside != nil {
		r.set("Content-Length", strconv.FormatInt(r.Aside.Size(), 10))
		return
	}
	r.body(result.Body)
}

func (r *Response) body(body []byte) {
	r.Body = body
	r.set("Content-Length", strconv.Itoa(len(body)))
}

// typed names the body's media type, and its schema where that was negotiated.
func (r *Response) typed(p *plan.Plan) {
	r.set("Content-Type", p.Media.ContentType())
	if p.Negotiated {
		r.set("Content-Profile", p.Schema)
	}
}

func counted(p *plan.Plan, result *plan.Result) *int64 {
	if p.Prefer.Counts() {
		return &result.Rows
	}
	return nil
}

func contentRange(lower, upper int64, total *int64) string {
	shown, of := "*", "*"
	if total != nil {
		of = strconv.FormatInt(*total, 10)
	}
	if lower <= upper && of != "0" {
		shown = strconv.FormatInt(lower, 10) + "-" + strconv.FormatInt(upper, 10)
	}
	return shown + "/" + of
}

func rangeStatus(lower, rows int64, total *int64) int {
	switch {
	case total == nil:
		return http.StatusOK
	case lower > *total:
		return http.StatusRequestedRangeNotSatisfiable
	case rows < *total:
		return http.StatusPartialContent
	}
	return http.StatusOK
}

func outOfBounds(offset, total int64) []byte {
	return errorJSON(apierr.New(416, "PGRST103", "Requested range not satisfiable").
		WithDetail(fmt.Sprintf("An offset of %d was requested, but there are only %d rows.", offset, total)))
}

func location(table string, filters []ast.Param) string {
	var b strings.Builder
	b.WriteString("/" + table)
	for i, f := range filters {
		b.WriteByte("?&"[min(i, 1)])
		ast.AppendEscaped(&b, f.Name)
		b.WriteByte('=')
		ast.AppendEscaped(&b, f.Value)
	}
	return b.String()
}

// warn names the embeds that were called by a name which their alias has replaced.
func (r *Response) warn(renamed []plan.Renamed) {
	if len(renamed) == 0 {
		return
	}
	var changes []string
	for i, n := range renamed {
		if !slices.Contains(renamed[:i], n) {
			changes = append(changes, "`"+n.Name+"` to `"+n.Alias+"`")
		}
	}
	r.set("Warning", `299 madbase "Embedded resource was referenced by relation name even though it has an alias. `+
		`This is deprecated and will stop working in a future release. Update `+strings.Join(changes, ", ")+` in query string filters, orders or limits."`)
}

// applied is the value of Preference-Applied: those of the preferences that mean
// something for the action.
func applied(p *plan.Plan) string {
	prefer := p.Prefer
	if p.Action != ast.Insert || (len(p.Write.PrimaryKey) == 0 && !p.Query.HasOnConflict) {
		prefer.Resolution = ""
	}
	if !p.Action.IsMutation() {
		prefer.Return = ""
	}
	if p.Action != ast.Insert && p.Action != ast.Update {
		prefer.Missing = ""
	}
	if p.Action == ast.Read || p.Action == ast.Insert || p.Action == ast.Upsert {
		prefer.HasMaxAffected = false
	}
	return prefer.Applied()
}

// override applies the variables response.status and response.headers.
func (r *Response) override(result *plan.Result) error {
	if result.Status != nil {
		n, err := strconv.Atoi(string(result.Status))
		if err != nil || n < 200 || n > 999 {
			return apierr.New(500, "PGRST112", "response.status guc must be a valid status code")
		}
		r.Status = n
	}
	if result.Headers == nil {
		return nil
	}
	var headers []map[string]string
	malformed := apierr.New(500, "PGRST111", "response.headers guc must be a JSON array composed of objects with a single key and a string value")
	if json.Unmarshal(result.Headers, &headers) != nil {
		return malformed
	}
	ours := map[string]bool{}
	for name := range r.Header {
		ours[name] = true
	}
	for _, header := range headers {
		if len(header) != 1 {
			return malformed
		}
		for name, value := range header {
			name = http.CanonicalHeaderKey(name)
			if ours[name] {
				r.Header.Del(name)
				delete(ours, name)
			}
			r.Header.Add(name, value)
		}
	}
	return nil
}

// Inspect answers OPTIONS: what a table or function can be asked for.
func Inspect(p *plan.Plan) *Response {
	switch {
	case p.Routine != nil && p.Routine.Volatility == schema.Volatile:
		return allowed("OPTIONS,POST")
	case p.Table != nil:
		return allowed(tableMethods(p.Table))
	}
	return allowed("OPTIONS,GET,HEAD,POST")
}

// InspectRoot answers OPTIONS of the root.
func InspectRoot() *Response { return allowed("OPTIONS,GET,HEAD") }

func allowed(methods string) *Response {
	r := &Response{Status: http.StatusOK, Header: http.Header{}}
	r.set("Allow", methods)
	r.set("Access-Control-Allow-Origin", "*")
	r.set("Vary", "Accept, Prefer, Range")
	r.body([]byte{})
	return r
}

// Description answers requests for the root with a description of the API.
func Description(req *ast.Request, body []byte) *Response {
	r := &Response{Status: http.StatusOK, Header: http.Header{}}
	r.set("Content-Type", ast.OpenAPI.ContentType())
	r.set("Vary", "Accept, Prefer, Range")
	if req.Negotiated {
		r.set("Content-Profile", req.Schema)
	}
	if !req.HeadOnly {
		r.body(body)
	}
	return r
}

func tableMethods(t *schema.Table) string {
	allow := "OPTIONS,GET,HEAD"
	if t.Insertable {
		allow += ",POST"
	}
	if t.Insertable && t.Updatable && len(t.PrimaryKey) > 0 {
		allow += ",PUT"
	}
	if t.Updatable {
		allow += ",PATCH"
	}
	if t.Deletable {
		allow += ",DELETE"
	}
	return allow
}
