package storage

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/madbase/madbase/platform/blob"
)

// reservedSuffix ends the names of Iceberg's buckets.
const reservedSuffix = "--table-s3"

// emptyFolder ends the name of the object that keeps an empty folder alive.
const emptyFolder = ".emptyFolderPlaceholder"

// nameChar reports whether the ASCII character c may be in the name of a bucket or
// an object: the set is supabase/storage's.
func nameChar(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("_!.*'() &$=@;:+,?-", c) >= 0
}

// validBucket reports whether name may be a bucket's: 1 to 100 characters, none of them a slash.
func validBucket(name string) bool {
	if name == "" || len(name) > 100 || name == "." || name == ".." {
		return false
	}
	for i := range len(name) {
		if !nameChar(name[i]) {
			return false
		}
	}
	return true
}

// validNewBucket is validBucket for a bucket about to be made.
func validNewBucket(name string) bool {
	return validBucket(name) && strings.TrimSpace(name) == name && !strings.HasSuffix(name, reservedSuffix)
}

// validKey reports whether key may name an object. Beyond ASCII all that can be seen
// may be in it, where supabase/storage takes nothing: letters of all scripts, marks,
// digits, punctuation, symbols, emoji and spaces. Segments that could lead elsewhere
// in a file system are refused on every backend.
func validKey(key string) bool {
	if key == "" || !utf8.ValidString(key) {
		return false
	}
	for _, r := range key {
		if r < utf8.RuneSelf && r != '/' && !nameChar(byte(r)) || r >= utf8.RuneSelf && !visibleRune(r) {
			return false
		}
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

// visibleRune reports whether r can be seen, or joins what can, as scripts and emoji
// need it. What turns the direction of text around is not: it shows names that are none.
func visibleRune(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	return unicode.IsGraphic(r) && r != utf8.RuneError || r == nonJoiner || r == joiner
}

// emptySegment stands for a segment without a character, which blob keys cannot
// have; no name has a percent sign.
const emptySegment = "%"

// blobKey is where a version's bytes are: prefix/bucket/name/version. The error is blob.ErrKey when the name is too long.
func blobKey(prefix, bucket, name, version string) (string, error) {
	var b strings.Builder
	b.WriteString(prefix + "/" + bucket)
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "" {
			segment = emptySegment
		}
		b.WriteString("/" + segment)
	}
	b.WriteString("/" + version)
	return b.String(), blob.CheckKey(b.String())
}

var sizePattern = regexp.MustCompile(`^(?i)([0-9]+(?:\.[0-9]+)?)(gb|mb|kb|b)$`)

// parseSize reads a size such as 20MB in bytes; units are decimal and three digits count.
func parseSize(text string) (int64, bool) {
	match := sizePattern.FindStringSubmatch(text)
	if match == nil {
		return 0, false
	}
	value, err := strconv.ParseFloat(match[1], 64)
	if err != nil {
		return 0, false
	}
	value, _ = strconv.ParseFloat(strconv.FormatFloat(value, 'g', 3, 64), 64) // what was just formatted parses
	value *= map[string]float64{"gb": 1e9, "mb": 1e6, "kb": 1e3, "b": 1}[strings.ToLower(match[2])]
	if value >= 1<<62 {
		return 0, false
	}
	return int64(value), true
}

var mimePattern = regexp.MustCompile(`^([a-zA-Z0-9\-+.]+)/([a-zA-Z0-9\-+.]+)(;\s*charset=[a-zA-Z0-9\-]+)?$|\*$`)

// validMIMERule reports whether rule may be in a bucket's list of allowed types.
func validMIMERule(rule string) bool { return len(rule) <= 1000 && mimePattern.MatchString(rule) }

// allowedMIME reports whether mime is one of rules, which are type/subtype or
// type/*. Parameters do not count, nor does case.
func allowedMIME(mime string, rules []string) bool {
	kind, subtype := splitMIME(mime)
	if kind == "" || subtype == "" {
		return false
	}
	for _, rule := range rules {
		ruleKind, ruleSubtype := splitMIME(rule)
		if ruleKind == kind && (ruleSubtype == "*" || ruleSubtype == subtype) {
			return true
		}
	}
	return false
}

func splitMIME(mime string) (kind, subtype string) {
	mime, _, _ = strings.Cut(mime, ";")
	kind, subtype, _ = strings.Cut(strings.ToLower(strings.TrimSpace(mime)), "/")
	return kind, subtype
}
