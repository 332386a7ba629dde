package request

import (
	"strings"

	"github.com/madbase/madbase/modules/rest/ast"
)

const expectOperator = `"not" or operator (eq, gt, ...)`

// parseFilter reads a parameter like "clients.id=eq.1". For the arguments of a
// function called by GET, isArgument says that the value is no filter at all.
func parseFilter(key, value string, argumentsToo bool) (f ast.At[ast.Filter], isArgument bool, err error) {
	path, field, err := parseTreePath(key)
	if err != nil {
		return f, false, err
	}
	s := newScanner("filter", value, value)
	f.Path, f.Value.Field = path, field
	err = s.operation(&f.Value, s.restOfText)
	if err != nil && argumentsToo && s.pos == 0 {
		return f, true, nil
	}
	return f, false, err
}

// parseTreePath reads "a.b.column->path": the embeds' path and the field.
func parseTreePath(key string) ([]string, ast.Field, error) {
	s := newScanner("tree path", key, key)
	var names []string
	for {
		name, err := s.name()
		if err != nil {
			return nil, ast.Field{}, err
		}
		names = append(names, name)
		if !s.accept(".") {
			break
		}
	}
	last := len(names) - 1
	path, err := s.jsonPath()
	return names[:last:last], ast.Field{Name: names[last], Path: path}, err
}

// operation reads "not.eq(any).value". The scanner stays where it began when no
// operator comes at all.
func (s *scanner) operation(f *ast.Filter, value func() (string, error)) error {
	start := s.pos
	f.Negate = s.accept("not.")
	op := s.operator(f)
	if op == nil {
		expecting := expectOperator
		if f.Negate {
			expecting = "operator (eq, gt, ...)"
		} else {
			s.pos = start
		}
		return s.fail(expecting)
	}
	f.Op = op
	var err error
	switch op.Kind {
	case ast.In:
		f.List, err = s.list()
	case ast.Is:
		f.Value, err = s.isWord()
	default:
		f.Value, err = value()
	}
	return err
}

// operator reads an operator's name, its modifier and the dot. Nil and an
// unmoved scanner mean that there is none.
func (s *scanner) operator(f *ast.Filter) *ast.Operator {
	start := s.pos
	name := s.takeWhile(func(r rune) bool { return r >= 'a' && r <= 'z' })
	op := ast.LookupOperator(name)
	if op == nil {
		s.pos = start
		return nil
	}
	switch op.Kind {
	case ast.Quantable, ast.Pattern:
		switch {
		case s.accept("(any)"):
			f.Quantifier = "any"
		case s.accept("(all)"):
			f.Quantifier = "all"
		}
	case ast.Search:
		f.Language = s.language()
	}
	if !s.accept(".") {
		s.pos = start
		return nil
	}
	return op
}

// language reads "(lang)".
func (s *scanner) language() string {
	start := s.pos
	if s.accept("(") {
		lang := strings.TrimSpace(s.takeWhile(isIdentifier))
		if lang != "" && s.accept(")") {
			return lang
		}
	}
	s.pos = start
	return ""
}

func (s *scanner) restOfText() (string, error) {
	value := s.text[s.pos:]
	s.pos = len(s.text)
	return value, nil
}

// isWords are the operands of "is", those first that begin like no other.
var isWords = []string{"null", "not_null", "true", "false", "unknown"}

func (s *scanner) isWord() (string, error) {
	for _, word := range isWords {
		if s.acceptFold(word) {
			return word, nil
		}
	}
	return "", s.fail("isVal: (null, not_null, true, false, unknown)")
}

// list reads "(a,"b,c",d)".
func (s *scanner) list() ([]string, error) {
	s.spaces()
	if !s.accept("(") {
		return nil, s.fail(`"("`)
	}
	s.spaces()
	var list []string
	for {
		list = append(list, s.element())
		if s.accept(",") {
			continue
		}
		s.spaces()
		if !s.accept(")") {
			return nil, s.fail(`"," or ")"`)
		}
		s.spaces()
		return list, nil
	}
}

// element reads a list's element: a quoted one ends where the element ends, in
// every other a quote is a character like any.
func (s *scanner) element() string {
	start := s.pos
	if s.peek() == '"' {
		if value, err := s.quoted(); err == nil && (s.atEnd() || s.peek() == ',' || s.peek() == ')') {
			return value
		}
		s.pos = start
	}
	return s.takeWhile(func(r rune) bool { return r != ',' && r != ')' })
}

// logicValue reads a filter's value inside and=() or or=(), where commas end it
// unless they stand in quotes or braces.
func (s *scanner) logicValue() (string, error) {
	start := s.pos
	if s.accept("{") {
		s.takeWhile(func(r rune) bool { return r != '{' && r != '}' })
		if s.accept("}") {
			return s.text[start:s.pos], nil
		}
		s.pos = start
	}
	return s.element(), nil
}

// parseLogic reads a parameter like "clients.not.or=(a.eq.1,b.eq.2)".
func parseLogic(key, value string) (at ast.At[ast.Logic], err error) {
	names := strings.Split(key, ".")
	op, negated := names[len(names)-1], false
	for _, name := range names[:len(names)-1] {
		if name == "not" {
			negated = true
			continue
		}
		p := newScanner("logic path", key, name)
		if name, err = p.name(); err != nil {
			return at, err
		}
		at.Path = append(at.Path, name)
	}
	text := op + value
	if negated {
		text = "not." + text
	}
	s := newScanner("logic tree", value, text)
	at.Value, err = s.logic(0)
	return at, err
}

func (s *scanner) logic(depth int) (ast.Logic, error) {
	if depth > maxDepth {
		return ast.Logic{}, s.fail("fewer nested conditions")
	}
	start := s.pos
	if f, ok := s.logicFilter(); ok {
		return ast.Logic{Filter: &f}, nil
	}
	s.pos = start
	node := ast.Logic{Negate: s.accept("not.")}
	switch {
	case s.accept("and"):
	case s.accept("or"):
		node.Or = true
	case node.Negate:
		return node, s.fail("logic operator (and, or)")
	default:
		return node, s.fail(expectName + ", negation operator (not) or logic operator (and, or)")
	}
	s.spaces()
	if !s.accept("(") {
		return node, s.fail(`"("`)
	}
	for {
		s.spaces()
		child, err := s.logic(depth + 1)
		if err != nil {
			return node, err
		}
		node.Children = append(node.Children, child)
		s.spaces()
		if s.accept(",") {
			continue
		}
		if !s.accept(")") {
			return node, s.fail(`"," or ")"`)
		}
		s.spaces()
		return node, nil
	}
}

// logicFilter tries to read "field.op.value".
func (s *scanner) logicFilter() (f ast.Filter, ok bool) {
	var err error
	if f.Field, err = s.field(); err != nil || !s.accept(".") {
		return f, false
	}
	return f, s.operation(&f, s.logicValue) == nil
}
