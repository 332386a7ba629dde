package gateway

import (
	"encoding/binary"
	"slices"
	"testing"
)

// FuzzFrames cuts a stream of frames anywhere: where they end does not depend on it.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{0x81, 5, 'h', 'e', 'l', 'l', 'o', 0x88, 0}, 3)
	f.Add([]byte{0x82, 126, 0, 130, 1, 2, 3}, 1)
	f.Add([]byte{0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255}, 5)
	f.Add([]byte{0x82, 0x80 | 1, 1, 2, 3, 4, 'x', 0x81, 0}, 4)
	f.Fuzz(func(t *testing.T, stream []byte, cut int) {
		var ends []int
		var whole frames
		for at := 0; at < len(stream); {
			n := whole.rest(stream[at:])
			if n <= 0 || at+n > len(stream) {
				t.Fatalf("took %d of %d", n, len(stream)-at)
			}
			if at += n; whole.between() {
				ends = append(ends, at)
			}
		}
		if want := frameEnds(stream); !slices.Equal(ends, want) {
			t.Fatalf("frames end at %v, not %v", ends, want)
		}
		if cut = max(0, min(cut, len(stream))); len(stream) == 0 {
			return
		}
		var parts frames
		parts.pass(stream[:cut])
		parts.pass(stream[cut:])
		if parts.left != whole.left || parts.have != whole.have {
			t.Fatalf("cut at %d: %+v, whole: %+v", cut, parts, whole)
		}
	})
}

// frameEnds finds the ends in a stream that is there as a whole.
func frameEnds(stream []byte) (ends []int) {
	for at := 0; at+2 <= len(stream); {
		size, header := uint64(stream[at+1]&0x7f), 2
		switch rest := stream[at+2:]; {
		case size == 126 && len(rest) >= 2:
			size, header = uint64(binary.BigEndian.Uint16(rest)), 4
		case size == 127 && len(rest) >= 8:
			size, header = binary.BigEndian.Uint64(rest), 10
		case size > 125:
			return ends
		}
		if stream[at+1]&0x80 != 0 {
			header += 4
		}
		if left := len(stream) - at - header; left < 0 || size > uint64(left) {
			return ends
		}
		at += header + int(size)
		ends = append(ends, at)
	}
	return ends
}
