package db_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// The pools must never log in as the owner, in whichever place its name stands.
func TestWithLogin(t *testing.T) {
	t.Parallel()
	for base, host := range map[string]string{
		"postgres://owner:pw@db:5432/app?sslmode=disable":                "db",
		"postgresql://db/app?user=owner&password=pw&sslmode=disable":     "db",
		"postgres://other@db/app?user=owner&password=pw&sslmode=disable": "db",
		"postgres:///app?host=/run/pg&user=owner&password=pw":            "/run/pg",
		"host=db user=owner password=pw dbname=app sslmode=disable":      "db",
		"host=db dbname=app user='owner' password='p w' sslmode=disable": "db",
	} {
		url, err := db.WithLogin(base, "anon", "ab-c")
		if err != nil {
			t.Fatal(err)
		}
		got, err := pgx.ParseConfig(url)
		if err != nil {
			t.Fatal(err)
		}
		if got.User != "anon" || got.Password != "ab-c" || got.Host != host || got.Database != "app" {
			t.Errorf("%s: %s:%s@%s/%s", base, got.User, got.Password, got.Host, got.Database)
		}
	}
}
