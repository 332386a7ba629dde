package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/madbase/madbase/modules/rest"
)

// odd are texts with what is special to URLs, JSON, arrays, patterns or SQL.
var odd = []string{
	"", "plain", "a,b", "a b", "a+b", "a&b=c", "a%20b", "100%", `say "hi"`, `back\slash`, "it's", "(x)", "{y}", "é 日", "a*b", "eq.1", "not.null", "null", "in.(1,2)", "$1", "--", "line\nbreak", "\x01",
}

// TestOddValuesOfOneShape sends one request with many values, each of which must come
// back as it was sent.
func TestOddValuesOfOneShape(t *testing.T) {
	t.Parallel()
	c := serverWith(t, fixture+`CREATE FUNCTION echo(t text) RETURNS text LANGUAGE sql STABLE AS 'SELECT t';`, nil)
	text := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for i, value := range odd {
		inserted := c.do(t, "POST /people?select=name", text(map[string]any{"id": i, "name": value}), "Prefer: return=representation")
		if want := text([]any{map[string]any{"name": value}}); inserted.status != 201 || !sameBody(inserted.body, want) {
			t.Errorf("insert of %q: %d %s", value, inserted.status, inserted.body)
		}
	}
	for i, value := range odd {
		escaped := url.QueryEscape(value)
		got := c.do(t, "GET /people?select=id&name=eq."+escaped, "")
		if want := fmt.Sprintf(`[{"id":%d}]`, i); got.body != want {
			t.Errorf("name=eq.%q: %d %s, want %s", value, got.status, got.body, want)
		}
		if place := "/people?name=eq." + strings.ReplaceAll(escaped, "+", "%20") + "&select=id"; got.header.Get("Content-Location") != place {
			t.Errorf("Content-Location is %q, want %q", got.header.Get("Content-Location"), place)
		}
		if isFilter := strings.HasPrefix(value, "eq.") || strings.HasPrefix(value, "in.") || strings.HasPrefix(value, "not."); !isFilter {
			if got := c.do(t, "GET /rpc/echo?t="+escaped, ""); !sameBody(got.body, text(value)) {
				t.Errorf("echo of %q: %d %s", value, got.status, got.body)
			}
		}
		if got := c.do(t, "POST /rpc/echo", text(map[string]any{"t": value})); !sameBody(got.body, text(value)) {
			t.Errorf("echo of %q: %d %s", value, got.status, got.body)
		}
	}
	runAll(t, c, []scenario{
		{line: "GET /people?select=id&id=eq.%00", status: 400, body: "*"},
		{line: "GET /people?select=id&id=eq.x", status: 400, body: `{"code":"22P02","details":null,"hint":null,"message":"invalid input syntax for type integer: \"x\""}`},
		{line: "GET /people?select=id&id=eq.1", status: 200, body: `[{"id":1}]`},
		{line: "GET /people?select=id&id=gt.1&id=lt.4", status: 200, body: `[{"id":2},{"id":3}]`},
		{line: "GET /people?select=id&id=gt.3&id=lt.5", status: 200, body: `[{"id":4}]`},
		{line: "GET /people?select=id&id=lt.1&id=gt.-1", status: 200, body: `[{"id":0}]`},
		{line: "GET /rpc/add?a=1&a=2", status: 200, body: `12`},
		{line: "GET /rpc/add?a=3&a=4", status: 200, body: `14`},
		{line: "GET /rpc/add?b=1&a=4", status: 200, body: `5`},
		{line: "GET /rpc/total?v=1&v=2", status: 200, body: `3`},
		{line: "GET /rpc/total?v=3&v=4", status: 200, body: `7`},
	})
}

