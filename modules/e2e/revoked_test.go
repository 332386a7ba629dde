package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/testkit"
)

// secretKey makes a secret key for the project ref.
func (s *shape) secretKey(t *testing.T, ref string) (id, text string) {
	t.Helper()
	var made struct {
		ID     string
		APIKey string `json:"api_key"`
	}
	if err := json.Unmarshal([]byte(s.admin(t, http.MethodPost, "/projects/"+ref+"/api-keys", `{"type":"secret","name":"ci"}`, 201)), &made); err != nil {
		t.Fatal(err)
	}
	return made.ID, made.APIKey
}

// insertOnce inserts a row under always the same Idempotency-Key.
func insertOnce(t *testing.T, url, key string) string {
	t.Helper()
	status, body := call(t, http.MethodPost, url+"/rest/v1/marks", `{"mark":"once"}`,
		"apikey", key, "Idempotency-Key", "one", "Prefer", "return=representation")
	return fmt.Sprint(status, " ", body)
}

// becomes asks until the answer begins with want.
func becomes(t *testing.T, want string, ask func() string) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Second); ; {
		got := ask()
		if strings.HasPrefix(got, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not %s after 3 s but %s", want, got)
		}
	}
}

// A kept answer is not repeated to a key that has ended, also of a project whose keys
// are not the gateway's to check.
func TestNothingIsRepeatedToARevokedKey(t *testing.T) {
	t.Parallel()
	s := alone(t, testkit.DataDir(t), "ADMIN_PASSWORD="+adminPassword)
	ref, p := s.project(t)
	p.exec(t, fmt.Sprintf(tables, ref))
	p.await(t, p.url+"/rest/v1/marks")
	id, key := s.secretKey(t, ref)
	insert := func() string { return insertOnce(t, s.url, key) }
	becomes(t, "201 ", insert)
	if got := insert(); !strings.HasPrefix(got, "201 ") {
		t.Errorf("repeated: %s", got)
	}
	s.admin(t, http.MethodDelete, "/projects/"+ref+"/api-keys/"+id, "", 200)
	becomes(t, "401 ", insert)
	var rows int
	if p.query(t, &rows, "SELECT count(*) FROM public.marks WHERE mark = 'once'"); rows != 1 {
		t.Errorf("done %d times", rows)
	}
}

// A key that was revoked opens nothing at a proxy, which has no registry: nothing
// that only the gateway keeps closed, and no answer that was kept; also while control
// is away, and from the first moment of a proxy that has not reached it.
func TestRevokedKeysAtAProxy(t *testing.T) {
	t.Parallel()
	s := cluster(t)
	ref, p := s.project(t)
	p.exec(t, fmt.Sprintf(tables, ref))
	for _, w := range s.workers {
		p.await(t, w.URL+"/project/"+ref+"/rest/v1/marks")
	}
	id, key := s.secretKey(t, ref)
	settings := func(url string) string {
		status, body := call(t, http.MethodGet, url+"/auth/v1/settings", "", "apikey", s.keys.Anon.Reveal())
		return fmt.Sprint(status, " ", body)
	}
	insert := func() string { return insertOnce(t, s.url, key) }
	becomes(t, "200 ", func() string { return settings(s.url) })
	becomes(t, "201 ", insert)
	if got := insert(); !strings.HasPrefix(got, "201 ") {
		t.Errorf("repeated: %s", got)
	}
	s.admin(t, http.MethodDelete, "/projects/"+ref+"/api-keys/"+id, "", 200)
	s.admin(t, http.MethodDelete, "/projects/default/api-keys/anon", "", 200)
	becomes(t, "401 ", insert)
	becomes(t, "401 ", func() string { return settings(s.url) })
	s.control.Kill()
	for name, url := range map[string]string{
		"without control": s.url,
		"started without": testkit.Start(t, binary, s.proxyEnv, "serve", "--role", "proxy", "--listen", "127.0.0.1:0").URL,
	} {
		if got := settings(url); !strings.HasPrefix(got, "401 ") {
			t.Errorf("%s: %s", name, got)
		}
		status, body := call(t, http.MethodGet, url+"/auth/v1/settings", "", "apikey", s.keys.Service.Reveal())
		if status != http.StatusOK {
			t.Errorf("%s, a key that holds: %d %s", name, status, body)
		}
	}
}
