package e2e_test

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/testkit"
)

// access is what "madbase keys --json" prints.
type access struct {
	APIURL         string `json:"api_url"`
	AnonKey        string `json:"anon_key"`
	ServiceRoleKey string `json:"service_role_key"`
	PublishableKey string `json:"publishable_key"`
	SecretKey      string `json:"secret_key"`
	JWTSecret      string `json:"jwt_secret"`
	DatabaseURL    string `json:"database_url"`
}

func readKeys(t *testing.T, dataDir string, env ...string) access {
	t.Helper()
	out, err := testkit.Command(t, binary, env, "keys", "--json", "--data-dir", dataDir)
	if err != nil {
		t.Fatal(err)
	}
	var a access
	if err := json.Unmarshal([]byte(out), &a); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return a
}

func databaseURL(t *testing.T, dataDir string) string {
	t.Helper()
	return readKeys(t, dataDir, "JWT_SECRET="+jwtSecret).DatabaseURL
}

// TestFirstAndSecondStart starts with nothing set, as a new user does.
func TestFirstAndSecondStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(testkit.DataDir(t), "data")
	start := func() *testkit.Process {
		began := time.Now()
		p := testkit.Start(t, binary, []string{"MADBASE_PG_PORT=0"}, "serve", "--listen", "127.0.0.1:0", "--data-dir", dir)
		t.Logf("serving after %v", time.Since(began))
		return p
	}
	p := start()
	first := readKeys(t, dir)
	for name, value := range map[string]string{"anon key": first.AnonKey, "service_role key": first.ServiceRoleKey, "database URL": first.DatabaseURL, "API URL": "http"} {
		if !strings.Contains(p.Out(), name) || value == "" || !strings.Contains(p.Out(), value) {
			t.Errorf("the start does not print the %s:\n%s", name, p.Out())
		}
	}
	if strings.Contains(p.Log(), first.ServiceRoleKey) || strings.Contains(p.Log(), first.JWTSecret) {
		t.Error("the log has a secret")
	}
	if status, body := testkit.Get(t, p.URL+"/rest/v1/nothing", "apikey", first.AnonKey); status != 404 || !strings.Contains(body, "PGRST205") {
		t.Errorf("rest: %d %s", status, body)
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		if status, body := testkit.Get(t, p.URL+path); status != 200 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	address := strings.TrimPrefix(p.URL, "http://")
	if out, err := testkit.Command(t, binary, nil, "health", "--listen", address); err != nil {
		t.Errorf("health: %s %v", out, err)
	}
	p.Stop(t)
	if _, err := testkit.Command(t, binary, nil, "health", "--listen", address); err == nil {
		t.Error("health finds a stopped process well")
	}
	p = start()
	second := readKeys(t, dir)
	second.DatabaseURL = first.DatabaseURL // its port is free to change with MADBASE_PG_PORT=0
	if second != first {
		t.Error("the second start has other keys")
	}
	p.Stop(t)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	dir := testkit.DataDir(t)
	env := []string{"MADBASE_PG_PORT=0"}
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	testkit.Start(t, binary, env, "serve", "--listen", "127.0.0.1:0", "--data-dir", dir)
	for name, test := range map[string]struct {
		env  []string
		args []string
		want string
	}{
		"a second instance":          {env, []string{"serve", "--listen", "127.0.0.1:0", "--data-dir", dir}, "in use by another madbase"},
		"a port in use":              {env, []string{"serve", "--listen", busy.Addr().String(), "--data-dir", testkit.DataDir(t)}, "is in use"},
		"an unknown setting":         {[]string{"MADBASE_PROT=1"}, []string{"serve"}, "MADBASE_PROT"},
		"a worker without a secret":  {nil, []string{"serve", "--role", "worker"}, "JWT_SECRET"},
		"a module that is not there": {env, []string{"serve", "--modules", "rets", "--data-dir", testkit.DataDir(t)}, "rets"},
		"an unknown role":            {nil, []string{"serve", "--role", "boss"}, "boss"},
	} {
		out, err := testkit.Command(t, binary, test.env, test.args...)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %q %v, want %q", name, out, err, test.want)
		}
	}
}

