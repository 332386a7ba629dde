package rest_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/madbase/madbase/modules/rest"
)

// everyType is a table of all types that rows are written of, one of other types,
// and hostile values and names.
const everyType = `
	CREATE TYPE mood AS ENUM ('ok', 'so "so"');
	CREATE TYPE pair AS (zz int, a numeric);
	CREATE DOMAIN tiny AS int CHECK (VALUE < 10);
	CREATE DOMAIN days AS timestamptz;
	CREATE TABLE written (
		id int PRIMARY KEY, small smallint, big bigint, j json, jb jsonb, num numeric, short numeric(10,2), rl real, flt double precision, yes boolean,
		txt text, vc varchar(40), ch char(5), nm name, uid uuid, raw bytea, tm time, tmz timetz, span interval, net inet, block cidr, mac macaddr,
		bits bit(3), more bit varying, vector tsvector, doc xml, day date, ts timestamp(3), tz timestamptz, small_domain tiny, date_domain days,
		"quote""d" int, "back\slash" int, "tab	and
line" int, "é ☃" int, " " int, "?column?" int);
	INSERT INTO written VALUES
		(1, -32768, 9223372036854775807, '{"b" : 1,
 "a" : [1.0, 1e2]}', '{"long": 1, "b": "\u00e9\n"}', 1.50, 2, 0.1, 1e20, true, E'tab\t"quoted" \\ / é ☃ \x01\x1f\x7f\b\f\n\r', 'v', 'ab', 'n', '6b1b36cb-2d5e-4a56-a0cb-4fa8a4d4f8d1',
			'\x00ff', '01:02:03.5', '01:02:03-03:30', '1 day 2 hours', '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03', '101', '1', 'a:1 ''b''', '<a b="c"/>',
			'2024-02-29', '2024-01-01 01:02:03.456', '2024-01-01 12:00:00.123456+02', 3, '2024-06-01', 1, 2, 3, 4, 5, 6);
	INSERT INTO written (id, num, rl, flt, yes, txt, vc, ch, nm, raw, tm, span, more, vector, day, ts, tz, date_domain) VALUES
		(2, 'NaN', 'Infinity', '-Infinity', false, '', '', '', '', '', '24:00', '-1 mon +2 days', '', '', 'infinity', '-infinity', 'infinity', '-infinity');
	INSERT INTO written (id, small, big, j, jb, num, short, rl, flt, txt, net, day, ts, tz, date_domain) VALUES
		(3, 0, 0, 'null', '"x"', -0.000, 1e7, '-0', 'NaN', E'\u2028\u2029', '::1', '0044-03-15 BC', '0044-03-15 01:02:03 BC', '0044-03-15 01:02:03+00 BC', '12024-01-01'),
		(4, 1, 2, '[]', '{}', 1e-20, -1, 1e-20, 123456789.125, '\', '1::', '0001-01-01', '1883-11-18', '1800-01-01', NULL);
	CREATE TABLE other (id int PRIMARY KEY, arr int[], texts text[], jarr json[], feel mood, duo pair, rng int4range, cash money, o oid, c "char", at point, moods mood[], stamps timestamptz[], d date DEFAULT '2024-01-02', t timestamptz DEFAULT '2024-01-02');
	INSERT INTO other VALUES (1, '{1,NULL,3}', array['a"b', E'\n'], array['{"z":1, "a":2}'::json], 'so "so"', row(1, 2.50), '[1,5)', 12.5, 7, 'x', '(1,2)', '{ok}', '{2024-01-01}');
	INSERT INTO other (id) VALUES (2);
	CREATE FUNCTION shout(other) RETURNS text LANGUAGE sql STABLE AS $$ SELECT E'"!\n' || $1.id $$;
	CREATE TABLE nothing ();
	INSERT INTO nothing DEFAULT VALUES; INSERT INTO nothing DEFAULT VALUES;
	CREATE TABLE hostile (id int, txt text);`

// asDocument has the body made by PostgreSQL, which counts for it.
const asDocument = "Prefer: count=exact"

