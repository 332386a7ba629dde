package rest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
)

func TestRead(t *testing.T) {
	t.Parallel()
	c := server(t, nil)
	runAll(t, c, []scenario{
		{line: "GET /clients?select=id,name&id=eq.1", status: 200, body: `[{"id":1,"name":"Microsoft"}]`, want: []string{
			"Content-Range: 0-0/*", "Content-Type: application/json; charset=utf-8", "Content-Location: /clients?id=eq.1&select=id%2Cname",
			"Vary: Accept, Prefer, Range", "Content-Profile:",
		}},
		{line: "GET /clients?select=n:name,id::text,data->a->b->>1,data->n&order=id&limit=1", status: 200, body: `[{"n":"Microsoft","id":"1","b":"two"  ,"n":7}]`},
		{line: "GET /clients?select=x:data->a->b->0&id=eq.1", status: 200, body: `[{"x":1}]`},
		{line: "GET /projects?select=t:tags->0&id=eq.1", status: 200, body: `[{"t":"os"}]`},
		{line: "GET /projects?select=id&id=in.(1,3,99)&order=id.desc", status: 200, body: `[{"id":3},{"id":1}]`},
		{line: "GET /projects?select=id&id=in.()", status: 200, body: `[]`, want: []string{"Content-Range: */*"}},
		{line: `GET /projects?select=id&name=in.("Windows+7",IOS)&order=id`, status: 200, body: `[{"id":1},{"id":3}]`},
		{line: "GET /projects?select=id&id=not.in.(1,2,3)&order=id", status: 200, body: `[{"id":4},{"id":5}]`},
		{line: "GET /projects?select=id&client_id=is.null", status: 200, body: `[{"id":5}]`},
		{line: "GET /projects?select=id&client_id=is.NOT_NULL&id=lt.2", status: 200, body: `[{"id":1}]`},
		{line: "GET /projects?select=id&client_id=isdistinct.1&order=id", status: 200, body: `[{"id":3},{"id":4},{"id":5}]`},
		{line: "GET /projects?select=id&active=is.true&id=gte.5", status: 200, body: `[{"id":5}]`},
		{line: "GET /projects?select=id&name=like.Win*&order=id", status: 200, body: `[{"id":1},{"id":2}]`},
		{line: "GET /projects?select=id&name=ilike(any).{*ios,osx}&order=id", status: 200, body: `[{"id":3},{"id":4}]`},
		{line: "GET /projects?select=id&name=like(all).{W*,*7}", status: 200, body: `[{"id":1}]`},
		{line: "GET /projects?select=id&id=eq(any).{1,2}&order=id", status: 200, body: `[{"id":1},{"id":2}]`},
		{line: "GET /projects?select=id&name=match.^O&order=id", status: 200, body: `[{"id":4},{"id":5}]`},
		{line: "GET /projects?select=id&name=imatch.^o&order=id&name=neq.OSX", status: 200, body: `[{"id":5}]`},
		{line: "GET /projects?select=id&tags=cs.{os,old}", status: 200, body: `[{"id":1}]`},
		{line: "GET /projects?select=id&tags=cd.{os}&order=id", status: 200, body: `[{"id":2},{"id":4}]`},
		{line: "GET /projects?select=id&tags=ov.{phone,old}&order=id", status: 200, body: `[{"id":1},{"id":3}]`},
		{line: "GET /projects?select=id&doc=fts.fox&order=id", status: 200, body: `[{"id":1},{"id":4}]`},
		{line: "GET /projects?select=id&doc=plfts(english).foxes&order=id", status: 200, body: `[{"id":1},{"id":4}]`},
		{line: "GET /projects?select=id&doc=not.wfts(simple).fox&order=id", status: 200, body: `[{"id":2},{"id":4}]`},
		{line: "GET /projects?select=id&or=(id.eq.1,and(id.gt.3,name.not.eq.OSX))&order=id", status: 200, body: `[{"id":1},{"id":5}]`},
		{line: `GET /projects?select=id&not.or=(id.in.(1,2),name.like."*S*")`, status: 200, body: `[{"id":5}]`},
		{line: "GET /clients?select=id&data->a->b->>1=eq.two", status: 200, body: `[{"id":1}]`},
		{line: "GET /projects?select=id,budget&order=budget.desc.nullslast,id&limit=2", status: 200, body: `[{"id":3,"budget":30.00},{"id":2,"budget":20.00}]`},
		{line: "GET /projects?select=id,created&id=eq.1", status: 200, body: `[{"id":1,"created":"2024-01-02T03:04:05"}]`},
		{line: "GET /projects?select=id,label&id=eq.1", status: 200, body: `[{"id":1,"label":"1:Windows 7"}]`},
	})
}

