package config

import (
	"fmt"
	"strings"
)

// groups are the groups of settings in the order in which they are shown.
var groups = []struct{ name, title string }{
	{"required", "Required outside the embedded default"},
	{"storage", "Storage"},
	{"optional", "Optional"},
}

// Help lists every setting with its names, its default and its sentence, for a
// terminal of 80 columns.
func Help() string {
	var b strings.Builder
	for _, g := range groups {
		fmt.Fprintf(&b, "%s:\n", g.title)
		for _, s := range Describe() {
			if s.Group == g.name {
				fmt.Fprintf(&b, "  %s\n%s", s.headline(), wrap(s.Doc, "      ", 80))
			}
		}
		b.WriteByte('\n')
	}
	return strings.TrimRight(b.String(), "\n")
}

// headline is the setting's names and default on one line.
func (s Setting) headline() string {
	text := s.Name
	if len(s.Aliases) > 0 {
		text += " (" + strings.Join(s.Aliases, ", ") + ")"
	}
	if s.Flag != "" {
		text = "--" + s.Flag + ", " + text
	}
	text += "  " + s.Type
	if s.Default != "" {
		text += " = " + s.Default
	}
	return text
}

// wrap breaks text into lines of at most width letters that begin with indent.
func wrap(text, indent string, width int) string {
	var b strings.Builder
	line := indent
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > width && line != indent {
			b.WriteString(line + "\n")
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	return b.String() + line + "\n"
}
