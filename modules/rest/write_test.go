package rest_test

import (
	"strings"
	"testing"

	"github.com/madbase/madbase/modules/rest"
)

const represent = "Prefer: return=representation"

func TestInsert(t *testing.T) {
	t.Parallel()
	c := server(t, nil)
	runAll(t, c, []scenario{
		{line: "POST /clients", send: `{"id":10,"name":"Ten"}`, status: 201, body: "", want: []string{"Content-Range: */*", "Content-Length: 0", "Content-Type:", "Location:"}},
		{line: "POST /clients?select=id,name", headers: []string{represent}, send: `[{"id":11,"name":"Eleven"},{"id":12,"name":"Twelve"}]`, status: 201, body: `[{"id":11,"name":"Eleven"},{"id":12,"name":"Twelve"}]`, want: []string{"Preference-Applied: return=representation", "Content-Type: application/json; charset=utf-8"}},
		{line: "POST /clients", headers: []string{"Prefer: return=headers-only, count=exact"}, send: `{"id":13,"name":"x"}`, status: 201, body: "", want: []string{"Location: /clients?id=eq.13", "Content-Range: */1", "Preference-Applied: return=headers-only, count=exact"}},
		{line: "POST /users_tasks", headers: []string{"Prefer: return=headers-only"}, send: `{"user_id":3,"task_id":1}`, status: 201, want: []string{"Location: /users_tasks?user_id=eq.3&task_id=eq.1"}},
		{line: "POST /projects?select=id,clients(name)", headers: []string{represent}, send: `{"id":20,"name":"n","client_id":2}`, status: 201, body: `[{"id":20,"clients":{"name":"Apple"}}]`},
		{line: "POST /clients", send: `[{"id":14,"name":"a"},{"id":15}]`, status: 400, body: `{"code":"PGRST102","details":null,"hint":null,"message":"All object keys must match"}`},
		{line: "POST /clients", send: `nope`, status: 400, body: `{"code":"PGRST102","details":null,"hint":null,"message":"Empty or invalid json"}`},
		{line: "POST /clients", send: ``, status: 400, body: `{"code":"PGRST102","details":null,"hint":null,"message":"Empty or invalid json"}`},
		{line: "POST /clients", send: `[]`, headers: []string{represent}, status: 201, body: `[]`},
		{line: "POST /clients", send: `{"id":16,"colour":"red"}`, status: 400, body: `{"code":"PGRST204","details":null,"hint":null,"message":"Could not find the 'colour' column of 'clients' in the schema cache"}`},
		{line: "POST /clients?columns=id,name&select=id,data", headers: []string{represent}, send: `[{"id":17,"name":"s","data":1},{"id":18,"name":"e","x":2}]`, status: 201, body: `[{"id":17,"data":null},{"id":18,"data":null}]`},
		{line: "POST /people?columns=id,name&select=id,name", headers: []string{represent, "Prefer: missing=default"}, send: `[{"id":1},{"id":2,"name":"Bo"}]`, status: 201, body: `[{"id":1,"name":"anonymous"},{"id":2,"name":"Bo"}]`, want: []string{"Preference-Applied: missing=default, return=representation"}},
		{line: "POST /people?select=id", headers: []string{represent}, send: `{}`, status: 409, body: `*`},
		{line: "POST /clients?select=name,data", headers: []string{represent, "Content-Type: text/csv"}, send: "id,name,data\n30,Csv,NULL\n", status: 201, body: `[{"name":"Csv","data":null}]`},
		{line: "POST /clients?select=name", headers: []string{represent, "Content-Type: application/x-www-form-urlencoded"}, send: "id=31&name=Form+x", status: 201, body: `[{"name":"Form x"}]`},
		{line: "POST /clients", send: `{"id":1,"name":"dup"}`, status: 409, body: `{"code":"23505","details":"Key (id)=(1) already exists.","hint":null,"message":"duplicate key value violates unique constraint \"clients_pkey\""}`, want: []string{"Proxy-Status: PostgREST; error=23505"}},
		{line: "POST /projects", send: `{"id":50,"name":"x","client_id":77}`, status: 409, body: `*`},
		{line: "POST /clients", headers: []string{"Accept: application/vnd.pgrst.object+json"}, send: `[{"id":40,"name":"a"},{"id":41,"name":"b"}]`, status: 406, body: `{"code":"PGRST116","details":"The result contains 2 rows","hint":null,"message":"Cannot coerce the result to a single JSON object"}`},
		{name: "singular violation rolled back", line: "GET /clients?select=id&id=gte.40", status: 200, body: `[]`},
		{line: "POST /clients", send: "[" + strings.Repeat(" ", 1<<20) + "]", status: 413, body: "*"},
		{line: "POST /client", send: "{}", status: 404, body: "*"},
	})
}