// Rows are written as PostgreSQL's json_agg writes them, byte for byte.
func TestRowsLookLikeJSONAgg(t *testing.T) {
	t.Parallel()
	c := serverWith(t, everyType, nil)
	texts := make([]string, 300)
	for i := range texts {
		for range rand.IntN(40) {
			texts[i] += string(rune(1 + rand.IntN([]int{0x22, 0x5c, 0x7f, 0xd7fe}[rand.IntN(4)])))
		}
	}
	c.project.Exec(t, "INSERT INTO hostile SELECT i, t FROM unnest($1::text[]) WITH ORDINALITY AS u (t, i)", texts)
	for _, test := range []struct{ path, sql string }{
		{"/written?order=id", "SELECT * FROM written ORDER BY id"},
		{"/written?select=tz,ts,day,date_domain,small_domain&order=id", "SELECT tz, ts, day, date_domain, small_domain FROM written ORDER BY id"},
		{"/other?order=id", "SELECT * FROM other ORDER BY id"},
		{
			"/other?select=arr,texts,jarr,feel,duo,rng,cash,o,c,at,moods,stamps,shout,zz:id,n:id::text,id,id,k:duo->>zz,l:texts->1&order=id",
			"SELECT arr, texts, jarr, feel, duo, rng, cash, o, c, at, moods, stamps, other.shout, id AS zz, id::text AS n, id, id, (duo).zz::text AS k, to_jsonb(texts)->1 AS l FROM other ORDER BY id",
		},
		{"/hostile?order=id", "SELECT * FROM hostile ORDER BY id"},
		{"/hostile?id=gt.1000", "SELECT * FROM hostile WHERE false"},
		{"/nothing", "SELECT * FROM nothing"},
	} {
		var want string
		if err := c.project.Owner.QueryRow(t.Context(), "SELECT coalesce(json_agg(_rows), '[]') FROM ("+test.sql+") _rows").Scan(&want); err != nil {
			t.Fatal(err)
		}
		for range 3 { // the statement is prepared by then
			if got := c.do(t, "GET "+test.path, ""); got.body != want {
				t.Errorf("%s:\n got %s\nwant %s", test.path, got.body, want)
			}
		}
		if got := c.do(t, "GET "+test.path, "", asDocument); got.body != want {
			t.Errorf("%s as a document:\n got %s\nwant %s", test.path, got.body, want)
		}
	}
}

// A row inserted is written as json_agg writes it when it is read.
func TestRowInsertedLooksLikeJSONAgg(t *testing.T) {
	t.Parallel()
	c := serverWith(t, everyType, nil)
	rows := []string{
		`{"id":10,"txt":"a\"b\\\n\u0001","tz":"2024-01-01 12:00+02","day":"infinity","num":"NaN","j":{"b" : 1},"é ☃":1,"quote\"d":2}`,
		`{"id":11}`,
	}
	for i, send := range rows {
		got := c.do(t, "POST /written", send, "Prefer: return=representation")
		if want := c.do(t, fmt.Sprintf("GET /written?id=eq.%d", 10+i), "", asDocument); got.status != 201 || got.body != want.body {
			t.Errorf("%s:\n got %d %s\nwant %s", send, got.status, got.body, want.body)
		}
	}
	const columns = "?select=id,feel,duo,t,when:d,n:id::text,shout,first:arr->0"
	got := c.do(t, "POST /other"+columns, `{"id":10,"feel":"ok","duo":{"zz":1},"arr":[7]}`, "Prefer: return=representation")
	if want := c.do(t, "GET /other"+columns+"&id=eq.10", "", asDocument); got.status != 201 || got.body != want.body {
		t.Errorf("got %d %s\nwant %s", got.status, got.body, want.body)
	}
	got = c.do(t, "POST /other", `{"id":11,"moods":["ok"]}`, "Prefer: return=representation")
	if want := c.do(t, "GET /other?id=eq.11", "", asDocument); got.status != 201 || got.body != want.body {
		t.Errorf("got %d %s\nwant %s", got.status, got.body, want.body)
	}
}

