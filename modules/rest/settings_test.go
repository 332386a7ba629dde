package rest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/modules/rest"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/secret"
	"github.com/madbase/madbase/platform/testkit"
)

// replace serves the fixture in place of PostgREST, at the root of its address.
func replace(t *testing.T, change func(*rest.Config)) *client {
	t.Helper()
	f := testkit.NewProject(t)
	f.Exec(t, fixture)
	cfg := testConfig()
	cfg.JWT.Secret = testkit.JWTSecret
	if change != nil {
		change(&cfg)
	}
	m := rest.New(cfg, rest.Deps{Projects: project.NewDirectory(f.Project), Log: testkit.Log(), DropIn: true})
	return &client{project: f, module: m, url: testkit.Serve(t, f.Project, "", m)}
}

// until sends a request until its answer has the status; settings are read again in the background.
func until(t *testing.T, c *client, status int, line string, headers ...string) answer {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		got := c.do(t, line, "", headers...)
		if got.status == status {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: still %d: %s", line, got.status, got.body)
		}
	}
}

// alterLogin sets a variable of the API's login role in this database alone, as
// the role itself belongs to all tests.
func alterLogin(t *testing.T, c *client, setting string) {
	t.Helper()
	config := c.project.DB.API.Config().ConnConfig
	c.project.Exec(t, "ALTER ROLE "+pgx.Identifier{config.User}.Sanitize()+" IN DATABASE "+pgx.Identifier{config.Database}.Sanitize()+" "+setting)
	c.project.Exec(t, "NOTIFY pgrst, 'reload config'")
}

func TestSettingsOfTheDatabase(t *testing.T) {
	t.Parallel()
	c := serverWith(t, fixture+`
		CREATE SCHEMA hidden; CREATE TABLE hidden.clients (secret text); INSERT INTO hidden.clients VALUES ('x');
		GRANT USAGE ON SCHEMA hidden TO anon; GRANT SELECT ON hidden.clients TO anon;
		CREATE FUNCTION public.pre_config() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
			PERFORM set_config('pgrst.db_aggregates_enabled', 'true', true), set_config('pgrst.db_max_rows', '1', true); END $$;`,
		func(cfg *rest.Config) { cfg.PreConfig = "public.pre_config" })
	if got := c.do(t, "GET /clients?select=id.count()", ""); got.status != 200 {
		t.Errorf("the pre-config function was not heard: %s", got.body)
	}
	if got := c.do(t, "GET /clients?select=id", ""); strings.Count(got.body, "id") != 1 {
		t.Errorf("the bound on rows was not heard: %s", got.body)
	}
	alterLogin(t, c, `SET pgrst.db_schemas = 'hidden, public'`)
	if got := until(t, c, 200, "GET /clients?select=secret"); got.header.Get("Content-Profile") != "hidden" || got.body != `[{"secret":"x"}]` {
		t.Errorf("%v %s", got.header, got.body)
	}
	alterLogin(t, c, `SET pgrst.db_tx_end = 'perhaps'`) // a fault: what held goes on
	alterLogin(t, c, `SET pgrst.db_max_rows = 'many'`)
	until(t, c, 200, "GET /clients?select=secret")
	alterLogin(t, c, `RESET ALL`)
	until(t, c, 200, "GET /clients?select=name")
}

// TestFaultySettingsStopTheStart: what is not understood may be a restriction.
func TestFaultySettingsStopTheStart(t *testing.T) {
	t.Parallel()
	c := serverWith(t, fixture+`CREATE FUNCTION public.broken() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'broken'; END $$;`,
		func(cfg *rest.Config) { cfg.PreConfig = "public.broken" })
	if err := c.module.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("ready says %v", err)
	}
	if got := c.do(t, "GET /clients", ""); got.status != 503 {
		t.Errorf("%d %s", got.status, got.body)
	}
	c.project.Exec(t, `CREATE OR REPLACE FUNCTION public.broken() RETURNS void LANGUAGE sql AS ''`)
	until(t, c, 200, "GET /clients")
	c.project.Exec(t, `CREATE OR REPLACE FUNCTION public.broken() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'broken'; END $$;
		CREATE TABLE fresh (id int); NOTIFY pgrst`)
	until(t, c, 200, "GET /fresh") // the schema is still read
}