func TestRanges(t *testing.T) {
	t.Parallel()
	c := server(t, nil)
	c.project.Exec(t, "ANALYZE projects") // for the estimated total
	runAll(t, c, []scenario{
		{line: "GET /projects?select=id&order=id&limit=2&offset=1", status: 200, body: `[{"id":2},{"id":3}]`, want: []string{"Content-Range: 1-2/*"}},
		{line: "GET /projects?select=id&order=id", headers: []string{"Range: 0-1", "Prefer: count=exact"}, status: 206, body: `[{"id":1},{"id":2}]`, want: []string{"Content-Range: 0-1/5", "Preference-Applied: count=exact"}},
		{line: "GET /projects?select=id", headers: []string{"Prefer: count=exact"}, status: 200, body: "*", want: []string{"Content-Range: 0-4/5"}},
		{line: "GET /projects?select=id&limit=0", status: 200, body: `[]`, want: []string{"Content-Range: */*"}},
		{line: "GET /projects?limit=-1", status: 416, body: `{"code":"PGRST103","details":"Limit should be greater than or equal to zero.","hint":null,"message":"Requested range not satisfiable"}`},
		{line: "GET /projects", headers: []string{"Range: 5-1"}, status: 416, body: `{"code":"PGRST103","details":"The lower boundary must be lower than or equal to the upper boundary in the Range header.","hint":null,"message":"Requested range not satisfiable"}`},
		{line: "GET /projects?offset=10", headers: []string{"Prefer: count=exact"}, status: 416, want: []string{"Content-Range: */5"}, body: `{"code":"PGRST103","details":"An offset of 10 was requested, but there are only 5 rows.","hint":null,"message":"Requested range not satisfiable"}`},
		{line: "HEAD /projects", headers: []string{"Prefer: count=exact"}, status: 200, body: "", want: []string{"Content-Range: 0-4/5", "Content-Length:"}},
		{line: "GET /projects?select=id&limit=1", headers: []string{"Prefer: count=planned"}, status: 206, body: "*"},
		{line: "GET /projects?select=id&limit=1", headers: []string{"Prefer: count=estimated"}, status: 206, body: "*", want: []string{"Content-Range: 0-0/5"}},
	})
}

func TestMedia(t *testing.T) {
	t.Parallel()
	c := server(t, nil)
	object := []string{"Accept: application/vnd.pgrst.object+json"}
	runAll(t, c, []scenario{
		{line: "GET /clients?select=id,data&id=eq.2", headers: object, status: 200, body: `{"id":2,"data":null}`, want: []string{"Content-Type: application/vnd.pgrst.object+json; charset=utf-8"}},
		{line: "GET /clients?select=id,data&id=eq.2", headers: []string{"Accept: application/vnd.pgrst.object+json;nulls=stripped"}, status: 200, body: `{"id":2}`},
		{line: "GET /clients?select=id,data&id=eq.2", headers: []string{"Accept: application/vnd.pgrst.array+json;nulls=stripped"}, status: 200, body: `[{"id":2}]`},
		{line: "GET /clients", headers: object, status: 406, body: `{"code":"PGRST116","details":"The result contains 3 rows","hint":null,"message":"Cannot coerce the result to a single JSON object"}`, want: []string{"Proxy-Status: PostgREST; error=PGRST116"}},
		{line: "GET /clients?select=id,name&order=id&limit=2", headers: []string{"Accept: text/csv"}, status: 200, body: "id,name\n1,Microsoft\n2,Apple", want: []string{"Content-Type: text/csv; charset=utf-8"}},
		{line: "GET /clients", headers: []string{"Accept: image/png"}, status: 406, body: `{"code":"PGRST107","details":null,"hint":null,"message":"None of these media types are available: image/png"}`},
		{line: "GET /clients?select=id&id=eq.1", headers: []string{"Accept: image/png;q=0.9, */*;q=0.1"}, status: 200, body: `[{"id":1}]`},
	})
}

