package password_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/madbase/madbase/modules/auth/password"
)

func hasher(t testing.TB, cost int) *password.Hasher {
	t.Helper()
	h, err := password.NewHasher(cost)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHashAndCompare(t *testing.T) {
	t.Parallel()
	h, ctx := hasher(t, bcrypt.MinCost), t.Context()
	hash, err := h.Hash(ctx, "secret")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Compare(ctx, hash, "secret"); err != nil {
		t.Error(err)
	}
	long, _ := h.Hash(ctx, strings.Repeat("x", 72))
	for _, c := range [][2]string{
		{hash, "Secret"},
		{"", "secret"},
		{"", ""},
		{"$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$aGFzaA", "secret"},
		{long, strings.Repeat("x", 73)},
		{"", "nobody has this password"},
		{"rubbish", "nobody has this password"},
	} {
		if err := h.Compare(ctx, c[0], c[1]); !errors.Is(err, password.ErrMismatch) {
			t.Errorf("%q with %q: %v", c[1], c[0], err)
		}
	}
	if _, err := h.Hash(ctx, strings.Repeat("x", 73)); !errors.Is(err, password.ErrTooLong) {
		t.Error(err)
	}
}

func TestTooManyAtOnceAreRefused(t *testing.T) {
	t.Parallel()
	h := hasher(t, 10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var busy, ended atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0)*65 + 20 {
		wg.Go(func() {
			_, err := h.Hash(ctx, "x")
			switch {
			case errors.Is(err, password.ErrBusy):
				if busy.Add(1) == 1 {
					cancel() // those that wait give up with their callers
				}
			case errors.Is(err, context.Canceled):
				ended.Add(1)
			}
		})
	}
	wg.Wait()
	if busy.Load() == 0 || ended.Load() == 0 {
		t.Errorf("refused %d, gave up %d", busy.Load(), ended.Load())
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	p := password.Policy{MinLength: 8, Required: password.ParseSets(`abc:012::\:x`)}
	for text, want := range map[string][]string{
		"": {"length", "characters"}, "a0:": {"length"}, "aaaaaaaaa": {"characters"}, "a0xxxxxx": nil, "a0:zzzzz": nil,
	} {
		var got []string
		if w := p.Check(text); w != nil {
			got = w.Reasons
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func FuzzParseSets(f *testing.F) {
	f.Add(`abc:\::`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, set := range password.ParseSets(text) {
			if set == "" {
				t.Errorf("%q has an empty set", text)
			}
		}
	})
}
