package ast

import (
	"strconv"
	"strings"
)

// Prefer is what a request's Prefer headers (RFC 7240) ask for. Empty strings are
// preferences that were not given.
type Prefer struct {
	Resolution string // merge-duplicates, ignore-duplicates
	Missing    string // default, null
	Return     string // representation, minimal, headers-only
	Count      string // exact, planned, estimated
	Tx         string // commit, rollback
	Handling   string // strict, lenient
	Timezone   string
	// MaxAffected is the most rows that may be changed, when HasMaxAffected.
	MaxAffected    int64
	HasMaxAffected bool
	// Unknown are preferences that PostgREST does not have.
	Unknown []string
}

// Preference values that later stages ask for.
const (
	MergeDuplicates      = "merge-duplicates"
	IgnoreDuplicates     = "ignore-duplicates"
	ReturnRepresentation = "representation"
	ReturnHeadersOnly    = "headers-only"
	CountExact           = "exact"
	CountPlanned         = "planned"
	CountEstimated       = "estimated"
	HandlingStrict       = "strict"
	MissingDefault       = "default"
	TxRollback           = "rollback"
	TxCommit             = "commit"
)

// Strict reports whether faulty preferences are errors.
func (p *Prefer) Strict() bool { return p.Handling == HandlingStrict }

// Counts reports whether the total must be counted by a query.
func (p *Prefer) Counts() bool { return p.Count == CountExact || p.Count == CountEstimated }

// Applied is the value of Preference-Applied, in PostgREST's fixed order; empty
// when no preference was applied.
func (p *Prefer) Applied() string {
	var b strings.Builder
	add := func(name, value string) {
		if value == "" {
			return
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name)
		b.WriteByte('=')
		b.WriteString(value)
	}
	add("resolution", p.Resolution)
	add("missing", p.Missing)
	add("return", p.Return)
	add("count", p.Count)
	add("tx", p.Tx)
	add("handling", p.Handling)
	add("timezone", p.Timezone)
	if p.HasMaxAffected && p.Strict() {
		add("max-affected", strconv.FormatInt(p.MaxAffected, 10))
	}
	return b.String()
}