func TestFunctionSettingsHoldForTheTransaction(t *testing.T) {
	t.Parallel()
	c := serverWith(t, fixture+`
		CREATE FUNCTION patient() RETURNS void LANGUAGE sql VOLATILE SET statement_timeout = '10ms' AS 'SELECT pg_sleep(5)';
		CREATE FUNCTION isolated() RETURNS text LANGUAGE sql STABLE SET default_transaction_isolation = 'REPEATABLE READ' AS $$ SELECT current_setting('transaction_isolation') $$;
		CREATE FUNCTION plain() RETURNS text LANGUAGE sql STABLE SET work_mem = '1MB' AS $$ SELECT current_setting('transaction_isolation') $$;`,
		func(cfg *rest.Config) { cfg.Hoisted = []string{"statement_timeout", "default_transaction_isolation"} })
	runAll(t, c, []scenario{
		{line: "POST /rpc/patient", status: 500, body: `{"code":"57014","details":null,"hint":null,"message":"canceling statement due to statement timeout"}`},
		{line: "GET /rpc/isolated", status: 200, body: `"repeatable read"`},
		{line: "POST /rpc/isolated", status: 200, body: `"repeatable read"`},
		{line: "GET /rpc/plain", status: 200, body: `"read committed"`},
	})
}

func TestRoleSettingsHoldForTheTransaction(t *testing.T) {
	t.Parallel()
	c := replace(t, nil)
	config := c.project.DB.API.Config().ConnConfig
	role := "slow_" + config.Database // roles belong to the whole server
	name := pgx.Identifier{role}.Sanitize()
	c.project.Exec(t, "CREATE ROLE "+name+"; GRANT "+name+" TO "+pgx.Identifier{config.User}.Sanitize()+`;
		ALTER ROLE `+name+` SET statement_timeout = '20ms'; ALTER ROLE `+name+` SET default_transaction_isolation = 'serializable';
		CREATE FUNCTION slow() RETURNS void LANGUAGE sql STABLE AS 'SELECT pg_sleep(5)'`)
	t.Cleanup(func() { c.project.Exec(t, "DROP OWNED BY "+name+"; DROP ROLE "+name) })
	c.project.Exec(t, "NOTIFY pgrst, 'reload config'")
	as := c.token(t, map[string]any{"role": role})
	for got := ""; got != `"serializable"`; { // the settings are read again in the background
		got = until(t, c, 200, "GET /rpc/seen?name=transaction_isolation", as).body
	}
	if got := until(t, c, 500, "GET /rpc/slow", as); !strings.Contains(got.body, "57014") {
		t.Errorf("not the timeout of the role: %s", got.body)
	}
	runAll(t, c, []scenario{
		{line: "GET /rpc/seen?name=statement_timeout", headers: []string{as}, status: 200, body: `"20ms"`},
		{line: "GET /rpc/seen?name=transaction_isolation", status: 200, body: `"read committed"`},
	})
}

func TestAppSettings(t *testing.T) {
	t.Parallel()
	c := serverWith(t, fixture+`
		CREATE FUNCTION app(name text) RETURNS text LANGUAGE sql STABLE AS $$ SELECT current_setting('app.settings.' || name) $$;`,
		func(cfg *rest.Config) { cfg.AppSettings = map[string]string{"host": "it's me", "other": "2"} })
	runAll(t, c, []scenario{
		{line: "GET /rpc/app?name=host", status: 200, body: `"it's me"`},
		{line: "GET /rpc/app?name=other", status: 200, body: `"2"`},
	})
}

