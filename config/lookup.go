package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// raw is a setting's value as it was given: text, or a map for a name with *.
type raw struct {
	text    string
	entries map[string]string
}

// into fills b's field.
func (r *raw) into(b binding) error {
	if r.entries != nil {
		b.field.Set(reflect.ValueOf(r.entries))
		return nil
	}
	return decode(b.field, r.text)
}

// lookup finds b's value and the name that gave it, which is empty for a default;
// the value is nil when there is none. Two names of one setting may be set in one
// place when they agree, or when the first of them is to win.
func (b binding) lookup(flags map[string]string, sources ...map[string]string) (*raw, string, error) {
	if text, given := flags[b.Flag]; given && b.Flag != "" {
		return &raw{text: text}, "--" + b.Flag, nil
	}
	if b.FirstName {
		sources = []map[string]string{b.firstName(sources)}
	}
	for _, source := range sources {
		if prefix, ok := b.wildcard(); ok {
			if entries := withPrefix(source, prefix); len(entries) > 0 {
				return &raw{entries: entries}, b.Name, nil
			}
			continue
		}
		value, from, err := b.fromSource(source)
		if value != nil || err != nil {
			return value, from, err
		}
	}
	if b.Default != "" {
		return &raw{text: b.Default}, "", nil
	}
	return nil, "", nil
}

// firstName is the one variable of b that counts, from the first source that has it.
func (b binding) firstName(sources []map[string]string) map[string]string {
	for _, name := range b.names() {
		for _, source := range sources {
			if source[name] != "" {
				return map[string]string{name: source[name]}
			}
		}
	}
	return nil
}

func (b binding) fromSource(source map[string]string) (*raw, string, error) {
	value, from := "", ""
	for _, name := range b.names() {
		v, set := source[name]
		switch {
		case v == "" && set && b.Emptyable && from == "":
			from = name
		case v == "":
		case value == "":
			value, from = v, name
		case v != value:
			return nil, "", fmt.Errorf("%s and %s are names of one setting and have different values", from, name)
		}
	}
	if from == "" {
		return nil, "", nil
	}
	return &raw{text: value}, from, nil
}

// withPrefix returns the variables that begin with prefix, by the rest of
// their names in lower case.
func withPrefix(source map[string]string, prefix string) map[string]string {
	entries := map[string]string{}
	for name, value := range source {
		if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" {
			entries[strings.ToLower(rest)] = value
		}
	}
	return entries
}

// names knows which variables and flags exist.
type names struct {
	variables map[string]bool
	prefixes  []string
	flags     map[string]bool
}

func newNames(all []binding) names {
	n := names{variables: map[string]bool{}, flags: map[string]bool{}}
	for _, b := range all {
		if prefix, ok := b.wildcard(); ok {
			n.prefixes = append(n.prefixes, prefix)
		}
		for _, name := range b.names() {
			n.variables[name] = true
		}
		if b.Flag != "" {
			n.flags[b.Flag] = true
		}
	}
	return n
}

func (n names) known(name string) bool {
	return n.variables[name] || slices.ContainsFunc(n.prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// checkFile refuses what nobody reads: a .env file belongs to madbase and to
// the compose files beside it.
func (n names) checkFile(path string, file map[string]string, faults *Faults) {
	for _, name := range slices.Sorted(maps.Keys(file)) {
		if !n.known(name) && !composeKnows(name) {
			faults.add(fmt.Errorf("%s: %s is not a setting%s", path, name, n.suggest(name)))
		}
	}
}

// ownPrefixes are those under which an unknown variable is a mistake.
var ownPrefixes = []string{"MADBASE_", "PGRST_", "GOTRUE_"}

// testPrefix begins the variables that only tests read.
const testPrefix = "MADBASE_TEST_"

func (n names) checkEnvironment(environ map[string]string, faults *Faults) {
	for _, name := range slices.Sorted(maps.Keys(environ)) {
		if n.known(name) || strings.HasPrefix(name, testPrefix) {
			continue
		}
		if slices.ContainsFunc(ownPrefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			faults.add(fmt.Errorf("%s is not a setting of madbase%s", name, n.suggest(name)))
		}
	}
}

func (n names) checkFlags(flags map[string]string, faults *Faults) {
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		if !n.flags[name] {
			faults.add(fmt.Errorf("--%s is not a flag", name))
		}
	}
}

// suggest names a variable that differs from name in at most two letters.
func (n names) suggest(name string) string {
	best, bestAt := "", 3
	for _, candidate := range slices.Sorted(maps.Keys(n.variables)) {
		if d := distance(name, candidate); d < bestAt {
			best, bestAt = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return " (did you mean " + best + "?)"
}

// distance counts the single-letter edits between a and b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j+1]+1, row[j]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