func TestUpsert(t *testing.T) {
	t.Parallel()
	c := server(t, nil)
	merge := "Prefer: resolution=merge-duplicates, return=representation"
	runAll(t, c, []scenario{
		{line: "POST /clients?select=id,name", headers: []string{merge}, send: `[{"id":1,"name":"MS"},{"id":60,"name":"new"}]`, status: 201, body: `[{"id":1,"name":"MS"},{"id":60,"name":"new"}]`, want: []string{"Preference-Applied: resolution=merge-duplicates, return=representation"}},
		{line: "POST /clients?select=id,name", headers: []string{merge}, send: `[{"id":1,"name":"M$"}]`, status: 200, body: `[{"id":1,"name":"M$"}]`},
		{line: "POST /clients?select=id", headers: []string{"Prefer: resolution=ignore-duplicates, return=representation"}, send: `[{"id":1,"name":"x"},{"id":61,"name":"y"}]`, status: 201, body: `[{"id":61}]`},
		{line: "POST /people?on_conflict=name&select=id,name", headers: []string{merge}, send: `{"name":"Ada","boss":101}`, status: 200, body: `[{"id":100,"name":"Ada"}]`},
		{line: "PUT /clients?id=eq.70&select=id,name", headers: []string{represent}, send: `{"id":70,"name":"put"}`, status: 201, body: `[{"id":70,"name":"put"}]`},
		{line: "PUT /clients?id=eq.70&select=id,name", headers: []string{represent}, send: `{"id":70,"name":"again"}`, status: 200, body: `[{"id":70,"name":"again"}]`},
		{line: "PUT /clients?id=eq.70", send: `{"id":70,"name":"silent"}`, status: 204, body: ``},
		{line: "PUT /clients?id=eq.70", send: `{"id":71,"name":"x"}`, status: 400, body: `{"code":"PGRST115","details":null,"hint":null,"message":"Payload values do not match URL in primary key column(s)"}`},
		{line: "PUT /clients?name=eq.a", send: `{"id":71,"name":"x"}`, status: 405, body: `{"code":"PGRST105","details":null,"hint":null,"message":"Filters must include all and only primary key columns with 'eq' operators"}`},
		{line: "PUT /clients?id=eq.70&limit=1", send: `{"id":70,"name":"x"}`, status: 400, body: `{"code":"PGRST114","details":null,"hint":null,"message":"limit/offset querystring parameters are not allowed for PUT"}`},
	})
}

func TestUpdateAndDelete(t *testing.T) {
	t.Parallel()
	c := server(t, nil)
	strict := "Prefer: handling=strict, max-affected=1"
	runAll(t, c, []scenario{
		{line: "PATCH /projects?id=eq.1", send: `{"name":"W7"}`, status: 204, body: "", want: []string{"Content-Range: 0-0/*", "Content-Type:"}},
		{line: "PATCH /projects?id=in.(1,2)&select=id,name,clients(id)", headers: []string{represent, "Prefer: count=exact"}, send: `{"name":"W"}`, status: 200, body: `[{"id":1,"name":"W","clients":{"id":1}},{"id":2,"name":"W","clients":{"id":1}}]`, want: []string{"Content-Range: 0-1/2"}},
		{line: "PATCH /projects?id=eq.99", send: `{"name":"x"}`, status: 204, want: []string{"Content-Range: */*"}},
		{line: "PATCH /projects?id=eq.1", headers: []string{represent}, send: `{}`, status: 200, body: `[]`},
		{line: "PATCH /projects?or=(id.eq.1,id.eq.2)", headers: []string{strict}, send: `{"name":"x"}`, status: 400, body: `{"code":"PGRST124","details":"The query affects 2 rows","hint":null,"message":"Query result exceeds max-affected preference constraint"}`},
		{line: "GET /projects?select=id&name=eq.x", status: 200, body: `[]`},
		{line: "PATCH /projects?id=eq.1", headers: []string{strict}, send: `{"name":"one"}`, status: 204, want: []string{"Preference-Applied: handling=strict, max-affected=1"}},
		{line: "DELETE /users_tasks?user_id=eq.1&select=task_id", headers: []string{represent}, status: 200, body: `[{"task_id":1},{"task_id":2},{"task_id":4}]`, want: []string{"Content-Range: */*"}},
		{line: "DELETE /users_tasks?user_id=eq.2", headers: []string{"Prefer: count=exact"}, status: 204, body: "", want: []string{"Content-Range: */1"}},
		{line: "DELETE /clients?id=eq.1", status: 409, body: "*"},
		{line: "DELETE /projects?id=gt.0", headers: []string{"Accept: application/vnd.pgrst.object+json", represent}, status: 409, body: "*"},
	})
}

