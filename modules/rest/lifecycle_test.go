package rest_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/madbase/madbase/modules/rest"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/testkit"
)

// TestDatabaseAway starts the module on a port where no database listens.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	f := testkit.NewProject(t)
	away, err := project.OpenForeign(t.Context(), "postgres://nobody@127.0.0.1:1/none", project.PoolOptions{Sizes: project.PoolSizes{API: 2}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(away.Close)
	p := *f.Project
	p.DB = away
	m := rest.New(testConfig(), rest.Deps{Projects: project.NewDirectory(&p), Log: testkit.Log()})
	if err := m.Ready(t.Context()); err == nil {
		t.Error("ready before the start")
	}
	c := &client{module: m, url: testkit.Serve(t, &p, "/rest/v1", m) + "/rest/v1"}
	if err := m.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "connect") {
		t.Errorf("ready says %v", err)
	}
	runAll(t, c, []scenario{{
		line: "GET /clients", status: 503, want: []string{"Retry-After: 1", "Proxy-Status: PostgREST; error=PGRST002"},
		body: `{"code":"PGRST002","details":null,"hint":null,"message":"Could not query the database for the schema cache. Retrying."}`,
	}})
}

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	f := testkit.NewProject(t)
	m := rest.New(testConfig(), rest.Deps{Projects: project.NewDirectory(f.Project), Log: testkit.Log()})
	ctx := context.Background()
	if err := m.Stop(ctx); err != nil { // never started
		t.Error(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_ = m.Start(ctx)
			_ = m.Ready(ctx)
			_ = m.Stop(ctx)
		})
	}
	wg.Wait()
	if err := m.Start(ctx); err != nil {
		t.Error(err)
	}
	if err := m.Ready(ctx); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := m.Stop(ctx); err != nil {
			t.Error(err)
		}
	}
	if err := m.Ready(ctx); err == nil {
		t.Error("ready after the stop")
	}
}

// TestReloadKeepsServing changes the schema under load: no request may fail.
func TestReloadKeepsServing(t *testing.T) {
	t.Parallel()
	c := server(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if got := c.do(t, "GET /clients?select=id,projects(id)", ""); got.status != 200 {
					t.Errorf("status %d: %s", got.status, got.body)
					return
				}
			}
		})
	}
	for _, sql := range []string{
		`CREATE TABLE other (id int)`, `ALTER TABLE other ADD COLUMN x text`, `ALTER TABLE clients ADD COLUMN extra text DEFAULT 'e'`, `DROP TABLE other`,
		`NOTIFY pgrst, 'reload config'`, `NOTIFY pgrst`,
	} {
		c.project.Exec(t, sql)
	}
	awaitTable(t, c, "/clients?select=extra")
	cancel()
	wg.Wait()
}

func TestPoolExhausted(t *testing.T) {
	t.Parallel()
	c := server(t, func(cfg *rest.Config) { cfg.PoolTimeout = 1 })
	pool := c.project.DB.API
	for range pool.Config().MaxConns {
		conn, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Release()
	}
	runAll(t, c, []scenario{{
		line: "GET /clients", status: 504,
		body: `{"code":"PGRST003","details":null,"hint":null,"message":"Timed out acquiring connection from connection pool."}`,
	}})
}

func TestNoAnonymous(t *testing.T) {
	t.Parallel()
	c := server(t, func(cfg *rest.Config) { cfg.AnonRole = "" })
	runAll(t, c, []scenario{
		{line: "GET /clients", status: 401, want: []string{"WWW-Authenticate: Bearer"}, body: `{"code":"PGRST302","details":null,"hint":null,"message":"Anonymous access is disabled"}`},
		{name: "with a role", line: "GET /clients?select=id&id=eq.1", headers: []string{c.token(t, map[string]any{"role": "authenticated"})}, status: 200, body: `[{"id":1}]`},
	})
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	if err := testConfig().Validate(); err != nil {
		t.Error(err)
	}
	err := rest.Config{Schemas: []string{"pg_catalog"}, TxEnd: "maybe", MaxRows: -1}.Validate()
	for _, name := range []string{"PGRST_DB_SCHEMAS", "PGRST_DB_TX_END", "PGRST_DB_MAX_ROWS", "PGRST_DB_POOL_ACQUISITION_TIMEOUT", "MADBASE_REST_MAX_BODY", "PGRST_DB_CHANNEL"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
}