func TestTokensInPlaceOfPostgREST(t *testing.T) {
	t.Parallel()
	const seen = "GET /rpc/seen?name=request.jwt.claims"
	bad := func(code, message string) string {
		return `{"code":"` + code + `","details":null,"hint":null,"message":"` + message + `"}`
	}
	c := replace(t, nil)
	authenticated := c.token(t, map[string]any{"role": "authenticated"})
	runAll(t, c, []scenario{
		{line: seen, headers: []string{"apikey: not looked at"}, status: 200, body: `"{\"role\":\"anon\"}"`},
		{line: seen, headers: []string{authenticated}, status: 200, body: `"{\"role\":\"authenticated\"}"`},
		{line: seen, headers: []string{"Authorization: Bearer "}, status: 401, body: bad("PGRST301", "Empty JWT is sent in Authorization header")},
		{line: seen, headers: []string{"Authorization: Bearer a.b"}, status: 401, body: bad("PGRST301", "Expected 3 parts in JWT; got 2")},
		{line: seen, headers: []string{"Authorization: Bearer a.b.c"}, status: 401, body: bad("PGRST301", "JWT cryptographic operation failed")},
		{line: seen, headers: []string{c.token(t, map[string]any{"exp": "soon"})}, status: 401, body: bad("PGRST303", "The JWT 'exp' claim must be a number")},
		{line: seen, headers: []string{c.token(t, map[string]any{"aud": 7})}, status: 401, body: bad("PGRST303", "The JWT 'aud' claim must be a string or an array of strings")},
		{line: seen, headers: []string{c.token(t, map[string]any{"role": "nobody at all"})}, status: 401, body: bad("22023", `role \"nobody at all\" does not exist`)},
		{line: seen, headers: []string{c.token(t, map[string]any{"role": "none"})}, status: 403, body: bad("42501", `permission denied to set role \"none\"`)},
		{line: "BREW /clients", status: 405, body: bad("PGRST117", "Unsupported HTTP method: BREW")},
	})
	none := replace(t, func(cfg *rest.Config) { cfg.JWT.Secret = "" })
	runAll(t, none, []scenario{
		{line: "GET /clients?select=id&id=eq.1", status: 200, body: `[{"id":1}]`},
		{line: "GET /clients", headers: []string{authenticated}, status: 500, body: bad("PGRST300", "Server lacks JWT secret")},
	})
	narrow := replace(t, func(cfg *rest.Config) {
		cfg.AnonRole, cfg.JWT.Audience, cfg.JWT.RoleClaimKey = "", "us", "$.realm.roles[?(@ == 'authenticated')]"
		cfg.JWT.Secret, cfg.JWT.IsBase64 = secret.String("dGVzdC1zZWNyZXQtd2l0aC1tb3JlLXRoYW4tMzItY2hhcmFjdGVycw=="), true
	})
	roles := map[string]any{"roles": []string{"x", "authenticated"}}
	runAll(t, narrow, []scenario{
		{line: seen, status: 401, body: bad("PGRST302", "Anonymous access is disabled")},
		{line: seen, headers: []string{authenticated}, status: 401, body: bad("PGRST302", "Anonymous access is disabled")},
		{line: seen, headers: []string{c.token(t, map[string]any{"realm": roles, "aud": "them"})}, status: 401, body: bad("PGRST303", "JWT not in audience")},
		{line: seen, headers: []string{c.token(t, map[string]any{"realm": roles, "aud": []string{"them", "us"}})}, status: 200, body: `"{\"aud\":[\"them\",\"us\"],\"realm\":{\"roles\":[\"x\",\"authenticated\"]},\"role\":\"authenticated\"}"`},
	})
}

