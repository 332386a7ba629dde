package rls

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/madbase/madbase/platform/claims"
)

// Settings are what a transaction runs as: the role and the variables that
// policies and functions read, all of them local to the transaction.
type Settings struct {
	// Role is the database role to become.
	Role string
	// Claims are the token's payload as JSON; Subject is its claim "sub".
	Claims  string
	Subject string
	// Method and Path are the request's; Headers and Cookies are JSON objects.
	Method, Path     string
	Headers, Cookies string
	// SearchPath is a list of quoted schema names; empty leaves the login role's.
	SearchPath string
	// StatementTimeout bounds each statement; 0 leaves the login role's bound.
	StatementTimeout time.Duration
	// ReadOnly refuses writes with SQLSTATE 25006.
	ReadOnly bool
	// Isolation is "repeatable read" or "serializable"; empty for the default.
	Isolation string
	// More are further variables, name and value in turn. Those of Before are set
	// with the login role's rights, before Role is taken.
	More, Before []string
}

// requestSettings reads r and its verified caller; without a caller the role and the
// claims are those of anonymous.
func requestSettings(r *http.Request, anonymous Settings) Settings {
	s := anonymous
	s.Method, s.Path, s.Headers, s.Cookies = r.Method, storable(r.URL.Path), headersJSON(r), cookiesJSON(r)
	if c := claims.From(r.Context()); c != nil {
		s.Subject, s.Claims = c.Subject, string(c.JSON)
		if c.Role != "" {
			s.Role = c.Role
		}
	}
	return s
}

// anonymousClaims are the claims of who has no token.
func anonymousClaims(role string) string {
	return string(append(appendJSON([]byte(`{"role":`), role), '}'))
}

// headersJSON is every request header but Cookie with its name in lower case, as
// policies read it by current_setting('request.headers'). A repeated header is
// joined by commas.
func headersJSON(r *http.Request) string {
	b := make([]byte, 0, 512) // most fit
	b = appendJSON(append(b, `{"host":`...), r.Host)
	for name, values := range r.Header {
		if name == "Cookie" { // is in request.cookies
			continue
		}
		from := len(b)
		b = appendJSON(append(b, ','), name)
		for i := from; i < len(b); i++ { // names of headers are ASCII
			if 'A' <= b[i] && b[i] <= 'Z' {
				b[i] += 'a' - 'A'
			}
		}
		b = appendJSON(append(b, ':'), strings.Join(values, ", "))
	}
	return string(append(b, '}'))
}

// storable is s without what PostgreSQL's text cannot hold: a path may have any byte.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

func cookiesJSON(r *http.Request) string {
	cookies := r.Cookies()
	if len(cookies) == 0 {
		return "{}"
	}
	byName := make(map[string]string, len(cookies))
	for _, c := range cookies {
		byName[c.Name] = c.Value
	}
	text, err := json.Marshal(byName)
	if err != nil { // strings always marshal
		return "{}"
	}
	return string(text)
}

// appendJSON appends s as a JSON string. A zero byte, which PostgreSQL's text cannot hold, is dropped.
func appendJSON(b []byte, s string) []byte {
	plain := true
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		return append(append(append(b, '"'), s...), '"')
	}
	text, err := json.Marshal(strings.ReplaceAll(s, "\x00", ""))
	if err != nil { // strings always marshal
		text = []byte(`""`)
	}
	return append(b, text...)
}

// statement is the one SELECT that applies s, with its parameters. The texts are
// few, so that each connection prepares them once.
func (s *Settings) statement(implicit bool) (sql string, args [][]byte) {
	t := settingsText{
		before: len(s.Before) / 2, more: len(s.More) / 2,
		searchPath: s.SearchPath != "", timeout: s.StatementTimeout > 0, readOnly: s.ReadOnly && implicit,
	}
	return t.sql(), s.args(t)
}

// args are the parameters of the statement, in the order of its text.
func (s *Settings) args(t settingsText) [][]byte {
	values := make([]string, 0, 32)
	values = append(values, s.Before[:2*t.before]...)
	values = append(values, s.Role, s.Claims, s.Subject, s.Method, s.Path, s.Headers, s.Cookies)
	if t.searchPath {
		values = append(values, s.SearchPath)
	}
	if t.timeout {
		values = append(values, strconv.FormatInt(s.StatementTimeout.Milliseconds(), 10))
	}
	if t.readOnly {
		values = append(values, "on")
	}
	values = append(values, s.More[:2*t.more]...)
	size := 0
	for _, v := range values {
		size += len(v)
	}
	args, all := make([][]byte, len(values)), make([]byte, 0, size)
	for i, v := range values {
		from := len(all)
		all = append(all, v...)
		args[i] = all[from:len(all):len(all)]
	}
	return args
}

// begin is the statement that opens an explicit transaction for s.
func (s *Settings) begin() string {
	sql := "BEGIN"
	switch s.Isolation {
	case "repeatable read":
		sql += " ISOLATION LEVEL REPEATABLE READ"
	case "serializable":
		sql += " ISOLATION LEVEL SERIALIZABLE"
	}
	if s.ReadOnly {
		sql += " READ ONLY"
	}
	return sql
}
