package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/testkit"
)

// tables are what each project of these tests has; mark tells whose rows are seen.
const tables = `
	CREATE TABLE public.marks (mark text);
	GRANT ALL ON public.marks TO anon, authenticated, service_role;
	INSERT INTO public.marks VALUES ('%s');
	CREATE FUNCTION public.told() RETURNS text LANGUAGE sql AS 'SELECT current_setting(''app.settings.key'', true)';
	CREATE FUNCTION public.nap() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(3)'`

// apart is a madbase with two projects beside the default one.
type apart struct {
	dir        string
	whole      *shape
	one, other *shape
	ref        map[*shape]string
}

func openApart(t *testing.T, env ...string) *apart {
	t.Helper()
	a := &apart{dir: testkit.DataDir(t), ref: map[*shape]string{}}
	a.whole = alone(t, a.dir, append(env, "ADMIN_PASSWORD="+adminPassword, "GOTRUE_RATE_LIMIT_EMAIL_SENT=1000")...)
	a.ref[a.whole] = "default"
	for _, p := range []**shape{&a.one, &a.other} {
		ref, made := a.whole.project(t)
		*p, a.ref[made] = made, ref
	}
	for s, ref := range a.ref {
		s.exec(t, fmt.Sprintf(tables, ref))
		s.await(t, s.url+"/rest/v1/marks")
	}
	return a
}

// marks are the rows of whichever project answers at url.
func marks(t *testing.T, url string, headers ...string) string {
	t.Helper()
	status, body := call(t, http.MethodGet, url+"/rest/v1/marks", "", headers...)
	return fmt.Sprint(status, " ", body)
}

func TestProjectsAreFound(t *testing.T) {
	t.Parallel()
	a := openApart(t, "MADBASE_PROJECTS_DOMAIN=projects.example.com")
	for s, ref := range a.ref {
		want := `200 [{"mark":"` + ref + `"}]`
		for name, key := range map[string]string{"JWT": s.keys.Anon.Reveal(), "service": s.keys.Service.Reveal(), "publishable": s.keys.Publishable.Reveal(), "secret": s.keys.Secret.Reveal()} {
			for how, got := range map[string]string{
				"key":           marks(t, a.whole.url, "apikey", key),
				"key in bearer": marks(t, a.whole.url, "Authorization", "Bearer "+key),
				"key in query":  strings.Replace(marksByQuery(t, a.whole.url, key), "\n", "", 1),
				"path":          marks(t, a.whole.url+"/project/"+ref, "apikey", key),
				"host":          marks(t, a.whole.url, "Host", ref+".projects.example.com:8000", "apikey", key),
			} {
				if got != want {
					t.Errorf("%s of %s by %s: %s", name, ref, how, got)
				}
			}
		}
	}
	for how, got := range map[string]string{
		"path": marks(t, a.whole.url+"/project/nobody", "apikey", a.whole.keys.Anon.Reveal()),
		"host": marks(t, a.whole.url, "Host", "nobody.projects.example.com", "apikey", a.whole.keys.Anon.Reveal()),
	} {
		if !strings.HasPrefix(got, "404 ") || !strings.Contains(got, "no such project") {
			t.Errorf("unknown by %s: %s", how, got)
		}
	}
	// What a client says of the way inside is not believed.
	if got := marks(t, a.whole.url, "X-Madbase-Project", a.ref[a.one], "apikey", a.whole.keys.Anon.Reveal()); !strings.Contains(got, `"default"`) {
		t.Errorf("a header of the client's: %s", got)
	}
}

func marksByQuery(t *testing.T, url, key string) string {
	t.Helper()
	status, body := call(t, http.MethodGet, url+"/rest/v1/marks?apikey="+key, "")
	return fmt.Sprint(status, " ", body)
}