func TestEmbeds(t *testing.T) {
	t.Parallel()
	c := server(t, nil)
	runAll(t, c, []scenario{
		{line: "GET /projects?select=id,clients(name)&id=in.(1,5)&order=id", status: 200, body: `[{"id":1,"clients":{"name":"Microsoft"}},{"id":5,"clients":null}]`},
		{line: "GET /clients?select=id,projects(id)&order=id&projects.order=id.desc&projects.limit=1", status: 200, body: `[{"id":1,"projects":[{"id":2}]},{"id":2,"projects":[{"id":4}]},{"id":3,"projects":[]}]`},
		{line: "GET /clients?select=id,p:projects!inner(id)&p.id=eq.3", status: 200, body: `[{"id":2,"p":[{"id":3}]}]`},
		{line: "GET /users?select=id,tasks(id)&id=eq.1&tasks.order=id", status: 200, body: `[{"id":1,"tasks":[{"id":1},{"id":2},{"id":4}]}]`},
		{line: "GET /users?select=name,profiles(bio)&order=id", status: 200, body: `[{"name":"Angela","profiles":{"bio":"accountant"}},{"name":"Michael","profiles":{"bio":"boss"}},{"name":"Dwight","profiles":null}]`},
		{line: "GET /clients?select=id,projects(id,tasks(id,users(name)))&id=eq.1&projects.id=eq.1&projects.tasks.order=id&projects.tasks.users.name=eq.Angela", status: 200, body: `[{"id":1,"projects":[{"id":1,"tasks":[{"id":1,"users":[{"name":"Angela"}]},{"id":2,"users":[{"name":"Angela"}]}]}]}]`},
		{line: "GET /people?select=name,boss(name)&id=eq.101", status: 200, body: `[{"name":"Bob","boss":{"name":"Ada"}}]`},
		{line: "GET /people?select=name,staff:people(name)&id=eq.100&staff.order=name", status: 200, body: `[{"name":"Ada","staff":[{"name":"Bob"},{"name":"Cy"}]}]`},
		{line: "GET /orders?select=id,billing(name),to:clients!orders_shipping_fkey(name)", status: 200, body: `[{"id":1,"billing":{"name":"Microsoft"},"to":{"name":"Apple"}}]`},
		{line: "GET /projects?select=id,...clients(client:name)&id=in.(1,5)&order=id", status: 200, body: `[{"id":1,"client":"Microsoft"},{"id":5,"client":null}]`},
		{line: "GET /clients?select=id,...projects(pids:id)&order=id&projects.order=id.desc", status: 200, body: `[{"id":1,"pids":[2,1]},{"id":2,"pids":[4,3]},{"id":3,"pids":[]}]`},
		{line: "GET /projects?select=id&order=clients(name),id&limit=2", status: 400, body: `{"code":"PGRST108","details":null,"hint":"Verify that 'clients' is included in the 'select' query parameter.","message":"'clients' is not an embedded resource in this request"}`},
		{line: "GET /projects?select=id,clients()&order=clients(name),id&limit=2", status: 200, body: `[{"id":3},{"id":4}]`},
		{line: "GET /clients?select=id,projects(id)&order=projects(id)", status: 400, body: `{"code":"PGRST118","details":"'clients' and 'projects' do not form a many-to-one or one-to-one relationship","hint":null,"message":"A related order on 'projects' is not possible"}`},
		{line: "GET /clients?select=id,projects()&projects=is.null", status: 200, body: `[{"id":3}]`},
		{line: "GET /clients?select=id,projects()&projects=not.is.null&order=id", headers: []string{"Prefer: count=exact"}, status: 200, body: `[{"id":1},{"id":2}]`, want: []string{"Content-Range: 0-1/2"}},
		{line: "GET /clients?select=id,projects(id)&projects.or=(id.eq.1,id.eq.3)&order=id&limit=2", status: 200, body: `[{"id":1,"projects":[{"id":1}]},{"id":2,"projects":[{"id":3}]}]`},
		{line: "GET /projects_view?select=pid,clients(name)&pid=eq.1", status: 200, body: `[{"pid":1,"clients":{"name":"Microsoft"}}]`},
		{line: "GET /clients?select=id,projects_view(pid)&id=eq.1&projects_view.order=pid", status: 200, body: `[{"id":1,"projects_view":[{"pid":1},{"pid":2}]}]`},
		{line: "GET /projects?select=id,big_tasks(id)&id=eq.1", status: 200, body: `[{"id":1,"big_tasks":[{"id":2}]}]`},
		{line: "GET /orders?select=id,clients(name)", status: 300, body: `{"code":"PGRST201","details":[
			{"cardinality":"many-to-one","embedding":"orders with clients","relationship":"orders_billing_fkey using orders(billing) and clients(id)"},
			{"cardinality":"many-to-one","embedding":"orders with clients","relationship":"orders_shipping_fkey using orders(shipping) and clients(id)"}],
			"hint":"Try changing 'clients' to one of the following: 'clients!orders_billing_fkey', 'clients!orders_shipping_fkey'. Find the desired relationship in the 'details' key.",
			"message":"Could not embed because more than one relationship was found for 'orders' and 'clients'"}`},
		{line: "GET /projects?select=id,client(name)", status: 400, body: `{"code":"PGRST200","details":"Searched for a foreign key relationship between 'projects' and 'client' in the schema 'public', but no matches were found.","hint":"Perhaps you meant 'clients' instead of 'client'.","message":"Could not find a relationship between 'projects' and 'client' in the schema cache"}`},
	})
}

