package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/madbase/madbase/platform/secret"
)

const (
	testSecret = "a-secret-of-more-than-thirty-two-characters"
	testDB     = "postgresql://postgres:hush@db:5432/postgres"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, in Input) *Config {
	t.Helper()
	c, err := Load(in)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNothingSetIsTheEmbeddedDefault(t *testing.T) {
	t.Parallel()
	c := load(t, Input{EnvFile: filepath.Join(t.TempDir(), ".env")})
	if !c.Embedded() || c.Server.Listen != ":8000" || c.Server.PublicURL != "http://localhost:8000" || c.Server.DataDir != "./.madbase" {
		t.Errorf("got %+v", c.Server)
	}
	if c.HTTP.IdleTimeout != 2*time.Minute || c.Log.Level != "info" || c.Pools.API != 20 {
		t.Errorf("defaults: got %+v %+v %+v", c.HTTP, c.Log, c.Pools)
	}
}

func TestLaterSourcesOverrideEarlierOnes(t *testing.T) {
	t.Parallel()
	file := write(t, "LOG_LEVEL=debug\nMADBASE_DATA_DIR=/from/file\nLISTEN_ADDR=:1\n")
	environ := []string{"MADBASE_DATA_DIR=/from/env", "LISTEN_ADDR=:2", "RUST_LOG="}
	c := load(t, Input{EnvFile: file, Environ: environ, Flags: map[string]string{"listen": ":3"}})
	if c.Log.Level != "debug" || c.Server.DataDir != "/from/env" || c.Server.Listen != ":3" {
		t.Errorf("got %q %q %q", c.Log.Level, c.Server.DataDir, c.Server.Listen)
	}
	// A source's alias overrides an earlier source's own name: they never meet.
	c = load(t, Input{EnvFile: write(t, "MADBASE_DB_POOL=3\n"), Environ: []string{"PGRST_DB_POOL=4"}})
	if c.Pools.API != 4 {
		t.Errorf("alias in the environment: got %d", c.Pools.API)
	}
}

// RUST_LOG and the like are set for other programs too.
func TestLogLevelWinsOverItsOtherNames(t *testing.T) {
	t.Parallel()
	for want, in := range map[string]Input{
		"debug": {Environ: []string{"RUST_LOG=hyper=warn,info", "LOG_LEVEL=debug", "GOTRUE_LOG_LEVEL=fatal"}},
		"warn":  {Environ: []string{"RUST_LOG=info"}, EnvFile: write(t, "LOG_LEVEL=warn\n")},
		"error": {Environ: []string{"LOG_LEVEL=", "RUST_LOG=error", "PGRST_LOG_LEVEL=crit"}},
	} {
		if got := load(t, in).Log.Level; got != want {
			t.Errorf("%+v: got %q, want %q", in, got, want)
		}
	}
}

func TestListenFollowsTheRole(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ role, extra, listen, public string }{
		{"proxy", "", ":8000", "http://localhost:8000"},
		{"control", "", ":8001", "http://localhost:8000"},
		{"worker", "", ":8002", "http://localhost:8000"},
		{"worker", "PGRST_SERVER_PORT=3000", ":3000", "http://localhost:8000"},
		{"all", "PGRST_SERVER_HOST=127.0.0.1", "127.0.0.1:8000", "http://localhost:8000"},
		{"all", "PGRST_SERVER_HOST=!4", ":8000", "http://localhost:8000"},
		{"all", "LISTEN_ADDR=127.0.0.1:0", "127.0.0.1:0", ""},
		{"all", "LISTEN_ADDR=:9000", ":9000", "http://localhost:9000"},
		{"all", "API_EXTERNAL_URL=https://api.example.com/", ":8000", "https://api.example.com"},
		{"all", "API_EXTERNAL_URL=https://api.example.com/auth/v1/", ":8000", "https://api.example.com"},
	} {
		c := load(t, Input{Environ: []string{
			"MADBASE_ROLE=" + tt.role, "JWT_SECRET=" + testSecret, "DATABASE_URL=" + testDB,
			"WORKER_UPSTREAM_URLS=http://worker:8002", "CONTROL_UPSTREAM_URL=http://system:8001", tt.extra,
		}})
		if c.Server.Listen != tt.listen || c.Server.PublicURL != tt.public {
			t.Errorf("%s %s: got %q %q", tt.role, tt.extra, c.Server.Listen, c.Server.PublicURL)
		}
	}
}

