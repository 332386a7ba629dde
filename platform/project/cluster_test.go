package project_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/migrate"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/testdb"
	"github.com/madbase/madbase/platform/testkit"
	"github.com/madbase/madbase/sql"
)

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// A login of one project reaches its own database and no other one, and its
// sessions are what the default project's are.
func TestLoginsReachTheirOwnDatabaseAlone(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	control := testdb.Empty(t)
	owner := connect(t, control)
	var urls []string
	var logins []project.Logins
	for range 2 {
		ref := registry.NewRef()
		name := "madbase_" + ref
		if err := project.CreateDatabase(ctx, owner, name); err != nil {
			t.Fatal(err)
		}
		own := project.LoginsOf(ref, "a secret")
		t.Cleanup(func() {
			ctx := context.Background()
			for range 2 { // the second time there is nothing left
				if err := errors.Join(project.DropDatabase(ctx, owner, name), project.DropLogins(ctx, owner, own)); err != nil {
					t.Error(err)
				}
			}
		})
		url, err := db.WithDatabase(control, name)
		if err != nil {
			t.Fatal(err)
		}
		lines := []migrate.Line{{Name: "bootstrap", Files: sql.Line("bootstrap")}}
		for range 2 {
			if err := project.Prepare(ctx, url, own, testkit.Log(), lines); err != nil {
				t.Fatal(err)
			}
		}
		urls, logins = append(urls, url), append(logins, own)
	}
	for i, own := range logins {
		for login, want := range map[project.Login]string{
			own.API:     own.API.Role + ` "$user", public, extensions 8s`,
			own.Auth:    "supabase_auth_admin auth 0",
			own.Storage: "supabase_storage_admin storage 0",
		} {
			if got := session(t, urls[i], login); got != want {
				t.Errorf("%s: %q, want %q", login.Role, got, want)
			}
			for _, other := range []string{urls[1-i], control} {
				url, err := db.WithLogin(other, login.Role, login.Password.Reveal())
				if err != nil {
					t.Fatal(err)
				}
				conn, err := pgx.Connect(ctx, url)
				if err == nil {
					_ = conn.Close(ctx)
				}
				var fault *pgconn.PgError
				if !errors.As(err, &fault) || fault.Code != "42501" {
					t.Errorf("%s on another database: %v", login.Role, err)
				}
			}
		}
	}
}

// session says who a session of login is, and how it is set.
func session(t *testing.T, url string, login project.Login) string {
	t.Helper()
	url, err := db.WithLogin(url, login.Role, login.Password.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	var user, path, timeout string
	err = connect(t, url).QueryRow(t.Context(), "SELECT current_user, current_setting('search_path'), current_setting('statement_timeout')").Scan(&user, &path, &timeout)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join([]string{user, path, timeout}, " ")
}
