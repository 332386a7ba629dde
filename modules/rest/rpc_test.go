package rest_test

import (
	"testing"
	"time"

	"github.com/madbase/madbase/modules/rest"
)

func TestCall(t *testing.T) {
	t.Parallel()
	c := server(t, nil)
	runAll(t, c, []scenario{
		{line: "POST /rpc/add", send: `{"a":1,"b":2}`, status: 200, body: `3`, want: []string{"Content-Type: application/json; charset=utf-8", "Content-Range: 0-0/*"}},
		{line: "POST /rpc/add", send: `{"a":1}`, status: 200, body: `11`},
		{line: "GET /rpc/add?a=1&b=2", status: 200, body: `3`},
		{line: "HEAD /rpc/add?a=1", status: 200, body: ``},
		{line: "POST /rpc/hello", send: ``, status: 200, body: `"hello"`},
		{line: "POST /rpc/nothing", send: `{}`, status: 204, body: ``, want: []string{"Content-Type:"}},
		{line: "GET /rpc/numbers?n=3", status: 200, body: `[1,2,3]`},
		{line: "GET /rpc/numbers?n=3&limit=1&offset=1", status: 200, body: `[2]`, want: []string{"Content-Range: 1-1/*"}},
		{line: "GET /rpc/all_projects?select=id,clients(name)&id=eq.3", status: 200, body: `[{"id":3,"clients":{"name":"Apple"}}]`},
		{line: "POST /rpc/all_projects?select=id&order=id.desc&limit=2", headers: []string{"Prefer: count=exact"}, status: 206, body: `[{"id":5},{"id":4}]`, want: []string{"Content-Range: 0-1/5"}},
		{line: "GET /rpc/all_projects?select=name&id=eq.1", status: 200, body: `[{"name":"Windows 7"}]`},
		{line: "GET /rpc/all_projects?select=id,label&id=eq.1", status: 200, body: `[{"id":1,"label":"1:Windows 7"}]`},
		{line: "GET /rpc/one_client?cid=1&select=id,name", status: 200, body: `{"id":1,"name":"Microsoft"}`},
		{line: "GET /rpc/one_client?cid=1&select=id,projects(id)", status: 200, body: `{"id":1,"projects":[{"id":1},{"id":2}]}`},
		{line: "GET /rpc/pairs?v=gt.1", status: 200, body: `[{"k":"b","v":2}]`},
		{line: "GET /rpc/pairs", headers: []string{"Accept: text/csv"}, status: 200, body: "k,v\na,1\nb,2"},
		{line: "GET /rpc/pairs?k=eq.a", headers: []string{"Accept: application/vnd.pgrst.object+json"}, status: 200, body: `{"k":"a","v":1}`},
		{line: "POST /rpc/echo_json", send: `{"x":[1,2]}`, status: 200, body: `{"x":[1,2]}`},
		{line: "POST /rpc/echo_text", headers: []string{"Content-Type: text/plain"}, send: `a "b"`, status: 200, body: `"a \"b\""`},
		{line: "POST /rpc/echo_bytes", headers: []string{"Content-Type: application/octet-stream"}, send: "\x00\x01\xff", status: 200, body: `3`},
		{line: "GET /rpc/total?v=1&v=2&v=3", status: 200, body: `6`},
		{line: "POST /rpc/total", send: `{"v":[1,2,3,4]}`, status: 200, body: `10`},
		{line: "POST /rpc/add", headers: []string{"Content-Type: application/x-www-form-urlencoded"}, send: `a=4&b=5`, status: 200, body: `9`},
		{line: "POST /rpc/over", send: `{"a":1,"b":"x"}`, status: 200, body: `"int a, text b"`},
		{line: "POST /rpc/over", send: `{"a":1}`, status: 200, body: `"int a"`},
		{line: "POST /rpc/clash", send: `{"a":1}`, status: 300, body: `{"code":"PGRST203","details":null,"hint":"Try renaming the parameters or the function itself in the database so function overloading can be resolved","message":"Could not choose the best candidate function between: public.clash(a => integer), public.clash(a => text)"}`},
		{line: "POST /rpc/add", send: `{"aa":1}`, status: 404, body: `{"code":"PGRST202","details":"Searched for the function public.add with parameter aa or with a single unnamed json/jsonb parameter, but no matches were found in the schema cache.","hint":"Perhaps you meant to call the function public.add(a, b)","message":"Could not find the function public.add(aa) in the schema cache"}`},
		{line: "POST /rpc/helo", send: `{}`, status: 404, body: `{"code":"PGRST202","details":"Searched for the function public.helo without parameters or with a single unnamed json/jsonb parameter, but no matches were found in the schema cache.","hint":"Perhaps you meant to call the function public.hello","message":"Could not find the function public.helo without parameters in the schema cache"}`},
		{line: "GET /rpc/adds_user", status: 405, body: `{"code":"25006","details":null,"hint":null,"message":"cannot execute INSERT in a read-only transaction"}`},
		{line: "DELETE /rpc/add", status: 405, body: `{"code":"PGRST101","details":null,"hint":null,"message":"Cannot use the DELETE method on RPC"}`},
		{line: "POST /rpc/teapot", status: 418, body: `{"code":"PT418","details":null,"hint":"tea","message":"short and stout"}`},
		{line: "POST /rpc/decides", status: 402, body: `{"code":"123","details":"poor","hint":"pay","message":"Payment required"}`, want: []string{"X-Pay: now"}},
		{line: "POST /rpc/gucs", status: 202, body: `"ok"`, want: []string{"X-One: 1", "Set-Cookie: a=1|b=2"}},
		{line: "GET /rpc/seen?name=request.path", status: 200, body: `"/rpc/seen"`},
		{line: "GET /rpc/seen?name=search_path", status: 200, body: `"\"public\", \"public\", \"extensions\""`},
		{line: "GET /rpc/seen?name=timezone", headers: []string{"Prefer: timezone=America/Lima"}, status: 200, body: `"America/Lima"`, want: []string{"Preference-Applied: timezone=America/Lima"}},
		{line: "GET /rpc/hello", headers: []string{"Prefer: timezone=Mars/Crater"}, status: 400, body: `*`},
		{line: "POST /rpc/hello", headers: []string{"Prefer: handling=strict, max-affected=1"}, status: 400, body: `{"code":"PGRST128","details":null,"hint":null,"message":"Function must return SETOF or TABLE when max-affected preference is used with handling=strict"}`},
		{line: "POST /rpc/all_projects", headers: []string{"Prefer: handling=strict, max-affected=1"}, status: 400, body: `{"code":"PGRST124","details":"The query affects 5 rows","hint":null,"message":"Query result exceeds max-affected preference constraint"}`},
	})
}

