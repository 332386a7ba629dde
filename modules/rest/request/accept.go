package request

import (
	"slices"
	"strconv"
	"strings"

	"github.com/madbase/madbase/modules/rest/ast"
)

// parseAccept reads the Accept header: the media types by their quality, then by
// how exactly they are named, then in their order (RFC 9110, section 12.5.1). What
// those ask for that want a plan is said apart.
func parseAccept(header string) (types []ast.MediaType, explains map[ast.MediaType]*ast.Explain) {
	if header == "" || header == "*/*" {
		return []ast.MediaType{ast.Any}, nil
	}
	type choice struct {
		media    ast.MediaType
		quality  float64
		specific int
	}
	var choices []choice
	for _, part := range splitOutsideQuotes(header, ',') {
		fields := splitOutsideQuotes(part, ';')
		c := choice{quality: 1}
		kept := fields[:0:0]
		for i, field := range fields {
			field = strings.TrimSpace(field)
			name, value, _ := strings.Cut(field, "=")
			if i > 0 && strings.TrimSpace(name) == "q" {
				if q, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
					c.quality = q
				}
				continue
			}
			kept = append(kept, field)
		}
		c.media = parseMediaType(strings.Join(kept, ";"))
		if e := parseExplain(kept); e != nil {
			c.media = e.MediaType()
			if explains == nil {
				explains = map[ast.MediaType]*ast.Explain{}
			}
			explains[c.media] = e
		}
		c.specific = specificity(kept)
		choices = append(choices, c)
	}
	slices.SortStableFunc(choices, func(a, b choice) int {
		switch {
		case a.quality != b.quality && a.quality > b.quality:
			return -1
		case a.quality != b.quality:
			return 1
		}
		return b.specific - a.specific
	})
	types = make([]ast.MediaType, len(choices))
	for i, c := range choices {
		types[i] = c.media
	}
	return types, explains
}

// parseExplain reads the parts of a media type that asks for a plan; nil for any other.
func parseExplain(fields []string) *ast.Explain {
	e := &ast.Explain{For: ast.JSON}
	switch strings.ToLower(fields[0]) {
	case "application/vnd.pgrst.plan+json":
		e.JSON = true
	case "application/vnd.pgrst.plan+text", "application/vnd.pgrst.plan":
	default:
		return nil
	}
	for _, field := range fields[1:] {
		name, value, _ := strings.Cut(field, "=")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "for":
			e.For = parseMediaType(value)
		case "options":
			asked := strings.Split(value, "|")
			for _, option := range ast.ExplainOptions {
				if slices.Contains(asked, option) {
					e.Options = append(e.Options, option)
				}
			}
		}
	}
	return e
}

func specificity(fields []string) int {
	switch {
	case fields[0] == "*/*":
		return 0
	case strings.HasSuffix(fields[0], "/*"):
		return 1
	}
	return 1 + len(fields)
}

// parseMediaType brings a media type into its normal form. An unknown one stays as it is.
func parseMediaType(text string) ast.MediaType {
	fields := splitOutsideQuotes(text, ';')
	stripped := false
	for _, field := range fields[1:] {
		name, value, _ := strings.Cut(field, "=")
		if strings.EqualFold(strings.TrimSpace(name), "nulls") && strings.Trim(strings.TrimSpace(value), `"`) == "stripped" {
			stripped = true
		}
	}
	switch essence := ast.MediaType(strings.ToLower(strings.TrimSpace(fields[0]))); essence {
	case ast.JSON, ast.CSV, ast.PlainText, ast.XML, ast.OctetStream, ast.Form, ast.GeoJSON, ast.OpenAPI, ast.Any:
		return essence
	case ast.Object, "application/vnd.pgrst.object":
		if stripped {
			return ast.ObjectStripped
		}
		return ast.Object
	case "application/vnd.pgrst.array+json", "application/vnd.pgrst.array":
		if stripped {
			return ast.ArrayStripped
		}
		return ast.JSON
	}
	return ast.MediaType(strings.TrimSpace(text))
}

func splitOutsideQuotes(s string, sep byte) []string {
	var parts []string
	quoted, start := false, 0
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}
