package config

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// No container engine is needed for what follows: the files are read, and what
// they say is compared with the code and with what the images are known to hold.

type composeFile struct {
	Include []struct {
		Path             string
		ProjectDirectory string `yaml:"project_directory"`
	}
	Services map[string]composeService
	Volumes  map[string]any
}

type composeService struct {
	Image       string
	Command     []string
	Environment map[string]string
	Ports       []string
	Volumes     []string
	Healthcheck struct{ Test []string }
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
}

func readYAML(t *testing.T, path string, into any) string {
	t.Helper()
	text, err := os.ReadFile("../" + path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return string(text)
}

func composeServices(t *testing.T) map[string]composeService {
	t.Helper()
	all := map[string]composeService{}
	for _, path := range composePaths {
		var f composeFile
		readYAML(t, path, &f)
		maps.Copy(all, f.Services)
	}
	return all
}

var composePaths = []string{"compose/stack.yml", "compose/observability.yml"}

func TestComposeUpFromTheRootHasTheWholeStack(t *testing.T) {
	t.Parallel()
	var root composeFile
	readYAML(t, "compose.yml", &root)
	if len(root.Include) != 1 || root.Include[0].Path != "compose/stack.yml" || root.Include[0].ProjectDirectory != "." {
		t.Errorf("compose.yml includes %v", root.Include)
	}
	services := composeServices(t)
	for name, image := range map[string]string{
		"db": "postgres:15-alpine", "redis": "redis:7-alpine", "minio": "minio/minio:RELEASE.2024-06-13T22-53-53Z",
		"worker": "${MADBASE_IMAGE:-madbase:local}", "system": "${MADBASE_IMAGE:-madbase:local}", "proxy": "${MADBASE_IMAGE:-madbase:local}",
	} {
		if services[name].Image != image {
			t.Errorf("%s runs %q, want %q", name, services[name].Image, image)
		}
	}
	if !slices.Contains(services["db"].Command, "wal_level=logical") {
		t.Error("db has no logical wal_level")
	}
}

var (
	interpolation = regexp.MustCompile(`\$\{([A-Z0-9_]+)`)
	bareVariable  = regexp.MustCompile(`\$[A-Za-z]`)
)

func TestComposeVariablesAreInTheExample(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile("../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, path := range composePaths {
		text := readYAML(t, path, &composeFile{})
		if bareVariable.MatchString(text) {
			t.Errorf("%s: variables are written ${NAME}", path)
		}
		for _, m := range interpolation.FindAllStringSubmatch(text, -1) {
			used[m[1]] = true
		}
	}
	for name := range used {
		if !regexp.MustCompile(`(?m)^(# )?` + name + `=`).Match(example) {
			t.Errorf("%s is not in .env.example", name)
		}
	}
	for _, s := range ComposeSettings() {
		if !used[s.Name] {
			t.Errorf("%s is documented, but no compose file uses it", s.Name)
		}
	}
}

func TestComposeEnvironmentIsKnownToMadbase(t *testing.T) {
	t.Parallel()
	known := newNames(bindings(new(Config)))
	for name, s := range composeServices(t) {
		for variable := range s.Environment {
			own := strings.Contains(s.Image, "madbase")
			if own && !known.known(variable) {
				t.Errorf("%s: %s is not a setting", name, variable)
			}
		}
	}
}

// The containers' environments, with every ${NAME} given, must load.
func TestComposeEnvironmentLoads(t *testing.T) {
	t.Parallel()
	withDefault := regexp.MustCompile(`\$\{[A-Z0-9_]+:-([^}]*)\}`)
	required := regexp.MustCompile(`\$\{[A-Z0-9_]+:\?[^}]*\}`)
	for _, name := range []string{"worker", "system", "proxy"} {
		s := composeServices(t)[name]
		var environ []string
		for variable, value := range s.Environment {
			value = required.ReplaceAllString(withDefault.ReplaceAllString(value, "$1"), testSecret)
			environ = append(environ, variable+"="+value)
		}
		c, err := Load(Input{Environ: environ})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := "--role=" + c.Server.Role; !slices.Contains(s.Command, want) {
			t.Errorf("%s: command %v and MADBASE_ROLE=%s differ", name, s.Command, c.Server.Role)
		}
		ports := withDefault.ReplaceAllString(":"+s.Ports[0], "$1")
		if !strings.HasSuffix(ports, c.Server.Listen+c.Server.Listen) {
			t.Errorf("%s: ports %v do not publish its default address %s as it is", name, s.Ports, c.Server.Listen)
		}
	}
}

// contents are the programs that the images are known to hold and a health
// check here may call.
var contents = map[string][]string{
	"postgres:15-alpine":                        {"pg_isready", "psql"},
	"redis:7-alpine":                            {"redis-cli"},
	"minio/minio:RELEASE.2024-06-13T22-53-53Z":  {"mc"},
	"${MADBASE_IMAGE:-madbase:local}":           {"/madbase"},
	"victoriametrics/victoria-metrics:v1.102.0": {"wget"}, // Alpine's busybox
	"victoriametrics/vmagent:v1.102.0":          {"wget"},
	"grafana/loki:3.1.0":                        {"wget"},
	"grafana/grafana:11.1.0":                    {"wget"},
}

func TestComposeHealthChecksCanRun(t *testing.T) {
	t.Parallel()
	services := composeServices(t)
	for name, s := range services {
		if test := s.Healthcheck.Test; len(test) > 0 {
			if test[0] != "CMD" || !slices.Contains(contents[s.Image], test[1]) {
				t.Errorf("%s: %v cannot run in %s, which has %v", name, test, s.Image, contents[s.Image])
			}
		} else if contents[s.Image] != nil {
			t.Errorf("%s has no health check", name)
		}
		for other, how := range s.DependsOn {
			if how.Condition != "service_healthy" || len(services[other].Healthcheck.Test) == 0 {
				t.Errorf("%s depends on %s by %q", name, other, how.Condition)
			}
		}
	}
	for _, need := range [][2]string{{"worker", "db"}, {"worker", "redis"}, {"worker", "minio"}, {"system", "db"}, {"proxy", "worker"}, {"proxy", "system"}} {
		if _, ok := services[need[0]].DependsOn[need[1]]; !ok {
			t.Errorf("%s does not wait for %s", need[0], need[1])
		}
	}
}

func TestComposeVolumesAreNamedAndMountedFilesExist(t *testing.T) {
	t.Parallel()
	for _, path := range composePaths {
		var f composeFile
		readYAML(t, path, &f)
		for name, s := range f.Services {
			for _, v := range s.Volumes {
				from, _, _ := strings.Cut(v, ":")
				_, named := f.Volumes[from]
				switch {
				case strings.HasPrefix(from, "./"):
					if _, err := os.Stat("../" + from); err != nil {
						t.Errorf("%s: %s mounts %v", path, name, err)
					}
				case !named && !strings.HasPrefix(from, "/var/run/"):
					t.Errorf("%s: %s mounts the unknown volume %q", path, name, from)
				}
			}
		}
	}
}

func TestDockerfileBuildsWhatItsHealthCheckRuns(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for _, want := range []string{
		"FROM golang:1.26", "CGO_ENABLED=0", "\nUSER nonroot", "COPY --from=build /out/madbase /madbase\n", `CMD ["/madbase", "health"]`,
		`ENTRYPOINT ["/madbase"]`, "EXPOSE 8000 8001 8002",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("Dockerfile lacks %q", want)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^ENV ([A-Z_]+)=`).FindAllStringSubmatch(text, -1) {
		if !newNames(bindings(new(Config))).known(m[1]) {
			t.Errorf("Dockerfile sets %s, which is not a setting", m[1])
		}
	}
}

func TestScrapeTargetsExist(t *testing.T) {
	t.Parallel()
	services := composeServices(t)
	want := map[string]string{"worker": RoleWorker, "system": RoleControl, "proxy": RoleProxy}
	for _, path := range []string{"config/prometheus.yml", "config/vmagent.yml"} {
		var f struct {
			ScrapeConfigs []struct {
				MetricsPath   string                       `yaml:"metrics_path"`
				StaticConfigs []struct{ Targets []string } `yaml:"static_configs"`
				DNSConfigs    []struct {
					Names []string
					Port  int
				} `yaml:"dns_sd_configs"`
			} `yaml:"scrape_configs"`
		}
		readYAML(t, path, &f)
		found := map[string]bool{}
		for _, s := range f.ScrapeConfigs {
			var targets []string
			for _, c := range s.StaticConfigs {
				targets = append(targets, c.Targets...)
			}
			for _, c := range s.DNSConfigs {
				targets = append(targets, c.Names[0]+":"+strconv.Itoa(c.Port))
			}
			for _, target := range targets {
				name, port, _ := strings.Cut(target, ":")
				server := Server{Role: want[name]}
				if _, ok := services[name]; !ok || s.MetricsPath != "/metrics" || ":"+port != server.defaultListen() {
					t.Errorf("%s: %s%s is not a service of ours", path, target, s.MetricsPath)
				}
				found[name] = true
			}
		}
		if len(found) != len(want) {
			t.Errorf("%s scrapes %v", path, found)
		}
	}
}

func TestGrafanaShowsMetricsThatExist(t *testing.T) {
	t.Parallel()
	var sources struct {
		Datasources []struct{ UID, URL string }
	}
	readYAML(t, "config/grafana/provisioning/datasources/madbase.yml", &sources)
	services := composeServices(t)
	known := map[string]bool{}
	for _, d := range sources.Datasources {
		known[d.UID] = true
		host, _, _ := strings.Cut(strings.TrimPrefix(d.URL, "http://"), ":")
		if _, ok := services[host]; !ok {
			t.Errorf("data source %s is at %s, which is no service", d.UID, d.URL)
		}
	}
	paths, err := filepath.Glob("grafana/dashboards/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("dashboards: %v", err)
	}
	code := sourceText(t)
	for _, path := range paths {
		checkDashboard(t, path, known, code)
	}
}

// checkDashboard tells what the dashboard at path asks for in vain.
func checkDashboard(t *testing.T, path string, sources map[string]bool, code string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil || !json.Valid(text) {
		t.Fatalf("%s: %v", path, err)
	}
	for _, m := range regexp.MustCompile(`"uid": "([a-z]+)"`).FindAllSubmatch(text, -1) {
		if uid := string(m[1]); !sources[uid] && !strings.HasPrefix(uid, "madbase") {
			t.Errorf("%s asks data source %q", path, uid)
		}
	}
	for _, m := range regexp.MustCompile(`madbase_[a-z_]+`).FindAllString(string(text), -1) {
		name := strings.TrimSuffix(strings.TrimSuffix(m, "_count"), "_bucket")
		if !strings.Contains(code, name) {
			t.Errorf("%s: no code writes the metric %s", path, name)
		}
	}
}

// sourceText is the code in which metrics are written.
func sourceText(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, folder := range []string{"../platform", "../modules"} {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			b.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}
