package config

import (
	"strings"
	"testing"
)

func TestParseEnvFile(t *testing.T) {
	t.Parallel()
	values, faults := parseEnvFile(".env", "\ufeff# comment\r\n\r\nA=1\r\n export B = two words # not this\nC='# $A \"x\"' # c\n"+
		`D="a\n\t\"\\\$" `+"\nE=\nF=a#b\nG=#nothing\nexportx=1\nH=\"\"\n")
	want := map[string]string{"A": "1", "B": "two words", "C": `# $A "x"`, "D": "a\n\t\"\\$", "E": "", "F": "a#b", "G": "", "exportx": "1", "H": ""}
	if len(faults) > 0 || len(values) != len(want) {
		t.Fatalf("got %q %v", values, faults)
	}
	for key, value := range want {
		if values[key] != value {
			t.Errorf("%s: got %q, want %q", key, values[key], value)
		}
	}
}

func TestParseEnvFileFaults(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"hush":           ".env:2: is not KEY=VALUE",
		"1A=hush":        "does not begin with a variable's name",
		"A B=hush":       "does not begin with a variable's name",
		"A='hush":        "A has a quote that is not closed",
		`A="hush`:        "A has a quote that is not closed",
		`A="hush\`:       "A has a quote that is not closed",
		`A="hush\x"`:     "A has an escape other than",
		`A="hush" hush`:  "A has text after its closing quote",
		"FIRST=hush":     "FIRST is set twice",
		"export =hush":   "does not begin with a variable's name",
		"A='hush' x # y": "A has text after its closing quote",
	} {
		_, faults := parseEnvFile(".env", "FIRST=1\n"+line)
		if len(faults) != 1 || !strings.Contains(faults[0].Error(), want) || strings.Contains(faults[0].Error(), "hush") {
			t.Errorf("%s: got %v, want one with %q", line, faults, want)
		}
	}
}

func FuzzParseEnvFile(f *testing.F) {
	f.Add("A=1\nexport B='x'\nC=\"\\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		values, _ := parseEnvFile(".env", text)
		for key, value := range values {
			if !variableName.MatchString(key) || strings.Contains(value, "\r\n") {
				t.Errorf("%q=%q from %q", key, value, text)
			}
		}
	})
}
