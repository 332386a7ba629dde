package rest_test

import (
	"strings"
	"testing"

	"github.com/madbase/madbase/modules/rest"
)

// handlers are media types that users define: domains, and what returns them.
const handlers = `
CREATE DOMAIN "text/plain" AS text;
CREATE DOMAIN "image/png" AS bytea;
CREATE DOMAIN "text/yaml" AS text;
CREATE DOMAIN "text/tab-separated-values" AS text;
CREATE DOMAIN "*/*" AS bytea;
CREATE FUNCTION words() RETURNS "text/plain" LANGUAGE sql STABLE AS $$ SELECT 'plain "words"'::"text/plain" $$;
CREATE FUNCTION picture() RETURNS "image/png" LANGUAGE sql STABLE AS $$ SELECT '\x8950004e'::"image/png" $$;
CREATE FUNCTION whatever() RETURNS "*/*" LANGUAGE sql STABLE AS $$ SELECT 'whatever'::bytea::"*/*" $$;
CREATE FUNCTION word_list() RETURNS SETOF "text/plain" LANGUAGE sql STABLE AS $$ SELECT 'a'::"text/plain" $$;
CREATE FUNCTION yaml_line("text/yaml", anyelement) RETURNS "text/yaml" LANGUAGE sql IMMUTABLE AS $$ SELECT ($1::text || '- ' || $2::text || E'\n')::"text/yaml" $$;
CREATE AGGREGATE yaml(anyelement) (sfunc = yaml_line, stype = "text/yaml", initcond = '');
CREATE FUNCTION tsv_line("text/tab-separated-values", users) RETURNS "text/tab-separated-values" LANGUAGE sql IMMUTABLE
	AS $$ SELECT ($1::text || $2.id || E'\t' || $2.name || E'\n')::"text/tab-separated-values" $$;
CREATE AGGREGATE users_tsv(users) (sfunc = tsv_line, stype = "text/tab-separated-values", initcond = '');
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO anon;
`

func TestMediaHandlers(t *testing.T) {
	t.Parallel()
	c := serverWith(t, fixture+handlers, nil)
	runAll(t, c, []scenario{
		{line: "GET /rpc/words", headers: []string{"Accept: text/plain"}, status: 200, body: `plain "words"`, want: []string{"Content-Type: text/plain; charset=utf-8"}},
		{line: "GET /rpc/words", headers: []string{"Accept: application/json"}, status: 200, body: `"plain \"words\""`},
		{line: "POST /rpc/words", headers: []string{"Accept: text/csv;q=0.1, text/plain"}, status: 200, body: `plain "words"`},
		{line: "GET /rpc/picture", headers: []string{"Accept: image/png"}, status: 200, body: "\x89P\x00N", want: []string{"Content-Type: image/png", "Content-Length: 4"}},
		{line: "GET /rpc/whatever", headers: []string{"Accept: any/thing"}, status: 200, body: "whatever", want: []string{"Content-Type: application/octet-stream"}},
		{line: "GET /rpc/word_list", headers: []string{"Accept: text/plain"}, status: 406, body: `{"code":"PGRST107","details":null,"hint":null,"message":"None of these media types are available: text/plain"}`},
		{line: "GET /users?select=name&id=lt.3&order=id", headers: []string{"Accept: text/yaml"}, status: 200, body: "- (Angela)\n- (Michael)\n"},
		{line: "GET /users?id=lt.3&order=id", headers: []string{"Accept: text/tab-separated-values"}, status: 200, body: "1\tAngela\n2\tMichael\n"},
		{line: "GET /users?select=name", headers: []string{"Accept: text/tab-separated-values"}, status: 406, body: "*"},
		{line: "POST /users", send: `{"id":50,"name":"New"}`, headers: []string{"Accept: text/tab-separated-values", "Prefer: return=representation"}, status: 201, body: "50\tNew\n"},
	})
}

func TestPlans(t *testing.T) {
	t.Parallel()
	c := server(t, func(cfg *rest.Config) { cfg.Explain = true })
	got := c.do(t, "GET /clients?id=eq.1", "", `Accept: application/vnd.pgrst.plan+json; for="application/vnd.pgrst.object"; options=verbose|nonsense`)
	if want := `application/vnd.pgrst.plan+json; for="application/vnd.pgrst.object+json"; options=verbose; charset=utf-8`; got.header.Get("Content-Type") != want {
		t.Errorf("content type: got %s, want %s", got.header.Get("Content-Type"), want)
	}
	if got.status != 200 || !strings.Contains(got.body, `"Total Cost"`) || !strings.Contains(got.body, "clients.id") {
		t.Errorf("got %d %s", got.status, got.body)
	}
	got = c.do(t, "DELETE /tasks", "", "Accept: application/vnd.pgrst.plan")
	if got.status != 200 || !strings.HasPrefix(got.body, "Aggregate") {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got = c.do(t, "GET /tasks?select=id&id=eq.1", ""); got.body != `[{"id":1}]` {
		t.Errorf("a plan that was not to be analysed changed data: %s", got.body)
	}
}

func TestPlansOff(t *testing.T) {
	t.Parallel()
	c := server(t, nil)
	got := c.do(t, "GET /clients", "", "Accept: application/vnd.pgrst.plan+json")
	if got.status != 406 || !strings.Contains(got.body, `application/vnd.pgrst.plan+json; for=\"application/json\"`) {
		t.Errorf("got %d %s", got.status, got.body)
	}
}