// No key, token, user, row or object of a project is worth anything at another one.
func TestProjectsAreApart(t *testing.T) {
	t.Parallel()
	a := openApart(t, "PGRST_APP_SETTINGS_KEY=sesame")
	for at, ref := range a.ref {
		told := "null"
		if ref == "default" {
			told = `"sesame"`
		}
		if status, body := call(t, http.MethodPost, at.url+"/rest/v1/rpc/told", "", "apikey", at.keys.Anon.Reveal()); status != 200 || body != told {
			t.Errorf("the process's variables at %s: %d %s", ref, status, body)
		}
		for of := range a.ref {
			if of == at {
				continue
			}
			for _, key := range []string{of.keys.Anon.Reveal(), of.keys.Service.Reveal(), of.keys.Publishable.Reveal(), of.keys.Secret.Reveal()} {
				address := a.whole.url + "/project/" + ref
				if got := marks(t, address, "apikey", key); !strings.HasPrefix(got, "401 ") {
					t.Errorf("a key of %s at %s: %s", a.ref[of], ref, got)
				}
			}
			for _, token := range []string{of.keys.Anon.Reveal(), of.keys.Service.Reveal()} {
				if got := marks(t, a.whole.url+"/project/"+ref, "apikey", at.keys.Anon.Reveal(), "Authorization", "Bearer "+token); !strings.HasPrefix(got, "401 ") {
					t.Errorf("a token of %s at %s: %s", a.ref[of], ref, got)
				}
			}
		}
	}
	token := signUp(t, a.one)
	for s, want := range map[*shape]int{a.one: 200, a.other: 403, a.whole: 403} {
		if status, body := call(t, http.MethodGet, s.url+"/auth/v1/user", "", "apikey", s.keys.Anon.Reveal(), "Authorization", "Bearer "+token); status != want {
			t.Errorf("a user of the first at %s: %d %s", a.ref[s], status, body)
		}
		if status, _ := call(t, http.MethodPost, s.url+"/auth/v1/token?grant_type=password", signInBody, "apikey", s.keys.Anon.Reveal()); (status == 200) != (want == 200) {
			t.Errorf("a sign-in of the first's user at %s: %d", a.ref[s], status)
		}
	}
	a.objects(t)
}

const signInBody = `{"email":"a@example.com","password":"a long password"}`

// signUp returns the access token of a new user.
func signUp(t *testing.T, s *shape) string {
	t.Helper()
	body := strings.Replace(signInBody, "{", `{"email_confirm":true,`, 1)
	if status, text := call(t, http.MethodPost, s.url+"/auth/v1/admin/users", body, "apikey", s.keys.Service.Reveal(), "Authorization", "Bearer "+s.keys.Service.Reveal()); status != 200 {
		t.Fatalf("make a user: %d %s", status, text)
	}
	status, text := call(t, http.MethodPost, s.url+"/auth/v1/token?grant_type=password", signInBody, "apikey", s.keys.Anon.Reveal())
	var session struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(text), &session); err != nil || status != 200 {
		t.Fatalf("sign in: %d %s", status, text)
	}
	return session.AccessToken
}

// objects stores one object in the first project and looks for it in all.
func (a *apart) objects(t *testing.T) {
	t.Helper()
	service := []string{"Authorization", "Bearer " + a.one.keys.Service.Reveal(), "apikey", a.one.keys.Service.Reveal()}
	for _, step := range [][2]string{{"/bucket", `{"id":"b","name":"b","public":true}`}, {"/object/b/o.txt", `{"whose":"first"}`}} {
		if status, body := call(t, http.MethodPost, a.one.url+"/storage/v1"+step[0], step[1], service...); status != 200 {
			t.Fatalf("%s: %d %s", step[0], status, body)
		}
	}
	status, body := call(t, http.MethodPost, a.one.url+"/storage/v1/object/sign/b/o.txt", `{"expiresIn":60}`, service...)
	var signed struct{ SignedURL string }
	if err := json.Unmarshal([]byte(body), &signed); err != nil || status != 200 {
		t.Fatalf("sign: %d %s", status, body)
	}
	for s, ref := range a.ref {
		for _, path := range []string{"/object/public/b/o.txt", signed.SignedURL} {
			status, body := call(t, http.MethodGet, s.url+"/storage/v1"+path, "")
			if got := status == 200 && strings.Contains(body, "first"); got != (s == a.one) {
				t.Errorf("%s at %s: %d %s", path[:15], ref, status, body)
			}
		}
	}
}