func TestEveryFaultIsNamedAtOnceAndNoSecretQuoted(t *testing.T) {
	t.Parallel()
	file := write(t, "MADBASE_ROEL=worker\nSOMETHING=else\nPOSTGRES_PASSWORD=fine\nADMIN_PASSWORD='hush\n")
	_, err := Load(Input{EnvFile: file, Flags: map[string]string{"lisen": ":1"}, Environ: []string{
		"MADBASE_ROLE=boss", "LISTEN_ADDR=nowhere", "MADBASE_LISTEN_FD=2", "MADBASE_WORKER_URL=http://{hostname}/path", "DATABASE_URL=mysql://root:hush@db/x", "JWT_SECRET=hush",
		"MADBASE_IDLE_TIMEOUT=soon", "MADBASE_DB_POOL=many", "REDIS_URL=hush", "MADBASE_UNKNOWN=1", "PGRST_NOPE=hush",
		"GOTRUE_NOPE=1", "MADBASE_TEST_PG_URL=fine", "PATH=/bin", "MADBASE_PUBLIC_URL=ftp://x", "ANON_KEY=hush1", "SUPABASE_ANON_KEY=hush2",
	}})
	if err == nil {
		t.Fatal("loaded")
	}
	for _, want := range []string{
		`MADBASE_ROEL is not a setting (did you mean MADBASE_ROLE?)`, "SOMETHING is not a setting", ".env:4: ADMIN_PASSWORD has a quote",
		"--lisen is not a flag", `MADBASE_ROLE: "boss"`, `LISTEN_ADDR: "nowhere"`, "MADBASE_LISTEN_FD must be 3", "MADBASE_WORKER_URL must", "DATABASE_URL: not a", "JWT_SECRET must have at least",
		`MADBASE_IDLE_TIMEOUT: "soon"`, `MADBASE_DB_POOL: "many"`, "REDIS_URL: not a", "MADBASE_UNKNOWN is not", "PGRST_NOPE is not",
		"GOTRUE_NOPE is not", "MADBASE_PUBLIC_URL:", "ANON_KEY and SUPABASE_ANON_KEY are names of one setting",
	} {
		if n := strings.Count(err.Error(), want); n != 1 {
			t.Errorf("%q is named %d times in:\n%v", want, n, err)
		}
	}
	for _, banned := range []string{"hush", "MADBASE_TEST_PG_URL", "POSTGRES_PASSWORD", "PATH"} {
		if strings.Contains(err.Error(), banned) {
			t.Errorf("%q must not be in:\n%v", banned, err)
		}
	}
}

func TestRequiredOutsideTheEmbeddedDefault(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ environ, want string }{
		{"MADBASE_ROLE=worker", "DATABASE_URL is required with role worker"},
		{"MADBASE_ROLE=control", "JWT_SECRET is required with role control"},
		{"MADBASE_ROLE=proxy", "JWT_SECRET is required with role proxy"},
		{"MADBASE_ROLE=proxy", "WORKER_UPSTREAM_URLS or CONTROL_UPSTREAM_URL is required with role proxy"},
		{"DATABASE_URL=" + testDB, "JWT_SECRET is required with DATABASE_URL"},
		{"PGRST_DB_URI=" + testDB, "exactly one module"},
	} {
		if _, err := Load(Input{Environ: []string{tt.environ}}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v", tt.environ, err)
		}
	}
}

func TestAForeignNameOfTheDatabaseMakesADropIn(t *testing.T) {
	t.Parallel()
	modules := map[string]string{"modules": "rest"}
	c := load(t, Input{Environ: []string{"PGRST_DB_URI=" + testDB}, Flags: modules})
	if !c.Server.DropIn || c.Server.DatabaseURL.Reveal() != testDB || !reflect.DeepEqual(c.Server.Modules, []string{"rest"}) {
		t.Errorf("got %+v", c.Server)
	}
	c = load(t, Input{Environ: []string{"PGRST_DB_URI=" + testDB, "MADBASE_DROP_IN=false", "JWT_SECRET=" + testSecret}, Flags: modules})
	if c.Server.DropIn {
		t.Error("MADBASE_DROP_IN=false was not followed")
	}
	c = load(t, Input{Environ: []string{"DATABASE_URL=" + testDB, "JWT_SECRET=" + testSecret}, Flags: modules})
	if c.Server.DropIn {
		t.Error("DATABASE_URL made a drop-in")
	}
}

