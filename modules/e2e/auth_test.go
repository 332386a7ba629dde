package e2e_test

import (
	"net/http"
	"testing"

	"github.com/madbase/madbase/platform/testdb"
	"github.com/madbase/madbase/platform/testkit"
)

// TestJourneyOfUsers lets users prove who they are in every way that needs no
// other service.
func TestJourneyOfUsers(t *testing.T) {
	t.Parallel()
	s := alone(t, testkit.DataDir(t),
		"GOTRUE_MAILER_AUTOCONFIRM=false", "GOTRUE_EXTERNAL_PHONE_ENABLED=true", "GOTRUE_EXTERNAL_ANONYMOUS_USERS_ENABLED=true")
	s.run(t, "auth.mjs")
}

// TestDropInAuth serves auth at the root, by GoTrue's settings and with its defaults:
// nobody gets in by an address that is not theirs.
func TestDropInAuth(t *testing.T) {
	t.Parallel()
	database := testdb.Empty(t)
	if out, err := testkit.Command(t, binary, []string{"DATABASE_URL=" + database, "JWT_SECRET=" + jwtSecret}, "migrate"); err != nil {
		t.Fatal(out, err)
	}
	p := testkit.Start(t, binary, []string{"GOTRUE_DB_DATABASE_URL=" + database, "GOTRUE_JWT_SECRET=" + jwtSecret, "GOTRUE_SITE_URL=http://localhost:3000"},
		"serve", "--modules", "auth", "--listen", "127.0.0.1:0")
	const ann = `{"email":"ann@example.com","password":"a password"}`
	if status := post(t, p.URL+"/signup", "", ann); status != http.StatusOK {
		t.Error("sign-up:", status)
	}
	if status := post(t, p.URL+"/token?grant_type=password", "", ann); status != http.StatusBadRequest {
		t.Error("sign-in before the address is confirmed:", status)
	}
}
