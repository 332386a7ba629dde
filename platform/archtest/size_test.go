package archtest

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// Rule 7: the size budget of what is not a test.
const (
	fileMedian, fileP95, fileMax             = 150, 500, 800
	functionMedian, functionP95, functionMax = 12, 60, 100
	maxParameters                            = 5
)

func TestSizesStayWithinTheBudget(t *testing.T) {
	t.Parallel()
	faults, summary := checkSizes(house(t))
	report(t, faults)
	t.Log(summary)
}

func checkSizes(all []*source) (faults []string, summary string) {
	var files, functions []int
	for _, s := range all {
		if s.test {
			continue
		}
		files = append(files, s.lines)
		if s.lines > fileMax {
			faults = append(faults, fmt.Sprintf("%s has %d lines, at most %d may be", s.path, s.lines, fileMax))
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
			functions = append(functions, n)
			if n > functionMax && !isTable(f) {
				faults = append(faults, fmt.Sprintf("%s: %s has %d lines, at most %d may be", s.at(f), f.Name.Name, n, functionMax))
			}
			if p := f.Type.Params.NumFields(); p > maxParameters {
				faults = append(faults, fmt.Sprintf("%s: %s has %d parameters, at most %d may be", s.at(f), f.Name.Name, p, maxParameters))
			}
		}
	}
	for _, b := range []struct {
		what            string
		sizes           []int
		percent, budget int
	}{
		{"files", files, 50, fileMedian},
		{"files", files, 95, fileP95},
		{"functions", functions, 50, functionMedian},
		{"functions", functions, 95, functionP95},
	} {
		n := percentile(b.sizes, b.percent)
		summary += fmt.Sprintf("%s p%d: %d lines of %d. ", b.what, b.percent, n, b.budget)
		if n > b.budget {
			faults = append(faults, fmt.Sprintf("%s: percentile %d is %d lines, the budget is %d", b.what, b.percent, n, b.budget))
		}
	}
	return faults, summary
}

// isTable reports whether f's doc comment claims the exemption with a reason.
func isTable(f *ast.FuncDecl) bool {
	return f.Doc != nil && slices.ContainsFunc(f.Doc.List, func(c *ast.Comment) bool {
		reason, ok := strings.CutPrefix(c.Text, "//archtest:table")
		return ok && strings.TrimSpace(reason) != ""
	})
}

// percentile is the least size that percent of sizes do not exceed.
func percentile(sizes []int, percent int) int {
	if len(sizes) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(sizes))
	return sorted[(len(sorted)*percent+99)/100-1]
}
