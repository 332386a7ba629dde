package migrate_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/madbase/madbase/platform/migrate"
	"github.com/madbase/madbase/platform/testdb"
	"github.com/madbase/madbase/platform/testkit"
)

func line(files map[string]string) []migrate.Line {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return []migrate.Line{{Name: "test", Files: m}}
}

func run(t *testing.T, url string, files map[string]string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	return migrate.Run(t.Context(), conn, testkit.Log(), line(files), nil)
}

func query[T any](t *testing.T, url, sql string) (value T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func TestRunAppliesOnceInOrder(t *testing.T) {
	t.Parallel()
	url := testdb.Empty(t)
	files := map[string]string{"0002_fill.sql": "INSERT INTO n VALUES (2)", "0001_make.sql": "CREATE TABLE n (v int); SET search_path = nowhere"}
	for range 2 {
		if err := run(t, url, files); err != nil {
			t.Fatal(err)
		}
	}
	files["0003_more.sql"] = "INSERT INTO n VALUES (3)"
	if err := run(t, url, files); err != nil {
		t.Fatal(err)
	}
	if got := query[string](t, url, "SELECT string_agg(v::text, ',') FROM n"); got != "2,3" {
		t.Errorf("rows %s", got)
	}
}

func TestRunRollsBackAndStops(t *testing.T) {
	t.Parallel()
	url := testdb.Empty(t)
	err := run(t, url, map[string]string{
		"0001_good.sql":  "CREATE TABLE good ()",
		"0002_bad.sql":   "CREATE TABLE half (); SELECT 1/0",
		"0003_never.sql": "CREATE TABLE never ()",
	})
	if err == nil || !strings.Contains(err.Error(), "0002_bad") {
		t.Fatalf("error %v does not name the file", err)
	}
	if got := query[string](t, url, "SELECT coalesce(string_agg(relname, ','), '') FROM pg_class WHERE relname IN ('good', 'half', 'never')"); got != "good" {
		t.Errorf("tables %q, want good alone", got)
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	url := testdb.Empty(t)
	if err := run(t, url, map[string]string{"0001_a.sql": "SELECT 1"}); err != nil {
		t.Fatal(err)
	}
	if err := run(t, url, map[string]string{"0001_a.sql": "SELECT 2"}); !errors.Is(err, migrate.ErrChanged) {
		t.Errorf("changed file: %v", err)
	}
	for name, files := range map[string]map[string]string{
		"one number twice": {"0001_a.sql": "SELECT 1", "0001_b.sql": ""},
		"odd name":         {"first.sql": ""},
	} {
		if err := run(t, url, files); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestRunByManyAtOnce(t *testing.T) {
	t.Parallel()
	url := testdb.Empty(t)
	files := map[string]string{"0001_a.sql": "CREATE TABLE a (v int); SELECT pg_sleep(0.1)", "0002_b.sql": "INSERT INTO a VALUES (1)"}
	var group errgroup.Group
	for range 5 {
		group.Go(func() error { return run(t, url, files) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := query[int](t, url, "SELECT count(*) FROM a"); got != 1 {
		t.Errorf("applied %d times", got)
	}
}
