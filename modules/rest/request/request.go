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

// Parse reads r, whose path below the mount point is path and whose whole body is body.
func Parse(r *http.Request, path string, body []byte, rules Rules) (*ast.Request, error) {
	req := &ast.Request{Prefer: parsePrefer(r.Header.Values("Prefer"), rules.TxAllowed)}
	kind, name, err := resource(path, rules)
	if err != nil {
		return nil, err
	}
	req.Name = name
	if err := negotiateSchema(req, r, rules.Schemas); err != nil {
		return nil, err
	}
	if req.Action, err = action(kind, r.Method); err != nil {
		return nil, err
	}
	req.HeadOnly = r.Method == http.MethodHead
	callByGet := req.Action == ast.CallRead
	if req.Query, err = parseQuery(r.URL.RawQuery, callByGet); err != nil {
		return nil, err
	}
	if err := ranges(req, r); err != nil {
		return nil, err
	}
	req.ContentType = ast.JSON
	if header := r.Header.Get("Content-Type"); header != "" {
		req.ContentType = parseMediaType(header)
	}
	req.Accept, req.Explains = parseAccept(strings.Join(r.Header.Values("Accept"), ","))
	if err := parsePayload(req, body); err != nil {
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

type resourceKind int

const (
	relation resourceKind = iota
	routine
	root
)

// resource reads the path: /, /table or /rpc/function.
func resource(path string, rules Rules) (resourceKind, string, error) {
	path = strings.TrimPrefix(path, "/")
	segments := strings.Split(path, "/")
	switch {
	case path == "" && rules.Root != "":
		return routine, rules.Root, nil
	case path == "" && rules.Describes:
		return root, "", nil
	case path == "":
		return 0, "", apierr.New(404, "PGRST126", "Root endpoint metadata is disabled")
	case len(segments) == 1:
		return relation, segments[0], nil
	case len(segments) == 2 && segments[0] == "rpc":
		return routine, segments[1], nil
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

// negotiateSchema takes the schema from the profile header that fits the method.
func negotiateSchema(req *ast.Request, r *http.Request, schemas []string) error {
	header := "Accept-Profile"
	switch r.Method {
	case http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete:
		header = "Content-Profile"
	}
	asked := r.Header.Values(header)
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
func ranges(req *ast.Request, r *http.Request) error {
	limit := ast.AllRows
	for _, at := range req.Query.Ranges {
		if len(at.Path) == 0 {
			limit = at.Value
		}
	}
	header := ast.AllRows
	if r.Method == http.MethodGet {
		header = parseRangeHeader(r.Header.Get("Range"))
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
