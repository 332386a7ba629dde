package sqlgen_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/madbase/madbase/modules/rest/plan"
	"github.com/madbase/madbase/modules/rest/request"
	"github.com/madbase/madbase/modules/rest/schema"
	"github.com/madbase/madbase/modules/rest/sqlgen"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// snapshot is a small schema: projects belong to clients and have tasks.
func snapshot() *schema.Snapshot {
	name := func(n string) schema.Name { return schema.Name{Schema: "api", Name: n} }
	column := func(n, t string) *schema.Column {
		return &schema.Column{Name: n, Type: t, BaseType: t}
	}
	id := column("id", "integer")
	id.Default = "nextval('api.seq'::regclass)"
	table := func(n string, columns ...*schema.Column) *schema.Table {
		return &schema.Table{
			Name: name(n), Insertable: true, Updatable: true, Deletable: true, PrimaryKey: []string{"id"},
			Columns: append([]*schema.Column{id}, columns...),
		}
	}
	tables := []*schema.Table{
		table("clients", column("name", "text"), column("data", "jsonb")),
		table("projects", column("name", "text"), column("client_id", "integer"), column("doc", "tsvector")),
		table("tasks", column("project_id", "integer")),
		table("paints", column("color", "api.color")),
	}
	link := func(from, to, column, constraint string) []*schema.Relation {
		return []*schema.Relation{
			{Kind: schema.ManyToOne, Table: name(from), Foreign: name(to), Constraint: constraint, Columns: []schema.Pair{{Column: column, Foreign: "id"}}},
			{Kind: schema.OneToMany, Table: name(to), Foreign: name(from), Constraint: constraint, Columns: []schema.Pair{{Column: "id", Foreign: column}}},
		}
	}
	relations := append(link("projects", "clients", "client_id", "projects_client_fk"), link("tasks", "projects", "project_id", "tasks_project_fk")...)
	param := schema.Param{Name: "n", Type: "integer", MaxType: "integer", Required: true}
	routines := []*schema.Routine{
		{Name: name("add"), Params: []schema.Param{param}, Volatility: schema.Immutable, Returns: schema.Name{Schema: "pg_catalog", Name: "int4"}},
		{Name: name("recent"), Params: []schema.Param{param}, Volatility: schema.Stable, Returns: name("projects"), Composite: true, SetOf: true},
		{Name: name("whole"), Params: []schema.Param{{Type: "json", MaxType: "json", Required: true}}, Volatility: schema.Volatile, Returns: schema.Name{Schema: "pg_catalog", Name: "json"}},
	}
	return schema.NewSnapshot(tables, relations, routines, schema.Conversions{
		Casts: []*schema.Cast{
			{From: "api.color", To: "json", Function: "api.show"}, {From: "json", To: "api.color", Function: "api.read"}, {From: "text", To: "api.color", Function: "api.parse"},
		},
		Handlers: []*schema.Handler{
			{Function: schema.Name{Schema: "api", Name: "clients_tsv"}, Target: name("clients"), Takes: "text/tab-separated-values", Media: "text/tab-separated-values"},
			{Function: schema.Name{Schema: "api", Name: "any_yaml"}, Takes: "text/yaml", Media: "text/yaml"},
			{Function: schema.Name{Schema: "api", Name: "image/png"}, Target: name("add"), Takes: "image/png", Media: "image/png"},
		},
	})
}

// compile takes a request as text: "METHOD /path", headers, an empty line and a body.
func compile(text string, s *schema.Snapshot) (sqlgen.Statement, error) {
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	method, target, _ := strings.Cut(lines[0], " ")
	path, query, _ := strings.Cut(target, "?")
	r := httptest.NewRequest(method, "/", http.NoBody)
	r.URL.Path, r.URL.RawQuery = path, query
	for _, h := range lines[1:] {
		n, v, _ := strings.Cut(h, ": ")
		r.Header.Add(n, v)
	}
	req, err := request.Read(r, path, []byte(strings.TrimSpace(body))).Parse(request.Rules{Schemas: []string{"api"}})
	if err != nil {
		return sqlgen.Statement{}, err
	}
	p, err := plan.Build(req, s, plan.Rules{Aggregates: true, Explain: true})
	if err != nil {
		return sqlgen.Statement{}, err
	}
	return sqlgen.Generate(p), nil
}