// What cannot be answered by rows, of which the plan did not know, is answered all the same.
func TestRowsThatDoNotDo(t *testing.T) {
	t.Parallel()
	c := serverWith(t, `
		CREATE TYPE mood AS ENUM ('ok', 'sad');
		CREATE TABLE dates (id int, d date, t timestamptz);
		INSERT INTO dates VALUES (1, '2024-02-03', '2024-02-03 04:05:06+00'), (2, NULL, 'infinity');
		ALTER ROLE anon SET datestyle = 'German';
		CREATE TABLE changing (id int PRIMARY KEY, gone int, kept text);
		INSERT INTO changing VALUES (1, 2, 'x');
		CREATE TABLE wide AS SELECT i AS id, CASE i WHEN 2 THEN repeat('"', 5000000) WHEN 4 THEN repeat('y', 6000000) ELSE 'z' END AS txt FROM generate_series(1, 5) i;`,
		func(cfg *rest.Config) { cfg.Listen = false })
	same := func(path string) {
		t.Helper()
		got, want := c.do(t, "GET "+path, ""), c.do(t, "GET "+path, "", asDocument)
		if got.status != 200 || got.body != want.body || got.header.Get("Content-Length") != strconv.Itoa(len(got.body)) {
			t.Errorf("%s: got %d %.400s\nwant %.400s", path, got.status, got.body, want.body)
		}
	}
	t.Cleanup(func() { c.project.Exec(t, "ALTER ROLE anon RESET datestyle") })
	same("/dates")
	same("/wide")
	for range 3 {
		same("/changing")
		c.do(t, "POST /changing", `{"id":-1}`, "Prefer: return=representation, tx=rollback")
	}
	c.project.Exec(t, "DELETE FROM changing WHERE id < 0; ALTER TABLE changing DROP gone, ADD feel mood DEFAULT 'sad', ADD stamps timestamptz[] DEFAULT '{2024-01-01}'")
	same("/changing")
	for id, want := range map[string]string{"2": `[{"id":2,"kept":null,"feel":"sad","stamps":["2024-01-01T00:00:00+00:00"]}]`, "3": "*"} {
		got := c.do(t, "POST /changing", `{"id":`+id+`}`, "Prefer: return=representation")
		if got.status != 201 || want != "*" && got.body != want {
			t.Errorf("inserting after a column was dropped: got %d %s", got.status, got.body)
		}
	}
}

// Variables that change the answer hold in both shapes.
func TestRowsWithVariables(t *testing.T) {
	t.Parallel()
	c := serverWith(t, `
		CREATE TABLE things (id int PRIMARY KEY, name text);
		INSERT INTO things VALUES (1, 'a'), (2, 'b');
		CREATE FUNCTION tells(things) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN
			PERFORM set_config('response.status', '203', true), set_config('response.headers', '[{"X-Told": "' || $1.id || '"}]', true);
			RETURN 'told';
		END $$;
		CREATE TABLE picky (id int PRIMARY KEY, name text);
		CREATE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			PERFORM set_config('response.status', '202', true);
			RETURN CASE WHEN NEW.name IS NULL THEN NULL ELSE NEW END;
		END $$;
		CREATE TRIGGER refuses BEFORE INSERT ON picky FOR EACH ROW EXECUTE FUNCTION refuses();
		GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO anon;`,
		func(cfg *rest.Config) { cfg.TxEnd = "commit-allow-override" })
	const noColumn = `{"code":"42703","details":null,"hint":null,"message":"column things.qwertyuiop does not exist"}`
	runAll(t, c, []scenario{
		{line: "GET /things?select=id,tells&order=id", status: 203, want: []string{"X-Told: 2"}, body: "[{\"id\":1,\"tells\":\"told\"}, \n {\"id\":2,\"tells\":\"told\"}]"},
		{line: "POST /things?select=tells", headers: []string{"Prefer: return=representation"}, send: `{"id":3}`, status: 203, want: []string{"X-Told: 3"}, body: `[{"tells":"told"}]`},
		{line: "POST /picky", headers: []string{"Prefer: return=representation"}, send: `{"id":1}`, status: 202, body: `[]`},
		{line: "POST /picky", headers: []string{"Prefer: return=representation"}, send: `{"id":2,"name":"x"}`, status: 202, body: `[{"id":2,"name":"x"}]`},
		{line: "POST /things", headers: []string{"Prefer: return=representation"}, send: `{"id":3}`, status: 409, body: "*"},
		{line: "GET /things?select=nope", status: 400, body: "*"},
		{line: "POST /things?select=qwertyuiop", headers: []string{"Prefer: return=representation"}, send: `{"id":4}`, status: 400, body: noColumn},
		{line: "POST /things?select=qwertyuiop", headers: []string{"Prefer: return=representation, tx=rollback"}, send: `{"id":4}`, status: 400, body: noColumn},
	})
}
