package token_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/madbase/madbase/modules/auth/token"
)

func TestCounted(t *testing.T) {
	t.Parallel()
	session, key := uuid.New(), []byte("a key")
	for _, counter := range []int64{0, 1, 127, 128, 1 << 40} {
		text := token.NewCounted(session, counter, key)
		c, ok := token.ParseCounted(text)
		if !ok || c.SessionID != session.String() || c.Counter != counter || !c.SignedBy(key) || c.SignedBy([]byte("another")) {
			t.Errorf("%d: %+v %v", counter, c, ok)
		}
		if _, ok := token.ParseCounted("B" + text[1:]); ok {
			t.Error("a changed token is taken")
		}
	}
	for _, bad := range []string{"", "abcdefghijkl", strings.Repeat("A", 51), strings.Repeat("A", 5000)} {
		if _, ok := token.ParseCounted(bad); ok {
			t.Errorf("%q is taken", bad)
		}
	}
}

func FuzzParseCounted(f *testing.F) {
	f.Add(token.NewCounted(uuid.Max, 300, []byte("key")))
	f.Fuzz(func(t *testing.T, text string) {
		if c, ok := token.ParseCounted(text); ok && (c.Counter < 0 || uuid.Validate(c.SessionID) != nil) {
			t.Errorf("%+v", c)
		}
	})
}
