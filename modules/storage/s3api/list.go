package s3api

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
)

// MaxKeys is the most that one answer lists.
const MaxKeys = 1000

// List is what a listing is asked for.
type List struct {
	Prefix, Delimiter string
	// Limit is how many entries the answer may have, at most MaxKeys.
	Limit int
	// URL has names in the answer encoded as in URLs.
	URL bool
}

// ReadList reads the parameters that all listings have; limit is the name of theirs
// for Limit.
func ReadList(query url.Values, limit string) (List, error) {
	l := List{Prefix: query.Get("prefix"), Delimiter: query.Get("delimiter"), Limit: MaxKeys}
	switch query.Get("encoding-type") {
	case "":
	case "url":
		l.URL = true
	default:
		return l, ErrParameter("encoding-type")
	}
	if text := query.Get(limit); text != "" {
		n, ok := Number(text)
		if !ok {
			return l, ErrParameter(limit)
		}
		l.Limit = min(n, MaxKeys)
	}
	return l, nil
}

// Number reads a number of digits only that fits into 31 bits.
func Number(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err == nil && text[0] != '+'
}

// Encoding is the answer's EncodingType.
func (l List) Encoding() string {
	if l.URL {
		return "url"
	}
	return ""
}

// Name is a name in the answer.
func (l List) Name(name string) string {
	if l.URL {
		return strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(name), "+", "%20"), "%2F", "/")
	}
	return name
}

// Place is where a listing goes on: behind the object Key, or behind all objects
// whose names begin with Key where Folder is set. The zero value is the beginning.
type Place struct {
	Key    string
	Folder bool
}

// Token is p as a continuation token.
func (p Place) Token() string {
	kind := "o"
	if p.Folder {
		kind = "f"
	}
	return base64.URLEncoding.EncodeToString([]byte(kind + p.Key))
}

// ParseToken reads what Token wrote, and refuses all else.
func ParseToken(token string) (Place, error) {
	raw, err := base64.URLEncoding.DecodeString(token)
	if err != nil || len(raw) < 2 || raw[0] != 'o' && raw[0] != 'f' {
		return Place{}, ErrParameter("continuation-token")
	}
	return Place{string(raw[1:]), raw[0] == 'f'}, nil
}

// After is the place behind a name that a client gives: that of a common prefix
// where it is one, as the last entry of a page may be.
func (l List) After(name string) Place {
	rest, found := strings.CutPrefix(name, l.Prefix)
	_, end, delimited := strings.Cut(rest, l.Delimiter)
	return Place{name, found && l.Delimiter != "" && delimited && end == ""}
}
