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
