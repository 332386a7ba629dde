package compile_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/madbase/madbase/modules/rest/ast"
	"github.com/madbase/madbase/modules/rest/compile"
	"github.com/madbase/madbase/modules/rest/plan"
	"github.com/madbase/madbase/modules/rest/request"
	"github.com/madbase/madbase/modules/rest/schema"
	"github.com/madbase/madbase/modules/rest/sqlgen"
)

// snapshot is a small schema: projects belong to clients.
func snapshot() *schema.Snapshot {
	name := func(n string) schema.Name { return schema.Name{Schema: "api", Name: n} }
	column := func(n, t string) *schema.Column { return &schema.Column{Name: n, Type: t, BaseType: t} }
	table := func(n string, columns ...*schema.Column) *schema.Table {
		return &schema.Table{
			Name: name(n), Insertable: true, Updatable: true, Deletable: true, TakesAll: true, PrimaryKey: []string{"id"},
			Columns: append([]*schema.Column{column("id", "integer")}, columns...),
		}
	}
	tables := []*schema.Table{
		table("clients", column("name", "text"), column("data", "jsonb"), column("raw", "json")),
		table("projects", column("name", "text"), column("client_id", "integer"), column("doc", "tsvector"), column("color", "api.color")),
	}
	pair := []schema.Pair{{Column: "client_id", Foreign: "id"}}
	back := []schema.Pair{{Column: "id", Foreign: "client_id"}}
	relations := []*schema.Relation{
		{Kind: schema.ManyToOne, Table: name("projects"), Foreign: name("clients"), Constraint: "fk", Columns: pair},
		{Kind: schema.OneToMany, Table: name("clients"), Foreign: name("projects"), Constraint: "fk", Columns: back},
	}
	param := func(n, t string) schema.Param { return schema.Param{Name: n, Type: t, MaxType: t} }
	scalar := schema.Name{Schema: "pg_catalog", Name: "int4"}
	many := param("v", "text[]")
	many.Variadic = true
	routines := []*schema.Routine{
		{Name: name("add"), Params: []schema.Param{param("a", "integer"), param("b", "text")}, Volatility: schema.Immutable, Returns: scalar},
		{Name: name("recent"), Params: []schema.Param{param("a", "integer")}, Volatility: schema.Stable, Returns: name("projects"), Composite: true, SetOf: true},
		{Name: name("whole"), Params: []schema.Param{{Type: "json", MaxType: "json"}}, Volatility: schema.Volatile, Returns: scalar},
		{Name: name("total"), Params: []schema.Param{many}, Volatility: schema.Stable, Returns: scalar},
	}
	return schema.NewSnapshot(tables, relations, routines, schema.Conversions{Casts: []*schema.Cast{
		{From: "api.color", To: "json", Function: "api.show"}, {From: "json", To: "api.color", Function: "api.read"}, {From: "text", To: "api.color", Function: "api.parse"},
	}})
}

var rules = compile.Rules{
	Request: request.Rules{Schemas: []string{"api", "other"}, TxAllowed: true, Describes: true},
	Plan:    plan.Rules{Aggregates: true, Explain: true, MaxRows: 1000},
}

// ask is a request as text: method, path and query, headers, and after an empty line the body.
type ask string

func (a ask) message() *request.Message {
	head, body, _ := strings.Cut(string(a), "\n\n")
	lines := strings.Split(head, "\n")
	method, target, _ := strings.Cut(lines[0], " ")
	path, query, _ := strings.Cut(target, "?")
	r := httptest.NewRequest(method, "/", http.NoBody)
	r.URL.Path, r.URL.RawQuery = path, query
	for _, h := range lines[1:] {
		n, v, _ := strings.Cut(h, ": ")
		r.Header.Add(n, v)
	}
	return request.Read(r, path, []byte(body))
}

// facts are all of a compiled request that running and answering it look at.
func facts(p *plan.Plan, s sqlgen.Statement) []any {
	all := []any{
		s.SQL, s.Args, s.Formats, p.Shape, p.Tail, p.Spelled, p.Body, p.Media, p.Handler, p.Explain, p.MaxRows, p.Renamed, p.Table, p.Routine,
		p.Action, p.Schema, p.Name, p.Negotiated, p.HeadOnly, p.Query.HasOnConflict, p.Range, p.Prefer,
	}
	if p.Action == ast.Read { // of others no answer tells it
		all = append(all, p.Query.Canonical)
	}
	if w := p.Write; w != nil {
		all = append(all, w.Conflict, w.Returning, w.PrimaryKey, w.IsObject, w.One, w.Values != nil)
	}
	return all
}

