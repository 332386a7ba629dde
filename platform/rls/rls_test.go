package rls_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/module"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/rls"
	"github.com/madbase/madbase/platform/testkit"
)

// probe is a module whose routes are the tests' own handlers.
type probe struct {
	module.Base
	options  rls.Options
	handlers map[string]echo.HandlerFunc
}

func (probe) Name() string { return "probe" }

func (p probe) Routes(g *echo.Group) {
	keysOf := func(c echo.Context) *claims.Keys { return project.From(c.Request().Context()).Keys }
	mw := []echo.MiddlewareFunc{claims.Authenticate(keysOf, func(err error) error { return err }), rls.Middleware(p.options)}
	for path, h := range p.handlers {
		g.Any(path, h, mw...)
	}
}

// once answers with the first column of one statement's first row.
func once(sql string) echo.HandlerFunc {
	return rls.Handle(func(c echo.Context, tx *rls.Tx) (rls.Responder, error) {
		result, err := tx.Once(c.Request().Context(), rls.Statement{SQL: sql})
		return text(result), err
	})
}

// run is once inside an explicit transaction.
func run(statements ...string) echo.HandlerFunc {
	return rls.Handle(func(c echo.Context, tx *rls.Tx) (rls.Responder, error) {
		var result rls.Result
		for _, sql := range statements {
			var err error
			if result, err = tx.Run(c.Request().Context(), rls.Statement{SQL: sql}); err != nil {
				return nil, err
			}
		}
		return text(result), nil
	})
}

func text(result rls.Result) rls.Responder {
	return func(c echo.Context) error {
		if len(result.Rows) == 0 {
			return c.String(http.StatusCreated, result.Tag.String())
		}
		return c.String(http.StatusOK, string(result.Rows[0][0]))
	}
}

func token(t testing.TB, p *testkit.Project, payload string) string {
	t.Helper()
	token, err := p.Keys.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func call(t testing.TB, url, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Probe", "yes")
	r.AddCookie(&http.Cookie{Name: "flavour", Value: "oat"})
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestRLSTransactionSetsRole(t *testing.T) {
	t.Parallel()
	p := testkit.NewProject(t)
	url := testkit.Serve(t, p.Project, "", probe{handlers: map[string]echo.HandlerFunc{
		"/once": once("SELECT current_user"), "/run": run("SELECT 1", "SELECT current_user"),
	}})
	for payload, want := range map[string]string{
		"": "anon", `{"role":"authenticated"}`: "authenticated", `{"role":"service_role"}`: "service_role", `{"sub":"x"}`: "anon",
	} {
		for _, path := range []string{"/once", "/run", "/once"} {
			bearer := ""
			if payload != "" {
				bearer = token(t, p, payload)
			}
			if status, got := call(t, url+path, bearer); got != want {
				t.Errorf("%s as %s: got %d %s, want %s", path, payload, status, got, want)
			}
		}
	}
}

func TestRLSTransactionRejectsBadRole(t *testing.T) {
	t.Parallel()
	p := testkit.NewProject(t)
	url := testkit.Serve(t, p.Project, "", probe{handlers: map[string]echo.HandlerFunc{"/": once("SELECT current_user")}})
	for _, role := range []string{"postgres", "supabase_auth_admin", "authenticator", "pg_read_all_data", "none", "no_such_role"} {
		status, body := call(t, url+"/", token(t, p, `{"role":"`+role+`"}`))
		if status != http.StatusForbidden {
			t.Errorf("%s: got %d %s, want 403", role, status, body)
		}
	}
}

func TestRLSTransactionSetsClaims(t *testing.T) {
	t.Parallel()
	p := testkit.NewProject(t)
	const seen = `SELECT json_build_object('sub', current_setting('request.jwt.claim.sub'), 'claims', current_setting('request.jwt.claims')::json,
		'uid', auth.uid(), 'role', auth.role(), 'email', auth.email(), 'method', current_setting('request.method'), 'path', current_setting('request.path'),
		'header', current_setting('request.headers')::json->>'x-probe', 'cookie', current_setting('request.cookies')::json->>'flavour')`
	url := testkit.Serve(t, p.Project, "", probe{handlers: map[string]echo.HandlerFunc{"/once": once(seen), "/run": run(seen)}})
	const user = "3b241101-e2bb-4255-8caf-4136c566a962"
	for _, path := range []string{"/once", "/run"} {
		status, body := call(t, url+path, token(t, p, `{"role":"authenticated","sub":"`+user+`","email":"a@b.c","app":{"n":1}}`))
		var got struct {
			Sub, UID, Role, Email, Method, Path, Header, Cookie string
			Claims                                              map[string]any
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatalf("%d %s: %v", status, body, err)
		}
		if got.Sub != user || got.UID != user || got.Role != "authenticated" || got.Email != "a@b.c" || got.Method != "POST" ||
			got.Path != path || got.Header != "yes" || got.Cookie != "oat" || got.Claims["app"] == nil {
			t.Errorf("got %+v", got)
		}
	}
	if _, body := call(t, url+"/once", ""); strings.Contains(body, user) {
		t.Errorf("the next request on the connection still has the claims: %s", body)
	}
}

func TestRLSResetRoleDoesNotEscalate(t *testing.T) {
	t.Parallel()
	p := testkit.NewProject(t)
	p.Exec(t, `CREATE TABLE secrets (word text); ALTER TABLE secrets ENABLE ROW LEVEL SECURITY; INSERT INTO secrets VALUES ('hidden');
		CREATE FUNCTION escape() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RESET ROLE; RETURN current_user || ' ' || (SELECT count(*) FROM secrets); END $$`)
	url := testkit.Serve(t, p.Project, "", probe{handlers: map[string]echo.HandlerFunc{
		"/who":   once("SELECT current_user"),
		"/reset": run("RESET ROLE", "SELECT current_user || ' ' || (SELECT count(*) FROM auth.users)"),
		"/fn":    once("SELECT escape()"),
		"/admin": run("RESET ROLE", "SET ROLE postgres"),
	}})
	for _, path := range []string{"/reset", "/fn", "/admin"} {
		if status, body := call(t, url+path, ""); status < 400 {
			t.Errorf("%s escaped: %d %s", path, status, body)
		}
	}
	if _, got := call(t, url+"/who", ""); got != "anon" {
		t.Errorf("afterwards the role is %s", got)
	}
}

func TestCommitBeforeResponse(t *testing.T) {
	t.Parallel()
	p := testkit.NewProject(t)
	p.Exec(t, `CREATE TABLE parent (id int PRIMARY KEY);
		CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)`)
	url := testkit.Serve(t, p.Project, "", probe{handlers: map[string]echo.HandlerFunc{
		"/once": once("INSERT INTO child VALUES (1, 7)"),
		"/run":  run("INSERT INTO child VALUES (1, 7)"),
		"/good": run("INSERT INTO child VALUES (2, NULL)"),
		"/panic": rls.Handle(func(c echo.Context, tx *rls.Tx) (rls.Responder, error) {
			_, _ = tx.Exec(c.Request().Context(), "INSERT INTO parent VALUES (9)")
			panic("no")
		}),
	}})
	for _, path := range []string{"/once", "/run", "/panic", "/once"} {
		if status, body := call(t, url+path, ""); status != http.StatusInternalServerError {
			t.Errorf("%s: got %d %s before the commit failed", path, status, body)
		}
	}
	if status, body := call(t, url+"/good", ""); status != http.StatusCreated {
		t.Errorf("good: %d %s", status, body)
	}
	var rows int
	if err := p.Owner.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM child) * 10 + (SELECT count(*) FROM parent)").Scan(&rows); err != nil || rows != 10 {
		t.Errorf("stored %d %v, want one child and no parent", rows, err)
	}
}

