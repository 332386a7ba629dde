package schema

import (
	"slices"
	"strconv"
	"strings"
)

// view is a view with its rewrite rule in PostgreSQL's own notation of parse trees.
type view struct {
	Name
	Oid  int64
	Rule string
	// Columns are the view's columns by their numbers.
	Columns map[string]string
}

// tableKey is a table's primary key.
type tableKey struct {
	Name
	Oid     int64
	Numbers []int
	Columns []string
}

// origin is the column of a table or view that a view's column shows.
type origin struct {
	table  int64
	column int
}

// dependencies knows which base columns each view shows, through any number of views between.
type dependencies struct {
	views   []*view
	targets map[int64]map[int]origin
	// shown is, per view and base column, the names of the view's columns that show it.
	shown map[int64]map[origin][]string
}

func newDependencies(views []*view) *dependencies {
	d := &dependencies{views: views, targets: map[int64]map[int]origin{}, shown: map[int64]map[origin][]string{}}
	for _, v := range views {
		d.targets[v.Oid] = targetOrigins(v.Rule)
	}
	for _, v := range views {
		shown := map[origin][]string{}
		for number := 1; number <= 1600; number++ { // PostgreSQL's bound on columns
			name, exists := v.Columns[strconv.Itoa(number)]
			if !exists {
				continue
			}
			for _, o := range d.trace(v.Oid, number, 0) {
				shown[o] = append(shown[o], name)
			}
		}
		d.shown[v.Oid] = shown
	}
	return d
}

// trace follows a view's column down; every table or view on the way counts.
func (d *dependencies) trace(oid int64, column, depth int) []origin {
	o, found := d.targets[oid][column]
	if !found || depth > len(d.views) { // deeper than there are views: a cycle
		return nil
	}
	return append([]origin{o}, d.trace(o.table, o.column, depth+1)...)
}

// addPrimaryKeys gives tables their primary keys, and views those that they show whole.
func (d *dependencies) addPrimaryKeys(tables []*Table, keys []*tableKey) {
	byName := make(map[Name]*Table, len(tables))
	for _, t := range tables {
		byName[t.Name] = t
	}
	for _, k := range keys {
		if t := byName[k.Name]; t != nil {
			t.PrimaryKey = k.Columns
		}
		for _, v := range d.views {
			if columns := d.combinations(v.Oid, k.Oid, k.Numbers); len(columns) > 0 && byName[v.Name] != nil {
				t := byName[v.Name]
				t.PrimaryKey = append(t.PrimaryKey, columns[0]...)
			}
		}
	}
}

// combinations are the ways to choose, for each numbered column of a table, one of
// the view's columns that show it; none when a column is not shown.
func (d *dependencies) combinations(viewOid, table int64, numbers []int) [][]string {
	all := [][]string{nil}
	for _, number := range numbers {
		names := d.shown[viewOid][origin{table, number}]
		var longer [][]string
		for _, chosen := range all {
			for _, name := range names {
				longer = append(longer, append(slices.Clone(chosen), name))
			}
		}
		all = longer
	}
	return all
}

// relations are those that views take part in by showing the columns of k's one
// end or the other.
func (d *dependencies) relations(k *foreignKey) []*Relation {
	type end struct {
		name    Name
		columns []string
	}
	var sources, targets []end
	for _, v := range d.views {
		for _, columns := range d.combinations(v.Oid, k.TableOid, k.Numbers) {
			sources = append(sources, end{v.Name, columns})
		}
		for _, columns := range d.combinations(v.Oid, k.ForeignOid, k.ForeignNumbers) {
			targets = append(targets, end{v.Name, columns})
		}
	}
	var found []*Relation
	for _, s := range sources {
		pairs := slices.Clone(k.Columns)
		for i := range pairs {
			pairs[i].Column = s.columns[i]
		}
		r := k.relation(s.name, k.Foreign, pairs)
		r.TableView = true
		found = append(found, r)
	}
	for _, t := range targets {
		pairs := slices.Clone(k.Columns)
		for i := range pairs {
			pairs[i].Foreign = t.columns[i]
		}
		r := k.relation(k.Table, t.name, pairs)
		r.ForeignView = true
		found = append(found, r)
	}
	for _, s := range sources {
		for _, t := range targets {
			pairs := make([]Pair, len(k.Columns))
			for i := range pairs {
				pairs[i] = Pair{s.columns[i], t.columns[i]}
			}
			r := k.relation(s.name, t.name, pairs)
			r.TableView, r.ForeignView, r.Self = true, true, s.name == t.name
			found = append(found, r)
		}
	}
	return found
}

// targetOrigins reads from a rule's parse tree where each column of the view
// comes from. In PostgreSQL's notation nodes are {TYPE :field value ...}; the
// view's query is the outermost node and its target entries are the nodes right
// inside. Special characters in names are escaped by a backslash.
func targetOrigins(rule string) map[int]origin {
	origins := map[int]origin{}
	var entry struct{ number, table, column int64 }
	braces, field, inTargets := 0, "", false
	for token := range nodeTokens(rule) {
		switch {
		case token == "{":
			braces++
			continue
		case token == "}":
			if braces == 2 && inTargets && entry.table != 0 && entry.number != 0 {
				origins[int(entry.number)] = origin{entry.table, int(entry.column)}
			}
			if braces == 2 {
				entry.number, entry.table, entry.column = 0, 0, 0
			}
			braces--
			continue
		case strings.HasPrefix(token, ":"):
			field = token
			if braces == 1 {
				inTargets = token == ":targetList"
			}
			continue
		}
		if braces != 2 || !inTargets {
			continue
		}
		n, err := strconv.ParseInt(token, 10, 64)
		if err != nil {
			continue
		}
		switch field {
		case ":resno":
			entry.number = n
		case ":resorigtbl":
			entry.table = n
		case ":resorigcol":
			entry.column = n
		}
	}
	return origins
}

// nodeTokens cuts a parse tree's text into braces and words; parentheses only separate.
func nodeTokens(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		start := -1
		flush := func(end int) bool {
			if start < 0 {
				return true
			}
			word := text[start:end]
			start = -1
			return yield(word)
		}
		for i := 0; i < len(text); i++ {
			switch text[i] {
			case '\\':
				if start < 0 {
					start = i
				}
				i++
			case ' ', '\n', '(', ')':
				if !flush(i) {
					return
				}
			case '{', '}':
				if !flush(i) || !yield(text[i:i+1]) {
					return
				}
			default:
				if start < 0 {
					start = i
				}
			}
		}
		flush(len(text))
	}
}