// TestGolden compares the statements of testdata/*.txt. Each case is a request
// after "=== name" and the statement and its parameters after "---".
// go test ./modules/rest/sqlgen -update rewrites them.
func TestGolden(t *testing.T) {
	t.Parallel()
	const file = "testdata/statements.txt"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, c := range strings.Split(string(text), "=== ")[1:] {
		name, rest, _ := strings.Cut(c, "\n")
		asked, want, _ := strings.Cut(rest, "---\n")
		statement, err := compile(strings.TrimSpace(asked), snapshot())
		got := strings.ReplaceAll(strings.ReplaceAll(statement.SQL, " FROM ", "\n  FROM "), " WHERE ", "\n  WHERE ")
		for i, arg := range statement.Args {
			got += fmt.Sprintf("\n$%d = %s", i+1, arg)
		}
		if err != nil {
			got = "error: " + err.Error()
		}
		got += "\n\n"
		if got != want && !*update {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
		out.WriteString("=== " + name + "\n" + asked + "---\n" + got)
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

var (
	quoted     = regexp.MustCompile(`"(?:[^"]|"")*"`)
	literal    = regexp.MustCompile(`E?'[^']*'`)
	parameter  = regexp.MustCompile(`\$[0-9]+`)
	vocabulary = regexp.MustCompile(`(?i)^(explain|format|verbose|analyze|select|from|where|and|or|not|as|on|is|null|distinct|true|false|unknown|any|all|limit|offset|order|by|asc|desc|nulls|first|last|` +
		`group|left|inner|join|lateral|with|insert|into|update|set|delete|returning|values|conflict|do|nothing|excluded|exists|case|when|then|end|variadic|` +
		`cast|coalesce|count|sum|avg|max|min|like|ilike|pg_catalog|current_setting|nullif|set_config|` +
		`json|jsonb|text|int|bigint|integer|smallint|real|double|precision|numeric|boolean|char|varchar|bit|varbit|time|timetz|timestamp|timestamptz|interval|bytea|tsvector|` +
		`json_agg|jsonb_agg|array_agg|array_send|row_to_json|to_json|to_jsonb|json_strip_nulls|json_each_text|json_object_agg|json_object_keys|json_build_object|jsonb_build_object|json_array_elements|jsonb_array_elements|` +
		`json_to_record|json_to_recordset|jsonb_to_record|jsonb_to_recordset|string_agg|substring|length|st_asgeojson|` +
		`api|any_yaml|clients_tsv|show|parse|read|to_tsvector|to_tsquery|plainto_tsquery|phraseto_tsquery|websearch_to_tsquery|nextval|regclass|` +
		`pgrst_[a-z_]+|_postgrest_t|total_result_set|page_total|header|body|response_headers|response_status|response_inserted|` +
		`json_data|val|elem|d|key|value|s|h|r|k|a|_|[0-9]+)$`)
	words = regexp.MustCompile(`[\p{L}\p{N}_]+`)
)

// foreignWords are the words of a statement that are neither quoted nor the generator's own.
func foreignWords(sql string) []string {
	rest := parameter.ReplaceAllString(literal.ReplaceAllString(quoted.ReplaceAllString(sql, " "), " "), " ")
	var foreign []string
	for _, w := range words.FindAllString(rest, -1) {
		if !vocabulary.MatchString(w) {
			foreign = append(foreign, w)
		}
	}
	return foreign
}

// FuzzStatement asserts that whatever is asked, what the caller wrote reaches the
// statement only inside quoted names. What is written must exist in the schema, or
// is refused before (PGRST204). A name that is read or filtered by may be unknown to
// it: as with PostgREST it is PostgreSQL that answers (42703), because the name may
// also be of a computed column, a function, which only the database resolves.
func FuzzStatement(f *testing.F) {
	for _, seed := range []string{
		"select=a:name,zq->x->>0::zqx,...clients!inner(*),tasks(id)&zq=eq.1&name=fts(zq).a&or=(id.in.(zq),clients.not.is.null)&order=zq.desc,clients(name)&limit=3",
		"select=zq:name,zq:clients(zq:id,*),zq2:tasks(zq)", "select=zq:count(),name.max()::zq&on_conflict=zq,\"zq'\"&columns=id", `select="zq\"; DROP TABLE x; --"&"a'b"=eq.1`, "n=zq", "select=id::timestamp with time zone",
	} {
		for method := range methods {
			f.Add(seed, `{"id":1,"name":"zq"}`, uint8(method))
		}
	}
	s := snapshot()
	f.Fuzz(func(t *testing.T, query, body string, method uint8) {
		request := methods[int(method)%len(methods)]
		statement, err := compile(strings.Replace(request, "QUERY", strings.NewReplacer("\n", "", " ", "%20").Replace(query), 1)+"\n\n"+body, s)
		if err != nil {
			return
		}
		if foreign := foreignWords(statement.SQL); len(foreign) > 0 {
			t.Errorf("%q reached the statement of %s %q: %s", foreign, request, query, statement.SQL)
		}
		if strings.ContainsRune(statement.SQL, 0) {
			t.Errorf("zero byte: %q", statement.SQL)
		}
	})
}

var methods = []string{
	"GET /projects?QUERY", "POST /projects?QUERY\nPrefer: return=representation, resolution=merge-duplicates, missing=default",
	"PATCH /clients?QUERY\nPrefer: return=representation", "DELETE /projects?QUERY", "PUT /clients?QUERY", "GET /rpc/add?QUERY", "POST /rpc/recent?QUERY",
	"GET /clients?QUERY\nAccept: text/tab-separated-values, text/yaml, application/vnd.pgrst.plan+json; options=verbose|analyze", "GET /rpc/add?QUERY\nAccept: image/png",
}

func BenchmarkCompile(b *testing.B) {
	s := snapshot()
	for name, query := range map[string]string{
		"by-key": "GET /projects?select=id,name&id=eq.1",
		"list":   "GET /projects?select=id,name,client_id&client_id=in.(1,2,3)&order=id.desc&limit=100",
		"embed":  "GET /clients?select=id,name,projects(id,name,tasks(id))&projects.order=id&id=lt.10",
		"insert": "POST /projects\nPrefer: return=representation\n\n{\"name\":\"x\",\"client_id\":1}",
	} {
		b.Run(name, func(b *testing.B) {
			head, body, _ := strings.Cut(query, "\n\n")
			lines := strings.Split(head, "\n")
			method, target, _ := strings.Cut(lines[0], " ")
			path, raw, _ := strings.Cut(target, "?")
			r := httptest.NewRequest(method, "/", http.NoBody)
			r.URL.Path, r.URL.RawQuery = path, raw
			for _, h := range lines[1:] {
				n, v, _ := strings.Cut(h, ": ")
				r.Header.Add(n, v)
			}
			b.ReportAllocs()
			for b.Loop() {
				req, err := request.Read(r, path, []byte(body)).Parse(request.Rules{Schemas: []string{"api"}})
				if err != nil {
					b.Fatal(err)
				}
				p, err := plan.Build(req, s, plan.Rules{})
				if err != nil {
					b.Fatal(err)
				}
				sqlgen.Generate(p)
			}
		})
	}
}