func TestRowLevelSecurity(t *testing.T) {
	t.Parallel()
	c := server(t, nil)
	alice := c.token(t, map[string]any{"role": "authenticated", "sub": "00000000-0000-0000-0000-00000000000a"})
	bob := c.token(t, map[string]any{"role": "authenticated", "sub": "00000000-0000-0000-0000-00000000000b"})
	foreign := c.token(t, map[string]any{"role": "postgres"})
	runAll(t, c, []scenario{
		{line: "POST /notes?select=id", headers: []string{alice, represent}, send: `{"id":1,"owner":"00000000-0000-0000-0000-00000000000a","body":"mine"}`, status: 201, body: `[{"id":1}]`},
		{line: "POST /notes", headers: []string{bob}, send: `{"id":2,"owner":"00000000-0000-0000-0000-00000000000a"}`, status: 403, body: `{"code":"42501","details":null,"hint":null,"message":"new row violates row-level security policy for table \"notes\""}`},
		{name: "alice reads", line: "GET /notes?select=id", headers: []string{alice}, status: 200, body: `[{"id":1}]`},
		{name: "bob reads", line: "GET /notes?select=id", headers: []string{bob}, status: 200, body: `[]`},
		{name: "nobody reads", line: "GET /notes?select=id", status: 200, body: `[]`},
		{line: "POST /notes", send: `{"id":3}`, status: 401, body: `*`},
		{line: "GET /secrets", headers: []string{alice}, status: 403, body: `*`},
		{line: "GET /notes", headers: []string{foreign}, status: 403, body: `*`},
	})
}

func TestCommitBeforeResponse(t *testing.T) {
	t.Parallel()
	c := server(t, nil)
	runAll(t, c, []scenario{
		{name: "one round trip", line: "POST /seats", headers: []string{represent}, send: `{"id":3,"n":1}`, status: 409, body: `{"code":"23505","details":"Key (n)=(1) already exists.","hint":null,"message":"duplicate key value violates unique constraint \"seats_n_key\""}`},
		{name: "explicit transaction", line: "POST /seats", headers: []string{represent, "Accept: application/vnd.pgrst.object+json"}, send: `{"id":3,"n":1}`, status: 409, body: `*`},
		{name: "nothing stored", line: "GET /seats?select=id&order=id", status: 200, body: `[{"id":1},{"id":2}]`},
	})
}

func TestTransactionEnd(t *testing.T) {
	t.Parallel()
	c := server(t, func(cfg *rest.Config) { cfg.TxEnd = "rollback-allow-override" })
	runAll(t, c, []scenario{
		{line: "POST /clients?select=id", headers: []string{represent}, send: `{"id":90,"name":"x"}`, status: 201, body: `[{"id":90}]`},
		{name: "rolled back", line: "GET /clients?select=id&id=eq.90", status: 200, body: `[]`},
		{line: "POST /clients?select=id", headers: []string{represent, "Prefer: tx=commit"}, send: `{"id":91,"name":"x"}`, status: 201, body: `[{"id":91}]`, want: []string{"Preference-Applied: return=representation, tx=commit"}},
		{name: "committed", line: "GET /clients?select=id&id=eq.91", status: 200, body: `[{"id":91}]`},
		{name: "deferred constraint", line: "POST /seats", send: `{"id":3,"n":1}`, status: 409, body: `*`},
	})
}
