package archtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// tree parses a made-up module.
func tree(t *testing.T, files map[string]string) []*source {
	t.Helper()
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	all, err := parseTree(m)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// importing is a file of package p that imports the named folders and packages.
func importing(imports ...string) string {
	text := "// Package p is made up.\npackage p\n"
	for _, i := range imports {
		text += fmt.Sprintf("import _ %q\n", i)
	}
	return text
}

func TestChecksFindWhatTheyForbid(t *testing.T) {
	t.Parallel()
	const own = modulePath + "/"
	for name, tt := range map[string]struct {
		check func([]*source) []string
		file  string
		text  string
		fault string // empty: allowed
	}{
		"platform imports a module":    {checkLayers, "platform/x/x.go", importing(own + "modules/auth"), "neither modules"},
		"platform test imports config": {checkLayers, "platform/x/x_test.go", importing(own + "config"), "neither modules"},
		"platform imports sql":         {checkLayers, "platform/testkit/x.go", importing(own + "sql"), ""},
		"module imports module":        {checkLayers, "modules/auth/store/x.go", importing(own + "modules/rest/ast"), "never imports another"},
		"module imports config":        {checkLayers, "modules/auth/x.go", importing(own + "config"), "its own Config"},
		"module imports its own":       {checkLayers, "modules/auth/x.go", importing(own+"modules/auth/store", own+"platform/db", own+"sql"), ""},
		"module imports the wiring":    {checkLayers, "modules/auth/x.go", importing(own + "modules"), "only main"},
		"config imports a module":      {checkLayers, "config/x.go", importing(own + "modules/auth"), ""},
		"config imports the wiring":    {checkLayers, "config/x.go", importing(own + "modules"), "only main"},
		"wiring imports all":           {checkLayers, "modules/modules.go", importing(own+"modules/auth", own+"config", own+"platform/db"), ""},
		"main imports a module":        {checkLayers, "main.go", importing(own + "modules/auth"), "through modules.go"},
		"main imports the wiring":      {checkLayers, "main.go", importing(own+"modules", own+"config"), ""},
		"request knows schema":         {checkStages, "modules/rest/request/x.go", importing(own + "modules/rest/schema"), "must not know schema"},
		"plan knows ast":               {checkStages, "modules/rest/plan/x.go", importing(own + "modules/rest/ast"), ""},
		"sqlgen knows HTTP":            {checkStages, "modules/rest/sqlgen/x.go", importing("net/http"), "must not know HTTP"},
		"render knows sqlgen":          {checkStages, "modules/rest/render/x.go", importing(own + "modules/rest/sqlgen"), "must not know sqlgen"},
		"store knows Echo":             {checkStages, "modules/auth/store/x.go", importing("github.com/labstack/echo/v4"), "must not know HTTP"},
		"SQL in a handler":             {checkSQLText, "modules/auth/x.go", "package auth\nconst q = `\n select a\n from b where c`", "x.go:2: SQL text"},
		"SQL in a store":               {checkSQLText, "modules/auth/store/x.go", "package store\nconst q = `delete from b`", ""},
		"words in a handler":           {checkSQLText, "modules/auth/x.go", "package auth\nconst q = `select one`", ""},
		"init":                         {checkHabits, "platform/x/x.go", "package x\nfunc init() {}", "init is banned"},
		"helpers":                      {checkHabits, "platform/helpers/x.go", "package helpers", "says nothing"},
		"Getenv":                       {checkHabits, "platform/x/x.go", "package x\nimport \"os\"\nvar v = os.Getenv(\"A\")", "os.Getenv"},
		"Getenv in a test":             {checkHabits, "platform/x/x_test.go", "package x\nimport \"os\"\nvar v = os.Getenv(\"A\")", ""},
		"DefaultClient":                {checkHabits, "modules/x/x.go", "package x\nimport \"net/http\"\nvar v = http.DefaultClient", "http.DefaultClient"},
		"undocumented function":        {checkDocs, "platform/x/x.go", "// Package x.\npackage x\nfunc F() {}", "F has no doc comment"},
		"undocumented method":          {checkDocs, "platform/x/x.go", "// Package x.\npackage x\n// T is.\ntype T[A any] struct{}\nfunc (t *T[A]) M() {}", "M has no doc comment"},
		"method of a hidden type":      {checkDocs, "platform/x/x.go", "// Package x.\npackage x\ntype t struct{}\nfunc (t) M() {}", ""},
		"undocumented value":           {checkDocs, "platform/x/x.go", "// Package x.\npackage x\nvar V = 1", "V has no doc comment"},
		"values with a common comment": {checkDocs, "platform/x/x.go", "// Package x.\npackage x\n// All.\nconst (\nA = 1\nB = 2\n)", ""},
		"undocumented package":         {checkDocs, "platform/x/x.go", "package x", "platform/x: the package"},
		"long file":                    {sizes, "x.go", "package x\n" + strings.Repeat("//\n", 800), "801 lines"},
		"long function":                {sizes, "x.go", "package x\nfunc f() {" + strings.Repeat("\n", 100) + "}", "101 lines"},
		"long table":                   {sizes, "x.go", "package x\n//archtest:table it is one\nfunc f() {" + strings.Repeat("\n", 100) + "}", "percentile"},
		"long table without a reason":  {sizes, "x.go", "package x\n//archtest:table\nfunc f() {" + strings.Repeat("\n", 100) + "}", "101 lines"},
		"many parameters":              {sizes, "x.go", "package x\nfunc f(a, b, c int, d, e, f string) {}", "6 parameters"},
		"another module":               {sizes, "nested/x.go", "package x\nfunc f(a, b, c int, d, e, f string) {}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faults := tt.check(tree(t, map[string]string{tt.file: tt.text, "nested/go.mod": "module nested"}))
			found := slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, tt.fault) })
			if tt.fault == "" && len(faults) > 0 || tt.fault != "" && !found {
				t.Errorf("want %q, got %q", tt.fault, faults)
			}
		})
	}
}

func sizes(all []*source) []string {
	faults, _ := checkSizes(all)
	return faults
}
