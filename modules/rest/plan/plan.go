// Package plan joins a request with the schema: it finds the tables, functions
// and relationships meant, and decides what statement will answer it and in which
// media type. It knows neither SQL nor HTTP. Its errors are PostgREST's PGRST1xx
// and PGRST2xx.
package plan

import (
	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/rows"
	"github.com/madbase/madbase/modules/rest/schema"
	"github.com/madbase/madbase/platform/aside"
)

// Rules are the settings that decide how requests are planned.
type Rules struct {
	// MaxRows bounds the rows of each level of a read; 0 is no bound.
	MaxRows int64
	// Aggregates allows count(), sum() and their like.
	Aggregates bool
	// Explain allows callers to see how PostgreSQL would execute their requests.
	Explain bool
	// AliasesOnly refuses filters that call an embed with an alias by its relation's name.
	AliasesOnly bool
	// Plain plans a document that depends on no column that the request does not
	// name, be the schema as old as it may: for statements that are not the first of
	// their transaction, where a failed one cannot be followed by another.
	Plain bool
}

// Plan is a request with all its names resolved.
type Plan struct {
	*ast.Request
	// Table is the table or view, nil for functions; Routine the function, nil for tables.
	Table   *schema.Table
	Routine *schema.Routine
	// Read is what is read: of the table, of the rows written, or of the function's result.
	Read *Read
	// Write and Call are what is done before, when anything is.
	Write *Write
	Call  *Call
	// Body and Media are how the answer's body is made and called.
	Body  Body
	Media ast.MediaType
	// Shape is what PostgreSQL answers with. Tail is what the last columns of Rows make
	// up, where embeds are Flat.
	Shape Shape
	Tail  []rows.Member
	// Spelled says that the statement names the columns of a "*". It fails with the code 42703
	// when one was dropped a moment ago, and is then to be asked for anew, by the rule Plain.
	Spelled bool
	// Handler makes the body, when that is CustomBody.
	Handler *schema.Handler
	// Explain asks for the statement's plan in place of its result; nil does not.
	Explain *ast.Explain
	// MaxRows is the bound of Rules, when the request is subject to it.
	MaxRows int64
	// Renamed are embeds with an alias that the request calls by their names all
	// the same: it works, with a warning.
	Renamed []Renamed
}

// Renamed is an embed's name and its alias.
type Renamed struct{ Name, Alias string }

// Body is how PostgreSQL makes the body out of the rows.
type Body int

// The kinds of bodies.
const (
	NoBody Body = iota
	JSONBody
	JSONStripped // without members that are null
	ObjectBody   // one object
	ObjectStripped
	CSVBody
	GeoJSONBody
	CustomBody // by the users' own Handler
)

// ReadOnly reports whether the request runs in a read-only transaction: reads, and
// functions that say of themselves that they do not write.
func (p *Plan) ReadOnly() bool {
	switch p.Action {
	case ast.Read, ast.CallRead:
		return true
	case ast.Call:
		return p.Routine.Volatility != schema.Volatile
	}
	return false
}

// Result is what executing a Plan yielded.
type Result struct {
	// Total is the number of rows there are, when it was asked for.
	Total *int64
	// Rows is the number of rows in the answer, or that were written.
	Rows int64
	Body []byte
	// Aside is the body, where that is too large for memory; nil where it is not.
	Aside *aside.File
	// Location is the primary key of the only row inserted, in filters.
	Location []ast.Param
	// Headers and Status are the variables response.headers and response.status; nil when not set.
	Headers, Status []byte
	// Inserted is the number of rows that an upsert inserted rather than updated.
	Inserted *int64
}

// Build plans req on the schema s. Inspect actions get no Read.
func Build(req *ast.Request, s *schema.Snapshot, rules Rules) (*Plan, error) {
	p := &Plan{Request: req, MaxRows: rules.MaxRows}
	b := builder{req: req, schema: s, rules: rules}
	var err error
	if req.Action.IsCall() {
		if p.Routine, err = b.findRoutine(); err != nil || req.Action == ast.InspectCall {
			return p, err
		}
		err = b.call(p)
	} else {
		if p.Table, err = b.findTable(); err != nil || req.Action == ast.Inspect {
			return p, err
		}
		err = b.table(p)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// table plans a read or a write of a table.
func (b *builder) table(p *Plan) (err error) {
	if p.Read, err = b.read(p.Table.Name); err != nil {
		return err
	}
	if p.Action.IsMutation() {
		if p.Write, err = b.write(p.Table, p.Read); err != nil {
			return err
		}
		p.MaxRows = 0
	}
	return b.finish(p)
}

// call plans a function call and what is read of its result.
func (b *builder) call(p *Plan) (err error) {
	rows := schema.Name{Schema: p.Routine.Schema, Name: p.Routine.Name.Name}
	if p.Routine.Composite {
		rows.Name = p.Routine.Returns.Name
	}
	if p.Read, err = b.read(rows); err != nil {
		return err
	}
	p.Call = b.callPlan(p.Routine, p.Read)
	if err = b.finish(p); err != nil {
		return err
	}
	if b.req.Prefer.HasMaxAffected && b.req.Prefer.Strict() && !p.Routine.SetOf {
		return errMaxAffectedCall()
	}
	return nil
}

// finish settles the media type and checks the preferences.
func (b *builder) finish(p *Plan) error {
	if err := b.negotiate(p); err != nil {
		return err
	}
	if len(b.req.Prefer.Unknown) > 0 && b.req.Prefer.Strict() {
		return errPreferences(b.req.Prefer.Unknown)
	}
	p.Renamed = b.renamed
	if p.HeadOnly || (p.Action.IsMutation() && p.Prefer.Return != ast.ReturnRepresentation) {
		p.Body = NoBody
	}
	b.canonical(p)
	b.shape(p)
	b.values(p)
	return nil
}
