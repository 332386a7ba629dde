package config

import (
	"strings"
	"testing"
)

func TestEverySettingIsWellDescribed(t *testing.T) {
	t.Parallel()
	owner := map[string]string{}
	flags := map[string]bool{}
	for _, s := range append(Describe(), ComposeSettings()...) {
		where := s.Section + "." + s.Name
		if s.Type == "" {
			t.Errorf("%s has a type that cannot be set", where)
		}
		if s.Group != "required" && s.Group != "storage" && s.Group != "optional" {
			t.Errorf("%s has group %q", where, s.Group)
		}
		if !strings.HasSuffix(s.Doc, ".") || strings.TrimSpace(s.Doc) != s.Doc {
			t.Errorf("%s: the doc is not a sentence: %q", where, s.Doc)
		}
		if s.Flag != "" && flags[s.Flag] {
			t.Errorf("%s: flag --%s is another setting's", where, s.Flag)
		}
		flags[s.Flag] = true
		for _, name := range s.names() {
			if !variableName.MatchString(strings.TrimSuffix(name, "*")) {
				t.Errorf("%s: %q is not a variable's name", where, name)
			}
			if other, taken := owner[name]; taken {
				t.Errorf("%s: %s is a name of %s too", where, name, other)
			}
			owner[name] = where
		}
	}
}

func TestHelpNamesEverySetting(t *testing.T) {
	t.Parallel()
	text := Help()
	for _, s := range Describe() {
		for _, name := range append(s.names(), s.Flag) {
			if !strings.Contains(text, name) {
				t.Errorf("%s is missing", name)
			}
		}
	}
	if !strings.Contains(text, "--listen, LISTEN_ADDR") || !strings.Contains(text, "LOG_LEVEL (RUST_LOG, ") {
		t.Error(text)
	}
}

func TestDefaultsAreValid(t *testing.T) {
	t.Parallel()
	if c := load(t, Input{}); c.Redacted() != "LISTEN_ADDR=:8000\nMADBASE_PUBLIC_URL=http://localhost:8000\n" {
		t.Errorf("the defaults differ from themselves:\n%s", c.Redacted())
	}
}

// sharedNames are the variables that more than one setting takes on purpose.
var sharedNames = map[string]string{
	"GOTRUE_LOG_LEVEL": "the level counts, and GoTrue's other settings of its log are taken with it",
}

// TestEachVariableFillsOneField keeps two structs from taking one variable, by any
// of its names or by a prefix, without knowing of each other.
func TestEachVariableFillsOneField(t *testing.T) {
	t.Parallel()
	all := bindings(new(Config))
	holders := map[string]int{}
	for _, b := range all {
		for _, name := range b.names() {
			holders[name]++
		}
	}
	for _, b := range all {
		prefix, many := b.wildcard()
		for name := range holders {
			if many && name != b.Name && strings.HasPrefix(name, prefix) {
				holders[name]++
			}
		}
	}
	for name, n := range holders {
		if _, known := sharedNames[name]; known != (n > 1) {
			t.Errorf("%s fills %d fields, and is listed as shared: %t", name, n, known)
		}
	}
	for name := range sharedNames {
		if holders[name] == 0 {
			t.Errorf("%s is no setting any more", name)
		}
	}
}
