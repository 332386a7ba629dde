package testdb_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/madbase/madbase/platform/testdb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, testdb.IgnoreGoroutines()...) }

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// Copies of one template share its content and nothing else, and it is built once.
func TestCopiesAreSeparate(t *testing.T) {
	t.Parallel()
	var builds atomic.Int32
	tmpl := testdb.Template{Name: t.Name() + t.TempDir(), Build: func(ctx context.Context, url string) error {
		builds.Add(1)
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, "create table n (v int); insert into n values (1)")
		return err
	}}
	t.Run("copies", func(t *testing.T) {
		for range 8 {
			t.Run("copy", func(t *testing.T) {
				t.Parallel()
				conn := connect(t, testdb.New(t, tmpl))
				var sum int
				if err := conn.QueryRow(t.Context(), "with i as (insert into n values (1)) select sum(v) from n").Scan(&sum); err != nil {
					t.Fatal(err)
				}
				if sum != 1 {
					t.Errorf("sum = %d, want 1: the copy is not fresh", sum)
				}
			})
		}
	})
	if n := builds.Load(); n > 1 {
		t.Errorf("built %d times", n)
	}
}

func TestEmptyHasNoTables(t *testing.T) {
	t.Parallel()
	conn := connect(t, testdb.Empty(t))
	var n int
	if err := conn.QueryRow(t.Context(), "select count(*) from pg_class where relnamespace = 'public'::regnamespace").Scan(&n); err != nil {
		t.Fatal(err)
	}
	if n != 0 {
		t.Errorf("%d relations in an empty database", n)
	}
}

// The database goes away with its test even when the test left connections open.
func TestDatabaseIsDropped(t *testing.T) {
	t.Parallel()
	var name string
	t.Run("user", func(t *testing.T) {
		conn := connect(t, testdb.Empty(t))
		if err := conn.QueryRow(t.Context(), "select current_database()").Scan(&name); err != nil {
			t.Fatal(err)
		}
	})
	var exists bool
	if err := connect(t, testdb.ServerURL(t)).QueryRow(t.Context(), "select exists (select from pg_database where datname = $1)", name).Scan(&exists); err != nil {
		t.Fatal(err)
	}
	if exists {
		t.Error("the test's database is still there")
	}
}