// TestWhatCountsOfAShape sends requests that differ in nothing but what looks as if
// it did not count.
func TestWhatCountsOfAShape(t *testing.T) {
	t.Parallel()
	c := server(t, nil)
	for range 2 {
		runAll(t, c, []scenario{
			{line: "GET /clients?select=id&id=lte.2", status: 200, want: []string{"Content-Range: 0-1/*", "Preference-Applied:"}, body: `[{"id":1},{"id":2}]`},
			{line: "GET /clients?select=id&id=lte.2", headers: []string{"Prefer: count=exact"}, status: 200, want: []string{"Content-Range: 0-1/2", "Preference-Applied: count=exact"}, body: `[{"id":1},{"id":2}]`},
			{line: "GET /clients?select=id&id=lte.1", headers: []string{"Prefer: count=planned"}, status: 206, want: []string{"Preference-Applied: count=planned"}, body: `[{"id":1}]`},
			{line: "GET /clients?select=id&id=lte.2", headers: []string{"Range: 1-1"}, status: 200, want: []string{"Content-Range: 1-1/*"}, body: `[{"id":2}]`},
			{line: "GET /clients?select=id&id=lte.2", headers: []string{"Accept: text/csv"}, status: 200, want: []string{"Content-Type: text/csv; charset=utf-8"}, body: "id\n1\n2"},
			{line: "GET /clients?select=id&id=lte.1", headers: []string{"Accept: application/vnd.pgrst.object+json"}, status: 200, body: `{"id":1}`},
			{line: "GET /clients?select=id&id=lte.2", headers: []string{"Accept: application/vnd.pgrst.object+json"}, status: 406, body: "*"},
			{line: "GET /clients?select=id&id=lte.2", headers: []string{"Accept-Profile: none"}, status: 406, body: "*"},
			{line: "GET /clients?select=id&id=lte.2", headers: []string{"Prefer: handling=strict, x=y"}, status: 400, body: "*"},
			{line: "HEAD /clients?select=id&id=lte.2", status: 200, want: []string{"Content-Range: 0-1/*"}, body: ""},
			{line: "GET /clients?select=id&id=not.lte.2", status: 200, body: `[{"id":3}]`},
			{line: "GET /clients?select=id&id=lte(any).{2}", status: 200, body: `[{"id":1},{"id":2}]`},
			{line: "GET /clients?select=id&id=in.(2)", status: 200, body: `[{"id":2}]`},
			{line: "GET /clients?select=id&id=in.(3)", status: 200, body: `[{"id":3}]`},
			{line: "GET /clients?select=id&name=like.A*", status: 200, body: `[{"id":2}]`},
			{line: "GET /clients?select=id&name=like.M*", status: 200, body: `[{"id":1}]`},
			{line: "GET /clients?select=id&or=(id.eq.1,id.eq.2)", status: 200, body: `[{"id":1},{"id":2}]`},
			{line: "GET /clients?select=id&or=(id.eq.1,id.eq.3)", status: 200, body: `[{"id":1},{"id":3}]`},
			{line: "GET /clients?select=id&id=lte.2&limit=1", status: 200, body: `[{"id":1}]`},
			{line: "GET /clients?select=id&id=lte.2&limit=1&offset=1", status: 200, body: `[{"id":2}]`},
			{line: "GET /clients?select=id,projects(id)&id=eq.1&projects.id=eq.2", status: 200, body: `[{"id":1,"projects":[{"id":2}]}]`},
			{line: "GET /clients?select=id,projects(id)&id=eq.2&projects.id=eq.3", status: 200, body: `[{"id":2,"projects":[{"id":3}]}]`},
			{line: "PATCH /clients?id=eq.3&select=name", headers: []string{"Prefer: return=representation"}, send: `{"name":"New"}`, status: 200, body: `[{"name":"New"}]`},
			{line: "PATCH /clients?id=eq.3&select=name", headers: []string{"Prefer: return=representation"}, send: `{"name":"Nobody"}`, status: 200, body: `[{"name":"Nobody"}]`},
			{line: "PATCH /clients?id=eq.3&select=data", headers: []string{"Prefer: return=representation"}, send: `{"data":{"a":[1]}}`, status: 200, body: `[{"data":{"a":[1]}}]`},
			{line: "PATCH /clients?id=eq.3&select=data", headers: []string{"Prefer: return=representation"}, send: `{"data":null}`, status: 200, body: `[{"data":null}]`},
			{line: "PATCH /clients?id=eq.3", send: `{"nope":null}`, status: 400, body: "*"},
			{line: "PATCH /clients?id=eq.3", send: `{"name":`, status: 400, body: "*"},
		})
	}
}

