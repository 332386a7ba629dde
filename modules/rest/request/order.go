package request

import "github.com/madbase/madbase/modules/rest/ast"

// parseOrder reads a parameter like "clients.order=name.desc.nullslast,rel(id)".
func parseOrder(key, value string) (at ast.At[[]ast.OrderTerm], err error) {
	path, _, err := parseTreePath(key)
	if err != nil {
		return at, err
	}
	at.Path = path
	s := newScanner("order", value, value)
	for {
		term, err := s.orderTerm()
		if err != nil {
			return at, err
		}
		at.Value = append(at.Value, term)
		if s.atEnd() {
			return at, nil
		}
		s.pos++ // the comma that ended the term
	}
}

func (s *scanner) orderTerm() (term ast.OrderTerm, err error) {
	s.spaces()
	if term, ok := s.relatedTerm(); ok {
		return term, s.orderTail(&term)
	}
	if term.Field, err = s.field(); err != nil {
		return term, err
	}
	return term, s.orderTail(&term)
}

// relatedTerm tries to read "relation(field)".
func (s *scanner) relatedTerm() (term ast.OrderTerm, ok bool) {
	start := s.pos
	var err error
	if term.Relation, err = s.name(); err == nil && s.accept("(") {
		if term.Field, err = s.field(); err == nil && s.accept(")") {
			return term, true
		}
	}
	s.pos = start
	return term, false
}

// orderTail reads ".desc.nullslast" and sees that the term ends.
func (s *scanner) orderTail(term *ast.OrderTerm) error {
	expecting := `delimiter (.), "," or end of input`
	directed, placed := false, false
	switch {
	case s.accept(".asc"):
		term.Direction, directed = "asc", true
	case s.accept(".desc"):
		term.Direction, directed = "desc", true
	}
	switch {
	case s.accept(".nullsfirst"):
		term.Nulls, placed = "first", true
	case s.accept(".nullslast"):
		term.Nulls, placed = "last", true
	}
	s.spaces()
	switch {
	case s.atEnd() || s.peek() == ',':
		return nil
	case placed:
		expecting = `"," or end of input`
	case s.accept("."):
		if directed {
			return s.fail(`"nullsfirst" or "nullslast"`)
		}
		return s.fail(`"asc", "desc", "nullsfirst" or "nullslast"`)
	case !directed:
		expecting = `letter, digit, "-", "->>", "->", ` + expecting
	}
	return s.failEnd(expecting)
}
