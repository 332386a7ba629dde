package s3api

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ParseSource reads the header x-amz-copy-source: "bucket/key" as it is in URLs, with
// or without a slash in front. The only version is the one called "null".
func ParseSource(header string) (Target, error) {
	path, version, versioned := strings.Cut(header, "?versionId=")
	if versioned && version != NullVersion {
		return Target{}, ErrNoVersion()
	}
	t, err := ParseTarget(path)
	if err != nil || t.Level() != Object {
		return t, ErrParameter("CopySource")
	}
	return t, nil
}

// ParseSourceRange reads the header x-amz-copy-source-range, "bytes=0-9", of an
// object of size bytes. Unlike other ranges it must lie in the object as it is.
func ParseSourceRange(header string, size int64) (offset, length int64, err error) {
	first, last, found := strings.Cut(strings.TrimPrefix(header, "bytes="), "-")
	from, errFrom := strconv.ParseUint(first, 10, 62)
	to, errTo := strconv.ParseUint(last, 10, 62)
	if !found || !strings.HasPrefix(header, "bytes=") || errFrom != nil || errTo != nil || from > to || int64(to) >= size {
		return 0, 0, errRange()
	}
	return int64(from), int64(to-from) + 1, nil
}

// Conditions are what a request makes of an object's state, each empty where it
// does not.
type Conditions struct {
	Match, NoneMatch               string
	ModifiedSince, UnmodifiedSince time.Time
}

// ReadConditions reads the headers If-Match and its like, whose names begin with prefix.
func ReadConditions(h http.Header, prefix string) Conditions {
	at := func(name string) time.Time {
		t, _ := http.ParseTime(h.Get(prefix + name)) // what is no date is to be ignored
		return t
	}
	return Conditions{
		Match: h.Get(prefix + "If-Match"), NoneMatch: h.Get(prefix + "If-None-Match"),
		ModifiedSince: at("If-Modified-Since"), UnmodifiedSince: at("If-Unmodified-Since"),
	}
}

// The ways that Conditions do not hold.
const (
	// Failed is for what must not be done.
	Failed = http.StatusPreconditionFailed
	// NotModified is for what the client has.
	NotModified = http.StatusNotModified
)

// Check returns 0 when an object of the given tag, in quotes, and time of last
// change is in the state that c wants, else Failed or NotModified (RFC 9110, section
// 13.2.2). A tag decides where time would decide otherwise.
func (c Conditions) Check(etag string, modified time.Time) int {
	modified = modified.Truncate(time.Second)
	switch {
	case c.Match != "":
		if !matches(c.Match, etag) {
			return Failed
		}
	case !c.UnmodifiedSince.IsZero() && modified.After(c.UnmodifiedSince):
		return Failed
	}
	switch {
	case c.NoneMatch != "":
		if matches(c.NoneMatch, etag) {
			return NotModified
		}
	case !c.ModifiedSince.IsZero() && !modified.After(c.ModifiedSince):
		return NotModified
	}
	return 0
}

// matches compares a list of tags or "*", with or without their quotes, with one.
func matches(list, etag string) bool {
	for tag := range strings.SplitSeq(list, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || Unquote(tag) == Unquote(etag) {
			return true
		}
	}
	return false
}

// Unquote is a tag without its quotes, which clients put where they like.
func Unquote(etag string) string {
	return strings.Trim(strings.TrimPrefix(etag, "W/"), `"`)
}
