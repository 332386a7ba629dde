package token_test

import (
	"testing"

	"github.com/madbase/madbase/modules/auth/token"
)

func TestRefreshTokensAreRandom(t *testing.T) {
	t.Parallel()
	seen, letters := map[string]bool{}, map[rune]int{}
	const n = 6000
	for range n {
		text := token.NewRefresh()
		if !token.IsRefresh(text) || seen[text] {
			t.Fatalf("bad or repeated: %q", text)
		}
		seen[text] = true
		for _, r := range text {
			letters[r]++
		}
	}
	for r, count := range letters { // each of the 36 comes 2000 times; 10 standard deviations are 440
		if count < 1560 || count > 2440 {
			t.Errorf("%c came %d times", r, count)
		}
	}
	if len(letters) != 36 {
		t.Errorf("%d letters", len(letters))
	}
}

func TestLevel(t *testing.T) {
	t.Parallel()
	if got := token.Level([]token.Method{{Method: "password"}}); got != token.AAL1 {
		t.Error(got)
	}
	if got := token.Level([]token.Method{{Method: "totp"}, {Method: "password"}}); got != token.AAL2 {
		t.Error(got)
	}
}
