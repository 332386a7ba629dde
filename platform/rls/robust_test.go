package rls_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/rls"
	"github.com/madbase/madbase/platform/testkit"
)

// Requests that end midway, wherever that is, leave nothing on the connections
// that others use next.
func TestCanceledRequestsLeaveNothing(t *testing.T) {
	t.Parallel()
	p := testkit.NewProject(t)
	p.Exec(t, "CREATE TABLE marks (n int); GRANT ALL ON marks TO authenticated")
	const seen = "SELECT current_user || coalesce(current_setting('request.jwt.claim.sub', true), '?') || coalesce(current_setting('test.mark', true), '')"
	statements := map[string]func(context.Context, *rls.Tx, string) error{
		"/once": func(ctx context.Context, tx *rls.Tx, sql string) error {
			_, err := tx.Once(ctx, rls.Statement{SQL: sql})
			return err
		},
		"/run": func(ctx context.Context, tx *rls.Tx, sql string) error {
			_, err := tx.Run(ctx, rls.Statement{SQL: sql})
			if err == nil {
				_, err = tx.Run(ctx, rls.Statement{SQL: "SELECT pg_sleep(0.002)"})
			}
			return err
		},
		"/exec": func(ctx context.Context, tx *rls.Tx, sql string) error {
			_, err := tx.Exec(ctx, sql)
			return err
		},
	}
	handlers := map[string]echo.HandlerFunc{"/seen": once(seen)}
	for path, use := range statements {
		handlers[path] = rls.Handle(func(c echo.Context, tx *rls.Tx) (rls.Responder, error) {
			ctx, cancel := context.WithCancel(c.Request().Context())
			defer cancel()
			after, err := time.ParseDuration(c.QueryParam("after"))
			if err != nil {
				return nil, err
			}
			defer time.AfterFunc(after, cancel).Stop()
			tx.Settings.More = []string{"test.mark", "left"}
			err = use(ctx, tx, fmt.Sprintf("INSERT INTO marks SELECT %s FROM pg_sleep(0.003)", c.QueryParam("n")))
			return func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }, err
		})
	}
	url := testkit.Serve(t, p.Project, "", probe{handlers: handlers})
	user := token(t, p, `{"role":"authenticated","sub":"someone"}`)
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := range 15 {
				for path := range statements {
					call(t, fmt.Sprintf("%s%s?after=%dus&n=%d", url, path, (i*397+worker*113)%6000, i%5), user)
					if status, got := call(t, url+"/seen", ""); status != http.StatusOK || got != "anon" {
						t.Errorf("after %s the next request sees %d %s", path, status, got)
					}
				}
			}
		})
	}
	group.Wait()
	p.Exec(t, `DO $$ BEGIN
		FOR i IN 1..200 LOOP -- a connection that was given up ends when its server notices
			PERFORM pg_stat_clear_snapshot();
			IF NOT EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'authenticator' AND datname = current_database() AND state <> 'idle') THEN
				RETURN;
			END IF;
			PERFORM pg_sleep(0.05);
		END LOOP;
		RAISE 'connections are not idle';
	END $$`)
}

// A caller that went away is told apart from a statement that took too long.
func TestCanceledIsNoTimeout(t *testing.T) {
	t.Parallel()
	p := testkit.NewProject(t)
	var got error
	url := testkit.Serve(t, p.Project, "", probe{handlers: map[string]echo.HandlerFunc{"/": rls.Handle(func(c echo.Context, tx *rls.Tx) (rls.Responder, error) {
		ctx, cancel := context.WithCancel(c.Request().Context())
		defer time.AfterFunc(20*time.Millisecond, cancel).Stop()
		_, got = tx.Once(ctx, rls.Statement{SQL: "SELECT pg_sleep(60)"})
		return nil, got
	})}})
	call(t, url+"/", "")
	if _, ok := errors.AsType[*pgconn.PgError](got); ok || !errors.Is(got, context.Canceled) {
		t.Errorf("got %v", got)
	}
}

