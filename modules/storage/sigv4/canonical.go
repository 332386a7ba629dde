package sigv4

import (
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// canonical makes the texts that a request's signature may be of.
type canonical struct {
	r     *http.Request
	s     *Signature
	query string
}

func newCanonical(r *http.Request, s *Signature) (*canonical, error) {
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	return &canonical{r: r, s: s, query: query.canonical(s.presigned)}, nil
}

// candidates yields the canonical request under every host and path, and under
// what a cache in front may have made of Accept-Encoding.
func (c *canonical) candidates(hosts, paths []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		left, bytes := maxCandidates, maxCompared
		for _, encoding := range c.encodings() {
			for _, host := range hosts {
				headers := c.headers(host, encoding)
				for _, path := range distinct(spellings(paths)) {
					text := c.text(path, headers)
					if !yield(text) {
						return
					}
					if left, bytes = left-1, bytes-len(text); left <= 0 || bytes <= 0 {
						return
					}
				}
			}
		}
	}
}

// text is the canonical request.
func (c *canonical) text(path, headers string) string {
	return strings.Join([]string{c.r.Method, path, c.query, headers, strings.Join(c.s.headers, ";"), c.s.payload}, "\n")
}

// headers is the block of signed headers, each with its line's end.
func (c *canonical) headers(host, encoding string) string {
	var b strings.Builder
	for _, name := range c.s.headers {
		b.WriteString(name)
		b.WriteByte(':')
		switch name {
		case "host":
			b.WriteString(host)
		case "accept-encoding":
			b.WriteString(encoding)
		case "content-length":
			if n := c.r.ContentLength; n >= 0 { // 0 also where a proxy has dropped it; none, of a body that ends where it ends
				b.WriteString(strconv.FormatInt(n, 10))
			}
		default:
			b.WriteString(joined(c.r.Header.Values(name)))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// encodings are the values that the client may have signed of Accept-Encoding,
// which CDNs rewrite and some keep under another name. It decides nothing here.
func (c *canonical) encodings() []string {
	given := []string{joined(c.r.Header.Values("Accept-Encoding"))}
	if !slices.Contains(c.s.headers, "accept-encoding") {
		return given
	}
	return distinct(append(given, joined(c.r.Header.Values("X-Original-Accept-Encoding")), "identity", "gzip"))
}

// joined is a header's canonical value: its lines joined by commas, each without
// spaces around it and with single ones inside.
func joined(values []string) string {
	lines := make([]string, len(values))
	for i, value := range values {
		lines[i] = strings.Join(strings.FieldsFunc(value, func(c rune) bool { return c == ' ' || c == '\t' }), " ")
	}
	return strings.Join(lines, ",")
}

// canonical is the query as it is signed: encoded anew and sorted.
func (p parameters) canonical(presigned bool) string {
	list := make([]string, 0, len(p))
	for _, parameter := range p {
		if presigned && parameter.name == "X-Amz-Signature" {
			continue
		}
		list = append(list, encode(parameter.name, false)+"="+encode(parameter.value, false))
	}
	slices.SortFunc(list, func(a, b string) int {
		nameA, valueA, _ := strings.Cut(a, "=")
		nameB, valueB, _ := strings.Cut(b, "=")
		if order := strings.Compare(nameA, nameB); order != 0 {
			return order
		}
		return strings.Compare(valueA, valueB)
	})
	return strings.Join(list, "&")
}

// spellings adds to each path its canonical one, which clients sign also where they
// send another.
func spellings(paths []string) []string {
	list := make([]string, 0, 2*len(paths))
	for _, path := range paths {
		if path == "" {
			path = "/"
		}
		list = append(list, path)
		if decoded, err := url.PathUnescape(path); err == nil {
			list = append(list, encode(decoded, true))
		}
	}
	return list
}

// distinct drops repeated values and keeps the order of the rest.
func distinct(list []string) []string {
	kept := make([]string, 0, len(list))
	for _, item := range list {
		if !slices.Contains(kept, item) {
			kept = append(kept, item)
		}
	}
	return kept
}

// encode is AWS's UriEncode: all but RFC 3986's unreserved characters is escaped,
// and a slash unless it parts a path.
func encode(text string, path bool) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(text))
	for i := range len(text) {
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0, path && c == '/':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
	return b.String()
}
