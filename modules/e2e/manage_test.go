package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/testkit"
)

// manager runs the commands that manage a madbase.
type manager struct {
	*shape
	env []string
}

func (m *manager) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := testkit.Command(t, binary, m.env, args...)
	if err != nil {
		t.Fatalf("madbase %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

// refused runs a command that must fail, and returns what it says.
func (m *manager) refused(t *testing.T, args ...string) string {
	t.Helper()
	out, err := testkit.Command(t, binary, m.env, args...)
	if err == nil {
		t.Fatalf("madbase %s: was not refused\n%s", strings.Join(args, " "), out)
	}
	return out + err.Error()
}

// status asks a route that only a secret key may use.
func (m *manager) status(t *testing.T, key string) int {
	t.Helper()
	status, _ := testkit.Get(t, m.url+"/auth/v1/admin/users", "apikey", key)
	return status
}

// within asks until the answer is want, for at most 2 seconds: that is how soon a
// change is everywhere.
func (m *manager) within(t *testing.T, what string, want int, ask func() int) {
	t.Helper()
	end := time.Now().Add(2 * time.Second)
	for {
		got := ask()
		if got == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %d after 2 s, want %d", what, got, want)
		}
	}
}

// signUp returns the access and refresh token of a new user.
func (m *manager) signUp(t *testing.T, address string) (access, refresh string) {
	t.Helper()
	var session struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
	}
	m.post(t, "/auth/v1/signup", `{"email":"`+address+`","password":"a long enough one"}`, &session)
	if session.AccessToken == "" {
		t.Fatal("signed up without a session")
	}
	return session.AccessToken, session.RefreshToken
}

func (m *manager) post(t *testing.T, path, body string, into any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Apikey", m.keys.Anon.Reveal())
	res, err := (&http.Client{}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%s: %d %s %v", path, res.StatusCode, text, err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

// userStatus is the answer to a user's own token.
func (m *manager) userStatus(t *testing.T, token string) int {
	t.Helper()
	status, _ := testkit.Get(t, m.url+"/auth/v1/user", "apikey", m.keys.Publishable.Reveal(), "Authorization", "Bearer "+token)
	return status
}

// keyID finds a key by its name.
func (m *manager) keyID(t *testing.T, name string) string {
	t.Helper()
	var keys []struct{ ID, Name string }
	if err := json.Unmarshal([]byte(m.run(t, "key", "list", "--json")), &keys); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if k.Name == name {
			return k.ID
		}
	}
	t.Fatalf("no key %s", name)
	return ""
}

func TestManageKeysAlone(t *testing.T) {
	t.Parallel()
	s := alone(t, filepath.Join(testkit.DataDir(t), "data"), "ADMIN_PASSWORD=an admin's password")
	manageKeys(t, &manager{s, []string{"ADMIN_PASSWORD=an admin's password", "MADBASE_URL=" + s.url}})
}

func TestManageKeysCluster(t *testing.T) {
	t.Parallel()
	s := cluster(t)
	manageKeys(t, &manager{s, []string{"ADMIN_PASSWORD=an admin's password", "MADBASE_URL=" + s.url}})
}

// manageKeys makes, uses and revokes API keys, and rotates signing keys while a user
// stays signed in.
func manageKeys(t *testing.T, m *manager) {
	key := m.run(t, "key", "create", "ci", "--type", "secret", "--expires", "1h")
	m.within(t, "a new key", 200, func() int { return m.status(t, key) })
	m.run(t, "key", "revoke", m.keyID(t, "ci"), "--yes")
	m.within(t, "a revoked key", 401, func() int { return m.status(t, key) })
	if got := m.status(t, m.keys.Secret.Reveal()); got != 200 {
		t.Errorf("the first secret key: %d", got)
	}
	m.run(t, "key", "revoke", "secret", "--yes")
	m.within(t, "the first secret key, revoked", 401, func() int { return m.status(t, m.keys.Secret.Reveal()) })

	before, refresh := m.signUp(t, "a@example.com")
	made := strings.Fields(m.run(t, "signing-key", "create"))[0]
	if got := m.refused(t, "signing-key", "rotate", made); !strings.Contains(got, "not known everywhere yet") {
		t.Errorf("rotated at once: %s", got)
	}
	m.exec(t, `UPDATE madbase.signing_keys SET created_at = created_at - interval '1 minute'`)
	m.run(t, "signing-key", "rotate", made)
	m.within(t, "a token of the key before", 200, func() int { return m.userStatus(t, before) })
	var session struct {
		AccessToken string `json:"access_token"`
	}
	m.post(t, "/auth/v1/token?grant_type=refresh_token", `{"refresh_token":"`+refresh+`"}`, &session)
	if got := m.userStatus(t, session.AccessToken); got != 200 {
		t.Errorf("a token of the new key: %d", got)
	}
	if _, jwks := testkit.Get(t, m.url+"/auth/v1/.well-known/jwks.json"); !strings.Contains(jwks, made) || strings.Contains(jwks, `"d"`) {
		t.Errorf("published: %s", jwks)
	}
	if got := m.run(t, "audit"); !strings.Contains(got, "signing-key.rotate") || !strings.Contains(got, "api-key.revoke") || strings.Contains(got, key) {
		t.Errorf("audit log: %s", got)
	}
}

// A request's lines are found in the log of the worker that had it, and nobody else may ask.
func TestManageLogsOfACluster(t *testing.T) {
	t.Parallel()
	s := cluster(t, "MADBASE_WORKER_URL=http://127.0.0.1:{port}", "LOG_LEVEL=debug")
	m := &manager{s, []string{"ADMIN_PASSWORD=an admin's password", "MADBASE_URL=" + s.url}}
	testkit.Get(t, s.url+"/auth/v1/settings", "apikey", s.keys.Anon.Reveal(), "X-Request-Id", "look-for-me-1")
	var got string
	found := func() bool {
		return strings.Contains(got, "[worker http://127.0.0.1:") && strings.Contains(got, "/auth/v1/settings")
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	// The answer comes before the line, and control hears of a worker a moment after that serves.
	for end := time.Now().Add(20 * time.Second); !found() && time.Now().Before(end); <-tick.C {
		got = m.run(t, "logs", "--request-id", "look-for-me-1", "--level", "debug")
	}
	if !found() {
		t.Errorf("got %s", got)
	}
	for _, token := range []string{"", "Bearer " + s.keys.Service.Reveal()} {
		for _, p := range []string{s.workers[0].URL, s.url} {
			if status, body := testkit.Get(t, p+"/internal/logs", "Authorization", token); status != 401 {
				t.Errorf("%s: %d %s", p, status, body)
			}
		}
	}
}
