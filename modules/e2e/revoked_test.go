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
	var made struct {
		ID     string
		APIKey string `json:"api_key"`
	}
	if err := json.Unmarshal([]byte(s.admin(t, http.MethodPost, "/projects/"+ref+"/api-keys", `{"type":"secret","name":"ci"}`, 201)), &made); err != nil {
		t.Fatal(err)
	}
	settings := func(url string) string {
		status, body := call(t, http.MethodGet, url+"/auth/v1/settings", "", "apikey", s.keys.Anon.Reveal())
		return fmt.Sprint(status, " ", body)
	}
	insert := func() string {
		status, body := call(t, http.MethodPost, s.url+"/rest/v1/marks", `{"mark":"once"}`,
			"apikey", made.APIKey, "Idempotency-Key", "one", "Prefer", "return=representation")
		return fmt.Sprint(status, " ", body)
	}
	becomes := func(want string, ask func() string) {
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
	becomes("200 ", func() string { return settings(s.url) })
	becomes("201 ", insert)
	if got := insert(); !strings.HasPrefix(got, "201 ") {
		t.Errorf("repeated: %s", got)
	}
	s.admin(t, http.MethodDelete, "/projects/"+ref+"/api-keys/"+made.ID, "", 200)
	s.admin(t, http.MethodDelete, "/projects/default/api-keys/anon", "", 200)
	becomes("401 ", insert)
	becomes("401 ", func() string { return settings(s.url) })
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