func TestHeadersOfTheServer(t *testing.T) {
	t.Parallel()
	c := replace(t, func(cfg *rest.Config) {
		cfg.ServerTiming, cfg.TraceHeader, cfg.CORSOrigins = true, "X-Trace", []string{"http://a.example"}
		cfg.ErrorVerbosity = "minimal"
	})
	got := c.do(t, "GET /clients", "", "X-Trace: 7", "Origin: http://a.example")
	for _, name := range []string{"jwt;dur=", "parse;dur=", "plan;dur=", "transaction;dur=", "response;dur="} {
		if !strings.Contains(got.header.Get("Server-Timing"), name) {
			t.Errorf("Server-Timing %q has no %s", got.header.Get("Server-Timing"), name)
		}
	}
	runAll(t, c, []scenario{
		{
			line: "GET /nothing", headers: []string{"X-Trace: 7"}, status: 404, want: []string{"X-Trace: 7", "Access-Control-Allow-Origin:"},
			body: `{"code":"PGRST205","message":"Could not find the table 'public.nothing' in the schema cache"}`,
		},
		{line: "GET /clients?zzz=eq.1", status: 400, body: `{"code":"42703","message":"column clients.zzz does not exist"}`},
		{
			line: "HEAD /clients", headers: []string{"Origin: http://a.example"}, status: 200,
			want: []string{"Access-Control-Allow-Origin: http://a.example", "Access-Control-Allow-Credentials: true"},
		},
		{line: "HEAD /clients", headers: []string{"Origin: http://b.example"}, status: 200, want: []string{"Access-Control-Allow-Origin:"}},
		{
			line: "OPTIONS /clients", headers: []string{"Origin: http://a.example", "Access-Control-Request-Method: PATCH", "Access-Control-Request-Headers: x-a,x-b"}, status: 200,
			want: []string{"Access-Control-Allow-Headers: Authorization, x-a, x-b, Accept, Accept-Language, Content-Language", "Access-Control-Max-Age: 86400"},
		},
	})
}

func TestRoot(t *testing.T) {
	t.Parallel()
	c := serverWith(t, fixture+`
		COMMENT ON SCHEMA public IS E'Shop\nAll of it';
		CREATE TYPE size AS ENUM ('s', 'm'); CREATE TABLE shirts (id int PRIMARY KEY, size size DEFAULT 'm', code varchar(5) NOT NULL);
		COMMENT ON COLUMN shirts.code IS 'the code'; GRANT SELECT ON shirts TO authenticated; REVOKE ALL ON shirts FROM anon;`, nil)
	anonymous := c.do(t, "GET /", "")
	if anonymous.status != 200 || anonymous.header.Get("Content-Type") != "application/openapi+json; charset=utf-8" || strings.Contains(anonymous.body, "shirts") {
		t.Errorf("%d %v: shirts are not for the anonymous", anonymous.status, anonymous.header)
	}
	got := c.do(t, "GET /", "", c.token(t, map[string]any{"role": "authenticated"}), "Accept: application/json")
	for _, part := range []string{
		`"title":"Shop","description":"All of it"`, `"basePath":"/rest/v1"`, `"/shirts":{"get":`, `"enum":["s","m"]`,
		`"code":{"format":"character varying","type":"string","description":"the code","maxLength":5}`, `<fk table='clients' column='id'/>`, `"/rpc/seen":`,
	} {
		if !strings.Contains(got.body, part) {
			t.Errorf("the description lacks %s", part)
		}
	}
	runAll(t, c, []scenario{
		{line: "HEAD /", status: 200, want: []string{"Content-Type: application/openapi+json; charset=utf-8", "Content-Length:"}},
		{line: "OPTIONS /", status: 200, want: []string{"Allow: OPTIONS,GET,HEAD"}},
		{line: "GET /", headers: []string{"Accept: text/csv"}, status: 406, body: `{"code":"PGRST107","details":null,"hint":null,"message":"None of these media types are available: text/csv"}`},
	})
	off := server(t, func(cfg *rest.Config) { cfg.OpenAPIMode = "disabled" })
	runAll(t, off, []scenario{{line: "GET /", status: 404, body: `{"code":"PGRST126","details":null,"hint":null,"message":"Root endpoint metadata is disabled"}`}})
	own := serverWith(t, fixture+`CREATE DOMAIN "application/openapi+json" AS json;
		CREATE FUNCTION home() RETURNS "application/openapi+json" LANGUAGE sql STABLE AS $$ SELECT '{"hello":1}'::json $$;`,
		func(cfg *rest.Config) { cfg.RootSpec = "home" })
	for _, media := range []string{"application/json", "application/openapi+json"} {
		got := own.do(t, "GET /", "", "Accept: "+media)
		if got.status != http.StatusOK || got.body != `{"hello":1}` || got.header.Get("Content-Type") != media+"; charset=utf-8" {
			t.Errorf("the root's function: %d %v %s", got.status, got.header, got.body)
		}
	}
}
