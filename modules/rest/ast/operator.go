package ast

// OperatorKind is how an operator takes its operand.
type OperatorKind int

// The kinds of operators.
const (
	Plain     OperatorKind = iota // col op value
	Quantable                     // col op value, or op ANY/ALL of an array
	Pattern                       // as Quantable, with * standing for %
	Search                        // col @@ function([language,] value)
	In                            // col = ANY of a list
	Is                            // col IS one of a few words
	Distinct                      // col IS DISTINCT FROM value
)

// Operator is a filter operator. To add one, add a line to the table below: the
// parser finds it by its name and the generator writes its SQL.
type Operator struct {
	Name string
	Kind OperatorKind
	// SQL is the operator's text, or for Search the function that makes the query.
	SQL string
}

// operators is the table of all operators.
var operators = []Operator{
	{"eq", Quantable, "="},
	{"neq", Plain, "<>"},
	{"gt", Quantable, ">"},
	{"gte", Quantable, ">="},
	{"lt", Quantable, "<"},
	{"lte", Quantable, "<="},
	{"like", Pattern, "like"},
	{"ilike", Pattern, "ilike"},
	{"match", Quantable, "~"},
	{"imatch", Quantable, "~*"},
	{"in", In, "= ANY"},
	{"is", Is, "IS"},
	{"isdistinct", Distinct, "IS DISTINCT FROM"},
	{"fts", Search, "to_tsquery"},
	{"plfts", Search, "plainto_tsquery"},
	{"phfts", Search, "phraseto_tsquery"},
	{"wfts", Search, "websearch_to_tsquery"},
	{"cs", Plain, "@>"},
	{"cd", Plain, "<@"},
	{"ov", Plain, "&&"},
	{"sl", Plain, "<<"},
	{"sr", Plain, ">>"},
	{"nxr", Plain, "&<"},
	{"nxl", Plain, "&>"},
	{"adj", Plain, "-|-"},
}

// LookupOperator finds an operator by its name; nil when there is none.
func LookupOperator(name string) *Operator {
	for i := range operators {
		if operators[i].Name == name {
			return &operators[i]
		}
	}
	return nil
}

// Operators returns a copy of the table.
func Operators() []Operator { return append([]Operator(nil), operators...) }
