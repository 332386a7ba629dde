// Package jsonpath finds a value in decoded JSON by a path: the part of JSON Path
// (RFC 9535) that names roles in claims - members, elements, wildcards and filters
// that compare the current value with a text - and the older form of PostgREST.
package jsonpath

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Path is a parsed path.
type Path struct{ steps []step }

// step makes the values that it selects of one value.
type step func(any) []any

// ErrSyntax is wrapped by the errors of Parse.
var ErrSyntax = errors.New("jsonpath: not a path such as $.role, $['realm']['roles'][0] or $.roles[?(@ == 'admin')]")

// Parse reads a path. Without the leading $ it is one of the older form, which has
// the comparisons ^==, ==^ and *== besides: begins with, ends with and contains.
func Parse(text string) (*Path, error) {
	p := &parser{rest: text}
	_ = p.take("$")
	path := &Path{}
	for p.rest != "" {
		s, err := p.step()
		if err != nil {
			return nil, fmt.Errorf("%w at %q", err, p.rest)
		}
		path.steps = append(path.steps, s)
	}
	if len(path.steps) == 0 {
		return nil, ErrSyntax
	}
	return path, nil
}

// First returns the first value that the path selects in v.
func (p *Path) First(v any) (any, bool) {
	values := []any{v}
	for _, s := range p.steps {
		var next []any
		for _, v := range values {
			next = append(next, s(v)...)
		}
		values = next
	}
	if len(values) == 0 {
		return nil, false
	}
	return values[0], true
}

type parser struct{ rest string }

func (p *parser) take(prefix string) bool {
	rest, found := strings.CutPrefix(p.rest, prefix)
	if found {
		p.rest = rest
	}
	return found
}

func (p *parser) spaces() { p.rest = strings.TrimLeft(p.rest, " \t\n\r") }

func (p *parser) step() (step, error) {
	switch {
	case p.take(".*"):
		return all, nil
	case p.take("."):
		if strings.HasPrefix(p.rest, `"`) { // the older form
			name, err := p.quoted()
			return member(name), err
		}
		name := p.while(func(c byte) bool {
			return c >= 0x80 || c == '_' || c == '$' || c == '@' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
		})
		if name == "" {
			return nil, ErrSyntax
		}
		return member(name), nil
	case p.take("["):
		return p.bracket()
	}
	return nil, ErrSyntax
}

func (p *parser) bracket() (s step, err error) {
	p.spaces()
	switch {
	case p.take("*"):
		s = all
	case p.take("?"):
		s, err = p.filter()
	case strings.HasPrefix(p.rest, "'") || strings.HasPrefix(p.rest, `"`):
		var name string
		name, err = p.quoted()
		s = member(name)
	default:
		digits := p.while(func(c byte) bool { return c == '-' || '0' <= c && c <= '9' })
		n, notNumber := strconv.Atoi(digits)
		if notNumber != nil {
			return nil, ErrSyntax
		}
		s = element(n)
	}
	if p.spaces(); err == nil && !p.take("]") {
		err = ErrSyntax
	}
	return s, err
}

// comparisons are the filters on a text, by operator; the longer ones come first.
var comparisons = []struct {
	operator string
	holds    func(value, operand string) bool
}{
	{"==^", strings.HasSuffix},
	{"^==", strings.HasPrefix},
	{"*==", strings.Contains},
	{"==", func(v, operand string) bool { return v == operand }},
	{"!=", func(v, operand string) bool { return v != operand }},
}

// filter reads what follows "[?": a comparison or a call of match or search, in
// parentheses or not.
func (p *parser) filter() (step, error) {
	p.spaces()
	parenthesis := p.take("(")
	p.spaces()
	holds, err := p.condition()
	if err != nil {
		return nil, err
	}
	if p.spaces(); parenthesis && !p.take(")") {
		return nil, ErrSyntax
	}
	return func(v any) []any {
		return slices.DeleteFunc(all(v), func(v any) bool {
			text, ok := v.(string)
			return !ok || !holds(text)
		})
	}, nil
}

func (p *parser) condition() (func(string) bool, error) {
	if p.take("@") {
		p.spaces()
		for _, c := range comparisons {
			if p.take(c.operator) {
				p.spaces()
				operand, err := p.quoted()
				return func(v string) bool { return c.holds(v, operand) }, err
			}
		}
		return nil, ErrSyntax
	}
	whole := p.take("match(")
	if !whole && !p.take("search(") {
		return nil, ErrSyntax
	}
	p.spaces()
	if !p.take("@") {
		return nil, ErrSyntax
	}
	p.spaces()
	if !p.take(",") {
		return nil, ErrSyntax
	}
	p.spaces()
	text, err := p.quoted()
	if err != nil {
		return nil, err
	}
	if p.spaces(); !p.take(")") {
		return nil, ErrSyntax
	}
	if whole {
		text = `\A(?:` + text + `)\z`
	}
	pattern, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	return pattern.MatchString, nil
}

func (p *parser) while(accept func(byte) bool) string {
	end := 0
	for end < len(p.rest) && accept(p.rest[end]) {
		end++
	}
	text := p.rest[:end]
	p.rest = p.rest[end:]
	return text
}

// quoted reads a text in single or double quotes; a backslash takes the next
// character as it is.
func (p *parser) quoted() (string, error) {
	if p.rest == "" || p.rest[0] != '\'' && p.rest[0] != '"' {
		return "", ErrSyntax
	}
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == p.rest[0]:
			p.rest = p.rest[i+1:]
			return b.String(), nil
		case c == '\\' && i+1 < len(p.rest):
			i++
			b.WriteByte(p.rest[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", ErrSyntax
}

func member(name string) step {
	return func(v any) []any {
		if object, ok := v.(map[string]any); ok {
			if found, ok := object[name]; ok {
				return []any{found}
			}
		}
		return nil
	}
}

func element(n int) step {
	return func(v any) []any {
		list, _ := v.([]any)
		i := n
		if i < 0 {
			i += len(list)
		}
		if i < 0 || i >= len(list) {
			return nil
		}
		return list[i : i+1 : i+1]
	}
}

// all selects an object's members, by name, or a list's elements.
func all(v any) []any {
	switch v := v.(type) {
	case []any:
		return slices.Clone(v)
	case map[string]any:
		values := make([]any, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			values = append(values, v[name])
		}
		return values
	}
	return nil
}
