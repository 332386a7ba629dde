package request

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/madbase/madbase/platform/apierr"
)

// scanner walks over one parameter's text. Its errors are worded as those of
// Parsec, which PostgREST's clients get to see: position, unexpected, expecting.
type scanner struct {
	// kind names the parameter in errors, and shown is its value there.
	kind, shown string
	text        string
	pos         int
}

func newScanner(kind, shown, text string) *scanner {
	return &scanner{kind: kind, shown: shown, text: text}
}

// peek is the byte at the scanner's position; 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

func (s *scanner) atEnd() bool { return s.pos >= len(s.text) }

// accept skips token when it comes next.
func (s *scanner) accept(token string) bool {
	if !strings.HasPrefix(s.text[s.pos:], token) {
		return false
	}
	s.pos += len(token)
	return true
}

// acceptFold is accept regardless of case.
func (s *scanner) acceptFold(token string) bool {
	if len(s.text)-s.pos < len(token) || !strings.EqualFold(s.text[s.pos:s.pos+len(token)], token) {
		return false
	}
	s.pos += len(token)
	return true
}

// looking reports whether token comes next.
func (s *scanner) looking(token string) bool { return strings.HasPrefix(s.text[s.pos:], token) }

func (s *scanner) spaces() {
	for s.peek() == ' ' || s.peek() == '\t' {
		s.pos++
	}
}

// takeWhile returns the run of characters that satisfy ok.
func (s *scanner) takeWhile(ok func(rune) bool) string {
	start := s.pos
	for s.pos < len(s.text) {
		r, size := utf8.DecodeRuneInString(s.text[s.pos:])
		if !ok(r) {
			break
		}
		s.pos += size
	}
	return s.text[start:s.pos]
}

// fail is the error that something else than expecting comes next.
func (s *scanner) fail(expecting string) error { return s.failQuoted('"', expecting) }

// failEnd is fail where the end would have been right, which Parsec words with other quotes.
func (s *scanner) failEnd(expecting string) error { return s.failQuoted('\'', expecting) }

func (s *scanner) failQuoted(quote rune, expecting string) error {
	unexpected := "unexpected end of input"
	if !s.atEnd() {
		r, _ := utf8.DecodeRuneInString(s.text[s.pos:])
		unexpected = "unexpected " + string(quote) + string(r) + string(quote)
	}
	if expecting != "" {
		unexpected += " expecting " + expecting
	}
	column := utf8.RuneCountInString(s.text[:s.pos]) + 1
	return apierr.New(400, "PGRST100", fmt.Sprintf(`"failed to parse %s (%s)" (line 1, column %d)`, s.kind, s.shown, column)).WithDetail(unexpected)
}

// isIdentifier reports whether r may stand in an unquoted name.
func isIdentifier(r rune) bool {
	return r == '_' || r == ' ' || r == '$' || unicode.IsLetter(r) || unicode.IsDigit(r)
}

const expectName = "field name (* or [a..z0..9_$])"

// atName reports whether a name may begin here: an error costs more to word than to foresee.
func (s *scanner) atName() bool {
	r, _ := utf8.DecodeRuneInString(s.text[s.pos:])
	return r == '"' || isIdentifier(r)
}

// name reads a column's or relation's name: quoted, or of letters, digits, _, $
// and inner spaces and dashes.
func (s *scanner) name() (string, error) {
	if s.peek() == '"' {
		return s.quoted()
	}
	return s.dashed(isIdentifier, expectName)
}

// dashed reads words of ok's characters joined by single dashes that begin no arrow.
func (s *scanner) dashed(ok func(rune) bool, expecting string) (string, error) {
	word := s.takeWhile(ok)
	if word == "" {
		return "", s.fail(expecting)
	}
	name := strings.TrimSpace(word)
	for s.peek() == '-' && !s.looking("->") {
		s.pos++
		if word = s.takeWhile(ok); word == "" {
			return "", s.fail(expecting)
		}
		name += "-" + strings.TrimSpace(word)
	}
	return name, nil
}

// quoted reads "..." in which a backslash makes the next character literal.
func (s *scanner) quoted() (string, error) {
	start := s.pos
	s.pos++ // the quote
	var b strings.Builder
	for !s.atEnd() {
		switch c := s.peek(); c {
		case '"':
			s.pos++
			return b.String(), nil
		case '\\':
			s.pos++
			if s.atEnd() {
				return "", s.fail("")
			}
			fallthrough
		default:
			_, size := utf8.DecodeRuneInString(s.text[s.pos:])
			b.WriteString(s.text[s.pos : s.pos+size])
			s.pos += size
		}
	}
	err := s.fail("")
	s.pos = start
	return "", err
}

// names reads a list of names separated by commas.
func (s *scanner) names() ([]string, error) {
	var names []string
	for {
		name, err := s.name()
		if err != nil {
			return nil, err
		}
		names = append(names, name)
		s.spaces()
		if !s.accept(",") {
			return names, nil
		}
		s.spaces()
	}
}