func TestClaimsHaveRole(t *testing.T) {
	t.Parallel()
	c := server(t, nil)
	runAll(t, c, []scenario{
		{name: "no token", line: "GET /rpc/seen?name=request.jwt.claims", status: 200, body: `"{\"role\":\"anon\"}"`},
		{name: "no role", line: "GET /rpc/seen?name=request.jwt.claims", headers: []string{c.token(t, map[string]any{"x": 1})}, status: 200, body: `"{\"x\":1,\"role\":\"anon\"}"`},
		{name: "no claims", line: "GET /rpc/seen?name=request.jwt.claims", headers: []string{c.token(t, map[string]any{})}, status: 200, body: `"{\"role\":\"anon\"}"`},
		{name: "role", line: "GET /rpc/seen?name=role", headers: []string{c.token(t, map[string]any{"role": "service_role"})}, status: 200, body: `"service_role"`},
	})
}

func TestPreRequest(t *testing.T) {
	t.Parallel()
	c := server(t, func(cfg *rest.Config) { cfg.PreRequest = "public.gate" })
	runAll(t, c, []scenario{
		{line: "GET /clients?select=id&id=eq.1", status: 200, body: `[{"id":1}]`, want: []string{"X-Gate: passed"}},
		{line: "POST /clients", send: `{"id":9,"name":"x"}`, status: 201, want: []string{"X-Gate: passed"}},
		{name: "committed", line: "GET /clients?select=id&id=eq.9", status: 200, body: `[{"id":9}]`},
		{line: "GET /clients", headers: []string{"X-Stop: 1"}, status: 400, body: `{"code":"P0001","details":null,"hint":null,"message":"stopped"}`},
	})
}

