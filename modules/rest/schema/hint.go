package schema

import (
	"math"
	"slices"
	"strings"
	"unicode"
)

// Similar is the candidate most like word, when it is at least minScore alike (of
// 1), and the score. It compares by shared runs of three, else two, letters, and
// ranks by edit distance, as the library does that PostgREST's hints come from.
func Similar(word string, candidates []string, minScore float64) (string, float64) {
	type match struct {
		text  string
		score float64
	}
	lower := strings.ToLower(word)
	for _, c := range candidates {
		if strings.ToLower(c) == lower {
			return c, 1
		}
	}
	for size := 3; size >= 2; size-- {
		var matches []match
		grams := gramCounts(lower, size)
		for _, c := range candidates {
			if score := cosine(grams, gramCounts(strings.ToLower(c), size)); score > 0 {
				matches = append(matches, match{c, score})
			}
		}
		slices.SortStableFunc(matches, func(a, b match) int { return sign(b.score - a.score) })
		matches = matches[:min(50, len(matches))]
		for i, m := range matches {
			matches[i].score = likeness(strings.ToLower(m.text), lower)
		}
		slices.SortStableFunc(matches, func(a, b match) int { return sign(b.score - a.score) })
		if len(matches) > 0 && matches[0].score >= minScore {
			return matches[0].text, matches[0].score
		}
	}
	return "", 0
}

func sign(f float64) int {
	switch {
	case f > 0:
		return 1
	case f < 0:
		return -1
	}
	return 0
}

func gramCounts(text string, size int) map[string]int {
	var kept []rune
	kept = append(kept, '-')
	for _, r := range text {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == ',' || r == ' ' {
			kept = append(kept, r)
		}
	}
	kept = append(kept, '-')
	for len(kept) < size {
		kept = append(kept, '-')
	}
	counts := map[string]int{}
	for i := 0; i+size <= len(kept); i++ {
		counts[string(kept[i:i+size])]++
	}
	return counts
}

func cosine(a, b map[string]int) float64 {
	dot, na, nb := 0, 0, 0
	for g, n := range a {
		dot += n * b[g]
		na += n * n
	}
	for _, n := range b {
		nb += n * n
	}
	return float64(dot) / (math.Sqrt(float64(na)) * math.Sqrt(float64(nb)))
}

// likeness is 1 minus the Levenshtein distance over the longer length.
func likeness(a, b string) float64 {
	ra, rb := []rune(a), []rune(b)
	longest := max(len(ra), len(rb))
	if longest == 0 {
		return 1
	}
	row := make([]int, len(rb)+1)
	for j := range row {
		row[j] = j
	}
	for i, ca := range ra {
		diagonal := row[0]
		row[0] = i + 1
		for j, cb := range rb {
			cost := 1
			if ca == cb {
				cost = 0
			}
			next := min(row[j]+1, row[j+1]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return 1 - float64(row[len(rb)])/float64(longest)
}

// TableNames are the names of the tables and views of a schema.
func (s *Snapshot) TableNames(schema string) []string { return namesIn(s.tables, schema) }

// RoutineNames are the names of the functions of a schema.
func (s *Snapshot) RoutineNames(schema string) []string { return namesIn(s.routines, schema) }

// Related reports whether a table or view has relationships, be it only to what is not exposed.
func (s *Snapshot) Related(n Name) bool {
	_, found := s.relations[n]
	return found
}

// remember notes which tables have relationships at all.
func (s *Snapshot) remember(relations []*Relation) {
	for _, r := range relations {
		if _, found := s.relations[r.Table]; !found && s.tables[r.Table] != nil {
			s.relations[r.Table] = nil
		}
	}
}

// RelatedNames are the names of the tables and views of a schema that have relationships.
func (s *Snapshot) RelatedNames(schema string) []string { return namesIn(s.relations, schema) }

func namesIn[V any](m map[Name]V, schema string) []string {
	var names []string
	for n := range m {
		if n.Schema == schema {
			names = append(names, n.Name)
		}
	}
	slices.Sort(names)
	return names
}