func TestScopeDo(t *testing.T) {
	t.Parallel()
	p := testkit.NewProject(t)
	p.Exec(t, "CREATE TABLE notes (word text)")
	do := func(result error) echo.HandlerFunc {
		return func(c echo.Context) error {
			err := rls.From(c).Do(c.Request().Context(), func(ctx context.Context, q db.Queryer) error {
				if _, err := q.Exec(ctx, "INSERT INTO notes VALUES ($1)", fmt.Sprint(result)); err != nil {
					return err
				}
				return result
			})
			if err != nil {
				return err
			}
			return c.NoContent(http.StatusNoContent)
		}
	}
	url := testkit.Serve(t, p.Project, "", probe{handlers: map[string]echo.HandlerFunc{
		"/kept": do(nil), "/tried": do(rls.ErrRollback), "/failed": do(errors.New("no")),
	}})
	for path, want := range map[string]int{"/kept": 204, "/tried": 204, "/failed": 500} {
		if status, _ := call(t, url+path, ""); status != want {
			t.Errorf("%s: got %d, want %d", path, status, want)
		}
	}
	var rows int
	if err := p.Owner.QueryRow(t.Context(), "SELECT count(*) FROM notes").Scan(&rows); err != nil || rows != 1 {
		t.Errorf("stored %d rows %v, want 1", rows, err)
	}
}