func TestReadErrors(t *testing.T) {
	t.Parallel()
	c := server(t, nil)
	runAll(t, c, []scenario{
		{line: "POST /", send: "{}", status: 405, body: `{"code":"PGRST117","details":null,"hint":null,"message":"Unsupported HTTP method: POST"}`},
		{line: "GET /a/b/c", status: 404, body: `{"code":"PGRST125","details":null,"hint":null,"message":"Invalid path specified in request URL"}`},
		{line: "GET /client", status: 404, body: `{"code":"PGRST205","details":null,"hint":"Perhaps you meant the table 'public.clients'","message":"Could not find the table 'public.client' in the schema cache"}`, want: []string{"Proxy-Status: PostgREST; error=PGRST205"}},
		{line: "GET /clients?zzzzzzzz=eq.1", status: 400, body: `{"code":"42703","details":null,"hint":null,"message":"column clients.zzzzzzzz does not exist"}`},
		{line: "GET /clients?id=eq.x", status: 400, body: `{"code":"22P02","details":null,"hint":null,"message":"invalid input syntax for type integer: \"x\""}`},
		{line: "GET /clients?id=0", status: 400, body: `{"code":"PGRST100","details":"unexpected \"0\" expecting \"not\" or operator (eq, gt, ...)","hint":null,"message":"\"failed to parse filter (0)\" (line 1, column 1)"}`},
		{line: "GET /clients?order=id.asc.nullslasttt", status: 400, body: `{"details":"unexpected 't' expecting \",\" or end of input","message":"\"failed to parse order (id.asc.nullslasttt)\" (line 1, column 17)","code":"PGRST100","hint":null}`},
		{line: "GET /clients?or=()", status: 400, body: `{"code":"PGRST100","details":"unexpected \")\" expecting field name (* or [a..z0..9_$]), negation operator (not) or logic operator (and, or)","hint":null,"message":"\"failed to parse logic tree (())\" (line 1, column 4)"}`},
		{line: "GET /clients?select=data->>--34", status: 400, body: `{"details":"unexpected \"-\" expecting digit","message":"\"failed to parse select parameter (data->>--34)\" (line 1, column 9)","code":"PGRST100","hint":null}`},
		{line: "GET /clients?select=count()", status: 400, body: `{"code":"PGRST123","details":null,"hint":null,"message":"Use of aggregate functions is not allowed"}`},
		{line: "GET /clients", headers: []string{"Accept-Profile: hidden"}, status: 406, body: `{"code":"PGRST106","details":null,"hint":"Only the following schemas are exposed: public","message":"Invalid schema: hidden"}`},
		{line: "GET /clients", headers: []string{"Prefer: handling=strict, nonsense"}, status: 400, body: `{"code":"PGRST122","details":"Invalid preferences: nonsense","hint":null,"message":"Invalid preferences given with handling=strict"}`},
		{line: "GET /secrets", status: 401, body: `{"code":"42501","details":null,"hint":null,"message":"permission denied for table secrets"}`, want: []string{"WWW-Authenticate: Bearer"}},
		{line: "PROPFIND /clients", status: 405, body: `{"code":"PGRST117","details":null,"hint":null,"message":"Unsupported HTTP method: PROPFIND"}`},
		{line: "GET /clients", headers: []string{"Authorization: Bearer a.b.c"}, status: 401, body: "*"},
		{line: "OPTIONS /clients", status: 200, want: []string{"Allow: OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE", "Content-Length: 0"}},
		{line: "OPTIONS /projects_view", status: 200, want: []string{"Allow: OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE"}},
		{line: "OPTIONS /rpc/hello", status: 200, want: []string{"Allow: OPTIONS,GET,HEAD,POST"}},
		{line: "OPTIONS /rpc/nothing", status: 200, want: []string{"Allow: OPTIONS,POST"}},
	})
}