func TestUnprepared(t *testing.T) {
	t.Parallel()
	c := server(t, func(cfg *rest.Config) { cfg.Prepared = false })
	runAll(t, c, []scenario{
		{line: "GET /clients?select=id&id=eq.1", status: 200, body: `[{"id":1}]`},
		{line: "POST /clients?select=id", headers: []string{represent, "Accept: application/vnd.pgrst.object+json"}, send: `{"id":5,"name":"x"}`, status: 201, body: `{"id":5}`},
		{line: "GET /clients?select=id", headers: []string{"Prefer: count=planned"}, status: 206, body: "*"},
	})
}

func TestAggregates(t *testing.T) {
	t.Parallel()
	c := server(t, func(cfg *rest.Config) { cfg.Aggregates = true })
	runAll(t, c, []scenario{
		{line: "GET /projects?select=count()", status: 200, body: `[{"count":5}]`},
		{line: "GET /projects?select=client_id,n:count(),budget.sum()&order=client_id", status: 200, body: `[{"client_id":1,"n":2,"sum":30.50},{"client_id":2,"n":2,"sum":30},{"client_id":null,"n":1,"sum":1}]`},
		{line: "GET /projects?select=total:budget.sum()::int,clients(name)&client_id=eq.1", status: 200, body: `[{"total":31,"clients":{"name":"Microsoft"}}]`},
		{line: "GET /tasks?select=...projects(name,n:count())&order=projects(name)", status: 200, body: `*`},
		{line: "GET /clients?select=id,projects(id.max())&order=id&limit=1", status: 200, body: `[{"id":1,"projects":[{"max":2}]}]`},
	})
}

func TestMaxRows(t *testing.T) {
	t.Parallel()
	c := server(t, func(cfg *rest.Config) { cfg.MaxRows = 2 })
	runAll(t, c, []scenario{
		{line: "GET /projects?select=id&order=id", status: 200, body: `[{"id":1},{"id":2}]`},
		{line: "GET /projects?select=id&order=id&limit=4", headers: []string{"Prefer: count=exact"}, status: 206, body: `[{"id":1},{"id":2}]`, want: []string{"Content-Range: 0-1/5"}},
		{line: "POST /users?select=id", headers: []string{represent}, send: `[{"id":11},{"id":12},{"id":13}]`, status: 201, body: `[{"id":11},{"id":12},{"id":13}]`},
	})
}

func TestProfiles(t *testing.T) {
	t.Parallel()
	c := server(t, func(cfg *rest.Config) { cfg.Schemas = []string{"public", `we"ird`} })
	c.project.Exec(t, `CREATE SCHEMA "we""ird"; GRANT USAGE ON SCHEMA "we""ird" TO anon; CREATE TABLE "we""ird"."t ä" (id int primary key, "a,b" text); GRANT ALL ON "we""ird"."t ä" TO anon`)
	awaitTable(t, c, `/t%20%C3%A4`, `Accept-Profile: we"ird`)
	runAll(t, c, []scenario{
		{line: `POST /t%20%C3%A4`, headers: []string{`Content-Profile: we"ird`, represent}, send: `{"id":1,"a,b":"x"}`, status: 201, body: `[{"id":1,"a,b":"x"}]`, want: []string{`Content-Profile: we"ird`}},
		{line: `GET /t%20%C3%A4?select="a,b"&"a,b"=eq.x`, headers: []string{`Accept-Profile: we"ird`}, status: 200, body: `[{"a,b":"x"}]`},
		{line: "GET /clients?select=id&id=eq.1", status: 200, body: `[{"id":1}]`, want: []string{"Content-Profile: public"}},
	})
}

// awaitTable waits until the schema cache has seen a new table.
func awaitTable(t *testing.T, c *client, path string, headers ...string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for c.do(t, "GET "+path, "", headers...).status != 200 {
		if time.Now().After(deadline) {
			t.Fatal("the schema cache did not see the new table")
		}
	}
}

func TestSchemaReload(t *testing.T) {
	t.Parallel()
	c := server(t, nil)
	c.project.Exec(t, `CREATE TABLE fresh (id int)`)
	awaitTable(t, c, "/fresh")
	// The connection that listens is lost: the cache takes another and catches up.
	c.project.Exec(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'madbase schema cache' AND datname = current_database()`)
	c.project.Exec(t, `CREATE TABLE fresher (id int)`)
	awaitTable(t, c, "/fresher")
	if err := c.module.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}
