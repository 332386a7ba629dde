package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Rules 1 and 2: imports run main -> modules -> modules/X -> platform, never
// sideways between modules and never back.
func TestImportsRunOneWay(t *testing.T) {
	t.Parallel()
	report(t, checkLayers(house(t)))
}

func checkLayers(all []*source) (faults []string) {
	for _, s := range all {
		for _, target := range s.own() {
			if reason := layerFault(s.pkg(), target); reason != "" {
				faults = append(faults, fmt.Sprintf("%s imports %q: %s", s.path, target, reason))
			}
		}
	}
	return faults
}

// surface is the module that a folder belongs to: modules/rest for modules/rest/plan.
func surface(dir string) string {
	rest, ok := strings.CutPrefix(dir, "modules/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return "modules/" + name
}

func layerFault(from, to string) string {
	switch {
	case target(to, "sql", "platform") && within(from, "sql"):
		return "sql holds only SQL"
	case within(from, "platform") && !target(to, "platform", "sql"):
		return "platform knows neither modules nor config"
	case to == "modules" && from != "" && from != "modules":
		return "only main imports the wiring"
	case to == "" && from != "":
		return "nothing imports main"
	case surface(from) != "" && surface(to) != "" && surface(from) != surface(to):
		return "a module never imports another; declare an interface and let modules.go satisfy it"
	case surface(from) != "" && within(to, "config"):
		return "a module takes its own Config, never the whole"
	case from == "" && surface(to) != "":
		return "main sees modules through modules.go only"
	}
	return ""
}

// target reports whether dir is in one of roots.
func target(dir string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(r string) bool { return within(dir, r) })
}

// stages are rest's packages and what each of them may import of the others.
var stages = map[string][]string{
	"ast":     nil,
	"schema":  nil,
	"request": {"ast"},
	"rows":    nil,
	"plan":    {"ast", "schema", "rows"},
	"sqlgen":  {"ast", "schema", "plan"},
	"exec":    {"ast", "schema", "plan", "sqlgen", "rows"},
	"compile": {"ast", "schema", "request", "plan", "sqlgen"},
	"render":  {"ast", "schema", "plan"},
}

// wordless are the packages that do not know HTTP.
var wordless = []string{"ast", "schema", "rows", "plan", "sqlgen"}

// Rule 3: rest is a compiler whose stages are passed in one direction, and store
// packages know no HTTP.
func TestRestIsAPipelineAndStoresKnowNoHTTP(t *testing.T) {
	t.Parallel()
	report(t, checkStages(house(t)))
}

func checkStages(all []*source) (faults []string) {
	for _, s := range all {
		if s.test || surface(s.dir) == "" {
			continue
		}
		stage, isRest := strings.CutPrefix(s.dir, "modules/rest/")
		allowed, isStage := stages[stage]
		for _, i := range s.imports {
			other, ofRest := strings.CutPrefix(i, modulePath+"/modules/rest/")
			knowsHTTP := i == "net/http" || strings.HasPrefix(i, "github.com/labstack/echo")
			switch {
			case isRest && isStage && ofRest && other != stage && !slices.Contains(allowed, other):
				faults = append(faults, fmt.Sprintf("%s: stage %s must not know %s", s.path, stage, other))
			case isRest && slices.Contains(wordless, stage) && knowsHTTP:
				faults = append(faults, fmt.Sprintf("%s: stage %s must not know HTTP", s.path, stage))
			case path.Base(s.dir) == "store" && knowsHTTP:
				faults = append(faults, fmt.Sprintf("%s: a store must not know HTTP", s.path))
			}
		}
	}
	return faults
}

// statement finds SQL in a string.
var statement = regexp.MustCompile(`(?is)^\s*(select\s.+\sfrom\s|insert\s+into\s|update\s+\S+\s+set\s|delete\s+from\s|with\s+\w+\s+as\s*\()`)

// sqlPackages are the last folders of packages that may hold SQL text.
var sqlPackages = []string{"store", "sqlgen", "schema", "exec"}

// Rule 3, second half: handlers hold no SQL text.
func TestHandlersHoldNoSQL(t *testing.T) {
	t.Parallel()
	report(t, checkSQLText(house(t)))
}

func checkSQLText(all []*source) (faults []string) {
	for _, s := range all {
		if s.test || surface(s.dir) == "" || within(s.dir, "modules/e2e") || slices.Contains(sqlPackages, path.Base(s.dir)) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			if text, err := strconv.Unquote(lit.Value); err == nil && statement.MatchString(text) {
				faults = append(faults, s.at(lit)+": SQL text belongs into a store package")
			}
			return true
		})
	}
	return faults
}