// check compiles a by c, which may know its shape, and afresh.
func check(t *testing.T, c *compile.Compiler, a ask) {
	t.Helper()
	got, err := c.Compile(a.message(), func() {})
	req, want := a.message().Parse(rules.Request)
	var p *plan.Plan
	if want == nil && req.Action != ast.Describe && req.Action != ast.InspectRoot {
		p, want = plan.Build(req, c.Schema, rules.Plan)
	}
	switch {
	case fmt.Sprint(err) != fmt.Sprint(want):
		t.Fatalf("%q: error %v, want %v", a, err, want)
	case want != nil || p == nil || req.Action > ast.CallRead:
		return
	}
	found, wanted := facts(got.Plan, got.Statement), facts(p, sqlgen.Generate(p))
	for i := range wanted {
		if !reflect.DeepEqual(found[i], wanted[i]) {
			t.Fatalf("%q: fact %d is\n %q, want\n %q", a, i, found[i], wanted[i])
		}
	}
	plain, err := got.Plain()
	if err != nil {
		t.Fatal(err)
	}
	rules := rules.Plan
	rules.Plain = true
	if p, err = plan.Build(req, c.Schema, rules); err != nil || !reflect.DeepEqual(facts(plain, sqlgen.Generate(plain)), facts(p, sqlgen.Generate(p))) {
		t.Fatalf("%q: plain it is another (%v)", a, err)
	}
}

// pieces of requests, out of which random ones are made: many of one shape, and many
// that look as if they were.
var (
	targets = []string{
		"GET /projects", "GET /clients", "HEAD /projects", "POST /projects", "POST /clients", "PATCH /projects", "DELETE /clients", "PUT /clients",
		"GET /rpc/add", "GET /rpc/recent", "GET /rpc/total", "GET /rpc/whole", "POST /rpc/add", "POST /rpc/whole", "GET /none", "OPTIONS /clients", "GET /", "GET /a/b",
	}
	keys = []string{
		"id", "name", "client_id", "doc", "color", "a", "b", "v", "clients.name", "projects.id", "data->>x", "data-%3Ea->0", "%69d", "n+m", `"id"`, `"a,b"`, "",
		"select", "columns", "on_conflict", "order", "projects.order", "limit", "offset", "projects.limit", "and", "or", "not.or", "apikey", "%73elect", "x.and", "sel=ect",
	}
	operators = []string{
		"eq.", "not.eq.", "neq.", "gt.", "lte.", "eq(any).", "in.", "is.", "not.is.", "like.", "ilike(all).", "match.", "fts.", "fts(english).", "cs.", "isdistinct.", "eq", "not.", "not.not.eq.", "EQ.", "",
	}
	values = []string{
		"1", "2", "17", "null", "true", "", "a", "a,b", "a*b", "(1,2)", "({1},2)", "{a,b}", `"q"`, "%22", "%00", "%FF", "a+b", "a%20b", "a%2Bb", "%26", "a%3Db", "é", "eq.1", "not.x", ".", "in", "eyJx", "sb_x",
		"id", "*", "id,name", "*,projects(*)", "name,clients(name)", "id.desc", "(id.eq.1,name.eq.2)", "count()", "...clients(name)", "x'--", "$1", "0", "-1", "-",
	}
	headers = []string{
		"Prefer: return=representation", "Prefer: return=headers-only", "Prefer: count=exact", "Prefer: count=planned", "Prefer: resolution=merge-duplicates",
		"Prefer: missing=default", "Prefer: handling=strict, max-affected=1", "Prefer: timezone=UTC", "Prefer: tx=rollback", "Prefer: x=y", "Accept: text/csv", "Accept: application/vnd.pgrst.object+json",
		"Accept: application/vnd.pgrst.plan+json", "Accept: */*", "Accept: x/y", "Range: 0-4", "Range: 3-1", "Accept-Profile: other", "Content-Profile: api", "Content-Profile: none", "Content-Type: text/csv",
		"Content-Type: application/json; charset=utf-8", "Content-Type: application/x-www-form-urlencoded", "Content-Type: text/plain", "X-Other: 1",
	}
	bodies = []string{
		`{"id":1}`, `{"id":2}`, ` {"id" : null }`, `{"id":"1","name":"x"}`, `{"name":"a\"b","id":2}`, `{"name":"a","id":{"x":1}}`, `{"data":{"x":1},"id":1}`, `{"data":"a\nb","id":1}`, `{"raw":"a\nb"}`, `{"raw":"ab"}`,
		`{"raw":[1, 2]}`, `{"name":"\u00e9"}`, "{\"name\":\"\xff\"}", `{"id":1,"id":2}`, `{}`, `[]`, `[{}]`, `[{"id":1}]`, `[{"id":1},{"id":2}]`, `[{"id":1},{"name":2}]`, `[1]`, `1`, ``, `{`, `null`,
		`{"none":1}`, `{"a":1,"b":"x"}`, `{"a":2,"b":null}`, `{"color":"red"}`, `{"":1}`, `{"a":"1"}`, "a\nb", `"x"`, `{"name":""}`, `{"name":true}`, `{"name":1.50}`,
	}
)

