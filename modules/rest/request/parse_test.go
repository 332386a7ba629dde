package request

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/platform/apierr"
)

// show writes a field, a filter or a tree in a short form that tests compare.
func showField(f ast.Field) string {
	s := f.Name
	for _, step := range f.Path {
		arrow := "->"
		if step.Text {
			arrow = "->>"
		}
		key := "'" + step.Key + "'"
		if step.Index {
			key = step.Key
		}
		s += arrow + key
	}
	return s
}

func showFilter(f *ast.Filter) string {
	s := showField(f.Field) + " "
	if f.Negate {
		s += "not "
	}
	s += f.Op.Name
	if f.Quantifier+f.Language != "" {
		s += "(" + f.Quantifier + f.Language + ")"
	}
	if f.Op.Kind == ast.In {
		return s + " [" + strings.Join(f.List, "|") + "]"
	}
	return s + " " + f.Value
}

func showLogic(l *ast.Logic) string {
	if l.Filter != nil {
		return showFilter(l.Filter)
	}
	s := "and("
	if l.Or {
		s = "or("
	}
	if l.Negate {
		s = "not " + s
	}
	for i := range l.Children {
		if i > 0 {
			s += ", "
		}
		s += showLogic(&l.Children[i])
	}
	return s + ")"
}

func showSelect(items []ast.SelectItem) string {
	var parts []string
	for _, i := range items {
		s := ""
		if i.Alias != "" {
			s = i.Alias + "="
		}
		switch i.Kind {
		case ast.SelectField:
			s += showField(i.Field)
			if i.Cast != "" {
				s += "::" + i.Cast
			}
			if i.Aggregate != "" {
				s += "." + i.Aggregate
			}
			if i.AggregateCast != "" {
				s += "::" + i.AggregateCast
			}
		default:
			if i.Kind == ast.SelectSpread {
				s += "..."
			}
			s += i.Relation
			if i.Hint != "" {
				s += "!" + i.Hint
			}
			s += []string{"", "!left", "!inner"}[i.Join] + "(" + showSelect(i.Select) + ")"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, " ")
}

func TestParseSelect(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                              "",
		"*":                             "*",
		"id, name":                      "id name",
		"a:b,c::int4":                   "a=b c::int4",
		"x:data->a->>b::text":           "x=data->'a'->>'b'::text",
		"data->0->-1->>k":               "data->0->-1->>'k'",
		"data->!@#$%^&*_a":              "data->'!@#$%^&*_a'",
		`data->"k.e(y"->x`:              "data->'k.e(y'->'x'",
		"with-dash,with space":          "with-dash with space",
		`"quo""ted"`:                    "error",
		`"a,b",":"`:                     "a,b :",
		"clients(*)":                    "clients(*)",
		"c:clients!fk!inner(id,x:y(z))": "c=clients!fk!inner(id x=y(z))",
		"clients!inner!fk(id)":          "clients!fk!inner(id)",
		"clients!left()":                "clients!left()",
		"clients!left_over()":           "clients!left_over()",
		"...clients(id,...more(*))":     "...clients(id ...more(*))",
		"count()":                       "*.count",
		"n:count()::text":               "n=*.count::text",
		"s:a::int.sum()::text,b.max()":  "s=a::int.sum::text b.max",
		"a.b":                           "error",
		"name!hint":                     "error",
		"clients(id":                    "error",
		"name::":                        "error",
		"*x":                            "error",
		"id,":                           "error",
		strings.Repeat("a(", 100) + "b" + strings.Repeat(")", 100): "error",
	} {
		items, err := parseSelect(text)
		got := showSelect(items)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: got %q, want %q (%v)", text, got, want, err)
		}
	}
}

func TestParseFilter(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"id=eq.1":                        "[] id eq 1",
		"id=not.eq.1":                    "[] id not eq 1",
		"a.b.id=gte.x.y":                 "[a b] id gte x.y",
		"data->a->>0=eq.":                "[] data->'a'->>0 eq ",
		"id=in.(1,2)":                    "[] id in [1|2]",
		"id=in.()":                       "[] id in []",
		`id=in.("a,b","c\"d\\",e"f,g\h)`: `[] id in [a,b|c"d\|e"f|g\h]`,
		`id=in.("a"b,c)`:                 `[] id in ["a"b|c]`,
		"id=in.(1":                       "error",
		"id=is.NULL":                     "[] id is null",
		"id=is.not_null":                 "[] id is not_null",
		"id=is.nothing":                  "error",
		"id=like(any).{a*,b}":            "[] id like(any) {a*,b}",
		"id=gt(all).{1}":                 "[] id gt(all) {1}",
		"id=neq(any).{1}":                "error",
		"doc=fts(english).a b":           "[] doc fts(english) a b",
		"doc=wfts.x":                     "[] doc wfts x",
		"doc=fts().x":                    "error",
		"id=isdistinct.3":                "[] id isdistinct 3",
		"id=eq":                          "error",
		"id=foo.1":                       "error",
		":=eq.1":                         "error",
	} {
		key, value, _ := strings.Cut(text, "=")
		f, _, err := parseFilter(key, value, false)
		got := "error"
		if err == nil {
			got = "[" + strings.Join(f.Path, " ") + "] " + showFilter(&f.Value)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q (%v)", text, got, want, err)
		}
	}
}

