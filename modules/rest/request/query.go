package request

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/madbase/madbase/modules/rest/ast"
)

// pair is one parameter of a query string, decoded. A parameter without "=" has no
// value; one with a slot has the end of its value there.
type pair struct {
	key, value string
	hasValue   bool
	slot       int
}

// parseQuery reads a query string's parameters. With callByGet, those that are no
// filters are a function's arguments.
func parseQuery(pairs []pair, callByGet bool) (ast.Query, error) {
	q := ast.Query{Canonical: canonical(pairs)}
	limits := map[string]ast.Range{}
	var order []string // of the keys of limits
	selected := "*"
	seen := map[string]bool{}
	for _, p := range pairs {
		if first := !seen[p.key]; p.hasValue && first && isReserved(p.key) {
			seen[p.key] = true
			if p.key == "select" {
				selected = p.value
				continue
			}
			if err := namesParameter(&q, p); err != nil {
				return q, err
			}
			continue
		}
		if !p.hasValue || isReserved(p.key) {
			continue
		}
		path, word := cutLast(p.key)
		switch word {
		case "limit", "offset":
			if _, found := limits[path]; !found {
				order = append(order, path)
				limits[path] = ast.AllRows
			}
			limits[path] = bound(limits[path], word, p.value)
		default:
			if err := parameter(&q, p, word, callByGet); err != nil {
				return q, err
			}
		}
	}
	var err error
	if q.Select, err = parseSelect(selected); err != nil {
		return q, err
	}
	return q, addRanges(&q, order, limits)
}

func isReserved(key string) bool {
	return key == "select" || key == "columns" || key == "on_conflict"
}

// namesParameter reads columns and on_conflict.
func namesParameter(q *ast.Query, p pair) (err error) {
	if p.key == "columns" {
		q.HasColumns = true
		q.Columns, err = newScanner("columns parameter", p.value, p.value).names()
		slices.Sort(q.Columns)
		q.Columns = slices.Compact(q.Columns)
		return err
	}
	q.HasOnConflict = true
	q.OnConflict, err = newScanner("on_conflict parameter", p.value, p.value).names()
	return err
}

// parameter reads any parameter that is neither reserved nor a range.
func parameter(q *ast.Query, p pair, word string, callByGet bool) error {
	switch word {
	case "order":
		order, err := parseOrder(p.key, p.value)
		q.Orders = append(q.Orders, order)
		return err
	case "and", "or":
		logic, err := parseLogic(p.key, p.value)
		q.Logic = append(q.Logic, logic)
		return err
	}
	if isAPIKey(p) {
		return nil
	}
	filter, isArgument, err := parseFilter(p.key, p.value, callByGet)
	switch {
	case err != nil:
		return err
	case isArgument:
		q.Params = append(q.Params, ast.Param{Name: filter.Value.Field.Name, Value: p.value, Slot: p.slot})
	default:
		filter.Value.Slot = p.slot
		q.Filters = append(q.Filters, filter)
	}
	return nil
}

// apiKey is the parameter that a gateway's API key may come in.
const apiKey = "apikey"

// isAPIKey reports whether p is a credential of the gateway rather than a filter.
func isAPIKey(p pair) bool {
	return p.key == apiKey && (strings.HasPrefix(p.value, "eyJ") || strings.HasPrefix(p.value, "sb_"))
}

// cutLast cuts a key at its last dot.
func cutLast(key string) (path, word string) {
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		return key[:i], key[i+1:]
	}
	return "", key
}

// bound narrows r by a limit or moves it by an offset. What is no number is ignored.
func bound(r ast.Range, word, value string) ast.Range {
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	if err != nil {
		return r
	}
	if word == "limit" {
		r.Upper = n - 1
		return r
	}
	r.Lower = n
	return r
}

// shifted gives limit and offset, which came apart, their meaning together.
func shifted(r ast.Range) ast.Range {
	if r.Upper == math.MaxInt64 || r.Lower == 0 {
		return r
	}
	if r.Lower > 0 && r.Upper > math.MaxInt64-1-r.Lower {
		r.Upper = math.MaxInt64
		return r
	}
	r.Upper += r.Lower
	return r
}

func addRanges(q *ast.Query, order []string, limits map[string]ast.Range) error {
	for _, key := range order {
		at := ast.At[ast.Range]{Value: shifted(limits[key])}
		if key != "" {
			path, field, err := parseTreePath(key)
			if err != nil {
				return err
			}
			at.Path = append(path, field.Name)
		}
		q.Ranges = append(q.Ranges, at)
	}
	return nil
}

// splitQuery decodes a query string. What is wrongly escaped stays as it is.
func splitQuery(raw string) []pair {
	if raw == "" {
		return nil
	}
	pairs := make([]pair, 0, strings.Count(raw, "&")+1)
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		key, value, found := strings.Cut(part, "=")
		pairs = append(pairs, pair{key: unescape(key), value: unescape(value), hasValue: found})
	}
	return pairs
}

func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			b = append(b, ' ')
		case c == '%' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0:
			b = append(b, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// canonical sorts the parameters by name and joins the values of equal ones by commas.
func canonical(pairs []pair) string {
	if len(pairs) == 0 {
		return ""
	}
	byKey := func(a, b pair) int { return strings.Compare(a.key, b.key) }
	sorted, size := pairs, 0
	if !slices.IsSortedFunc(pairs, byKey) {
		sorted = slices.Clone(pairs)
		slices.SortStableFunc(sorted, byKey)
	}
	for _, p := range pairs {
		size += len(p.key) + len(p.value) + len("&=")
	}
	var b strings.Builder
	b.Grow(size + size/4) // some of it is escaped
	for i, p := range sorted {
		switch {
		case i > 0 && p.key == sorted[i-1].key:
			b.WriteByte(',')
			ast.AppendEscaped(&b, p.value)
			continue
		case i > 0:
			b.WriteByte('&')
		}
		ast.AppendEscaped(&b, p.key)
		b.WriteByte('=')
		ast.AppendEscaped(&b, p.value)
	}
	return b.String()
}