// A project whose requests take all that it may have is refused more; the others
// are served meanwhile.
func TestANoisyProjectLeavesTheOthersServed(t *testing.T) {
	t.Parallel()
	a := openApart(t, "MADBASE_PROJECT_REQUESTS=4", "MADBASE_PROJECTS_CONNECTIONS=30")
	nap := func() int {
		return post(t, a.one.url+"/rest/v1/rpc/nap", a.one.keys.Service.Reveal(), "{}")
	}
	for deadline := time.Now().Add(20 * time.Second); nap() == http.StatusNotFound && time.Now().Before(deadline); { // until REST knows it
	}
	statuses := make(chan int, 12)
	var wait sync.WaitGroup
	for range cap(statuses) {
		wait.Go(func() { statuses <- nap() })
	}
	refused := 0
	for range cap(statuses) - 4 { // those that are refused are answered first
		if status := <-statuses; status == http.StatusTooManyRequests {
			refused++
		}
	}
	began := time.Now()
	for _, s := range []*shape{a.whole, a.other} {
		if got := marks(t, s.url, "apikey", s.keys.Anon.Reveal()); !strings.HasPrefix(got, "200 ") {
			t.Errorf("%s: %s", a.ref[s], got)
		}
	}
	if took := time.Since(began); refused != cap(statuses)-4 || took > 2*time.Second {
		t.Errorf("%d were refused; the others were served in %v", refused, took)
	}
	wait.Wait()
	if got := marks(t, a.one.url, "apikey", a.one.keys.Anon.Reveal()); !strings.HasPrefix(got, "200 ") {
		t.Errorf("afterwards: %s", got)
	}
}

// A project's life, to the last row, role and file.
func TestTheLifeOfAProject(t *testing.T) {
	t.Parallel()
	a := openApart(t)
	ref, p := a.ref[a.one], a.one
	a.objects(t)
	path, anon := "/projects/"+ref, p.keys.Anon.Reveal()
	within := func(want string) {
		t.Helper()
		var got string
		for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); {
			if got = marks(t, p.url, "apikey", anon); strings.HasPrefix(got, want) {
				return
			}
		}
		t.Fatalf("not %s within 2 s but %s", want, got)
	}
	a.whole.admin(t, http.MethodPost, path+"/suspend", "", 200)
	within("540 ")
	a.whole.admin(t, http.MethodPost, path+"/suspend", "", 409)
	a.whole.admin(t, http.MethodPost, path+"/resume", "", 200)
	within("200 ")
	if got := a.whole.admin(t, http.MethodPatch, path, `{"name":"Renamed"}`, 200); !strings.Contains(got, `"name":"Renamed"`) {
		t.Errorf("renamed: %s", got)
	}
	within("200 ")
	a.whole.admin(t, http.MethodDelete, path, "", 400)
	a.whole.admin(t, http.MethodDelete, path, `{"confirm":"default"}`, 400)
	a.whole.admin(t, http.MethodDelete, "/projects/default", `{"confirm":"default"}`, 409)
	folders := storedFolders(t, a.dir, ref)
	a.whole.admin(t, http.MethodDelete, path, `{"confirm":"`+ref+`"}`, 202)
	within("404 ")
	for deadline := time.Now().Add(30 * time.Second); ; {
		status, _ := call(t, http.MethodGet, a.whole.url+"/platform/v1"+path, "", "Authorization", "Bearer "+adminPassword)
		if status == 404 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the project was not deleted")
		}
	}
	var remains int
	a.whole.query(t, &remains, `SELECT (SELECT count(*) FROM pg_database WHERE datname LIKE '%' || $1) + (SELECT count(*) FROM pg_roles WHERE rolname LIKE '%' || $1)`, ref)
	if left := storedFolders(t, a.dir, ref); remains != 0 || folders == 0 || left != 0 {
		t.Errorf("%d databases and roles are left, and %d files of %d", remains, left, folders)
	}
	for _, s := range []*shape{a.whole, a.other} {
		if got := marks(t, s.url, "apikey", s.keys.Anon.Reveal()); !strings.HasPrefix(got, "200 ") {
			t.Errorf("%s: %s", a.ref[s], got)
		}
	}
}

