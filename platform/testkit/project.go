package testkit

import (
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/VictoriaMetrics/metrics"

	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/migrate"
	"github.com/madbase/madbase/platform/module"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/testdb"
	"github.com/madbase/madbase/sql"
)

// JWTSecret is the secret of every test project.
const JWTSecret = "test-secret-with-more-than-32-characters"

// Project is a project on a database of its own.
type Project struct {
	*project.Project
	// OwnerURL logs in as the database's owner.
	OwnerURL string
	// Owner is a pool of the owner, for preparing and looking at a test's data.
	Owner *db.Pool
}

// NewProject returns a project whose database has the bootstrap line and the
// further lines ("auth", "storage"). All of it is gone when the test ends.
func NewProject(t testing.TB, lines ...string) *Project {
	t.Helper()
	ctx := context.Background()
	all := []migrate.Line{{Name: "bootstrap", Files: sql.Line("bootstrap")}}
	for _, name := range lines {
		all = append(all, migrate.Line{Name: name, Files: sql.Line(name)})
	}
	name, err := migrate.Checksum(all...)
	if err != nil {
		t.Fatal(err)
	}
	owner := testdb.New(t, testdb.Template{Name: name, Build: func(ctx context.Context, ownerURL string) error {
		return project.Prepare(ctx, ownerURL, project.DefaultLogins(JWTSecret), Log(), all)
	}})
	keys, err := claims.NewKeys(claims.Config{Secret: JWTSecret})
	if err != nil {
		t.Fatal(err)
	}
	sizes := project.PoolSizes{API: 6, Auth: 4, Storage: 4}
	databases, err := project.OpenDatabases(ctx, owner, project.DefaultLogins(JWTSecret), project.PoolOptions{Sizes: sizes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(databases.Close)
	pool, err := db.Open(ctx, db.PoolConfig{URL: owner, Name: "owner", MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &Project{
		Project:  &project.Project{Ref: "default", DB: databases, Keys: keys, StoragePrefix: "default", PublicURL: "http://localhost:8000"},
		OwnerURL: owner, Owner: pool,
	}
}

// Exec runs SQL as the owner.
func (p *Project) Exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := p.Owner.Exec(context.Background(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// Serve starts m, mounted at prefix, for p on a loopback server and returns its
// URL without a final slash. Both end with the test.
func Serve(t testing.TB, p *project.Project, prefix string, m module.Module) string {
	t.Helper()
	server := httpx.New(httpx.Deps{Log: Log(), Metrics: metrics.NewSet(), Role: "test"})
	server.Echo().Use(project.NewDirectory(p).Resolve())
	server.Mount(prefix, m)
	if err := m.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	web := httptest.NewServer(server.Handler())
	t.Cleanup(web.Close)
	return web.URL
}

// Log discards everything, or writes to standard error when MADBASE_TEST_LOG is set.
func Log() *slog.Logger {
	if os.Getenv("MADBASE_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.NewTextHandler(io.Discard, nil))
}
