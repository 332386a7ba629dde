package rls

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/madbase/madbase/platform/aside"
	"github.com/madbase/madbase/platform/db"
)

// Statement is one SQL statement with its parameters in text format; a nil
// parameter is NULL. Their types are those that PostgreSQL infers.
type Statement struct {
	SQL  string
	Args [][]byte
	// Formats are those of the result's columns, 1 for binary; none is text for all.
	Formats []int16
	// Fresh statements are not kept prepared: for texts that hardly recur.
	Fresh bool
	// Aside has a large value put aside, in a file rather than in memory.
	Aside bool
	// Into takes the rows in place of Result. A large value among them is ErrLarge.
	Into Sink
}

// Sink takes the rows of a statement as they come. An error of its own fails the
// statement's pipeline, though not what is committed by then.
type Sink interface {
	// Columns begins a result: another time when the statement is sent once more.
	Columns(columns []pgconn.FieldDescription) error
	// Row takes a row. Its values do not outlive the call.
	Row(values [][]byte) error
}

// ErrLarge is the error when a value for a Sink was too large for it.
var ErrLarge = errors.New("rls: a value is too large for its sink")

// sinkError is an error of a Sink, and so not the connection's.
type sinkError struct{ error }

func (e sinkError) Unwrap() error { return e.error }

// Result is what a Statement returned: its rows, in text format unless others were asked for, and its command tag.
type Result struct {
	Rows [][][]byte
	Tag  pgconn.CommandTag
	// Aside is the large value that was put aside, to be closed by the caller; nil
	// when there was none. In Rows it is empty.
	Aside *aside.File
}

// asideAbove is the size in bytes from which on a value is large.
const asideAbove = 4 << 20

// pipeline sends steps in one round trip. Before the final Sync they are one
// implicit transaction, unless a step opens an explicit one.
type pipeline struct {
	conn     *pgconn.PgConn
	prepared *preparedSet
	steps    []step
}

type step struct {
	Statement
	prepared *prepared // nil for one that is not kept
	fresh    bool      // prepared is still to be made
}

// preparedSlots bounds the statements kept prepared on one connection.
const preparedSlots = 256

// add appends a statement. Statements are prepared per role: the plan of a table
// with policies depends on it, and PostgreSQL would plan anew at each change.
func (p *pipeline) add(role string, s Statement) {
	st := step{Statement: s}
	if !s.Fresh {
		st.prepared, st.fresh = p.prepared.find(preparedKey{role, s.SQL})
	}
	p.steps = append(p.steps, st)
}

func (p *pipeline) addAll(role string, statements []Statement) {
	for _, s := range statements {
		p.add(role, s)
	}
}

