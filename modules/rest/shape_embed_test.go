package rest_test

import (
	"testing"

	"github.com/madbase/madbase/modules/rest"
)

// The columns of "*" are those of the schema as it was read; one that is gone since
// fails nothing, and one of another type is written as that.
func TestEmbedsOfAnOldSchema(t *testing.T) {
	t.Parallel()
	c := serverWith(t, `
		CREATE TABLE parents (id int PRIMARY KEY, name text, gone int);
		CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents, gone int, kept real, note text, kind text);
		INSERT INTO parents VALUES (1, 'a', 1), (2, 'b', 2);
		INSERT INTO children VALUES (1, 1, 1, 1e20, '{1,2}', 'x'), (2, 1, 2, 0.5, NULL, 'y');
		CREATE TYPE kinds AS ENUM ('x', 'y');`,
		func(cfg *rest.Config) { cfg.Listen, cfg.TxEnd = false, "commit-allow-override" })
	const first = `{"id":1,"name":"a","children":[{"id":1,"kept":100000000000000000000,"kind":"x","note":[1,2],"parent":1}, {"id":2,"kept":0.5,"kind":"y","note":null,"parent":1}]}`
	const second = `{"id":2,"name":"b","children":[]}`
	scenarios := []scenario{
		{line: "GET /parents?select=*,children(*)&id=eq.1", status: 200, body: "[" + first + "]"},
		{line: "GET /parents?select=*,children(*)&order=id", status: 200, body: "[" + first + "," + second + "]"},
		{line: "GET /parents?select=*,children(*)&order=id", headers: []string{"Prefer: count=planned"}, status: 206, body: "[" + first + "," + second + "]"},
		{line: "GET /children?select=id,parents(*)&id=eq.1", status: 200, body: `[{"id":1,"parents":{"id":1,"name":"a"}}]`},
		{line: "PATCH /parents?select=*,children(*)&id=eq.2", headers: []string{"Prefer: return=representation"}, send: `{"name":"b"}`, status: 200, body: "[" + second + "]"},
		{line: "PATCH /parents?select=*,children(*)&id=eq.2", headers: []string{"Prefer: return=representation, tx=rollback"}, send: `{"name":"b"}`, status: 200, body: "[" + second + "]"},
		{line: "GET /parents?select=name,children(note)&order=id", status: 200, body: `[{"name":"a","children":[{"note":[1,2]}, {"note":null}]},{"name":"b","children":[]}]`},
		{line: "GET /parents?select=name,children(kind)&order=id", status: 200, body: `[{"name":"a","children":[{"kind":"x"}, {"kind":"y"}]},{"name":"b","children":[]}]`},
		{line: "GET /parents?select=*,children(gone)&id=eq.1", status: 400, body: "*"},
		{line: "GET /parents?select=*,children(gone)", status: 400, body: "*"},
	}
	for _, s := range scenarios { // the statements are prepared by then
		c.do(t, s.line, s.send, s.headers...)
	}
	c.project.Exec(t, "ALTER TABLE parents DROP gone; ALTER TABLE children DROP gone, ALTER note TYPE int[] USING note::int[], ALTER kind TYPE kinds USING kind::kinds")
	runAll(t, c, scenarios)
}

