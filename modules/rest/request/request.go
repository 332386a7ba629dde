// Package request reads an HTTP request into an ast.Request. It knows
// PostgREST's dialect of paths, query strings, headers and bodies, and nothing of
// the database. Its errors are PostgREST's PGRST1xx.
package request

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/platform/apierr"
)

// Rules are the settings that decide how requests are read.
type Rules struct {
	// Schemas are the exposed schemas; the first is the default.
	Schemas []string
	// TxAllowed lets requests choose commit or rollback.
	TxAllowed bool
	// Root is the function that the path / calls. Without one Describes says whether
	// / is a description of the API or nothing.
	Root      string
	Describes bool
}

// Message is what is read of an HTTP request, and all that is: a request's Shape is
// told by it.
type Message struct {
	method, path string
	// prefer and profile are the headers of their names; which profile counts depends on the method.
	prefer, profile             []string
	accept, contentType, ranged string
	// query is of querySize bytes.
	query     []pair
	querySize int
	body      []byte
}

// Read takes apart r, whose path below the mount point is path and whose whole body is body.
func Read(r *http.Request, path string, body []byte) *Message {
	profile := "Accept-Profile"
	switch r.Method {
	case http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete:
		profile = "Content-Profile"
	}
	return &Message{
		method: r.Method, path: path, prefer: r.Header.Values("Prefer"), profile: r.Header.Values(profile),
		accept: strings.Join(r.Header.Values("Accept"), ","), contentType: r.Header.Get("Content-Type"),
		ranged: r.Header.Get("Range"), query: splitQuery(r.URL.RawQuery), querySize: len(r.URL.RawQuery), body: body,
	}
}

// Parse reads m in PostgREST's dialect.
func (m *Message) Parse(rules Rules) (*ast.Request, error) {
	req := &ast.Request{Prefer: parsePrefer(m.prefer, rules.TxAllowed)}
	kind, name, err := resource(m.path, rules)
	if err != nil {
		return nil, err
	}
	req.Name = name
	if err := negotiateSchema(req, m.profile, rules.Schemas); err != nil {
		return nil, err
	}
	if req.Action, err = action(kind, m.method); err != nil {
		return nil, err
	}
	req.HeadOnly = m.method == http.MethodHead
	callByGet := req.Action == ast.CallRead
	if req.Query, err = parseQuery(m.query, callByGet); err != nil {
		return nil, err
	}
	if err := ranges(req, m); err != nil {
		return nil, err
	}
	req.ContentType = m.payloadType()
	req.Accept, req.Explains = parseAccept(m.accept)
	if err := parsePayload(req, m.body); err != nil {
		return nil, err
	}
	if callByGet {
		for _, p := range req.Query.Params {
			req.Columns = append(req.Columns, p.Name)
		}
		slices.Sort(req.Columns)
		req.Columns = slices.Compact(req.Columns)
	}
	return req, nil
}

// payloadType is the payload's media type, JSON unless another is named.
func (m *Message) payloadType() ast.MediaType {
	if m.contentType == "" || m.contentType == string(ast.JSON) {
		return ast.JSON
	}
	return parseMediaType(m.contentType)
}

type resourceKind int

const (
	relation resourceKind = iota
	routine
	root
)

// resource reads the path: /, /table or /rpc/function.
func resource(path string, rules Rules) (resourceKind, string, error) {
	path = strings.TrimPrefix(path, "/")
	first, rest, nested := strings.Cut(path, "/")
	switch {
	case path == "" && rules.Root != "":
		return routine, rules.Root, nil
	case path == "" && rules.Describes:
		return root, "", nil
	case path == "":
		return 0, "", apierr.New(404, "PGRST126", "Root endpoint metadata is disabled")
	case !nested:
		return relation, first, nil
	case first == "rpc" && !strings.Contains(rest, "/"):
		return routine, rest, nil
	}
	return 0, "", apierr.New(404, "PGRST125", "Invalid path specified in request URL")
}

func action(kind resourceKind, method string) (ast.Action, error) {
	if kind == root {
		switch method {
		case http.MethodGet, http.MethodHead:
			return ast.Describe, nil
		case http.MethodOptions:
			return ast.InspectRoot, nil
		}
		return 0, apierr.New(405, "PGRST117", "Unsupported HTTP method: "+method)
	}
	if kind == routine {
		switch method {
		case http.MethodGet, http.MethodHead:
			return ast.CallRead, nil
		case http.MethodPost:
			return ast.Call, nil
		case http.MethodOptions:
			return ast.InspectCall, nil
		}
		return 0, apierr.New(405, "PGRST101", "Cannot use the "+method+" method on RPC")
	}
	switch method {
	case http.MethodGet, http.MethodHead:
		return ast.Read, nil
	case http.MethodPost:
		return ast.Insert, nil
	case http.MethodPut:
		return ast.Upsert, nil
	case http.MethodPatch:
		return ast.Update, nil
	case http.MethodDelete:
		return ast.Delete, nil
	case http.MethodOptions:
		return ast.Inspect, nil
	}
	return 0, apierr.New(405, "PGRST117", "Unsupported HTTP method: "+method)
}

// negotiateSchema takes the schema that the profile header asks for.
func negotiateSchema(req *ast.Request, asked, schemas []string) error {
	if len(asked) == 0 {
		req.Schema, req.Negotiated = schemas[0], len(schemas) != 1
		return nil
	}
	req.Schema, req.Negotiated = asked[0], true
	if !slices.Contains(schemas, asked[0]) {
		return apierr.New(406, "PGRST106", "Invalid schema: "+asked[0]).
			WithHint("Only the following schemas are exposed: " + strings.Join(schemas, ", "))
	}
	return nil
}

var rangeHeader = regexp.MustCompile(`^([0-9]+)-([0-9]*)$`)

// ranges joins limit, offset and the header Range, which counts on GET only
// (RFC 9110, section 14.2).
func ranges(req *ast.Request, m *Message) error {
	limit := ast.AllRows
	for _, at := range req.Query.Ranges {
		if len(at.Path) == 0 {
			limit = at.Value
		}
	}
	header := ast.AllRows
	if m.method == http.MethodGet {
		header = parseRangeHeader(m.ranged)
	}
	req.Range = header.Intersect(limit)
	if limit.LimitZero() {
		req.Range = ast.NoRows
	}
	switch {
	case header.Empty():
		return unsatisfiable("The lower boundary must be lower than or equal to the upper boundary in the Range header.")
	case req.Range.Empty() && !limit.LimitZero():
		return unsatisfiable("Limit should be greater than or equal to zero.")
	case req.Action == ast.Upsert && !req.Range.IsAll():
		return apierr.New(400, "PGRST114", "limit/offset querystring parameters are not allowed for PUT")
	}
	return nil
}

func unsatisfiable(detail string) error {
	return apierr.New(416, "PGRST103", "Requested range not satisfiable").WithDetail(detail)
}

func parseRangeHeader(text string) ast.Range {
	bounds := rangeHeader.FindStringSubmatch(text)
	if bounds == nil {
		return ast.AllRows
	}
	r := ast.AllRows
	if n, err := strconv.ParseInt(bounds[1], 10, 64); err == nil {
		r.Lower = n
	}
	if n, err := strconv.ParseInt(bounds[2], 10, 64); err == nil {
		r.Upper = n
	}
	return r
}
