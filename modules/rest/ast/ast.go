// Package ast is what a request asks for, as PostgREST's dialect of HTTP says it,
// before anything is known about the database. Every later stage reads these
// values; none of them knows HTTP, the schema or SQL.
package ast

// Action is what a request wants done.
type Action int

// The actions, by method and kind of resource.
const (
	Read        Action = iota // GET, HEAD /table
	Insert                    // POST /table
	Upsert                    // PUT /table: one row by its primary key
	Update                    // PATCH /table
	Delete                    // DELETE /table
	Call                      // POST /rpc/function
	CallRead                  // GET, HEAD /rpc/function: in a read-only transaction
	Inspect                   // OPTIONS /table
	InspectCall               // OPTIONS /rpc/function
	Describe                  // GET, HEAD /
	InspectRoot               // OPTIONS /
)

// IsMutation reports whether the action writes to a table.
func (a Action) IsMutation() bool { return a >= Insert && a <= Delete }

// IsCall reports whether the action runs a function.
func (a Action) IsCall() bool { return a == Call || a == CallRead || a == InspectCall }

// Request is one parsed request.
type Request struct {
	Action Action
	// Schema is the schema asked for; Name the table, view or function in it.
	Schema, Name string
	// Negotiated says that the answer names its schema in Content-Profile.
	Negotiated bool
	// HeadOnly asks for no body.
	HeadOnly bool
	Query    Query
	// Range is the rows of the top level that are wanted, from limit, offset and the header Range.
	Range Range
	// Columns are the sorted names of the payload's columns or arguments.
	Columns []string
	Payload Payload
	Prefer  Prefer
	// Accept are the media types that the caller takes, the dearest first.
	Accept []MediaType
	// Explains are what those of Accept ask for that want a plan.
	Explains map[MediaType]*Explain
	// ContentType is the payload's media type.
	ContentType MediaType
}

// Query is the parsed query string.
type Query struct {
	// Canonical is the query string with its parameters sorted, for Content-Location.
	Canonical string
	Select    []SelectItem
	// Filters are the conditions of the parameters like id=eq.1, in their order.
	Filters []At[Filter]
	// Logic are the trees of and= and or=.
	Logic  []At[Logic]
	Orders []At[[]OrderTerm]
	// Ranges are limit and offset of embeds; the top level's is in Request.Range.
	Ranges []At[Range]
	// Params are the arguments of a function called by GET, in their order.
	Params []Param
	// Columns is the parameter columns; HasColumns tells an absent one from an empty one.
	Columns    []string
	HasColumns bool
	// OnConflict is the parameter on_conflict.
	OnConflict    []string
	HasOnConflict bool
}

// At is a value that concerns the embed at Path; the empty path is the top level.
type At[T any] struct {
	Path  []string
	Value T
}

// Param is one argument in a query string or a form.
type Param struct {
	Name, Value string
	// Slot is the number of the value that stands in place of Value, from 1 on; 0 for
	// Value itself. So are the other Slots.
	Slot int
}

// Field is a column with a path into its JSON.
type Field struct {
	Name string
	Path []PathStep
}

// PathStep is one arrow of a JSON path.
type PathStep struct {
	// Text is ->> rather than ->.
	Text bool
	// Key is a member's name, or an element's index when Index.
	Key   string
	Index bool
}

// SelectKind tells the items of a select list apart.
type SelectKind int

// The kinds of select items.
const (
	SelectField  SelectKind = iota // alias:field::cast
	SelectEmbed                    // alias:table!hint!inner(...)
	SelectSpread                   // ...table!hint!inner(...)
)

// SelectItem is one item of a select list.
type SelectItem struct {
	Kind  SelectKind
	Alias string

	// Of a field.
	Field Field
	Cast  string
	// Aggregate is count, sum, avg, max or min, or empty; AggregateCast is its result's type.
	Aggregate, AggregateCast string

	// Of an embed: the relation's name and what narrows it.
	Relation, Hint string
	Join           JoinType
	Select         []SelectItem
}

// JoinType says whether a parent without children is left out.
type JoinType int

// The join types.
const (
	JoinUnset JoinType = iota
	JoinLeft
	JoinInner
)

// Filter is one condition on a field.
type Filter struct {
	Field  Field
	Negate bool
	Op     *Operator
	// Quantifier is "any", "all" or empty.
	Quantifier string
	// Language is a text search configuration, empty for the database's default.
	Language string
	// Value is the operand; List are the operands of "in".
	Value string
	Slot  int
	List  []string
}

// Logic is a tree of conditions: a leaf has a Filter, an inner node Children.
type Logic struct {
	Filter   *Filter
	Negate   bool
	Or       bool
	Children []Logic
}

// OrderTerm is one term of an order.
type OrderTerm struct {
	// Relation is the embed whose field it is; empty for a field of the level itself.
	Relation string
	Field    Field
	// Direction is "asc", "desc" or empty; Nulls is "first", "last" or empty.
	Direction, Nulls string
}

// PayloadKind tells what a request's body is.
type PayloadKind int

// The kinds of payload.
const (
	NoPayload   PayloadKind = iota
	JSONPayload             // an object or an array of objects
	FormPayload             // a function's arguments as a form
	RawPayload              // a function's only argument, as it came
)

// Payload is the body of a write.
type Payload struct {
	Kind PayloadKind
	Raw  []byte
	Slot int
	Form []Param
	// Members are those of a JSON payload that is one object, by their names, unless a
	// name recurs or a string in it is one that PostgreSQL may refuse; nil for any other.
	Members []Member
}

// Member is a member of a JSON object, with its value's text as it came.
type Member struct {
	Name string
	JSON []byte
	Slot int
}
