package rest_test

import (
	"testing"

	"github.com/madbase/madbase/modules/rest"
)

// The columns of "*" are those of the schema as it was read; one that is gone since
// fails nothing.
func TestEmbedsOfAnOldSchema(t *testing.T) {
	t.Parallel()
	c := serverWith(t, `
		CREATE TABLE parents (id int PRIMARY KEY, name text, gone int);
		CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents, gone int, kept real);
		INSERT INTO parents VALUES (1, 'a', 1), (2, 'b', 2);
		INSERT INTO children VALUES (1, 1, 1, 1e20), (2, 1, 2, 0.5);`,
		func(cfg *rest.Config) { cfg.Listen, cfg.TxEnd = false, "commit-allow-override" })
	const first = `{"id":1,"name":"a","children":[{"id":1,"kept":100000000000000000000,"parent":1}, {"id":2,"kept":0.5,"parent":1}]}`
	const second = `{"id":2,"name":"b","children":[]}`
	scenarios := []scenario{
		{line: "GET /parents?select=*,children(*)&id=eq.1", status: 200, body: "[" + first + "]"},
		{line: "GET /parents?select=*,children(*)&order=id", status: 200, body: "[" + first + "," + second + "]"},
		{line: "GET /parents?select=*,children(*)&order=id", headers: []string{"Prefer: count=planned"}, status: 206, body: "[" + first + "," + second + "]"},
		{line: "GET /children?select=id,parents(*)&id=eq.1", status: 200, body: `[{"id":1,"parents":{"id":1,"name":"a"}}]`},
		{line: "PATCH /parents?select=*,children(*)&id=eq.2", headers: []string{"Prefer: return=representation"}, send: `{"name":"b"}`, status: 200, body: "[" + second + "]"},
		{line: "PATCH /parents?select=*,children(*)&id=eq.2", headers: []string{"Prefer: return=representation, tx=rollback"}, send: `{"name":"b"}`, status: 200, body: "[" + second + "]"},
		{line: "GET /parents?select=*,children(gone)&id=eq.1", status: 400, body: "*"},
	}
	for _, s := range scenarios { // the statements are prepared by then
		c.do(t, s.line, s.send, s.headers...)
	}
	c.project.Exec(t, "ALTER TABLE parents DROP gone; ALTER TABLE children DROP gone")
	runAll(t, c, scenarios)
}