func pick(r *rand.Rand, of []string) string { return of[r.IntN(len(of))] }

// randomAsk is a request of r's choosing with values of v's.
func randomAsk(r, v *rand.Rand) ask {
	var b strings.Builder
	b.WriteString(pick(r, targets))
	for i := range r.IntN(4) {
		b.WriteString("?&"[min(i, 1):][:1])
		b.WriteString(pick(r, keys))
		if r.IntN(12) > 0 {
			b.WriteString("=")
		}
		b.WriteString(pick(r, operators))
		b.WriteString(pick(v, values))
	}
	for r.IntN(3) == 0 {
		b.WriteString("\n" + pick(r, headers))
	}
	return ask(b.String() + "\n\n" + pick(v, bodies))
}

// TestShapesChangeNothing compiles random requests by a compiler that has seen those
// before, and each afresh.
func TestShapesChangeNothing(t *testing.T) {
	t.Parallel()
	n := 60_000
	if testing.Short() {
		n = 5_000
	}
	c, v := compile.New(snapshot(), rules), rand.New(rand.NewPCG(1, 2))
	for i := range n {
		shape := uint64(i / 4) // each a few times, with other values
		check(t, c, randomAsk(rand.New(rand.NewPCG(shape, shape)), v))
	}
}

// TestOthersValues has requests of one shape compiled at once: each has its own values.
func TestOthersValues(t *testing.T) {
	t.Parallel()
	c := compile.New(snapshot(), rules)
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := range 300 {
				for _, form := range []string{
					"GET /projects?id=eq.%d&name=neq.x", "GET /rpc/add?a=%d&b=x", "PATCH /clients?id=eq.%d\n\n{\"name\":\"x\"}",
					"POST /clients\nPrefer: return=representation\n\n{\"id\":%d,\"name\":\"x\"}", "GET /clients?select=*,projects(*)&projects.id=gt.%d&limit=3",
				} {
					check(t, c, ask(fmt.Sprintf(form, worker*1000+i)))
				}
			}
		})
	}
	group.Wait()
}

// FuzzShape compiles a request and another one by one compiler: what the first left
// there changes nothing for the second.
func FuzzShape(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		f.Add(string(randomAsk(r, r)), string(randomAsk(r, r)))
	}
	f.Add("GET /projects?id=eq.1", "GET /projects?id=eq.2")
	s := snapshot()
	f.Fuzz(func(t *testing.T, first, second string) {
		for _, text := range []string{first, second} {
			method, _, _ := strings.Cut(text, " ")
			if method == "" || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
				return
			}
		}
		c := compile.New(s, rules)
		for _, a := range []ask{ask(first), ask(second), ask(first)} {
			check(t, c, a)
		}
	})
}

func BenchmarkCompile(b *testing.B) {
	for name, a := range map[string]ask{
		"by-key": "GET /projects?select=id,name&id=eq.1",
		"list":   "GET /projects?select=id,name,client_id&client_id=in.(1,2,3)&order=id.desc&limit=100",
		"embed":  "GET /clients?select=id,name,projects(id,name)&projects.order=id&id=lt.10",
		"insert": "POST /projects\nPrefer: return=representation\n\n{\"name\":\"x\",\"client_id\":1}",
		"call":   "GET /rpc/add?a=1&b=2",
	} {
		head, body, _ := strings.Cut(string(a), "\n\n")
		lines := strings.Split(head, "\n")
		method, target, _ := strings.Cut(lines[0], " ")
		path, query, _ := strings.Cut(target, "?")
		r := httptest.NewRequest(method, "/", http.NoBody)
		r.URL.Path, r.URL.RawQuery = path, query
		for _, h := range lines[1:] {
			n, v, _ := strings.Cut(h, ": ")
			r.Header.Add(n, v)
		}
		c := compile.New(snapshot(), rules)
		b.Run(name+"/hot", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Compile(request.Read(r, path, []byte(body)), func() {}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/cold", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				req, err := request.Read(r, path, []byte(body)).Parse(rules.Request)
				if err != nil {
					b.Fatal(err)
				}
				p, err := plan.Build(req, c.Schema, rules.Plan)
				if err != nil {
					b.Fatal(err)
				}
				sqlgen.Generate(p)
			}
		})
	}
}
