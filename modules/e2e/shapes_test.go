package e2e_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/secret"
	"github.com/madbase/madbase/platform/testdb"
	"github.com/madbase/madbase/platform/testkit"
)

// binary is the madbase that all tests share.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		b := &building{}
		defer b.cleanup()
		binary = testkit.Build(b)
		return m.Run()
	}())
}

// building is the part of testing.TB that testkit.Build needs before there is a test.
type building struct {
	testing.TB
	dirs []string
}

func (*building) Helper() {}

func (b *building) Fatalf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	b.cleanup()
	os.Exit(1)
}

func (b *building) TempDir() string {
	dir, err := os.MkdirTemp("", "madbase-e2e-")
	if err != nil {
		b.Fatalf("%v", err)
	}
	b.dirs = append(b.dirs, dir)
	return dir
}

func (b *building) cleanup() {
	for _, dir := range b.dirs {
		_ = os.RemoveAll(dir) // a leftover in the temporary folder is harmless
	}
}

// jwtSecret is that of all tests: the passwords of the login roles derive from
// it, and roles belong to the server, which the tests of all packages share.
const jwtSecret = testkit.JWTSecret

// shape is a running madbase, of however many processes.
type shape struct {
	url         string
	databaseURL string
	keys        claims.APIKeys
	proxy       *testkit.Process
	workers     []*testkit.Process
	control     *testkit.Process
	proxyEnv    []string // that of a further proxy
}

func newKeys(t *testing.T) claims.APIKeys {
	t.Helper()
	keys, err := claims.NewKeys(claims.Config{Secret: secret.String(jwtSecret)})
	if err != nil {
		t.Fatal(err)
	}
	return keys.API()
}

// alone starts everything in one process with its private PostgreSQL.
func alone(t *testing.T, dataDir string, env ...string) *shape {
	t.Helper()
	env = append(env, "JWT_SECRET="+jwtSecret, "MADBASE_PG_PORT=0")
	args := []string{"serve", "--listen", "127.0.0.1:0", "--data-dir", dataDir}
	p := testkit.Start(t, binary, env, args...)
	return &shape{url: p.URL, keys: newKeys(t), proxy: p, databaseURL: databaseURL(t, dataDir)}
}

// cluster starts a proxy, a control and two workers on one Postgres, one Redis and one S3.
func cluster(t *testing.T, env ...string) *shape {
	t.Helper()
	database := testdb.Empty(t)
	env = append(append([]string{"MADBASE_DRAIN_DELAY=0s"}, append(env, s3Settings(t)...)...),
		"JWT_SECRET="+jwtSecret, "DATABASE_URL="+database, "REDIS_URL="+testkit.Redis(t), "ADMIN_PASSWORD=an admin's password",
	)
	s := &shape{databaseURL: database, keys: newKeys(t), workers: make([]*testkit.Process, 2)}
	start := func(role string) *testkit.Process {
		return testkit.Start(t, binary, env, "serve", "--role", role, "--listen", "127.0.0.1:0")
	}
	var wait sync.WaitGroup // all at once: migrations must stand it
	for i := range s.workers {
		wait.Go(func() { s.workers[i] = start("worker") })
	}
	wait.Go(func() { s.control = start("control") })
	wait.Wait()
	if t.Failed() {
		t.FailNow()
	}
	s.proxyEnv = append(env, "WORKER_UPSTREAM_URLS="+s.workers[0].URL+","+s.workers[1].URL, "CONTROL_UPSTREAM_URL="+s.control.URL)
	s.proxy = testkit.Start(t, binary, s.proxyEnv, "serve", "--role", "proxy", "--listen", "127.0.0.1:0")
	s.url = s.proxy.URL
	return s
}

// load runs the journeys' schema and waits until REST knows it.
func (s *shape) load(t *testing.T) {
	t.Helper()
	schema, err := os.ReadFile("schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	s.exec(t, string(schema))
	targets := []string{s.url}
	for _, w := range s.workers {
		targets = append(targets, w.URL)
	}
	for _, target := range targets {
		s.await(t, target+"/rest/v1/comments?select=notes(id)")
	}
}

// await asks until the answer is 200; the test's own deadline bounds it.
func (s *shape) await(t *testing.T, url string) {
	t.Helper()
	for {
		status, body := testkit.Get(t, url, "apikey", s.keys.Service.Reveal())
		if status == 200 {
			return
		}
		if t.Context().Err() != nil {
			t.Fatalf("%s: %d %s", url, status, body)
		}
	}
}

func (s *shape) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// query scans the one value of sql.
func (s *shape) query(t *testing.T, into any, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(into); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}
