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

// requestSettings reads r and its verified caller; without a caller the role is anonymous.
func requestSettings(r *http.Request, anonymous string) Settings {
	s := Settings{Role: anonymous, Method: r.Method, Path: storable(r.URL.Path), Headers: headersJSON(r), Cookies: cookiesJSON(r)}
	s.Claims = `{"role":` + quoteJSON(anonymous) + `}`
	if c := claims.From(r.Context()); c != nil {
		s.Subject, s.Claims = c.Subject, string(c.JSON)
		if c.Role != "" {
			s.Role = c.Role
		}
	}
	return s
}

// headersJSON is every request header but Cookie with its name in lower case, as
// policies read it by current_setting('request.headers'). A repeated header is
// joined by commas.
func headersJSON(r *http.Request) string {
	var b strings.Builder
	b.WriteString(`{"host":`)
	b.WriteString(quoteJSON(r.Host))
	for name, values := range r.Header {
		if name == "Cookie" { // is in request.cookies
			continue
		}
		b.WriteByte(',')
		b.WriteString(quoteJSON(strings.ToLower(name)))
		b.WriteByte(':')
		b.WriteString(quoteJSON(strings.Join(values, ", ")))
	}
	b.WriteByte('}')
	return b.String()
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

// quoteJSON is s as a JSON string. A zero byte, which PostgreSQL's text cannot hold, is dropped.
func quoteJSON(s string) string {
	plain := true
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		return `"` + s + `"`
	}
	text, err := json.Marshal(strings.ReplaceAll(s, "\x00", ""))
	if err != nil { // strings always marshal
		return `""`
	}
	return string(text)
}

// statement is the one SELECT that applies s, with its parameters. The texts are
// few, so that each connection prepares them once. It returns one column, since
// each would be named and sent back: set_config never returns NULL here, so that
// OR goes on to the last, in order. After Before the role comes first: what
// follows is already done with its rights alone.
func (s *Settings) statement(implicit bool) (sql string, args [][]byte) {
	b := settingsBuilder{args: make([][]byte, 0, fixedSettings+len(s.Before)+len(s.More))}
	b.sql.Grow(48 * fixedSettings)
	b.sql.WriteString("SELECT ")
	b.pairs(s.Before)
	b.set("role", s.Role)
	b.set("request.jwt.claims", s.Claims)
	b.set("request.jwt.claim.sub", s.Subject)
	b.set("request.method", s.Method)
	b.set("request.path", s.Path)
	b.set("request.headers", s.Headers)
	b.set("request.cookies", s.Cookies)
	if s.SearchPath != "" {
		b.set("search_path", s.SearchPath)
	}
	if s.StatementTimeout > 0 {
		b.set("statement_timeout", strconv.FormatInt(s.StatementTimeout.Milliseconds(), 10))
	}
	if s.ReadOnly && implicit {
		b.set("transaction_read_only", "on")
	}
	b.pairs(s.More)
	return b.sql.String(), b.args
}

// fixedSettings is how many settings have fixed names, at most.
const fixedSettings = 10

type settingsBuilder struct {
	sql  strings.Builder
	args [][]byte
}

// set applies a variable of a fixed name.
func (b *settingsBuilder) set(name, value string) {
	b.or()
	b.sql.WriteString("set_config('")
	b.sql.WriteString(name)
	b.sql.WriteString("', $")
	b.arg(value)
	b.sql.WriteString(", true) IS NULL")
}

// pairs apply variables whose names are themselves parameters.
func (b *settingsBuilder) pairs(list []string) {
	for i := 0; i+1 < len(list); i += 2 {
		b.or()
		b.sql.WriteString("set_config($")
		b.arg(list[i])
		b.sql.WriteString(", $")
		b.arg(list[i+1])
		b.sql.WriteString(", true) IS NULL")
	}
}

func (b *settingsBuilder) or() {
	if len(b.args) > 0 {
		b.sql.WriteString(" OR ")
	}
}

func (b *settingsBuilder) arg(value string) {
	b.args = append(b.args, []byte(value))
	b.sql.WriteString(strconv.Itoa(len(b.args)))
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