// TestOneShapeAtOnce has many callers ask for one shape, as themselves.
func TestOneShapeAtOnce(t *testing.T) {
	t.Parallel()
	c := server(t, nil)
	users := []string{"00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"}
	c.project.Exec(t, `INSERT INTO notes SELECT i, ('00000000-0000-4000-8000-00000000000' || 1 + i % 2)::uuid, 'n' || i FROM generate_series(1, 40) i`)
	var group sync.WaitGroup
	for worker := range 4 {
		token := c.token(t, map[string]any{"role": "authenticated", "sub": users[worker%2]})
		group.Go(func() {
			for i := 1; i <= 40; i++ {
				want := "[]"
				if i%2 == worker%2 {
					want = fmt.Sprintf(`[{"body":"n%d"}]`, i)
				}
				if got := c.do(t, fmt.Sprintf("GET /notes?select=body&id=eq.%d", i), "", token); got.body != want {
					t.Errorf("note %d of user %d: %s, want %s", i, worker%2, got.body, want)
				}
				if got := c.do(t, fmt.Sprintf("GET /rpc/add?a=%d&b=%d", i, worker), ""); got.body != fmt.Sprint(i+worker) {
					t.Errorf("%d + %d = %s", i, worker, got.body)
				}
				id := 1000*(worker+1) + i
				got := c.do(t, "POST /clients?select=id,name", fmt.Sprintf(`{"id":%d,"name":"c%d"}`, id, id), "Prefer: return=representation")
				if want := fmt.Sprintf(`[{"id":%d,"name":"c%d"}]`, id, id); got.body != want {
					t.Errorf("inserted %s, want %s", got.body, want)
				}
			}
		})
	}
	group.Wait()
}

// TestShapesEndWithSchemaAndSettings changes what a known shape means.
func TestShapesEndWithSchemaAndSettings(t *testing.T) {
	t.Parallel()
	c := server(t, func(cfg *rest.Config) { cfg.LegacyTargetNames = true })
	const shape = "GET /clients?select=id,extra&id=lte.3"
	if got := c.do(t, shape, ""); got.status != http.StatusBadRequest {
		t.Errorf("%d %s", got.status, got.body)
	}
	c.project.Exec(t, `ALTER TABLE clients ADD COLUMN extra int`)
	until(t, c, 200, shape)
	c.project.Exec(t, `CREATE FUNCTION later(a int) RETURNS int LANGUAGE sql STABLE AS 'SELECT a'`)
	until(t, c, 200, "GET /rpc/later?a=1")
	c.project.Exec(t, `DROP FUNCTION later; CREATE FUNCTION later(a text) RETURNS text LANGUAGE sql STABLE AS $$ SELECT a || '!' $$`)
	if got := until(t, c, 200, "GET /rpc/later?a=x"); got.body != `"x!"` {
		t.Errorf("the function is an old one: %s", got.body)
	}
	alterLogin(t, c, `SET pgrst.db_aggregates_enabled = 'true'`)
	until(t, c, 200, "GET /clients?select=id.count()&id=lte.3")
	alterLogin(t, c, `RESET pgrst.db_aggregates_enabled`)
	until(t, c, 400, "GET /clients?select=id.count()&id=lte.3")
	alterLogin(t, c, `SET pgrst.db_tx_end = 'rollback-allow-override'`)
	for range 2 {
		until(t, c, 200, "GET /clients?select=id&id=lte.3", "Prefer: tx=commit")
	}
	alterLogin(t, c, `RESET ALL`)
}