// storedFolders counts the files below folders of the project ref.
func storedFolders(t *testing.T, dir, ref string) (files int) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "storage"), func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() && strings.Contains(path, ref) {
			files++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestProjectsInACluster sends opaque keys through a proxy, which knows no project.
func TestProjectsInACluster(t *testing.T) {
	t.Parallel()
	s := cluster(t)
	ref, p := s.project(t)
	p.exec(t, fmt.Sprintf(tables, ref))
	s.exec(t, fmt.Sprintf(tables, "default"))
	for _, w := range s.workers {
		s.await(t, w.URL+"/rest/v1/marks")
		p.await(t, w.URL+"/project/"+ref+"/rest/v1/marks")
	}
	for range 4 { // each worker
		for key, want := range map[string]string{
			p.keys.Publishable.Reveal(): ref, p.keys.Secret.Reveal(): ref, p.keys.Anon.Reveal(): ref,
			s.keys.Publishable.Reveal(): "default", s.keys.Secret.Reveal(): "default", s.keys.Anon.Reveal(): "default",
		} {
			if got := marks(t, s.url, "apikey", key); got != `200 [{"mark":"`+want+`"}]` {
				t.Errorf("%.15s of %s: %s", key, want, got)
			}
		}
		if got := marks(t, s.url, "apikey", "sb_secret_guess"); !strings.HasPrefix(got, "401 ") || !strings.Contains(got, "Invalid API key") {
			t.Errorf("a guess: %s", got)
		}
		if got := marks(t, p.url); !strings.HasPrefix(got, "401 ") || !strings.Contains(got, "No API key") {
			t.Errorf("no key: %s", got)
		}
	}
	var made struct {
		ID     string
		APIKey string `json:"api_key"`
	}
	if err := json.Unmarshal([]byte(s.admin(t, http.MethodPost, "/projects/"+ref+"/api-keys", `{"type":"secret","name":"ci"}`, 201)), &made); err != nil {
		t.Fatal(err)
	}
	within := func(want, key string) {
		t.Helper()
		got := ""
		seen, deadline := 0, time.Now().Add(2*time.Second)
		for seen < 10 { // in a row: each worker knows it
			if got = marks(t, s.url, "apikey", key); strings.HasPrefix(got, want) {
				seen++
			} else if seen = 0; time.Now().After(deadline) {
				t.Fatalf("not %s after 2 s but %s", want, got)
			}
		}
	}
	within(`200 [{"mark":"`+ref, made.APIKey)
	s.admin(t, http.MethodDelete, "/projects/"+ref+"/api-keys/"+made.ID, "", 200)
	within("401 ", made.APIKey)
	s.admin(t, http.MethodPost, "/projects/"+ref+"/suspend", "", 200)
	within("540 ", p.keys.Anon.Reveal())
	s.admin(t, http.MethodDelete, "/projects/"+ref, `{"confirm":"`+ref+`"}`, 202)
}

// A project's settings hold within two seconds, without a request that fails.
func TestSettingsHoldWithoutARestart(t *testing.T) {
	t.Parallel()
	a := openApart(t)
	for s, ref := range a.ref {
		t.Run(ref, func(t *testing.T) {
			t.Parallel()
			s.exec(t, `INSERT INTO public.marks VALUES ('second'), ('third')`)
			rows := func() int {
				var list []any
				got := marks(t, s.url, "apikey", s.keys.Anon.Reveal())
				if err := json.Unmarshal([]byte(strings.TrimPrefix(got, "200 ")), &list); err != nil {
					t.Fatalf("%s: %s", ref, got)
				}
				return len(list)
			}
			for _, step := range []struct {
				value string
				want  int
			}{{"2", 2}, {"1", 1}, {"null", 3}} {
				a.whole.admin(t, http.MethodPatch, "/projects/"+ref+"/settings", `{"PGRST_DB_MAX_ROWS":`+step.value+`}`, 200)
				deadline := time.Now().Add(2 * time.Second)
				for rows() != step.want {
					if time.Now().After(deadline) {
						t.Fatalf("%s: not %d rows within 2 s", ref, step.want)
					}
				}
			}
		})
	}
}
