package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/madbase/madbase/platform/testkit"
)

// Who knows no more of a project than its name has nothing opened by what needs a
// key, and only so much by what needs none.
func TestStrangersOpenNoProject(t *testing.T) {
	t.Parallel()
	s := alone(t, testkit.DataDir(t), "ADMIN_PASSWORD="+adminPassword, "MADBASE_PROJECT_OPENINGS=1")
	_, one := s.project(t)
	_, two := s.project(t)
	opened := func() string {
		_, metrics := testkit.Get(t, s.url+"/metrics")
		_, value, _ := strings.Cut(metrics, "\nmadbase_projects_open ")
		value, _, _ = strings.Cut(value, "\n")
		return value
	}
	for _, headers := range [][]string{
		{}, {"apikey", "sb_publishable_guess"}, {"apikey", s.keys.Service.Reveal()}, {"Authorization", "Bearer " + two.keys.Anon.Reveal()},
	} {
		if status, body := call(t, http.MethodGet, one.url+"/rest/v1/notes", "", headers...); status != http.StatusUnauthorized {
			t.Errorf("%v: %d %s", headers, status, body)
		}
	}
	if n := opened(); n != "0" {
		t.Errorf("%s projects were opened for whoever was refused", n)
	}
	public := "/storage/v1/object/public/b/o"
	if status, body := call(t, http.MethodGet, one.url+public, "", "Authorization", "Bearer guess"); status != http.StatusBadRequest {
		t.Errorf("an object that there is not: %d %s", status, body)
	}
	if status, body := call(t, http.MethodGet, two.url+public, ""); status != http.StatusTooManyRequests {
		t.Errorf("a second project: %d %s", status, body)
	}
	if status, body := call(t, http.MethodGet, two.url+public, "", "apikey", two.keys.Publishable.Reveal()); status != http.StatusBadRequest {
		t.Errorf("with a key: %d %s", status, body)
	}
	if n := opened(); n != "2" {
		t.Errorf("%s projects are open", n)
	}
}
