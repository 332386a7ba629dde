package db_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/testdb"
)

// TestRetryOfOneRoleByMany changes one role from several connections at once, as
// the migrations of several databases of one server do.
func TestRetryOfOneRoleByMany(t *testing.T) {
	t.Parallel()
	url := testdb.Empty(t)
	role := fmt.Sprintf("retry_%d", rand.Uint64())
	exec := func(sql string) error {
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			return err
		}
		defer conn.Close(context.Background())
		for range 20 {
			if err := db.Retry(t.Context(), func() error { _, err := conn.Exec(t.Context(), sql); return err }); err != nil {
				return err
			}
		}
		return nil
	}
	role = pgx.Identifier{role}.Sanitize()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "CREATE ROLE "+role); err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	for range 4 {
		group.Go(func() error { return exec("ALTER ROLE " + role + " SET lock_timeout = '8s'") })
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := conn.Exec(t.Context(), "DROP ROLE "+role); err != nil {
		t.Error(err)
	}
}

func TestRetryEnds(t *testing.T) {
	t.Parallel()
	own := errors.New("own")
	for want, err := range map[int]error{1: own, 10: &pgconn.PgError{Code: "40001"}} {
		calls := 0
		got := db.Retry(t.Context(), func() error { calls++; return err })
		if calls != want || !errors.Is(got, err) {
			t.Errorf("%v: %d calls, %v", err, calls, got)
		}
	}
}