// In GoTrue's place addresses are confirmed unless a setting says otherwise.
func TestADropInConfirmsAddressesAsGoTrueDoes(t *testing.T) {
	t.Parallel()
	for want, environ := range map[bool][]string{
		false: {"GOTRUE_DB_DATABASE_URL=" + testDB, "JWT_SECRET=" + testSecret},
		true:  {"GOTRUE_DB_DATABASE_URL=" + testDB, "JWT_SECRET=" + testSecret, "GOTRUE_MAILER_AUTOCONFIRM=true"},
	} {
		if c := load(t, Input{Environ: environ, Flags: map[string]string{"modules": "auth"}}); c.Auth.Autoconfirm != want {
			t.Errorf("got %t, want %t", c.Auth.Autoconfirm, want)
		}
	}
	if c := load(t, Input{Environ: []string{"DATABASE_URL=" + testDB, "JWT_SECRET=" + testSecret}}); !c.Auth.Autoconfirm {
		t.Error("outside of a drop-in too")
	}
}

func TestRedactedShowsWhatWasChangedAndNoSecret(t *testing.T) {
	t.Parallel()
	c := load(t, Input{Environ: []string{"DATABASE_URL=" + testDB, "JWT_SECRET=" + testSecret, "LOG_LEVEL=debug", "MADBASE_MODULES=rest, auth"}})
	text := c.Redacted()
	for _, want := range []string{"DATABASE_URL=[redacted]\n", "JWT_SECRET=[redacted]\n", "LOG_LEVEL=debug\n", "MADBASE_MODULES=rest,auth\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	if strings.Contains(text, "hush") || strings.Contains(text, testSecret) || strings.Contains(text, "MADBASE_ROLE") {
		t.Errorf("too much is in:\n%s", text)
	}
}

// every has one field of each type that a setting can have.
type every struct {
	Part struct {
		Text   string            `env:"E_TEXT" default:"t"`
		Secret secret.String     `env:"E_SECRET"`
		Bool   bool              `env:"E_BOOL" default:"yes"`
		Int    int               `env:"E_INT" default:"-3"`
		Int64  int64             `env:"E_INT64" default:"5000000000"`
		Float  float64           `env:"E_FLOAT" default:"0.5"`
		Time   time.Duration     `env:"E_TIME" default:"90"`
		List   []string          `env:"E_LIST" default:"a, b,"`
		Map    map[string]string `env:"E_MAP" default:"a=1, b=2=3"`
		Deep   struct {
			All map[string]string `env:"E_ALL_*"`
		}
	}
}

func TestEveryTypeIsDecodedAndPrinted(t *testing.T) {
	t.Parallel()
	var e every
	for _, b := range bindings(&e) {
		value, _, err := b.lookup(nil, map[string]string{"E_ALL_ONE_TWO": "x", "E_ALL_": "skipped"})
		if err != nil {
			t.Fatal(err)
		}
		if value != nil {
			if err := value.into(b); err != nil {
				t.Errorf("%s: %v", b.Name, err)
			}
		}
	}
	p := e.Part
	if p.Text != "t" || !p.Bool || p.Int != -3 || p.Int64 != 5_000_000_000 || p.Float != 0.5 || p.Time != 90*time.Second ||
		!reflect.DeepEqual(p.List, []string{"a", "b"}) || !reflect.DeepEqual(p.Map, map[string]string{"a": "1", "b": "2=3"}) ||
		!reflect.DeepEqual(p.Deep.All, map[string]string{"one_two": "x"}) {
		t.Errorf("got %+v", p)
	}
	if got := encode(reflect.ValueOf(p.Map)); got != "a=1,b=2=3" {
		t.Errorf("map prints as %q", got)
	}
}

func TestFaultsTakeApartOnlyWhatWasJoined(t *testing.T) {
	t.Parallel()
	a, b := errors.New("a"), errors.New("b")
	var f Faults
	f.add(errors.Join(a, errors.Join(b, a)))
	f.add(fmt.Errorf("both: %w, %w", a, b))
	if want := "the settings have faults:\n  - a\n  - b\n  - both: a, b"; f.Error() != want || !errors.Is(f, b) {
		t.Errorf("got %v", f)
	}
}

func TestFlagsComeFromTheSettings(t *testing.T) {
	t.Parallel()
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	fs.Bool("other", false, "a flag of the command itself")
	AddFlags(fs)
	if err := fs.Parse([]string{"--role=worker", "--other", "--listen", ":1"}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"role": "worker", "listen": ":1"}
	if got := FromProcess(fs).Flags; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}