// Statements prepared before the schema changed give the answers of the changed one.
func TestPreparedStatementsFollowTheSchema(t *testing.T) {
	t.Parallel()
	p := testkit.NewProject(t)
	find := rls.Statement{SQL: "SELECT * FROM things WHERE id = $1"}
	with := func(use func(context.Context, *rls.Tx, rls.Statement) (rls.Result, error)) echo.HandlerFunc {
		return rls.Handle(func(c echo.Context, tx *rls.Tx) (rls.Responder, error) {
			s := find
			s.Args = [][]byte{[]byte(c.QueryParam("id"))}
			result, err := use(c.Request().Context(), tx, s)
			return text(result), err
		})
	}
	url := testkit.Serve(t, p.Project, "", probe{handlers: map[string]echo.HandlerFunc{
		"/once": with(func(ctx context.Context, tx *rls.Tx, s rls.Statement) (rls.Result, error) { return tx.Once(ctx, s) }),
		"/run":  with(func(ctx context.Context, tx *rls.Tx, s rls.Statement) (rls.Result, error) { return tx.Run(ctx, s) }),
		"/gone": once("SELECT forget()"),
	}})
	p.Exec(t, `CREATE TABLE things (id int); INSERT INTO things VALUES (7);
		CREATE FUNCTION forget() RETURNS text LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DEALLOCATE ALL'; RETURN 'x'; END $$`)
	for _, change := range []string{
		"", "ALTER TABLE things ADD COLUMN name text", "ALTER TABLE things ALTER COLUMN id TYPE bigint; UPDATE things SET id = 70000000000",
		"ALTER TABLE things ALTER COLUMN id TYPE text; UPDATE things SET id = 'seven'", "forget",
	} {
		id := "7"
		switch {
		case change == "forget":
			id = "seven"
			call(t, url+"/gone", "")
		case change != "":
			p.Exec(t, change)
		}
		if err := p.Owner.QueryRow(t.Context(), "SELECT id::text FROM things").Scan(&id); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for _, path := range []string{"/once", "/run"} {
				if status, got := call(t, url+path+"?id="+id, ""); got != id {
					t.Errorf("after %q %s: %d %s, want %s", change, path, status, got, id)
				}
			}
		}
	}
}

// One statement stays one: the extended protocol takes no second.
func TestStatementsCannotBeSmuggled(t *testing.T) {
	t.Parallel()
	p := testkit.NewProject(t)
	p.Exec(t, "CREATE TABLE kept (n int)")
	fresh := func(sql string) echo.HandlerFunc {
		return rls.Handle(func(c echo.Context, tx *rls.Tx) (rls.Responder, error) {
			result, err := tx.Once(c.Request().Context(), rls.Statement{SQL: sql, Fresh: true})
			return text(result), err
		})
	}
	const two = "INSERT INTO kept VALUES (1); COMMIT"
	url := testkit.Serve(t, p.Project, "", probe{handlers: map[string]echo.HandlerFunc{
		"/once": once(two), "/fresh": fresh(two), "/run": run("SELECT 1", two), "/seen": once("SELECT current_user || (SELECT count(*) FROM kept)"),
	}})
	for _, path := range []string{"/once", "/fresh", "/run"} {
		if status, body := call(t, url+path, ""); status < 400 {
			t.Errorf("%s took two statements: %d %s", path, status, body)
		}
		if _, got := call(t, url+"/seen", ""); got != "anon0" {
			t.Errorf("after %s: %s", path, got)
		}
	}
}

// Even where PostgreSQL decides on roles, no token gets the login role itself.
func TestNoneIsNoRole(t *testing.T) {
	t.Parallel()
	p := testkit.NewProject(t)
	url := testkit.Serve(t, p.Project, "", probe{options: rls.Options{AnyRole: true}, handlers: map[string]echo.HandlerFunc{"/": once("SELECT current_user")}})
	if status, got := call(t, url+"/", token(t, p, `{"role":"none"}`)); status != http.StatusForbidden {
		t.Errorf("got %d %s", status, got)
	}
}

// A path may hold bytes that PostgreSQL's text cannot.
func TestAnyPathIsStorable(t *testing.T) {
	t.Parallel()
	p := testkit.NewProject(t)
	url := testkit.Serve(t, p.Project, "", probe{handlers: map[string]echo.HandlerFunc{"/:any": once("SELECT current_setting('request.path')")}})
	for path, want := range map[string]string{"/a%00b": "/ab", "/a%FFb": "/a\uFFFDb", "/%C3%A4": "/ä"} {
		if status, got := call(t, url+path, ""); got != want {
			t.Errorf("%s: %d %q", path, status, got)
		}
	}
}
