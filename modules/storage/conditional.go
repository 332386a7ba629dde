package storage

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/madbase/madbase/platform/blob"
)

// notModified reports whether the client has what m describes (RFC 9110, section
// 13.2.2): If-None-Match decides where it is given, else If-Modified-Since.
func notModified(h http.Header, m metadata) bool {
	if match := h.Get("If-None-Match"); match != "" {
		return matchesETag(match, m.ETag)
	}
	since, err := http.ParseTime(h.Get("If-Modified-Since"))
	modified := m.modified()
	return err == nil && !modified.IsZero() && !modified.Truncate(time.Second).After(since)
}

// matchesETag compares weakly with a list of tags or "*".
func matchesETag(list, etag string) bool {
	if etag == "" {
		return false
	}
	for tag := range strings.SplitSeq(list, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}

// rangeApplies is If-Range (RFC 9110, section 13.1.5): without it, or when it
// names this very version.
func rangeApplies(h http.Header, m metadata) bool {
	condition := h.Get("If-Range")
	if condition == "" || condition == m.ETag {
		return true
	}
	at, err := http.ParseTime(condition)
	return err == nil && at.Equal(m.modified().Truncate(time.Second))
}

// parseRange reads the header Range. nil means all of the object: also for other
// units than bytes and for several ranges at once, which a server may ignore. ok
// is false for bytes that no object has.
func parseRange(header string) (r *blob.Range, ok bool) {
	unit, spec, _ := strings.Cut(header, "=")
	if !strings.EqualFold(strings.TrimSpace(unit), "bytes") || strings.Contains(spec, ",") {
		return nil, true
	}
	from, to, found := strings.Cut(strings.TrimSpace(spec), "-")
	if !found {
		return nil, false
	}
	if from == "" {
		suffix, digits := parseDigits(to)
		return &blob.Range{Offset: -suffix}, digits && suffix > 0
	}
	first, ok := parseDigits(from)
	if !ok || to == "" {
		return &blob.Range{Offset: first}, ok
	}
	last, ok := parseDigits(to)
	return &blob.Range{Offset: first, Length: min(last-first, 1<<62) + 1}, ok && last >= first
}

// parseDigits reads a number of digits only.
func parseDigits(text string) (int64, bool) {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// modified is the metadata's lastModified, zero when it has none.
func (m metadata) modified() time.Time {
	at, err := time.Parse(time.RFC3339Nano, m.LastModified)
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}