// Embeds of a list are written as PostgreSQL writes their JSON, byte for byte. This
// test runs alone: another one changes the style of dates for all databases.
func TestEmbedsLookLikeDocuments(t *testing.T) {
	c := serverWith(t, everyType+`
		CREATE DOMAIN shouted AS text;
		CREATE FUNCTION json(shouted) RETURNS json LANGUAGE sql IMMUTABLE AS $$ SELECT to_json(upper($1::text)) $$;
		CREATE CAST (shouted AS json) WITH FUNCTION json(shouted) AS IMPLICIT;
		CREATE TABLE sheets (id int PRIMARY KEY, written int REFERENCES written, other int REFERENCES other, loud shouted,
			long text DEFAULT repeat('é"', 3000), twice int GENERATED ALWAYS AS (id * 2) STORED);
		INSERT INTO sheets (id, written, other, loud) VALUES (1, 1, 1, 'a'), (2, 1, NULL, NULL), (3, 2, 2, 'b'), (4, NULL, 1, ''), (5, 3, 1, 'c'), (6, 4, 2, 'd');
		CREATE TABLE tags (id int PRIMARY KEY, name text, above int REFERENCES tags);
		INSERT INTO tags VALUES (1, E'on\te', NULL), (2, NULL, 1), (3, 'three', 1), (4, 'four', 3);
		CREATE TABLE sheets_tags (sheet int REFERENCES sheets, tag int REFERENCES tags, PRIMARY KEY (sheet, tag));
		INSERT INTO sheets_tags VALUES (1, 1), (1, 2), (3, 3), (4, 1), (4, 2), (4, 3), (4, 4);
		CREATE VIEW leaves AS SELECT id, written AS of, loud FROM sheets;
		CREATE FUNCTION whisper(sheets) RETURNS json LANGUAGE sql STABLE AS $$ SELECT json_build_object('of', $1.loud, 'a', ARRAY[$1.id]) $$;
		CREATE FUNCTION even_tags(sheets) RETURNS SETOF tags LANGUAGE sql STABLE AS 'SELECT * FROM tags WHERE id % 2 = 0 AND id > $1.id';
		CREATE FUNCTION first_tag(sheets) RETURNS SETOF tags ROWS 1 LANGUAGE sql STABLE AS 'SELECT * FROM tags WHERE id = $1.id';
		CREATE TABLE guarded (id int PRIMARY KEY, sheet int REFERENCES sheets, open text, hidden text);
		INSERT INTO guarded VALUES (1, 1, 'x', 'y');
		REVOKE ALL ON guarded FROM anon; GRANT SELECT (id, sheet, open) ON guarded TO anon;`, nil)
	for _, query := range []string{
		"/written?select=id,sheets(*)&order=id",
		"/written?select=*,sheets(*)&order=id",
		"/sheets?select=*,written(*)&order=id",
		"/sheets?select=id,other(*)&order=id",
		"/other?select=id,sheets(id,other(*))&order=id",
		"/other?select=*,sheets(id,written(*))&order=id",
		"/sheets?select=id,written(*,sheets(id,other(id,sheets(id))))&order=id",
		"/sheets?select=id,tags(*)&order=id",
		"/sheets?select=id,tags(name,above(name,above(name)))&order=id&tags.order=id.desc&tags.limit=2&tags.offset=1",
		"/tags?select=*,tags(*),sheets(id,tags(id))&order=id",
		"/sheets?select=id,even_tags(*),first_tag(*,sheets(id))&order=id",
		"/sheets?select=id,even_tags!inner(*),first_tag!inner(id)&order=id",
		"/sheets?select=id,tags!inner(name)&order=id",
		"/sheets?select=id,tags(id,name)&tags.name=not.is.null&tags=not.is.null&order=id",
		"/sheets?select=id,tags(id)&tags=is.null&order=id",
		"/sheets?select=id,other(id)&other=is.null&order=id",
		"/sheets?select=id,other(id),tags(id)&or=(other.is.null,tags.is.null)&order=id",
		"/sheets?select=id,other(id,arr)&order=other(id).desc,id",
		"/sheets?select=id,other(id,sheets(id,other(id)))&other.sheets.order=other(id).desc,id&order=id",
		"/sheets?select=id,tags()&tags=not.is.null&order=id",
		"/sheets?select=id,tags(sheets(id)),other!inner()&order=id",
		"/sheets?select=tags(id)&order=id",
		"/sheets?select=id,tags(id,...above(upper:name))&order=id",
		"/sheets?select=id,other(id,sheets(id,...written(txt)))&order=id",
		`/sheets?select=id,w:written("quote\"d","back\\slash",x:j->b,y:jb->>b,z:num::text,num,num,z:flt)&order=id`,
		`/written?select=id,sheets(id,x:id,id,"pgrst_1":id,pgrst_2:loud,whisper)&order=id`,
		"/written?select=pgrst_0:id,pgrst_1:tz,sheets(pgrst_0:id)&order=id",
		"/written?select=id,abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz:sheets(abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz:id)&order=id",
		"/written?select=id,leaves(*)&order=id",
		"/leaves?select=*,written(id,ts,sheets(twice,loud))&order=id",
		"/sheets?select=id,guarded(id,open)&order=id",
		"/written?select=id,sheets(long)&sheets.long=like.*é*&order=id&limit=2&offset=1",
	} {
		want := c.do(t, "GET "+query, "", asDocument)
		if want.status >= 400 {
			t.Errorf("%s: got %d %s", query, want.status, want.body)
		}
		for range 3 { // the statement is prepared by then
			if got := c.do(t, "GET "+query, ""); got.status != 200 || got.body != want.body {
				t.Errorf("%s:\n got %d %s\nwant %d %s", query, got.status, got.body, want.status, want.body)
			}
		}
	}
	runAll(t, c, []scenario{
		{line: "GET /sheets?select=id,guarded(*)", status: 401, body: "*"},
		{line: "GET /sheets?select=id,guarded(hidden)", status: 401, body: "*"},
	})
}