func TestEveryOperatorParses(t *testing.T) {
	t.Parallel()
	for _, op := range ast.Operators() {
		value := map[ast.OperatorKind]string{ast.In: "(x)", ast.Is: "null"}[op.Kind]
		if value == "" {
			value = "x"
		}
		f, _, err := parseFilter("c", op.Name+"."+value, false)
		if err != nil || f.Value.Op.Name != op.Name {
			t.Errorf("%s: %v", op.Name, err)
		}
	}
}

func TestParseLogic(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"or=(a.eq.1,b.not.is.null)":              "[] or(a eq 1, b not is null)",
		"and=( a.eq.1 , or( b.lt.2 , c.gt.3 ) )": "[] and(a eq 1 , or(b lt 2 , c gt 3 ))",
		"not.and=(a.eq.1)":                       "[] not and(a eq 1)",
		"x.y.or=(a.in.(1,2),not.and(b.eq.1))":    "[x y] or(a in [1|2], not and(b eq 1))",
		"x.not.or=(a.eq.1)":                      "[x] not or(a eq 1)",
		`or=(a.eq."x,y",b.cs.{1,2},c->>d.eq.e)`:  "[] or(a eq x,y, b cs {1,2}, c->>'d' eq e)",
		"or=()":                                  "error",
		"or=(id.in.1,2)":                         "error",
		"or=(a.eq.1":                             "error",
		"or=":                                    "error",
		"or=(a.eq.1,not.xor(b.eq.2))":            "error",
		"or=" + strings.Repeat("(or", 200):       "error",
	} {
		key, value, _ := strings.Cut(text, "=")
		l, err := parseLogic(key, value)
		got := "error"
		if err == nil {
			got = "[" + strings.Join(l.Path, " ") + "] " + showLogic(&l.Value)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q (%v)", text, got, want, err)
		}
	}
}

func TestParseOrder(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a":                       "a",
		"a.desc,b.asc.nullsfirst": "a desc, b asc first",
		"a.nullslast":             "a last",
		"d->x->>y.desc":           "d->'x'->>'y' desc",
		"rel(a).desc, b":          "rel(a) desc, b",
		"a.":                      "error",
		"a.descc":                 "error",
		"a.asc.nulls":             "error",
		"":                        "error",
		"a,":                      "error",
		"rel(a,b)":                "error",
	} {
		at, err := parseOrder("order", text)
		var parts []string
		for _, o := range at.Value {
			s := showField(o.Field)
			if o.Relation != "" {
				s = o.Relation + "(" + s + ")"
			}
			parts = append(parts, strings.TrimSpace(strings.Join(strings.Fields(s+" "+o.Direction+" "+o.Nulls), " ")))
		}
		got := strings.Join(parts, ", ")
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: got %q, want %q (%v)", text, got, want, err)
		}
	}
}

// TestParseErrorWording has the messages and details that PostgREST's own tests compare.
func TestParseErrorWording(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"id=0":                           `"failed to parse filter (0)" (line 1, column 1)|unexpected "0" expecting "not" or operator (eq, gt, ...)`,
		"or=()":                          `"failed to parse logic tree (())" (line 1, column 4)|unexpected ")" expecting field name (* or [a..z0..9_$]), negation operator (not) or logic operator (and, or)`,
		"columns=":                       `"failed to parse columns parameter ()" (line 1, column 1)|unexpected end of input expecting field name (* or [a..z0..9_$])`,
		"order=id.asc.nullslasttt":       `"failed to parse order (id.asc.nullslasttt)" (line 1, column 17)|unexpected 't' expecting "," or end of input`,
		"select=data->>--34":             `"failed to parse select parameter (data->>--34)" (line 1, column 9)|unexpected "-" expecting digit`,
		"select=data->(!@#$%^%26*_d->>x": `"failed to parse select parameter (data->(!@#$%^&*_d->>x)" (line 1, column 7)|unexpected "(" expecting "-", digit or any non reserved character different from: .,>()`,
		"or=(id.eq.1,not.xor(id.eq.2))":  `"failed to parse logic tree ((id.eq.1,not.xor(id.eq.2)))" (line 1, column 16)|unexpected "x" expecting logic operator (and, or)`,
	} {
		_, err := parseQuery(splitQuery(query), false)
		e := apierr.From(err)
		if got := e.Message + "|" + e.Detail.(string); got != want || e.Code != "PGRST100" {
			t.Errorf("%s:\n got %s\nwant %s", query, got, want)
		}
	}
}

