package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/secret"
	"github.com/madbase/madbase/platform/testkit"
)

// call sends a request with headers as name and value in turn.
func call(t *testing.T, method, url, body string, headers ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// admin asks the control plane and checks the status.
func (s *shape) admin(t *testing.T, method, path, body string, want int) string {
	t.Helper()
	status, text := call(t, method, s.url+"/platform/v1"+path, body, "Authorization", "Bearer "+adminPassword)
	if status != want {
		t.Fatalf("%s %s: %d %s", method, path, status, text)
	}
	return text
}

// project makes one, which is removed with the test, and returns it as a shape of
// its own: its address, keys and database.
func (s *shape) project(t *testing.T) (ref string, p *shape) {
	t.Helper()
	ref = registry.NewRef()
	made := s.admin(t, http.MethodPost, "/projects", fmt.Sprintf(`{"name":"Test","ref":%q}`, ref), http.StatusCreated)
	if !strings.Contains(made, `"status":"ACTIVE_HEALTHY"`) {
		t.Fatalf("made: %s", made)
	}
	t.Cleanup(func() { s.dropRemains(t, ref) })
	var list []struct {
		ID     string
		APIKey string `json:"api_key"`
	}
	if err := json.Unmarshal([]byte(s.admin(t, http.MethodGet, "/projects/"+ref+"/api-keys?reveal=true", "", 200)), &list); err != nil {
		t.Fatal(err)
	}
	keys := map[string]secret.String{}
	for _, k := range list {
		keys[k.ID] = secret.String(k.APIKey)
	}
	database, err := db.WithDatabase(s.databaseURL, "madbase_"+ref)
	if err != nil {
		t.Fatal(err)
	}
	return ref, &shape{
		url: s.url + "/project/" + ref, databaseURL: database,
		keys: claims.APIKeys{Anon: keys["anon"], Service: keys["service_role"], Publishable: keys["publishable"], Secret: keys["secret"]},
	}
}

// dropRemains removes what a project leaves in a server that tests share.
func (s *shape) dropRemains(t *testing.T, ref string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.databaseURL)
	if err != nil {
		return // the server went with its madbase
	}
	defer conn.Close(ctx)
	statements := []string{`DROP DATABASE IF EXISTS "madbase_` + ref + `" WITH (FORCE)`}
	for _, role := range []string{"authenticator", "supabase_auth_admin", "supabase_storage_admin"} {
		statements = append(statements, `DROP ROLE IF EXISTS "`+role+"_"+ref+`"`)
	}
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

// A project beside the default one is a whole Supabase: the journeys of an app go
// through it, in one process and in a cluster, by its path and by its keys.
func TestJourneyOfAProject(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) *shape{
		"alone":   func(t *testing.T) *shape { return alone(t, testkit.DataDir(t), "ADMIN_PASSWORD="+adminPassword) },
		"cluster": func(t *testing.T) *shape { return cluster(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			_, p := s.project(t)
			p.load(t)
			p.run(t, "journey.mjs")
		})
	}
}
