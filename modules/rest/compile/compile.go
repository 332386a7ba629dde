// Package compile makes of a request the plan and the statement that answer it. It
// keeps what it made by the request's shape: of a request that differs from an
// earlier one in nothing but values neither is made again.
package compile

import (
	"time"

	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/plan"
	"github.com/madbase/madbase/modules/rest/request"
	"github.com/madbase/madbase/modules/rest/schema"
	"github.com/madbase/madbase/modules/rest/sqlgen"
	"github.com/madbase/madbase/platform/cache"
)

// Bounds of what is kept: the shapes, and the bytes of a statement among them.
const (
	maxShapes    = 256
	maxStatement = 16 << 10
)

// Rules are the settings that decide how requests are compiled.
type Rules struct {
	Request request.Rules
	Plan    plan.Rules
}

// Compiler compiles requests on one snapshot of the schema and by one set of rules.
// Its methods may be called from any goroutine.
type Compiler struct {
	// Schema is the snapshot.
	Schema *schema.Snapshot
	rules  Rules
	shapes *cache.LRU[string, *shape]
}

// New returns a compiler that has compiled nothing yet.
func New(s *schema.Snapshot, rules Rules) *Compiler {
	return &Compiler{Schema: s, rules: rules, shapes: cache.New[string, *shape](maxShapes)}
}

// shape is what requests of one shape have in common. It is immutable, and a function
// of the shape's key: no value of any request is in it.
type shape struct {
	// plan is settled. It is nil for a shape that must be compiled each time.
	plan      *plan.Plan
	statement sqlgen.Statement
}

// settled is p without that of which only its statement was made: it can be large.
func settled(p *plan.Plan) *plan.Plan {
	kept, req := *p, *p.Request
	req.Query = ast.Query{HasOnConflict: req.Query.HasOnConflict}
	req.Columns, req.Payload, req.Accept, req.Explains = nil, ast.Payload{}, nil, nil
	kept.Request, kept.Read, kept.Call = &req, nil, nil
	if p.Write != nil {
		w := *p.Write
		w.Columns, w.Payload, w.Where, w.Row = nil, nil, nil, nil
		kept.Write = &w
	}
	return &kept
}

// of is the shape's plan for one request. What tells the request's place is the
// only part of it that has values.
func (k *shape) of(s *request.Shape) *plan.Plan {
	if k.plan.Action != ast.Read {
		return k.plan
	}
	p, req := *k.plan, *k.plan.Request
	req.Query.Canonical = s.Canonical()
	p.Request = &req
	return &p
}

// Compiled is a request that is ready to be run.
type Compiled struct {
	// Plan may be shared with others, and then has but what running the statement and
	// answering take: no values, nor Read or Call. Requests that need no statement have
	// none; those for the root are not even planned.
	Plan      *plan.Plan
	Statement sqlgen.Statement

	by      *Compiler
	message *request.Message
}

// Compile compiles m. It calls read once it has read the request.
func (c *Compiler) Compile(m *request.Message, read func()) (*Compiled, error) {
	if s := m.Shape(c.rules.Request); s != nil {
		if known := c.shape(s); known.plan != nil {
			read()
			return &Compiled{known.of(s), known.statement.Fill(s.Values), c, m}, nil
		}
	}
	req, err := m.Parse(c.rules.Request)
	if err != nil {
		return nil, err
	}
	read()
	p, err := c.plan(req)
	if err != nil {
		return nil, err
	}
	compiled := &Compiled{Plan: p, by: c, message: m}
	if isRun(req.Action) {
		compiled.Statement = sqlgen.Generate(p)
	}
	return compiled, nil
}

// Plain plans the request anew, with its values in the plan and by the rule Plain.
func (c *Compiled) Plain() (*plan.Plan, error) {
	rules := c.by.rules
	rules.Plan.Plain = true
	req, err := c.message.Parse(rules.Request)
	if err != nil {
		return nil, err
	}
	return plan.Build(req, c.by.Schema, rules.Plan) //nolint:wrapcheck // it is the answer
}

// shape finds or makes what is common to requests of the shape s.
func (c *Compiler) shape(s *request.Shape) *shape {
	if known, found := c.shapes.Get(s.Key); found {
		return known
	}
	made := &shape{}
	if req, err := s.Parse(c.rules.Request); err == nil {
		if p, err := c.plan(req); err == nil {
			statement := sqlgen.Generate(p)
			if s.Filled(statement.Takes) && len(statement.SQL) <= maxStatement {
				made.plan, made.statement = settled(p), statement
			}
		}
	}
	c.shapes.Put(s.Key, made, time.Time{})
	return made
}

func (c *Compiler) plan(req *ast.Request) (*plan.Plan, error) {
	if req.Action == ast.Describe || req.Action == ast.InspectRoot {
		return &plan.Plan{Request: req}, nil
	}
	return plan.Build(req, c.Schema, c.rules.Plan) //nolint:wrapcheck // it is the answer
}

// isRun reports whether a request is answered by a statement.
func isRun(a ast.Action) bool { return a <= ast.CallRead }