func TestCanonicalQuery(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"":                "",
		"b=2&a=1&c":       "a=1&b=2&c=",
		"id=gt.1&id=lt.3": "id=gt.1,lt.3",
		"n=a+b%20c&x=%zz": "n=a%20b%20c&x=%25zz",
		"select=a,b:c(*)": "select=a%2Cb%3Ac%28%2A%29",
	} {
		if got := canonical(splitQuery(raw)); got != want {
			t.Errorf("%s: got %q, want %q", raw, got, want)
		}
	}
}

func TestParsePrefer(t *testing.T) {
	t.Parallel()
	p := parsePrefer([]string{"return=minimal,  count=exact ,odd", "return=representation, tx=rollback, timezone=UTC, max-affected=5, handling=strict"}, false)
	want := ast.Prefer{Return: "minimal", Count: "exact", Timezone: "UTC", MaxAffected: 5, HasMaxAffected: true, Handling: "strict", Unknown: []string{"odd"}}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got %+v, want %+v", p, want)
	}
	if got := p.Applied(); got != "return=minimal, count=exact, handling=strict, timezone=UTC, max-affected=5" {
		t.Error(got)
	}
}

func TestParseAccept(t *testing.T) {
	t.Parallel()
	for header, want := range map[string][]ast.MediaType{
		"":                                  {ast.Any},
		"text/csv;q=0.5, application/json":  {ast.JSON, ast.CSV},
		"*/*, text/csv":                     {ast.CSV, ast.Any},
		"ApplicatIon/vnd.PgRsT.object+json": {ast.Object},
		"application/vnd.pgrst.object+json; nulls=stripped": {ast.ObjectStripped},
		"application/vnd.pgrst.array+json":                  {ast.JSON},
		`image/png;a="x,y", text/html;q=0.1`:                {`image/png;a="x,y"`, "text/html"},
	} {
		if got, _ := parseAccept(header); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %q, want %q", header, got, want)
		}
	}
}

func TestObjectKeys(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"b":1,"a":{"x":[1,"}"]}}`: "a b",
		`{}`:                        "",
		`[{"a":1,"b":"],{"},{"b":null,"a":[[]]}]`: "a b",
		`[{"a":1},{"b":1}]`:                       "differ",
		`[1]`:                                     "differ",
		`[{"a":1},2]`:                             "differ",
		`[]`:                                      "empty",
		`"text"`:                                  "empty",
		` [ { "a\"\u0062" : "\\" } , {"a\"b":2} ]`: `a"b`,
		`{"a":1,"a":2}`: "a",
	} {
		found := scanObjects([]byte(text))
		got := strings.Join(found.keys, " ")
		switch {
		case !found.uniform:
			got = "differ"
		case found.empty:
			got = "empty"
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestMembers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		` { "b" : 1.50 ,"a":"x\n" , "c" :{ "d" : [ 1 ] } }`: `a="x\n" b=1.50 c={ "d" : [ 1 ] } `,
		`{"\u0061":null}`: "a=null ",
		`{"a":1,"a":2}`:   "",
		`[{"a":1}]`:       "",
		`{}`:              "",
	} {
		got := ""
		for _, m := range scanObjects([]byte(text)).members {
			got += m.Name + "=" + string(m.JSON) + " "
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"select=a,b:c->d->>0::int,...e!f!inner(g)&id=eq.1&or=(a.eq.1,not.and(b.in.(\"x\",y),c.is.null))&order=a.desc.nullslast,r(b)&limit=1&e.offset=2",
		"columns=a,\"b\"&on_conflict=c&x.y.not.or=(z.fts(en).q)", "a=like(any).{*}&%zz=%", "select=((((", "or=" + strings.Repeat("(or", 80),
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, raw string, call bool) {
		q, err := parseQuery(splitQuery(raw), call)
		if err != nil {
			if e := apierr.From(err); e.Status != 400 || e.Code != "PGRST100" {
				t.Errorf("%q: %v", raw, err)
			}
			return
		}
		for i := range q.Filters {
			if q.Filters[i].Value.Op == nil {
				t.Errorf("%q: a filter without an operator", raw)
			}
		}
	})
}

func FuzzObjectKeys(f *testing.F) {
	f.Add([]byte(`[{"a":1,"b":"],{"},{"b":null,"a":[[]]}]`))
	f.Add([]byte(`{"a":{"b":[{}]},"c":"\""}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if !json.Valid(text) {
			return
		}
		found := scanObjects(text)
		var object map[string]json.RawMessage
		if json.Unmarshal(text, &object) == nil && object != nil {
			if !found.uniform || found.empty || len(found.keys) != len(object) {
				t.Errorf("%s: %+v", text, found)
			}
		}
		for _, m := range found.members {
			if !bytes.Equal(m.JSON, object[m.Name]) {
				t.Errorf("%s: %q is %s", text, m.Name, m.JSON)
			}
		}
	})
}
