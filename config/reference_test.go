package config

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// update rewrites the files that are generated from the settings:
//
//	go test ./config -run Reference -update
var update = flag.Bool("update", false, "rewrite docs/configuration.md and .env.example")

func TestReferenceIsCurrent(t *testing.T) {
	t.Parallel()
	compare(t, "../docs/configuration.md", referenceText())
}

func TestReferenceEnvExampleIsCurrent(t *testing.T) {
	t.Parallel()
	compare(t, "../.env.example", envExample())
}

// The example must do as .env before anybody has changed it: it sets nothing.
func TestEnvExampleLoadsAsTheDefault(t *testing.T) {
	t.Parallel()
	c := load(t, Input{EnvFile: "../.env.example"})
	if !c.Embedded() || c.Redacted() != load(t, Input{}).Redacted() {
		t.Errorf("got %s", c.Redacted())
	}
}

// Each setting as it stands in the example, uncommented, must be a known one.
func TestEnvExampleListsEverySetting(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(Describe(), ComposeSettings()...) {
		name := strings.TrimSuffix(s.Name, "*")
		if !regexp.MustCompile(`(?m)^(# )?` + name + `[A-Z_]*=`).Match(text) {
			t.Errorf("%s is missing", s.Name)
		}
	}
}

func compare(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s is stale; run: go tool task docs (%v)", path, err)
	}
}

const referenceIntro = `# Configuration

<!-- Written by "go tool task docs" from the settings' own declarations. Do not edit. -->

Settings come from, each overriding the one before: defaults, the file ` + "`.env`" + ` in the
working directory, the environment, flags. An empty variable counts as not set,
except where the setting says what nothing means.
All faults are named at once, and madbase does not start with one: an unknown
variable that begins with ` + "`MADBASE_`, `PGRST_` or `GOTRUE_`" + `, anything unknown in ` + "`.env`" + `,
a value of the wrong type, two names of one setting that disagree.

Durations are written ` + "`90s`, `5m`, `1h30m`" + `; a bare number counts seconds. Lists are separated by
commas, maps are ` + "`key=value,key=value`" + `. Secrets are never printed.
With nothing set, ` + "`madbase serve`" + ` runs its own PostgreSQL and makes its own secrets;
with any role other than ` + "`all`, or with `DATABASE_URL`" + `, nothing secret has a default.
`

func referenceText() string {
	var b strings.Builder
	b.WriteString(referenceIntro)
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s\n", g.title)
		section := ""
		for _, s := range Describe() {
			if s.Group != g.name {
				continue
			}
			if s.Section != section {
				section = s.Section
				fmt.Fprintf(&b, "\n### %s\n\n| Variable | Type | Default | Meaning |\n|---|---|---|---|\n", section)
			}
			b.WriteString(row(s))
		}
	}
	b.WriteString("\n## Read by the compose files only\n\n| Variable | Type | Default | Meaning |\n|---|---|---|---|\n")
	for _, s := range ComposeSettings() {
		b.WriteString(row(s))
	}
	return b.String()
}

func row(s Setting) string {
	name, standard := "`"+s.Name+"`", ""
	if s.Flag != "" {
		name += "<br>`--" + s.Flag + "`"
	}
	if len(s.Aliases) > 0 {
		name += "<br>also `" + strings.Join(s.Aliases, "`, `") + "`"
	}
	if s.Default != "" {
		standard = "`" + s.Default + "`"
	}
	return fmt.Sprintf("| %s | %s | %s | %s |\n", name, s.Type, standard, strings.ReplaceAll(s.Doc, "|", `\|`))
}

func envExample() string {
	var b strings.Builder
	b.WriteString("# Copy to .env. With nothing set, `madbase serve` needs none of this.\n" +
		"# `go tool task compose:env` makes a .env with fresh secrets for docker compose.\n" +
		"# Written by \"go tool task docs\"; docs/configuration.md says the same as tables.\n")
	settings := append(Describe(), ComposeSettings()...)
	for _, g := range groups {
		fmt.Fprintf(&b, "\n# ==== %s ====\n", g.title)
		for _, s := range settings {
			if s.Group != g.name {
				continue
			}
			b.WriteString("\n" + wrap(s.Doc, "# ", 100))
			if len(s.Aliases) > 0 {
				b.WriteString("# Also read as " + strings.Join(s.Aliases, ", ") + ".\n")
			}
			b.WriteString(assignment(s) + "\n")
		}
	}
	return b.String()
}

// assignment is the setting's line: empty where a value must come, else a
// comment that shows the default.
func assignment(s Setting) string {
	if prefix, ok := s.wildcard(); ok {
		return "# " + prefix + "NAME="
	}
	if s.Group == "required" || s.Section == "Compose" && s.Default == "" {
		return s.Name + "="
	}
	if strings.ContainsAny(s.Default, " #'\"") {
		return "# " + s.Name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s.Default) + `"`
	}
	return "# " + s.Name + "=" + s.Default
}
