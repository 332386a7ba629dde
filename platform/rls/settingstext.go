package rls

import (
	"strconv"
	"strings"
)

// settingsText is what the text of the statement that applies Settings depends on.
type settingsText struct {
	// before and more are the numbers of settings whose names are parameters themselves.
	before, more int
	// What is only set where it is wanted.
	searchPath, timeout, readOnly bool
}

// fixedSettings are those that are always set.
var fixedSettings = [...]string{"role", "request.jwt.claims", "request.jwt.claim.sub", "request.method", "request.path", "request.headers", "request.cookies"}

// sql is the text. It returns one column, since each would be named and sent back:
// set_config never returns NULL here, so that OR goes on to the last, in order. After
// those before the role comes first: what follows is already done with its rights alone.
func (t settingsText) sql() string {
	if t.before+t.more == 0 {
		return usualTexts[t.index()]
	}
	return t.build()
}

// usualTexts are those in which all names are fixed, by their index.
var usualTexts = func() (texts [8]string) {
	for i := range texts {
		t := settingsText{searchPath: i&1 != 0, timeout: i&2 != 0, readOnly: i&4 != 0}
		texts[t.index()] = t.build()
	}
	return texts
}()

func (t settingsText) index() (i int) {
	for bit, set := range [...]bool{t.searchPath, t.timeout, t.readOnly} {
		if set {
			i |= 1 << bit
		}
	}
	return i
}

func (t settingsText) build() string {
	b := settingsBuilder{}
	b.sql.WriteString("SELECT ")
	b.pairs(t.before)
	for _, name := range fixedSettings {
		b.set(name)
	}
	if t.searchPath {
		b.set("search_path")
	}
	if t.timeout {
		b.set("statement_timeout")
	}
	if t.readOnly {
		b.set("transaction_read_only")
	}
	b.pairs(t.more)
	return b.sql.String()
}

type settingsBuilder struct {
	sql    strings.Builder
	params int
}

// set applies a variable of a fixed name.
func (b *settingsBuilder) set(name string) {
	b.or()
	b.sql.WriteString("set_config('" + name + "', ")
	b.param()
	b.sql.WriteString(", true) IS NULL")
}

// pairs apply n variables whose names are themselves parameters.
func (b *settingsBuilder) pairs(n int) {
	for range n {
		b.or()
		b.sql.WriteString("set_config(")
		b.param()
		b.sql.WriteString(", ")
		b.param()
		b.sql.WriteString(", true) IS NULL")
	}
}

func (b *settingsBuilder) or() {
	if b.params > 0 {
		b.sql.WriteString(" OR ")
	}
}

func (b *settingsBuilder) param() {
	b.params++
	b.sql.WriteString("$" + strconv.Itoa(b.params))
}