// A large result goes through a file, and reaches the caller as a small one would.
func TestLargeResult(t *testing.T) {
	t.Parallel()
	const rows, size = 9, 1 << 20
	c := serverWith(t, fmt.Sprintf("CREATE TABLE large AS SELECT i AS id, repeat('x', %d) AS text FROM generate_series(1, %d) i", size, rows), nil)
	got := c.do(t, "GET /large?order=id", "", "Prefer: count=exact")
	if got.status != 200 || got.header.Get("Content-Range") != "0-8/9" || got.header.Get("Content-Length") != strconv.Itoa(len(got.body)) {
		t.Errorf("got %d, %v, %d bytes", got.status, got.header, len(got.body))
	}
	var list []struct {
		ID   int
		Text string
	}
	if err := json.Unmarshal([]byte(got.body), &list); err != nil || len(list) != rows || list[rows-1].ID != rows || len(list[rows-1].Text) != size {
		t.Errorf("got %d rows, error %v", len(list), err)
	}
	if listed := c.do(t, "GET /large?order=id", ""); listed.body != got.body || listed.header.Get("Content-Length") != strconv.Itoa(len(got.body)) {
		t.Errorf("without counting: got %d, %v, %d bytes", listed.status, listed.header, len(listed.body))
	}
	got = c.do(t, "GET /large", "", "Accept: application/vnd.pgrst.object+json")
	if got.status != 406 {
		t.Errorf("a single object of several rows: got %d", got.status)
	}
}

