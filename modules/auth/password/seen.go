package password

import (
	"crypto/sha1"
	"encoding/binary"
	"math"
	"sync"
)

// Seen remembers the hashes of known passwords that Pwned was told of, in a Bloom
// filter: what is in it needs no request, and one password in so many is taken for
// a known one. Forgetting begins anew when it is full, so that these stay few.
// A nil one remembers nothing.
type Seen struct {
	mu     sync.RWMutex
	bits   []uint64
	rounds int
	// items are in the filter, of most.
	items, most int
}

// NewSeen returns a filter for so many hashes, of which wrong (between 0 and 1)
// is the share of others that pass for known ones. It takes -1.44 log2(wrong) bits
// for each.
func NewSeen(items int, wrong float64) *Seen {
	bits := math.Ceil(-float64(items) * math.Log(wrong) / (math.Ln2 * math.Ln2))
	rounds := max(1, int(math.Round(bits/float64(items)*math.Ln2)))
	return &Seen{bits: make([]uint64, int(bits)/64+1), rounds: rounds, most: max(1, items*4/5)} // full at four fifths, as in GoTrue
}

type sum = [sha1.Size]byte

func (s *Seen) knows(hash sum) bool {
	if s == nil {
		return false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i := range s.rounds {
		if at := s.place(hash, i); s.bits[at/64]&(1<<(at%64)) == 0 {
			return false
		}
	}
	return true
}

// add remembers the hashes of one answer; one that is too long for the filter it leaves out.
func (s *Seen) add(hashes []sum) {
	if s == nil || len(hashes) > s.most {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.items += len(hashes); s.items > s.most {
		clear(s.bits)
		s.items = len(hashes)
	}
	for _, hash := range hashes {
		for i := range s.rounds {
			at := s.place(hash, i)
			s.bits[at/64] |= 1 << (at % 64)
		}
	}
}

// place is where a hash's bit of a round is. Two numbers of the hash make all of
// them (Kirsch and Mitzenmacher, 2006): it is as good as random.
func (s *Seen) place(hash sum, round int) uint64 {
	a, b := binary.BigEndian.Uint64(hash[4:12]), binary.BigEndian.Uint64(hash[12:20])|1
	return (a + uint64(round)*b) % (uint64(len(s.bits)) * 64)
}
