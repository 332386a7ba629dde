// Package testdb gives every test its own PostgreSQL database, on a real server.
//
//	func TestX(t *testing.T) {
//		t.Parallel()
//		url := testdb.Empty(t)                        // an empty database, or:
//		url := testdb.New(t, testdb.Template{         // a copy of a prepared one, made in some 20 ms
//			Name:  hashOfMigrations,
//			Build: func(ctx context.Context, ownerURL string) error { return migrate(ctx, ownerURL) },
//		})
//		...
//	}
//
// The URL logs in as the server's owner, a superuser. The database is dropped when the test ends, with whoever is still connected to it.
//
// The server is, in this order: the one of MADBASE_TEST_PG_URL (`task test` sets it, so that all packages share one); a private cluster
// of local PostgreSQL binaries, without fsync, in memory where there is room; a Docker container, where an engine answers; a private cluster
// of downloaded binaries. It is started by the first test that asks, and ends with the process.
// Where none can be had the test is skipped with the reason, or fails with it when CI=true.
//
// Roles belong to the server, not to a database: tests that create roles must name them at random and drop them; what a template's Build
// creates is shared by all. Builds are serialised by an advisory lock, across processes too.
package testdb

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

// Template describes a prepared database that tests get copies of.
type Template struct {
	// Name identifies the content; the same name is built once per server. Use a hash of what Build applies.
	Name string
	// Build fills a new, empty database as its owner. It must have closed its connections when it returns.
	Build func(ctx context.Context, ownerURL string) error
}

// New returns the owner's URL of a new copy of the template.
func New(t testing.TB, tmpl Template) string {
	t.Helper()
	s := obtain(t)
	began := time.Now()
	template, err := s.template(t.Context(), tmpl)
	if err != nil {
		t.Fatalf("testdb: template %s: %v", tmpl.Name, err)
	}
	return s.create(t, template, began)
}

// Empty returns the owner's URL of a new database without content.
func Empty(t testing.TB) string {
	t.Helper()
	return obtain(t).create(t, "template0", time.Now())
}

// ServerURL returns the owner's URL of the server's own database, for tests about roles or the server itself. Nothing in it is cleaned up.
func ServerURL(t testing.TB) string {
	t.Helper()
	return obtain(t).url
}

// IgnoreGoroutines lists what a shared private server keeps running until the process ends, for goleak.VerifyTestMain(m, testdb.IgnoreGoroutines()...).
func IgnoreGoroutines() []goleak.Option {
	const cluster = "github.com/madbase/madbase/platform/embeddedpg."
	return []goleak.Option{
		goleak.IgnoreAnyFunction(cluster + "(*Cluster).supervise"),
		goleak.IgnoreAnyFunction(cluster + "(*serverLog).run"),
		goleak.IgnoreAnyFunction(cluster + "spawn.func1"),
	}
}

// server is the one server of this process.
type server struct {
	url    string
	origin string
	// started holds the pipe whose closing has the server's files removed: were it
	// collected as garbage, they would go while tests run.
	started *Server

	mu        sync.Mutex
	templates map[string]string
}

// The server outlives the tests that share it, so it has to be a variable of the package; it is set once.
var shared = sync.OnceValues(func() (*server, error) {
	s, err := Start(context.Background())
	if err != nil {
		return nil, err
	}
	return &server{url: s.URL, origin: s.Origin, started: s, templates: map[string]string{}}, nil
})

func obtain(t testing.TB) *server {
	t.Helper()
	s, err := shared()
	if err == nil {
		return s
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("testdb: CI=true and no PostgreSQL for tests: %v", err)
	}
	t.Skipf("testdb: SKIPPED, no PostgreSQL for tests: %v", err)
	return nil
}

// buildLock is the advisory lock under which templates are built, one at a time per server.
const buildLock = 7_236_418_843

// template returns the name of the template's database, building it unless this or another process did.
func (s *server) template(ctx context.Context, tmpl Template) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name, ok := s.templates[tmpl.Name]; ok {
		return name, nil
	}
	sum := sha256.Sum256([]byte(tmpl.Name))
	name := "tmpl_" + hex.EncodeToString(sum[:12])
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return "", err
	}
	// Closing the session also gives the lock free.
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "select pg_advisory_lock($1)", int64(buildLock)); err != nil {
		return "", err
	}
	var exists bool
	if err := conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", name).Scan(&exists); err != nil {
		return "", err
	}
	if !exists {
		if err := s.build(ctx, conn, name, tmpl); err != nil {
			return "", err
		}
	}
	s.templates[tmpl.Name] = name
	return name, nil
}

// build fills a database of a scratch name and renames it when complete, so that a name that exists is a template that is complete.
func (s *server) build(ctx context.Context, conn *pgx.Conn, name string, tmpl Template) error {
	scratch := "build_" + strings.TrimPrefix(name, "tmpl_")
	for _, sql := range []string{
		"drop database if exists " + quote(scratch) + " with (force)",
		"create database " + quote(scratch) + " template template0",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	if err := tmpl.Build(ctx, withDatabase(s.url, scratch)); err != nil {
		return fmt.Errorf("build: %w", err)
	}
	if err := awaitAlone(ctx, conn, scratch); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, "alter database "+quote(scratch)+" rename to "+quote(name))
	return err
}

// awaitAlone waits for the sessions of a database to be gone: a closed connection's backend lives a moment longer.
func awaitAlone(ctx context.Context, conn *pgx.Conn, name string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; {
		var sessions int
		if err := conn.QueryRow(ctx, "select count(*) from pg_stat_activity where datname = $1", name).Scan(&sessions); err != nil {
			return err
		}
		if sessions == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("build left %d connections open", sessions)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// create makes a database for one test and has it dropped at the test's end.
func (s *server) create(t testing.TB, template string, began time.Time) string {
	t.Helper()
	name := "test_" + strings.ToLower(rand.Text()[:16])
	if err := s.exec(t.Context(), "create database "+quote(name)+" template "+quote(template)+" strategy file_copy"); err != nil {
		t.Fatalf("testdb: create database: %v", err)
	}
	t.Cleanup(func() {
		// The test's own context has ended by now.
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.exec(ctx, "drop database "+quote(name)+" with (force)"); err != nil {
			t.Errorf("testdb: drop database: %v", err)
		}
	})
	t.Logf("testdb: database %s on %s in %v", name, s.origin, time.Since(began).Round(time.Millisecond))
	return withDatabase(s.url, name)
}

// exec runs one statement on a connection of its own: databases are created and dropped in parallel.
func (s *server) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// withDatabase is the URL of another database on the same server.
func withDatabase(server, name string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server
	}
	u.Path = "/" + name
	return u.String()
}
