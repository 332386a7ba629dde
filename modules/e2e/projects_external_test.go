package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/testdb"
	"github.com/madbase/madbase/platform/testkit"
)

// A project may have its database in another cluster, which keeps it when the
// project is deleted.
func TestAProjectWithADatabaseElsewhere(t *testing.T) {
	t.Parallel()
	s := alone(t, testkit.DataDir(t), "ADMIN_PASSWORD="+adminPassword)
	ref := registry.NewRef()
	elsewhere := &shape{url: s.url + "/project/" + ref, databaseURL: testdb.Empty(t)}
	t.Cleanup(func() { elsewhere.dropRemains(t, ref) })
	create := func(url string, want int) string {
		return s.admin(t, http.MethodPost, "/projects", fmt.Sprintf(`{"name":"Far","ref":%q,"database_url":%q}`, ref, url), want)
	}
	for _, bad := range []string{"postgres://nobody:hidden@127.0.0.1:1/none", "nonsense"} {
		if got := create(bad, 400); strings.Contains(got, "hidden") {
			t.Errorf("%s", got)
		}
	}
	if got := create(elsewhere.databaseURL, 201); strings.Contains(got, "postgres://") {
		t.Errorf("%s", got)
	}
	elsewhere.exec(t, fmt.Sprintf(tables, "far"))
	keys := s.admin(t, http.MethodGet, "/projects/"+ref+"/api-keys?reveal=true", "", 200)
	_, rest, _ := strings.Cut(keys, `"api_key":"`)
	anon, _, _ := strings.Cut(rest, `"`)
	got := ""
	for deadline := time.Now().Add(20 * time.Second); got != `200 [{"mark":"far"}]`; got = marks(t, s.url, "apikey", anon) {
		if time.Now().After(deadline) {
			t.Fatal(got)
		}
	}
	s.admin(t, http.MethodDelete, "/projects/"+ref, `{"confirm":"`+ref+`"}`, 202)
	for deadline := time.Now().Add(20 * time.Second); ; {
		if status, _ := call(t, http.MethodGet, s.url+"/platform/v1/projects/"+ref, "", "Authorization", "Bearer "+adminPassword); status == 404 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the project was not deleted")
		}
	}
	var logins, rows int
	elsewhere.query(t, &logins, `SELECT count(*) FROM pg_roles WHERE rolname LIKE '%' || $1`, ref)
	elsewhere.query(t, &rows, `SELECT count(*) FROM public.marks`)
	if logins != 0 || rows != 1 {
		t.Errorf("%d logins and %d rows are left", logins, rows)
	}
}