// TestSingleRoundTrips writes by several statements together, and tries writes that leave nothing.
func TestSingleRoundTrips(t *testing.T) {
	t.Parallel()
	p := testkit.NewProject(t)
	p.Exec(t, "CREATE TABLE notes (word text UNIQUE CHECK (word <> 'bad'))")
	insert := func(word string) rls.Statement {
		return rls.Statement{SQL: "INSERT INTO notes VALUES ($1) RETURNING word", Args: [][]byte{[]byte(word)}}
	}
	try := func(word string) echo.HandlerFunc {
		return func(c echo.Context) error {
			tx := rls.From(c).Tx()
			if err := tx.Try(c.Request().Context(), insert(word)); err != nil {
				return err
			}
			if _, err := tx.Once(c.Request().Context(), insert("more")); err == nil {
				t.Error("a transaction was used twice")
			}
			return c.NoContent(http.StatusNoContent)
		}
	}
	both := func(first, second string) echo.HandlerFunc {
		return rls.Handle(func(c echo.Context, tx *rls.Tx) (rls.Responder, error) {
			result, err := tx.Together(c.Request().Context(), insert(first), insert(second))
			return text(result), err
		})
	}
	url := testkit.Serve(t, p.Project, "", probe{handlers: map[string]echo.HandlerFunc{
		"/tried": try("tried"), "/refused": try("bad"), "/both": both("one", "two"), "/half": both("three", "bad"),
	}})
	for range 3 { // each kind of end leaves the connection usable for the next
		for path, want := range map[string]int{"/tried": 204, "/refused": 500, "/half": 500} {
			if status, body := call(t, url+path, ""); status != want {
				t.Errorf("%s: got %d %s, want %d", path, status, body, want)
			}
		}
	}
	if status, body := call(t, url+"/both", ""); status != http.StatusOK || body != "two" {
		t.Errorf("got %d %s, want the last statement's result", status, body)
	}
	var words string
	if err := p.Owner.QueryRow(t.Context(), "SELECT string_agg(word, ' ' ORDER BY word) FROM notes").Scan(&words); err != nil || words != "one two" {
		t.Errorf("stored %q %v", words, err)
	}
	if n := p.DB.API.Stat().AcquiredConns(); n != 0 {
		t.Errorf("%d connections are held", n)
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	p := testkit.NewProject(t)
	p.Exec(t, "CREATE TABLE notes (word text)")
	readOnly := func(use func(*rls.Tx, context.Context) error) echo.HandlerFunc {
		return rls.Handle(func(c echo.Context, tx *rls.Tx) (rls.Responder, error) {
			tx.Settings.ReadOnly = true
			return func(c echo.Context) error { return c.NoContent(204) }, use(tx, c.Request().Context())
		})
	}
	var codes sync.Map
	note := func(err error) error {
		if e, ok := errors.AsType[*pgconn.PgError](err); ok {
			codes.Store(e.Code, true)
		}
		return err
	}
	insert := rls.Statement{SQL: "INSERT INTO notes VALUES ('x')"}
	url := testkit.Serve(t, p.Project, "", probe{handlers: map[string]echo.HandlerFunc{
		"/once": readOnly(func(tx *rls.Tx, ctx context.Context) error { _, err := tx.Once(ctx, insert); return note(err) }),
		"/run":  readOnly(func(tx *rls.Tx, ctx context.Context) error { _, err := tx.Run(ctx, insert); return note(err) }),
	}})
	for _, path := range []string{"/once", "/run"} {
		codes.Clear()
		status, _ := call(t, url+path, "")
		if _, ok := codes.Load("25006"); status != 500 || !ok {
			t.Errorf("%s wrote in a read-only transaction: %d", path, status)
		}
	}
}

// TestBusyPool holds every connection and expects the next request to be told so in time.
func TestBusyPool(t *testing.T) {
	t.Parallel()
	p := testkit.NewProject(t)
	for range p.DB.API.Config().MaxConns {
		conn, err := p.DB.API.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Release)
	}
	url := testkit.Serve(t, p.Project, "", probe{options: rls.Options{Wait: 50 * time.Millisecond}, handlers: map[string]echo.HandlerFunc{"/": once("SELECT 1")}})
	if status, body := call(t, url+"/", ""); status != http.StatusGatewayTimeout {
		t.Errorf("got %d %s, want 504", status, body)
	}
}

// TestManyStatements uses more texts than a connection keeps prepared, some of them wrong.
func TestManyStatements(t *testing.T) {
	t.Parallel()
	p := testkit.NewProject(t)
	url := testkit.Serve(t, p.Project, "", probe{handlers: map[string]echo.HandlerFunc{"/": rls.Handle(func(c echo.Context, tx *rls.Tx) (rls.Responder, error) {
		sql := "SELECT " + c.QueryParam("n")
		result, err := tx.Once(c.Request().Context(), rls.Statement{SQL: sql})
		return text(result), err
	})}})
	for i := range 700 {
		n, want := fmt.Sprint(i), http.StatusOK
		if i%7 == 0 {
			n, want = "no_such_column_"+n, http.StatusInternalServerError
		}
		if status, body := call(t, url+"/?n="+n, ""); status != want || (want == http.StatusOK && body != n) {
			t.Fatalf("%s: got %d %s", n, status, body)
		}
	}
}

func TestSurvivesLostConnections(t *testing.T) {
	t.Parallel()
	p := testkit.NewProject(t)
	url := testkit.Serve(t, p.Project, "", probe{handlers: map[string]echo.HandlerFunc{"/": rls.Handle(func(c echo.Context, tx *rls.Tx) (rls.Responder, error) {
		tx.Settings.ReadOnly = true
		result, err := tx.Once(c.Request().Context(), rls.Statement{SQL: "SELECT 'here'"})
		return text(result), err
	})}})
	for range 5 {
		if status, body := call(t, url+"/", ""); body != "here" {
			t.Fatalf("got %d %s", status, body)
		}
		p.Exec(t, "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE usename = 'authenticator' AND datname = current_database()")
	}
}
