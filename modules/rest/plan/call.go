package plan

import (
	"encoding/json"
	"slices"

	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/schema"
)

// Call is the call of a function.
type Call struct {
	Routine *schema.Routine
	// Params are those that get a value, by name; Whole is the only one, unnamed,
	// that takes the payload as it is.
	Params []schema.Param
	Whole  *schema.Param
	// Payload is a JSON object of arguments, or the whole argument. IsObject tells an
	// object from an array. With Direct, Args has the arguments as text instead.
	Payload  []byte
	IsObject bool
	Direct   bool
	Args     map[string][]ast.Param
	// Columns are those that are read or filtered by; none means all.
	Columns []string
}

func (b *builder) callPlan(r *schema.Routine, read *Read) *Call {
	c := &Call{Routine: r, Payload: b.req.Payload.Raw}
	c.IsObject = isObject(c.Payload)
	switch {
	case b.req.Action == ast.CallRead:
		c.Direct, c.Args = true, arguments(r, b.req.Query.Params)
	case b.req.Payload.Kind == ast.FormPayload:
		c.Direct, c.Args = true, arguments(r, b.req.Payload.Form)
	}
	if len(r.Params) == 1 && r.Params[0].Name == "" {
		c.Whole = &r.Params[0]
		if c.Direct {
			c.Payload = argumentsJSON(c.Args)
		}
	} else {
		for _, p := range r.Params {
			if slices.Contains(b.req.Columns, p.Name) {
				c.Params = append(c.Params, p)
			}
		}
	}
	c.Columns = neededColumns(read, nil)
	if !slices.Equal(c.Columns, []string{"*"}) && len(c.Columns) > 0 {
		c.Columns = append(c.Columns, filteredColumns(read)...)
		slices.Sort(c.Columns)
		c.Columns = slices.Compact(c.Columns)
	}
	return c
}

func isObject(payload []byte) bool {
	for _, c := range payload {
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		}
		return c == '{'
	}
	return false
}

// arguments gathers arguments by name: of a variadic one all values, of any other the last.
func arguments(r *schema.Routine, params []ast.Param) map[string][]ast.Param {
	variadic := map[string]bool{}
	for _, p := range r.Params {
		variadic[p.Name] = p.Variadic
	}
	args := make(map[string][]ast.Param, len(params))
	for _, p := range params {
		if variadic[p.Name] {
			args[p.Name] = append(args[p.Name], p)
			continue
		}
		args[p.Name] = []ast.Param{p}
	}
	return args
}

func argumentsJSON(args map[string][]ast.Param) []byte {
	object := make(map[string]string, len(args))
	for name, values := range args {
		object[name] = values[0].Value
	}
	text, err := json.Marshal(object)
	if err != nil { // strings always marshal
		return []byte("{}")
	}
	return text
}

// filteredColumns are the columns that the top level's conditions and order look at.
func filteredColumns(read *Read) []string {
	var names []string
	var visit func(Condition)
	visit = func(c Condition) {
		if c.Filter != nil && c.Filter.Embed == nil {
			names = append(names, c.Filter.Field.Name)
		}
		for _, child := range c.Children {
			visit(child)
		}
	}
	for _, c := range read.Where {
		visit(c)
	}
	for _, o := range read.Order {
		if o.Relation == "" {
			names = append(names, o.Field.Name)
		}
	}
	return names
}

// findRoutine finds the overload whose parameters have the names of the
// request's arguments; without one, a function of a single unnamed parameter that
// takes the body whole. PGRST202 when there is none, PGRST203 when there are several.
func (b *builder) findRoutine() (*schema.Routine, error) {
	overloads := b.schema.Routines(schema.Name{Schema: b.req.Schema, Name: b.req.Name})
	var named, whole []*schema.Routine
	for _, r := range overloads {
		switch {
		case b.takesArguments(r):
			named = append(named, r)
		case b.takesBody(r):
			whole = append(whole, r)
		}
	}
	if len(named) == 0 {
		named = whole
	}
	switch len(named) {
	case 0:
		return nil, b.errNoRoutine(overloads)
	case 1:
		return named[0], nil
	}
	return nil, errAmbiguousRoutine(named)
}

// takesArguments reports whether all arguments have parameters and all required
// parameters arguments.
func (b *builder) takesArguments(r *schema.Routine) bool {
	args := b.req.Columns
	if len(r.Params) == 0 {
		return len(args) == 0 && !b.rawBody()
	}
	known := 0
	for _, p := range r.Params {
		given := slices.Contains(args, p.Name)
		if p.Required && !given {
			return false
		}
		if given {
			known++
		}
	}
	return known == len(args)
}

// rawBody reports whether the body is of a type that only a whole parameter takes.
func (b *builder) rawBody() bool {
	t := b.req.ContentType
	return b.req.Action == ast.Call && (t == ast.PlainText || t == ast.XML || t == ast.OctetStream)
}

func (b *builder) takesBody(r *schema.Routine) bool {
	if b.req.Action != ast.Call || len(r.Params) != 1 || r.Params[0].Name != "" {
		return false
	}
	switch r.Params[0].Type {
	case "json", "jsonb":
		return b.req.ContentType == ast.JSON
	case "text":
		return b.req.ContentType == ast.PlainText
	case "xml":
		return b.req.ContentType == ast.XML
	case "bytea":
		return b.req.ContentType == ast.OctetStream
	}
	return false
}