// TestServeSurvivesKill kills madbase itself under writes through its API: what
// was acknowledged is there after the next start.
func TestServeSurvivesKill(t *testing.T) {
	t.Parallel()
	dir := testkit.DataDir(t)
	s := alone(t, dir)
	s.exec(t, "CREATE TABLE public.log (id int PRIMARY KEY)")
	s.await(t, s.url+"/rest/v1/log")
	acknowledged := map[int]bool{}
	for round := range 3 {
		stop := time.AfterFunc(time.Duration(200+100*round)*time.Millisecond, s.proxy.Kill)
		id := round * 1_000_000
		for post(t, s.url+"/rest/v1/log", s.keys.Service.Reveal(), `{"id":`+strconv.Itoa(id)+`}`) == http.StatusCreated {
			acknowledged[id] = true
			id++
		}
		stop.Stop()
		s.proxy.Kill()
		s = alone(t, dir)
		status, body := testkit.Get(t, s.url+"/rest/v1/log?select=id", "apikey", s.keys.Service.Reveal())
		var rows []struct{ ID int }
		if err := json.Unmarshal([]byte(body), &rows); err != nil {
			t.Fatalf("%d %s", status, body)
		}
		stored := map[int]bool{}
		for _, row := range rows {
			stored[row.ID] = true
		}
		for id := range acknowledged {
			if !stored[id] {
				t.Fatalf("row %d was acknowledged and is gone", id)
			}
		}
	}
	t.Logf("%d rows acknowledged over three kills", len(acknowledged))
}

// TestKillWorkerLosesNoRead kills one of two workers during reads through the proxy.
func TestKillWorkerLosesNoRead(t *testing.T) {
	t.Parallel()
	s := cluster(t)
	s.load(t)
	var reads atomic.Int64
	failed := make(chan string, 8)
	end := make(chan struct{})
	for range cap(failed) {
		go func() {
			for {
				select {
				case <-end:
					failed <- ""
					return
				default:
				}
				if status, body := testkit.Get(t, s.url+"/rest/v1/notes?select=id", "apikey", s.keys.Service.Reveal()); status != 200 {
					failed <- strconv.Itoa(status) + " " + body
					return
				}
				reads.Add(1)
			}
		}()
	}
	awaitReads := func(n int64) {
		for until := reads.Load() + n; reads.Load() < until && len(failed) == 0; {
			time.Sleep(time.Millisecond) // a poll, not a synchronisation
		}
	}
	awaitReads(300)
	s.workers[1].Kill()
	awaitReads(1000)
	close(end)
	for range cap(failed) {
		if fault := <-failed; fault != "" {
			t.Errorf("a read failed: %s", fault)
		}
	}
	t.Logf("%d reads, none failed by the kill", reads.Load())
}

// TestLogLevels gives each process of a cluster its own level.
func TestLogLevels(t *testing.T) {
	t.Parallel()
	s := cluster(t, "LOG_LEVEL=debug")
	quiet := alone(t, testkit.DataDir(t), "RUST_LOG=info,hyper=debug")
	for _, target := range []string{s.url + "/rest/v1/none", s.url + "/platform/v1/health", quiet.url + "/rest/v1/none"} {
		testkit.Get(t, target, "apikey", s.keys.Anon.Reveal(), "X-Request-Id", "probe-1")
	}
	debugs := func(p *testkit.Process) bool {
		return strings.Contains(p.Log(), `"level":"DEBUG"`) && strings.Contains(p.Log(), "probe-1")
	}
	if !debugs(s.proxy) || !debugs(s.control) || (!debugs(s.workers[0]) && !debugs(s.workers[1])) {
		t.Error("LOG_LEVEL=debug does not show the request in proxy, control and worker")
	}
	if strings.Contains(quiet.proxy.Log(), `"level":"DEBUG"`) {
		t.Error("RUST_LOG=info shows debug lines")
	}
}

// TestDropInRest serves a database that is not madbase's own, as PostgREST would.
func TestDropInRest(t *testing.T) {
	t.Parallel()
	s := cluster(t) // for its database alone: roles and the authenticator's grants
	s.exec(t, "CREATE SCHEMA shop; CREATE TABLE shop.items (id int); INSERT INTO shop.items VALUES (7); GRANT USAGE ON SCHEMA shop TO anon; GRANT SELECT ON shop.items TO anon")
	p := testkit.Start(t, binary, []string{"PGRST_DB_URI=" + s.databaseURL, "PGRST_DB_SCHEMAS=shop", "PGRST_DB_ANON_ROLE=anon", "PGRST_JWT_SECRET=" + jwtSecret},
		"serve", "--role", "worker", "--modules", "rest", "--listen", "127.0.0.1:0")
	if status, body := testkit.Get(t, p.URL+"/items"); status != 200 || body != `[{"id":7}]` {
		t.Errorf("got %d %s", status, body)
	}
}

// TestSecretsAreTheOwnersAlone looks at what the embedded default leaves on disk.
func TestSecretsAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	dir := testkit.DataDir(t)
	testkit.Start(t, binary, []string{"MADBASE_PG_PORT=0"}, "serve", "--listen", "127.0.0.1:0", "--data-dir", dir).Stop(t)
	for _, name := range []string{"secrets.json", "connection.json"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
}
