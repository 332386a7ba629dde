package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"testing"
)

// Rule 6: no init, no packages that say nothing, the environment read in one place.
func TestNoHiddenMachinery(t *testing.T) {
	t.Parallel()
	report(t, checkHabits(house(t)))
}

// emptyNames are names of packages that say nothing about what is in them.
var emptyNames = []string{"util", "utils", "common", "helper", "helpers", "model", "models", "type", "types", "misc"}

// banned are calls and values that have a better place; the folders may use them.
var banned = []struct {
	pkg, name string
	allowed   []string
	instead   string
}{
	{"os", "Getenv", []string{"config", "platform/testdb", "platform/testkit"}, "settings come from config"},
	{"os", "LookupEnv", []string{"config", "platform/testdb", "platform/testkit"}, "settings come from config"},
	{"net/http", "DefaultClient", nil, "clients are made once, with timeouts, and passed in"},
	{"net/http", "Get", nil, "clients are made once, with timeouts, and passed in"},
	{"time", "Sleep", nil, "wait for what is expected, under a context"},
	{"net/http", "Post", nil, "clients are made once, with timeouts, and passed in"},
}

func checkHabits(all []*source) (faults []string) {
	for _, s := range all {
		if slices.Contains(emptyNames, path.Base(s.dir)) || slices.Contains(emptyNames, s.file.Name.Name) {
			faults = append(faults, s.path+": the package's name says nothing")
		}
		if s.test {
			continue
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				faults = append(faults, s.at(f)+": init is banned: what happens is called")
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				faults = append(faults, bannedUse(s, sel)...)
			}
			return true
		})
	}
	return faults
}

func bannedUse(s *source, sel *ast.SelectorExpr) (faults []string) {
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return nil
	}
	for _, b := range banned {
		if x.Name == path.Base(b.pkg) && sel.Sel.Name == b.name && slices.Contains(s.imports, b.pkg) && !target(s.pkg(), b.allowed...) {
			faults = append(faults, fmt.Sprintf("%s: %s.%s: %s", s.at(sel), x.Name, b.name, b.instead))
		}
	}
	return faults
}

// Rule 7, last part: every package and every exported name is explained.
func TestEverythingExportedIsDocumented(t *testing.T) {
	t.Parallel()
	report(t, checkDocs(house(t)))
}

func checkDocs(all []*source) (faults []string) {
	documented := map[string]bool{}
	for _, s := range all {
		if s.test {
			continue
		}
		documented[s.dir] = documented[s.dir] || s.file.Doc.Text() != ""
		for _, d := range s.file.Decls {
			faults = append(faults, undocumented(s, d)...)
		}
	}
	for dir, ok := range documented {
		if !ok {
			faults = append(faults, dir+": the package has no doc comment")
		}
	}
	slices.Sort(faults)
	return faults
}

func undocumented(s *source, d ast.Decl) (faults []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && receiverExported(d) && d.Doc.Text() == "" {
			faults = append(faults, s.at(d)+": "+d.Name.Name+" has no doc comment")
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if name := exportedName(spec); name != "" && d.Doc.Text() == "" && specDoc(spec) == "" {
				faults = append(faults, s.at(spec)+": "+name+" has no doc comment")
			}
		}
	}
	return faults
}

// receiverExported is true for functions, and for methods of exported types.
func receiverExported(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	t := f.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

func exportedName(spec ast.Spec) string {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Name.IsExported() {
			return spec.Name.Name
		}
	case *ast.ValueSpec:
		for _, n := range spec.Names {
			if n.IsExported() {
				return n.Name
			}
		}
	}
	return ""
}

func specDoc(spec ast.Spec) string {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		return spec.Doc.Text() + spec.Comment.Text()
	case *ast.ValueSpec:
		return spec.Doc.Text() + spec.Comment.Text()
	}
	return ""
}
