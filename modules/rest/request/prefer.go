package request

import (
	"strconv"
	"strings"

	"github.com/madbase/madbase/modules/rest/ast"
)

// preferences are the words that PostgREST knows, by name and value. Of one
// name the first known value wins.
var preferences = map[string][]string{
	"resolution": {ast.MergeDuplicates, ast.IgnoreDuplicates},
	"return":     {ast.ReturnRepresentation, "minimal", ast.ReturnHeadersOnly},
	"count":      {ast.CountExact, ast.CountPlanned, ast.CountEstimated},
	"tx":         {ast.TxCommit, ast.TxRollback},
	"missing":    {ast.MissingDefault, "null"},
	"handling":   {ast.HandlingStrict, "lenient"},
}

// parsePrefer reads all Prefer headers. The preference tx is taken only where the
// settings allow it, and is otherwise as if it had not been given.
func parsePrefer(headers []string, txAllowed bool) ast.Prefer {
	var p ast.Prefer
	into := map[string]*string{
		"resolution": &p.Resolution, "return": &p.Return, "count": &p.Count,
		"tx": &p.Tx, "missing": &p.Missing, "handling": &p.Handling,
	}
	for _, header := range headers {
		for text := range strings.SplitSeq(header, ",") {
			text = strings.TrimSpace(text)
			name, value, _ := strings.Cut(text, "=")
			switch {
			case name == "timezone" && value != text:
				if p.Timezone == "" {
					p.Timezone = value
				}
			case name == "max-affected":
				if n, err := strconv.ParseInt(value, 10, 64); err == nil && !p.HasMaxAffected {
					p.MaxAffected, p.HasMaxAffected = n, true
				}
			case !isPreference(name, value):
				p.Unknown = append(p.Unknown, text)
			case *into[name] == "":
				*into[name] = value
			}
		}
	}
	if !txAllowed {
		p.Tx = ""
	}
	return p
}

func isPreference(name, value string) bool {
	for _, known := range preferences[name] {
		if known == value {
			return true
		}
	}
	return false
}
