package storage

import (
	"strconv"
	"strings"
)

// robotsRules are the words of an X-Robots-Tag that stand alone.
var robotsRules = map[string]bool{
	"all": true, "noindex": true, "nofollow": true, "none": true, "nosnippet": true,
	"indexifembedded": true, "notranslate": true, "noimageindex": true,
}

// validRobots reports whether value is an X-Robots-Tag header: rules between
// commas, each perhaps after the name of a crawler and a colon.
func validRobots(value string) bool {
	rest := strings.TrimSpace(value)
	if rest == "" || !validHeader(value) {
		return false
	}
	for rest != "" {
		rule, after, more := strings.Cut(rest, ",")
		// A date has a comma of its own.
		if name, date, ok := strings.Cut(strings.TrimSpace(rule), ":"); ok && name == "unavailable_after" && len(strings.TrimSpace(date)) == len("Mon") {
			tail, next, again := strings.Cut(after, ",")
			rule, after, more = rule+","+tail, next, again
		}
		if !validRobotsRule(strings.TrimSpace(rule)) || more && strings.TrimSpace(after) == "" {
			return false
		}
		rest = strings.TrimSpace(after)
	}
	return true
}

func validRobotsRule(rule string) bool {
	if robotsRules[rule] {
		return true
	}
	name, value, found := strings.Cut(rule, ":")
	value = strings.TrimSpace(value)
	if !found || value == "" {
		return false
	}
	switch name {
	case "max-snippet", "max-video-preview":
		_, err := strconv.Atoi(value)
		return err == nil
	case "max-image-preview":
		return value == "none" || value == "standard" || value == "large"
	case "unavailable_after":
		return true
	}
	return !strings.ContainsAny(name, " \t") && validRobotsRule(value)
}