// TestEmbedsLookLikeJSONB compares embeds of named columns with what jsonb, which
// PostgREST converts them to, makes of the same rows: keys, their order and values.
func TestEmbedsLookLikeJSONB(t *testing.T) {
	t.Parallel()
	c := serverWith(t, `
		CREATE TYPE mood AS ENUM ('ok', 'sad');
		CREATE TYPE pair AS (zz int, a numeric);
		CREATE TABLE owners (id int PRIMARY KEY, name text);
		CREATE TABLE kinds (
			id int PRIMARY KEY, owner_id int REFERENCES owners, txt text, vc varchar(40), small smallint, big bigint, num numeric, flt double precision, rl real,
			yes boolean, uid uuid, raw bytea, j json, jb jsonb, arr int[], texts text[], jarr json[], feel mood, duo pair, day date, ts timestamp, tz timestamptz,
			tm time, span interval, net inet, rng int4range);
		CREATE FUNCTION shout(kinds) RETURNS json LANGUAGE sql STABLE AS $$ SELECT json_build_object('zz', upper($1.txt), 'a', 1) $$;
		INSERT INTO owners VALUES (1, 'one'), (2, 'none');
		INSERT INTO kinds VALUES
			(1, 1, E'tab\t"quoted" \\ é \u2028', 'v', -3, 9007199254740993, 1.500, 1e20, 0.1, true, '6b1b36cb-2d5e-4a56-a0cb-4fa8a4d4f8d1', '\x00ff', '{"b" : 1, "a" : [1.0, 1e2], "b" : 2}',
				'{"long": 1, "b": 2}', '{1,2}', '{a,NULL}', array['{"z":1, "a":2}'::json], 'sad', row(1, 2.50), '2024-02-29', '2024-01-01', '2024-01-01 12:00+02', '01:02:03', '1 day 2 hours', '10.0.0.1/8', '[1,5)'),
			(2, 1, NULL, NULL, NULL, NULL, 'NaN', 'Infinity', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'infinity', NULL, NULL, NULL, NULL, NULL);
		GRANT SELECT ON ALL TABLES IN SCHEMA public TO anon; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO anon;`, nil)
	const columns = "txt,vc,small,big,num,flt,rl,yes,uid,raw,j,jb,arr,texts,jarr,feel,duo,day,ts,tz,tm,span,net,rng,id"
	for name, test := range map[string]struct{ path, want string }{
		"every type": {
			"/owners?select=kinds(" + columns + ")&kinds.order=id&id=eq.1",
			`SELECT json_agg(o) FROM (SELECT (SELECT json_agg(x)::jsonb FROM (SELECT ` + columns + ` FROM kinds ORDER BY id) x) AS kinds) o`,
		},
		"computed, aliased, cast and reached into": {
			"/owners?select=kinds(zzz:id,shout,aa:jb->b,t:j->>a,n:num::text,owners(name,id))&kinds.id=eq.1&id=eq.1",
			`SELECT json_agg(o) FROM (SELECT (SELECT json_agg(x)::jsonb FROM (SELECT id AS zzz, k.shout, jb->'b' AS aa, j->>'a' AS t, num::text AS n,
				(SELECT row_to_json(o)::jsonb FROM (SELECT name, id FROM owners WHERE id = 1) o) AS owners FROM kinds k WHERE id = 1) x) AS kinds) o`,
		},
		"to one": {
			"/kinds?select=id,owner:owners(name,id)&id=eq.1",
			`SELECT json_agg(k) FROM (SELECT 1 AS id, (SELECT row_to_json(o)::jsonb FROM (SELECT name, id FROM owners WHERE id = 1) o) AS owner) k`,
		},
		"none": {"/owners?select=kinds(txt,id)&id=eq.2", `SELECT '[{"kinds":[]}]'`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want string
			if err := c.project.Owner.QueryRow(t.Context(), test.want).Scan(&want); err != nil {
				t.Fatal(err)
			}
			got := c.do(t, "GET "+test.path, "")
			if compact(t, got.body) != compact(t, want) {
				t.Errorf("%s:\n got %s\nwant %s", test.path, compact(t, got.body), compact(t, want))
			}
		})
	}
}

func compact(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return b.String()
}
