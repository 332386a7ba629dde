package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// parseEnvFile reads KEY=VALUE lines: blank lines and # comments are skipped, a
// leading "export" is allowed. 'single quotes' are literal; in "double quotes"
// \n, \t, \", \\ and \$ are escapes; an unquoted value ends before " #". Nothing
// is expanded. Every fault is named with its line, and no value is quoted.
func parseEnvFile(name, text string) (map[string]string, []error) {
	values := map[string]string{}
	var faults []error
	for i, line := range strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, err := parseEnvLine(line)
		if err == nil {
			if _, twice := values[key]; twice {
				err = fmt.Errorf("%s is set twice", key)
			}
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s:%d: %w", name, i+1, err))
			continue
		}
		values[key] = value
	}
	return values, faults
}

func parseEnvLine(line string) (key, value string, err error) {
	if rest, ok := strings.CutPrefix(line, "export"); ok && strings.TrimLeft(rest, " \t") != rest {
		line = strings.TrimLeft(rest, " \t")
	}
	key, value, found := strings.Cut(line, "=")
	key = strings.TrimSpace(key)
	if !found {
		return "", "", errors.New("is not KEY=VALUE")
	}
	if !variableName.MatchString(key) {
		return "", "", errors.New("does not begin with a variable's name")
	}
	value, err = parseEnvValue(strings.TrimSpace(value))
	if err != nil {
		return "", "", fmt.Errorf("%s %w", key, err)
	}
	return key, value, nil
}

func parseEnvValue(text string) (string, error) {
	if text == "" || text[0] == '#' {
		return "", nil
	}
	value, rest := "", ""
	var err error
	switch text[0] {
	case '\'':
		closing := strings.IndexByte(text[1:], '\'')
		if closing < 0 {
			return "", errors.New("has a quote that is not closed")
		}
		value, rest = text[1:closing+1], text[closing+2:]
	case '"':
		value, rest, err = doubleQuoted(text[1:])
	default:
		if i := strings.Index(text, " #"); i >= 0 {
			text = text[:i]
		}
		return strings.TrimSpace(text), nil
	}
	if rest = strings.TrimSpace(rest); err == nil && rest != "" && rest[0] != '#' {
		err = errors.New("has text after its closing quote")
	}
	return value, err
}

func doubleQuoted(text string) (value, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '"':
			return b.String(), text[i+1:], nil
		case '\\':
			i++
			if i == len(text) {
				return "", "", errors.New("has a quote that is not closed")
			}
			switch text[i] {
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			case '"', '\\', '$':
				b.WriteByte(text[i])
			default:
				return "", "", errors.New(`has an escape other than \n, \t, \", \\ and \$`)
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", "", errors.New("has a quote that is not closed")
}
