package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/madbase/madbase/platform/secret"
)

// Setting describes one setting for help texts and documentation.
type Setting struct {
	// Name is the environment variable, Aliases its other names. A Name that
	// ends in * stands for all variables with that prefix.
	Name    string
	Aliases []string
	// Flag is the name of its command line flag, empty when it has none.
	Flag string
	// Type is text, secret, bool, number, duration, list or map.
	Type    string
	Default string
	Doc     string
	// Group is required, storage or optional.
	Group string
	// Emptyable settings can be set to nothing; for all others empty is as not set.
	Emptyable bool
	// FirstName settings take the first of their names that is set, and may have
	// different values under the others: other programs read those too.
	FirstName bool
	// Section is the field of Config that the setting belongs to, as "Server".
	Section string
	// Family is the same for settings that several structs of one type have, each
	// under a prefix of its own; empty for all others.
	Family string
	// Project settings can have a value of their own in each project, at run time.
	Project bool
	// Secret says that values are never shown, and sealed where they are stored.
	Secret bool
}

// names are all variables of the setting, its own first.
func (s Setting) names() []string { return append([]string{s.Name}, s.Aliases...) }

// wildcard returns the prefix of a setting that collects variables.
func (s Setting) wildcard() (prefix string, ok bool) { return strings.CutSuffix(s.Name, "*") }

// binding is a setting with the field that it fills.
type binding struct {
	Setting
	field reflect.Value
	// collected is the prefix of the variables in field, where this is one of them.
	collected string
}

// bindings lists the settings of c in the order in which they are written.
func bindings(c any) []binding {
	var all []binding
	root := reflect.ValueOf(c).Elem()
	for i := range root.NumField() {
		f := root.Type().Field(i)
		all = appendBindings(all, Setting{Section: f.Name}, root.Field(i), f)
	}
	return all
}

// appendBindings adds the settings in v, which f declares. outer has what they all
// take from the structs around them.
func appendBindings(all []binding, outer Setting, v reflect.Value, f reflect.StructField) []binding {
	if !f.IsExported() {
		return all
	}
	if scope := f.Tag.Get("scope"); scope != "" {
		outer.Project = scope == "project"
	}
	if env := f.Tag.Get("env"); env != "" {
		names := strings.Split(env, ",")
		return append(all, binding{field: v, Setting: Setting{
			Name: names[0], Aliases: names[1:], Flag: f.Tag.Get("flag"), Type: typeName(v.Type()),
			Default: f.Tag.Get("default"), Doc: f.Tag.Get("doc"), Group: f.Tag.Get("group"), Emptyable: f.Tag.Get("empty") == "value",
			FirstName: f.Tag.Get("names") == "first", Section: outer.Section, Project: outer.Project,
			Secret: v.Type() == reflect.TypeFor[secret.String]() || f.Tag.Get("secret") == "values",
		}})
	}
	if v.Kind() == reflect.Struct {
		first := len(all)
		for i := range v.NumField() {
			all = appendBindings(all, outer, v.Field(i), v.Type().Field(i))
		}
		if prefix := f.Tag.Get("prefix"); prefix != "" {
			for i := range all[first:] {
				b := &all[first+i]
				b.Family = f.Type.String() + " " + b.Name
				b.Name = prefix + b.Name
			}
		}
	}
	return all
}

// Describe lists every setting once. A variable that two packages read is
// described where it comes first, and so is a family.
func Describe() []Setting {
	var settings []Setting
	seen := map[string]bool{}
	for _, b := range bindings(new(Config)) {
		key := b.Name
		if b.Family != "" {
			key = b.Family
		}
		if !seen[key] {
			seen[key] = true
			settings = append(settings, b.Setting)
		}
	}
	return settings
}

// Redacted prints the settings that differ from their defaults as NAME=value
// lines, with secrets masked.
func (c *Config) Redacted() string {
	var b strings.Builder
	seen := map[string]bool{}
	for _, s := range bindings(c) {
		text := encode(s.field)
		if seen[s.Name] || s.isDefault() {
			continue
		}
		if _, many := s.wildcard(); many {
			text = "[redacted]" // whatever the collected variables are, some are secrets
		}
		seen[s.Name] = true
		fmt.Fprintf(&b, "%s=%s\n", s.Name, text)
	}
	return b.String()
}

// isDefault reports whether the field holds what nothing set gives it.
func (b binding) isDefault() bool {
	standard := reflect.New(b.field.Type()).Elem()
	if b.Default != "" {
		if err := decode(standard, b.Default); err != nil {
			return false
		}
	}
	return reflect.DeepEqual(standard.Interface(), b.field.Interface())
}
