package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/testdb"
	"github.com/madbase/madbase/platform/testkit"
)

// interrupted is a madbase that is killed at its work on projects and started again.
type interrupted struct {
	*shape
	dir string
}

func (s *interrupted) start(t *testing.T) {
	t.Helper()
	p := testkit.Start(t, binary, []string{"DATABASE_URL=" + s.databaseURL, "JWT_SECRET=" + jwtSecret, "ADMIN_PASSWORD=" + adminPassword},
		"serve", "--listen", "127.0.0.1:0", "--data-dir", s.dir)
	s.url, s.proxy = p.URL, p
}

// killed starts a madbase, has it asked for something, and kills it as soon as the
// query, in the project's own database or else in the control database, says so.
func (s *interrupted) killed(t *testing.T, ref string, ask func(), inside bool, query string) {
	t.Helper()
	asked := make(chan struct{})
	go func() { // it ends with the process
		defer close(asked)
		ask()
	}()
	url := s.databaseURL
	if inside {
		var err error
		if url, err = db.WithDatabase(url, "madbase_"+ref); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(20 * time.Second); !reached(url, query, ref, inside); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", query)
		}
	}
	s.proxy.Kill()
	<-asked
}

// reached asks until the query is true, or fails.
func reached(url, query, ref string, inside bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return false // there is no such database yet
	}
	defer conn.Close(context.WithoutCancel(ctx))
	args := []any{ref}
	if inside {
		args = nil
	}
	for {
		var is bool
		if err := conn.QueryRow(ctx, query, args...).Scan(&is); err != nil || is {
			return err == nil
		}
		<-time.After(time.Millisecond)
	}
}

// await asks for the project's status until it is want.
func (s *interrupted) await(t *testing.T, ref, want string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; <-time.After(100 * time.Millisecond) {
		status, body := call(t, http.MethodGet, s.url+"/platform/v1/projects/"+ref, "", "Authorization", "Bearer "+adminPassword)
		if got := fmt.Sprint(status, " ", body); strings.Contains(got, want) {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("%s: not %s after a minute but %s", ref, want, got)
		}
	}
}

// What a killed madbase was doing to a project, the next one finishes: one that was
// being created is served, and of one that was being deleted nothing is left.
func TestKilledAtTheWorkOnProjects(t *testing.T) {
	t.Parallel()
	s := &interrupted{&shape{databaseURL: testdb.Empty(t), keys: newKeys(t)}, testkit.DataDir(t)}
	quietly := func(method, path, body string) func() {
		return func() {
			r, err := http.NewRequestWithContext(context.Background(), method, s.url+"/platform/v1"+path, strings.NewReader(body))
			if err != nil {
				return
			}
			r.Header.Set("Authorization", "Bearer "+adminPassword)
			r.Header.Set("Content-Type", "application/json")
			if res, err := http.DefaultTransport.RoundTrip(r); err == nil {
				_ = res.Body.Close()
			}
		}
	}
	var refs []string
	for _, stage := range []struct {
		inside bool
		query  string
	}{
		{false, "SELECT EXISTS (SELECT FROM madbase.projects WHERE ref = $1)"},
		{false, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'madbase_' || $1)"},
		{true, "SELECT to_regnamespace('auth') IS NOT NULL"},
		{true, "SELECT to_regclass('storage.objects') IS NOT NULL"},
	} {
		s.start(t)
		ref := registry.NewRef()
		t.Cleanup(func() { s.dropRemains(t, ref) })
		s.killed(t, ref, quietly(http.MethodPost, "/projects", fmt.Sprintf(`{"name":"Test","ref":%q}`, ref)), stage.inside, stage.query)
		refs = append(refs, ref)
	}
	s.start(t)
	for _, ref := range refs {
		s.await(t, ref, `"status":"ACTIVE_HEALTHY"`)
		if status, body := call(t, http.MethodGet, s.url+"/project/"+ref+"/storage/v1/object/public/b/o", ""); status != http.StatusBadRequest {
			t.Errorf("%s is not served: %d %s", ref, status, body)
		}
	}
	for i, query := range []string{
		"SELECT EXISTS (SELECT FROM madbase.projects WHERE ref = $1 AND status = 'deleting')",
		"SELECT NOT EXISTS (SELECT FROM pg_database WHERE datname = 'madbase_' || $1)",
		"SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticator_' || $1)",
		"SELECT count(*) < 3 FROM pg_roles WHERE rolname LIKE '%' || $1",
	} {
		s.killed(t, refs[i], quietly(http.MethodDelete, "/projects/"+refs[i], fmt.Sprintf(`{"confirm":%q}`, refs[i])), false, query)
		s.start(t)
	}
	for _, ref := range refs {
		s.await(t, ref, "404 ")
		var remains int
		s.query(t, &remains, `SELECT (SELECT count(*) FROM pg_database WHERE datname LIKE '%' || $1) + (SELECT count(*) FROM pg_roles WHERE rolname LIKE '%' || $1)`, ref)
		if files := storedFolders(t, s.dir, ref); remains != 0 || files != 0 {
			t.Errorf("%s: %d databases and roles are left, and %d files", ref, remains, files)
		}
	}
}
