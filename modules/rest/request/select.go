package request

import (
	"strings"

	"github.com/madbase/madbase/modules/rest/ast"
)

// maxDepth bounds how deep selects and logic trees may nest, so that a caller
// cannot exhaust the stack.
const maxDepth = 64

// parseSelect reads the parameter select. What follows a complete list, such as
// one parenthesis too many, is ignored, as by PostgREST.
func parseSelect(text string) ([]ast.SelectItem, error) {
	return newScanner("select parameter", text, text).selectList(0)
}

func (s *scanner) selectList(depth int) ([]ast.SelectItem, error) {
	if depth > maxDepth {
		return nil, s.fail("fewer nested embeds")
	}
	s.spaces()
	if s.atEnd() || s.peek() == ')' {
		return nil, nil
	}
	var items []ast.SelectItem
	for {
		item, err := s.selectItem(depth)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
		s.spaces()
		if !s.accept(",") {
			return items, nil
		}
	}
}

func (s *scanner) selectItem(depth int) (ast.SelectItem, error) {
	s.spaces()
	start := s.pos
	item, isEmbed := s.embed()
	if !isEmbed {
		s.pos = start
		return s.fieldItem()
	}
	s.pos++ // the parenthesis that embed saw
	var err error
	if item.Select, err = s.selectList(depth + 1); err != nil {
		return item, err
	}
	if !s.accept(")") {
		return item, s.failEnd(`")" or ","`)
	}
	return item, nil
}

// embed tries to read "...relation!hint" or "alias:relation!hint", up to the
// parenthesis that tells it from a field.
func (s *scanner) embed() (item ast.SelectItem, ok bool) {
	item.Kind = ast.SelectEmbed
	if s.accept("...") {
		item.Kind = ast.SelectSpread
	} else {
		item.Alias = s.alias()
	}
	if !s.atName() {
		return item, false
	}
	var err error
	if item.Relation, err = s.name(); err != nil || (item.Relation == "count" && item.Kind == ast.SelectEmbed) {
		return item, false
	}
	for range 2 {
		if !s.accept("!") {
			break
		}
		switch {
		case s.acceptWord("left"):
			item.Join = ast.JoinLeft
		case s.acceptWord("inner"):
			item.Join = ast.JoinInner
		default:
			if item.Hint, err = s.name(); err != nil {
				return item, false
			}
		}
	}
	s.spaces()
	return item, s.peek() == '('
}

// acceptWord is accept of a whole word.
func (s *scanner) acceptWord(word string) bool {
	start := s.pos
	if s.accept(word) && (s.peek() == '!' || s.peek() == '(' || s.peek() == ' ') {
		return true
	}
	s.pos = start
	return false
}

// alias tries to read "alias:"; it is empty and nothing is skipped without one.
func (s *scanner) alias() string {
	start := s.pos
	if !s.atName() {
		return ""
	}
	name, err := s.name()
	if err == nil && s.peek() == ':' && !s.looking("::") {
		s.pos++
		return name
	}
	s.pos = start
	return ""
}

// itemEnds reports whether a select item may end here.
func (s *scanner) itemEnds() bool { return s.atEnd() || s.peek() == ',' || s.peek() == ')' }

const expectAfterField = `letter, digit, "-", "->>", "->", "::", ".", ")", "," or end of input`

func (s *scanner) fieldItem() (item ast.SelectItem, err error) {
	start := s.pos
	if s.accept("*") {
		s.spaces()
		if s.itemEnds() {
			item.Field.Name = "*"
			return item, nil
		}
		return item, s.failEnd(`")", "," or end of input`)
	}
	item.Alias = s.alias()
	if s.accept("count()") {
		item.Field.Name, item.Aggregate = "*", "count"
		if item.AggregateCast, err = s.cast(); err == nil && s.itemEnds() {
			return item, nil
		}
		s.pos, item = start, ast.SelectItem{}
		item.Alias = s.alias()
	}
	if item.Field, err = s.field(); err != nil {
		return item, err
	}
	if item.Cast, err = s.cast(); err != nil {
		return item, err
	}
	if item.Aggregate = s.aggregate(); item.Aggregate != "" {
		if item.AggregateCast, err = s.cast(); err != nil {
			return item, err
		}
	}
	if !s.itemEnds() {
		return item, s.failEnd(expectAfterField)
	}
	return item, nil
}

// cast reads "::type"; a type is one or more plain words.
func (s *scanner) cast() (string, error) {
	if !s.accept("::") {
		return "", nil
	}
	name := strings.TrimSpace(s.takeWhile(isIdentifier))
	if name == "" {
		return "", s.fail("letter or digit")
	}
	return name, nil
}

// aggregate reads ".sum()" and its like.
func (s *scanner) aggregate() string {
	for _, name := range []string{"sum", "avg", "count", "max", "min"} {
		if s.accept("." + name + "()") {
			s.spaces()
			return name
		}
	}
	return ""
}

// field reads a column with its JSON path.
func (s *scanner) field() (ast.Field, error) {
	s.spaces()
	name, err := s.name()
	if err != nil {
		return ast.Field{}, err
	}
	path, err := s.jsonPath()
	s.spaces()
	return ast.Field{Name: name, Path: path}, err
}

// jsonPath reads arrows with their keys or indexes.
func (s *scanner) jsonPath() ([]ast.PathStep, error) {
	var path []ast.PathStep
	for {
		step := ast.PathStep{}
		switch {
		case s.accept("->>"):
			step.Text = true
		case s.accept("->"):
		default:
			return path, nil
		}
		if err := s.pathOperand(&step); err != nil {
			return nil, err
		}
		path = append(path, step)
	}
}

const expectKey = `"-", digit or any non reserved character different from: .,>()`

func (s *scanner) pathOperand(step *ast.PathStep) (err error) {
	if index, ok := s.pathIndex(); ok {
		step.Key, step.Index = index, true
		return nil
	}
	if s.peek() == '"' {
		step.Key, err = s.quoted()
		return err
	}
	if s.peek() == '-' { // only an index may be negative
		s.pos++
		s.takeWhile(isDigit)
		return s.fail("digit")
	}
	step.Key, err = s.dashed(isKey, expectKey)
	return err
}

// pathIndex reads an index, which unlike a key of digits and more ends the operand.
func (s *scanner) pathIndex() (string, bool) {
	start := s.pos
	s.accept("-")
	digits := s.takeWhile(isDigit)
	if digits != "" && (s.atEnd() || s.looking("->") || s.looking("::") || s.peek() == '.' || s.peek() == ',') {
		return s.text[start:s.pos], true
	}
	s.pos = start
	return "", false
}

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

func isKey(r rune) bool { return !strings.ContainsRune("(-:.,>)", r) }
