package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/madbase/madbase/platform/secret"
)

// ProjectSettings lists the settings that a project can have a value of its own for,
// in the order in which they are written, each service that people sign in with
// apart. What a project cannot set is the process's: where it listens, what it
// stands on, and what its memory and processors are shared out by.
func ProjectSettings() []Setting {
	var settings []Setting
	for _, b := range bindings(new(Config)) {
		if b.Project {
			settings = append(settings, b.Setting)
		}
	}
	return settings
}

// ProjectSetting finds a setting of projects by any of its names. For one that
// collects variables it is the one variable, such as PGRST_APP_SETTINGS_REGION. The
// error says that the name is no setting's, or that its setting is the process's.
func ProjectSetting(name string) (Setting, error) {
	b, err := newCatalog(bindings(new(Config))).find(name)
	if err != nil {
		return Setting{}, err
	}
	return b.Setting, nil
}

// Overlay returns the settings of a project: those of c, overridden by stored, whose
// keys are the names of variables. An empty text is a value here: nothing, where the
// process has something. c is left as it is. The error is of type Faults and names
// all that is wrong, quoting no secret.
func (c *Config) Overlay(stored map[string]string) (*Config, error) {
	over := *c
	var faults Faults
	known := newCatalog(bindings(&over))
	given := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		b, err := known.find(name)
		if err != nil {
			faults.add(err)
			continue
		}
		if other, twice := given[b.Name]; twice {
			faults.add(fmt.Errorf("%s and %s are names of one setting", other, name))
		}
		given[b.Name] = name
		if err := b.set(stored[name]); err != nil {
			faults.add(fmt.Errorf("%s: %w", name, err))
		}
	}
	faults.add(validateSections(&over, func(f reflect.StructField) bool { return f.Tag.Get("scope") == "project" }))
	if len(faults) > 0 {
		return nil, faults
	}
	return &over, nil
}

// Value is a setting with what it holds.
type Value struct {
	Setting
	// Text is the value as a variable would have it; a secret's is masked.
	Text string
}

// ProjectValues lists what ProjectSettings hold in c. Of those that collect
// variables there is one for each that is set.
func (c *Config) ProjectValues() []Value {
	var values []Value
	for _, b := range bindings(c) {
		prefix, many := b.wildcard()
		switch {
		case !b.Project:
		case many:
			entries, _ := b.field.Interface().(map[string]string)
			for _, key := range slices.Sorted(maps.Keys(entries)) {
				one := b.Setting
				one.Name = prefix + strings.ToUpper(key)
				values = append(values, Value{Setting: one, Text: one.Shown(entries[key])})
			}
		default:
			values = append(values, Value{Setting: b.Setting, Text: encode(b.field)})
		}
	}
	return values
}

// Shown is text as it may be shown: that of a secret is masked.
func (s Setting) Shown(text string) string {
	if s.Secret {
		return secret.String(text).String()
	}
	return text
}

// catalog finds bindings by name.
type catalog struct {
	all    []binding
	byName map[string]int
}

func newCatalog(all []binding) catalog {
	c := catalog{all: all, byName: map[string]int{}}
	for i, b := range all {
		if _, many := b.wildcard(); many {
			continue
		}
		for _, name := range b.names() {
			c.byName[name] = i
		}
	}
	return c
}

// find returns the project's setting of that name. One that collects variables comes
// as the single variable, with the map that it belongs to as its field.
func (c catalog) find(name string) (binding, error) {
	i, found := c.byName[name]
	if found {
		return ofProject(c.all[i], name)
	}
	for _, b := range c.all {
		if prefix, ok := b.wildcard(); ok && len(name) > len(prefix) && strings.HasPrefix(name, prefix) && variableName.MatchString(name) {
			b.Name, b.Aliases, b.collected = strings.ToUpper(name), nil, prefix
			return ofProject(b, name)
		}
	}
	mine := slices.DeleteFunc(slices.Clone(c.all), func(b binding) bool { return !b.Project })
	return binding{}, fmt.Errorf("%.100q is not a setting%s", name, newNames(mine).suggest(name[:min(len(name), 100)]))
}

func ofProject(b binding, name string) (binding, error) {
	if !b.Project {
		return b, fmt.Errorf("%s is a setting of the process, not of a project", name)
	}
	return b, nil
}

// set fills the field with text, or the one entry of a map that collects variables.
// Slices and maps are replaced and never written to: other settings share them.
func (b binding) set(text string) error {
	entries, isMap := b.field.Interface().(map[string]string)
	if isMap && b.collected != "" {
		entries = maps.Clone(entries)
		if entries == nil {
			entries = map[string]string{}
		}
		entries[strings.ToLower(strings.TrimPrefix(b.Name, b.collected))] = text
		b.field.Set(reflect.ValueOf(entries))
		return nil
	}
	if text == "" {
		if kind := b.field.Kind(); kind != reflect.String && kind != reflect.Slice && kind != reflect.Map {
			return errors.New("must not be empty: remove it to have the process's value")
		}
	}
	return decode(b.field, text)
}
