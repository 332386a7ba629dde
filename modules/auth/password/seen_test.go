package password

import (
	"crypto/sha1"
	"strconv"
	"testing"
)

func TestSeenForgetsWhenItIsFull(t *testing.T) {
	t.Parallel()
	s := NewSeen(5000, 0.001)
	hashes := func(kind string, n int) (all []sum) {
		for i := range n {
			all = append(all, sha1.Sum([]byte(kind+strconv.Itoa(i))))
		}
		return all
	}
	first, second := hashes("first", 3000), hashes("second", 1001)
	s.add(first)
	s.add(hashes("too many", 4001))
	known := func(all []sum) (n int) {
		for _, h := range all {
			if s.knows(h) {
				n++
			}
		}
		return n
	}
	if n := known(first); n != 3000 {
		t.Errorf("it knows %d of 3000", n)
	}
	if n := known(hashes("other", 100_000)); n > 200 {
		t.Errorf("it knows %d of 100,000 others", n)
	}
	s.add(second)
	if n := known(second); n != 1001 {
		t.Errorf("it knows %d of 1001", n)
	}
	if n := known(first); n > 100 {
		t.Errorf("it still knows %d", n)
	}
}
