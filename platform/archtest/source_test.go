package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"
)

// modulePath begins the import paths of this module.
const modulePath = "github.com/madbase/madbase"

// source is one Go file of the module.
type source struct {
	path    string // slash-separated, from the module's root
	dir     string
	test    bool // a _test.go file
	lines   int
	imports []string
	file    *ast.File
	fset    *token.FileSet
}

// pkg is the file's package as the rules name it: its folder, "" for the root.
func (s *source) pkg() string {
	if s.dir == "." {
		return ""
	}
	return s.dir
}

// at is where a node of the file is.
func (s *source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.path, s.fset.Position(n.Pos()).Line)
}

// own returns the imported folders of this module, "" for its root.
func (s *source) own() []string {
	var dirs []string
	for _, i := range s.imports {
		if i == modulePath {
			dirs = append(dirs, "")
		} else if dir, ok := strings.CutPrefix(i, modulePath+"/"); ok {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// within reports whether dir is root or below it.
func within(dir, root string) bool { return dir == root || strings.HasPrefix(dir, root+"/") }

// parseTree reads every hand-written Go file below root that belongs to this
// module: nested modules, test data and hidden folders do not.
func parseTree(root fs.FS) ([]*source, error) {
	var all []*source
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p != "." && skipDir(root, p) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(p) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		s, err := parseSource(p, text)
		if err == nil && !ast.IsGenerated(s.file) {
			all = append(all, s)
		}
		return err
	})
	return all, err
}

func skipDir(root fs.FS, p string) bool {
	name := path.Base(p)
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "node_modules" || name == "internal_deps" {
		return true
	}
	_, err := fs.Stat(root, p+"/go.mod")
	return err == nil
}

func parseSource(p string, text []byte) (*source, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, p, text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	s := &source{path: p, dir: path.Dir(p), test: strings.HasSuffix(p, "_test.go"), file: file, fset: fset, lines: strings.Count(string(text), "\n")}
	for _, i := range file.Imports {
		name, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return nil, err
		}
		s.imports = append(s.imports, name)
	}
	return s, nil
}

// house is the module that this test belongs to.
func house(t *testing.T) []*source {
	t.Helper()
	all, err := parseTree(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("only %d files were found", len(all))
	}
	return all
}

// report makes every fault of a check an error of the test.
func report(t *testing.T, faults []string) {
	t.Helper()
	for _, f := range faults {
		t.Error(f)
	}
}
