package ast

import "math"

// Range is a range of row numbers, both ends included and counted from 0.
// The zero value is not a range; AllRows is all of them.
type Range struct{ Lower, Upper int64 }

const unbounded = math.MaxInt64

// AllRows is the range without bounds; NoRows is what limit=0 asks for.
var (
	AllRows = Range{0, unbounded}
	NoRows  = Range{0, -1}
)

// Limit is the number of rows, and whether there is such a bound.
func (r Range) Limit() (int64, bool) { return r.Upper - r.Lower + 1, r.Upper != unbounded }

// Empty reports whether no row can be in r.
func (r Range) Empty() bool { return r.Upper < r.Lower }

// IsAll reports whether r has no bounds.
func (r Range) IsAll() bool { return r == AllRows }

// LimitZero reports whether r came of limit=0, the one empty range that is no error.
func (r Range) LimitZero() bool { return r.Upper == -1 }

// Intersect is the range of the rows in both.
func (r Range) Intersect(o Range) Range {
	return Range{max(r.Lower, o.Lower), min(r.Upper, o.Upper)}
}

// AtMost keeps the first n rows of r.
func (r Range) AtMost(n int64) Range {
	if r.LimitZero() || r.Lower > unbounded-n {
		return r
	}
	return Range{r.Lower, min(r.Upper, r.Lower+n-1)}
}