// run sends all steps and returns the last one's result. An error leaves the
// connection in whatever state PostgreSQL put it: the caller rolls back.
func (p *pipeline) run(ctx context.Context) (result Result, err error) {
	main := p.main()
	ctx, end := db.StartSpan(ctx, main.SQL) // pgx's own tracer does not see pipelines
	defer func() { end(err) }()
	large := p.large(main)
	result, err = p.send(ctx)
	if err == nil && large.Skipped() {
		err = sinkError{ErrLarge}
	}
	if result.Aside = large.Disarm(); err != nil {
		result.Aside.Close()
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == queryCanceled && ctx.Err() != nil {
		err = fmt.Errorf("canceled by the caller: %w", context.Cause(ctx)) // not by a timeout of the database
	}
	return result, err
}

// main is the statement that all others are sent for: the last one, or that with a Sink.
func (p *pipeline) main() *step {
	if i := slices.IndexFunc(p.steps, func(s step) bool { return s.Into != nil }); i >= 0 {
		return &p.steps[i]
	}
	return &p.steps[len(p.steps)-1]
}

// large is what keeps large values out of memory, armed when main wants that.
func (p *pipeline) large(main *step) *aside.Reader {
	if !main.Aside {
		return nil
	}
	r := aside.On(p.conn)
	if main.Into != nil {
		r.Skip(asideAbove)
	} else {
		r.Arm(asideAbove)
	}
	return r
}

const (
	queryCanceled    = "57014"
	unknownStatement = "26000"
)

// outdated reports whether err may come of a statement that was prepared before
// the schema changed: its parameters keep the types that columns had, and its
// result must keep its columns. It may also be gone, by a DEALLOCATE in a function.
// Such statements are prepared anew at their next use.
func (p *pipeline) outdated(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	switch e.Code {
	case unknownStatement:
		return true
	case "0A000", // cached plan must not change result type
		"22P02", "22003", "22007", "22008", // the parameter is no text of its former type
		"42804", "42846", "42883", "42725": // the former type does not fit the column
		return slices.ContainsFunc(p.steps[1:], func(s step) bool { return s.prepared != nil && !s.fresh })
	}
	return false
}

func (p *pipeline) send(ctx context.Context) (Result, error) {
	pl := p.conn.StartPipeline(ctx)
	var described []*prepared // those that are prepared here, in the order of their descriptions
	for _, s := range p.steps {
		switch {
		case s.prepared == nil:
			pl.SendQueryParams(s.SQL, s.Args, nil, nil, s.Formats)
		case s.fresh: // the slot's earlier statement makes room
			pl.SendDeallocate(s.prepared.name)
			pl.SendPrepare(s.prepared.name, s.SQL, nil)
			pl.SendQueryPrepared(s.prepared.name, s.Args, nil, s.Formats)
			described = append(described, s.prepared)
		default: // what it returns is known
			pl.SendQueryStatement(s.prepared.description, s.Args, nil, s.Formats)
		}
	}
	err := pl.Sync()
	var last Result
	for step := 0; err == nil; {
		var got any
		got, err = pl.GetResults()
		switch got := got.(type) {
		case *pgconn.StatementDescription:
			got.Name = described[0].name
			described[0].description, described = got, described[1:]
		case *pgconn.ResultReader:
			if into := p.steps[step].Into; into == nil && step < len(p.steps)-1 {
				_, err = got.Close() // nobody asks for its rows
			} else {
				last, err = read(got, into)
			}
			step++
		case nil, *pgconn.PipelineSync:
			if err == nil {
				return last, p.close(pl, nil)
			}
		}
	}
	return Result{}, p.close(pl, err)
}

// read reads one statement's rows, into the sink where there is one.
func read(r *pgconn.ResultReader, into Sink) (Result, error) {
	if into == nil {
		all := r.Read()
		return Result{Rows: all.Rows, Tag: all.CommandTag}, all.Err
	}
	refused := into.Columns(r.FieldDescriptions())
	for refused == nil && r.NextRow() {
		refused = into.Row(r.Values())
	}
	tag, err := r.Close() // which reads on to the end
	if err == nil && refused != nil {
		err = sinkError{refused}
	}
	return Result{Tag: tag}, err
}

// close ends the pipeline and keeps the first error, which is the cause of the others.
func (p *pipeline) close(pl *pgconn.Pipeline, err error) error {
	closeErr := pl.Close()
	if err == nil {
		err = closeErr
	}
	outdated := p.outdated(err)
	for _, s := range p.steps {
		if err != nil && s.prepared != nil && (s.fresh || outdated) { // whether it is prepared is unknown: the next use starts over
			p.prepared.forget(s.prepared)
		}
	}
	return err
}

// preparedSet knows which statements one connection keeps prepared. Their number
// is bounded: names are slots that are used in turn.
type preparedSet struct {
	slots [preparedSlots]*prepared
	byKey map[preparedKey]*prepared
	next  int
}

type preparedKey struct{ role, sql string }

// prepared is a statement that is kept prepared under a slot's name.
type prepared struct {
	key         preparedKey
	slot        int
	name        string
	description *pgconn.StatementDescription
}

const preparedOnKey = "madbase.rls.prepared"

// preparedOn returns the statements of conn, which only the conn's present holder uses.
func preparedOn(conn *pgconn.PgConn) *preparedSet {
	if set, ok := conn.CustomData()[preparedOnKey].(*preparedSet); ok {
		return set
	}
	set := &preparedSet{byKey: map[preparedKey]*prepared{}}
	conn.CustomData()[preparedOnKey] = set
	return set
}

// find returns the statement of key, and whether the caller has to prepare it first.
func (set *preparedSet) find(key preparedKey) (found *prepared, fresh bool) {
	if found := set.byKey[key]; found != nil {
		return found, found.description == nil
	}
	if old := set.slots[set.next]; old != nil {
		delete(set.byKey, old.key)
	}
	found = &prepared{key: key, slot: set.next, name: "madbase_" + strconv.Itoa(set.next)}
	set.slots[found.slot], set.byKey[key] = found, found
	set.next = (set.next + 1) % preparedSlots
	return found, true
}

func (set *preparedSet) forget(p *prepared) {
	if set.slots[p.slot] == p {
		set.slots[p.slot] = nil
		delete(set.byKey, p.key)
	}
}

// lost reports whether err is the connection's rather than the statement's. A
// server that ends a connection says so with a last, fatal error.
func lost(err error) bool {
	if _, isSink := errors.AsType[sinkError](err); err == nil || isSink {
		return false
	}
	e, isServer := errors.AsType[*pgconn.PgError](err)
	return !isServer || e.SeverityUnlocalized == "FATAL"
}

// wrap gives err its operation; a database's own error stays reachable.
func wrap(operation string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("rls: %s: %w", operation, err)
}
