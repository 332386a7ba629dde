package schema

import (
	"reflect"
	"testing"
)

func TestSimilar(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		word       string
		candidates []string
		minScore   float64
		want       string
	}{
		{"testt", []string{"test", "another"}, 0.75, "test"},
		{"noclosealternative", []string{"test", "another"}, 0.75, ""},
		{"film", []string{"films"}, 0.33, "films"},
		{"role", []string{"directors", "roles", "actors"}, 0.33, "roles"},
		{"(nam, pqaram, vall)", []string{"(name, param, val)", "(attr, id)"}, 0.33, "(name, param, val)"},
		{"(param, val)", []string{"(name, param, val)", "(attr, id)"}, 0.33, "(name, param, val)"},
		{"(attrs, id)", []string{"(name, param, val)", "(attr, id)"}, 0.33, "(attr, id)"},
		{"(id)", []string{"(name, param, val)", "(attr, id)"}, 0.33, "(attr, id)"},
		{"(noclosealternative)", []string{"(name, param, val)", "(attr, id)"}, 0.33, ""},
		{"", []string{"a"}, 0.33, ""},
		{"x", nil, 0.33, ""},
		{"Äpfel", []string{"äpfel"}, 0.75, "äpfel"},
	} {
		if got, score := Similar(test.word, test.candidates, test.minScore); got != test.want {
			t.Errorf("%q among %q: got %q (%.2f), want %q", test.word, test.candidates, got, score, test.want)
		}
	}
}

func TestTargetOrigins(t *testing.T) {
	t.Parallel()
	const rule = `({QUERY :commandType 1 :rtable ({RTE :alias {ALIAS :aliasname old :colnames <>} :resorigtbl 9} {RTE :eref {ALIAS :aliasname we\{ird :colnames ("a\ b" "\}")}}) ` +
		`:targetList ({TARGETENTRY :expr {VAR :varno 3 :resno 99} :resno 1 :resname :targetList :ressortgroupref 0 :resorigtbl 16391 :resorigcol 2 :resjunk false} ` +
		`{TARGETENTRY :expr {FUNCEXPR :args ({VAR :varno 1} {CONST :constvalue 4 [ 1 0 0 0 ]})} :resno 2 :resname lit :resorigtbl 0 :resorigcol 0 :resjunk false} ` +
		`{TARGETENTRY :expr {VAR :varno 3} :resno 3 :resname x\ y :resorigtbl 16391 :resorigcol 1 :resjunk false}) :override 0 :cteList ({CTE :ctequery {QUERY :targetList ({TARGETENTRY :resno 1 :resorigtbl 5 :resorigcol 5})}})})`
	want := map[int]origin{1: {16391, 2}, 3: {16391, 1}}
	if got := targetOrigins(rule); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestViewChain(t *testing.T) {
	t.Parallel()
	table := func(n string) Name { return Name{"public", n} }
	entry := func(no, table, column string) string {
		return `{TARGETENTRY :resno ` + no + ` :resorigtbl ` + table + ` :resorigcol ` + column + `}`
	}
	rule := func(entries string) string { return `({QUERY :targetList (` + entries + `)})` }
	deps := newDependencies([]*view{
		{Name: table("top"), Oid: 30, Rule: rule(entry("1", "20", "2") + entry("2", "20", "2") + entry("3", "20", "1")), Columns: map[string]string{"1": "c1", "2": "c2", "3": "key"}},
		{Name: table("middle"), Oid: 20, Rule: rule(entry("1", "10", "1") + entry("2", "10", "2")), Columns: map[string]string{"1": "id", "2": "client"}},
	})
	tables := []*Table{{Name: table("top")}, {Name: table("middle")}, {Name: table("base")}}
	deps.addPrimaryKeys(tables, []*tableKey{{Name: table("base"), Oid: 10, Numbers: []int{1}, Columns: []string{"id"}}})
	if got := tables[0].PrimaryKey; !reflect.DeepEqual(got, []string{"key"}) {
		t.Errorf("primary key of the upper view: %q", got)
	}
	key := &foreignKey{Constraint: "fk", Table: table("base"), Foreign: table("clients"), TableOid: 10, ForeignOid: 11, Columns: []Pair{{"client", "id"}}, Numbers: []int{2}, ForeignNumbers: []int{1}}
	var got []string
	for _, r := range deps.relations(key) {
		got = append(got, r.Table.Name+"."+r.Columns[0].Column)
	}
	if want := []string{"top.c1", "top.c2", "middle.client"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRelate(t *testing.T) {
	t.Parallel()
	table := func(n string) Name { return Name{"public", n} }
	tables := []*Table{{Name: table("links"), PrimaryKey: []string{"a", "b"}}, {Name: table("loose"), PrimaryKey: []string{"id"}}}
	key := func(name, from, to, column string, unique bool) *foreignKey {
		return &foreignKey{Constraint: name, Table: table(from), Foreign: table(to), Columns: []Pair{{column, "id"}}, Unique: unique}
	}
	relations := relate(tables, []*foreignKey{
		key("l_a", "links", "as", "a", false), key("l_b", "links", "bs", "b", false),
		key("o_a", "loose", "as", "a", false), key("o_b", "loose", "bs", "b", false), key("one", "extra", "as", "id", true),
	}, newDependencies(nil))
	kinds := map[RelationKind]int{}
	for _, r := range relations {
		kinds[r.Kind]++
	}
	// Only the junction whose primary key has both columns relates many to many, in both directions.
	if want := map[RelationKind]int{ManyToOne: 4, OneToMany: 4, OneToOne: 2, ManyToMany: 2}; !reflect.DeepEqual(kinds, want) {
		t.Errorf("got %v, want %v", kinds, want)
	}
}
