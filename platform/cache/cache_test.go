package cache_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/cache"
	"github.com/madbase/madbase/platform/redisx"
	"github.com/madbase/madbase/platform/redisx/redistest"
)

// drivers runs a test on every driver; elapse lets time pass for it.
func drivers(t *testing.T, test func(t *testing.T, c cache.Cache, elapse func(time.Duration))) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, cache.NewMemory(100), func(d time.Duration) { <-time.After(d) })
	})
	redistest.Both(t, func(t *testing.T, s *redistest.Server) {
		t.Parallel()
		test(t, cache.NewRedis(s.Client(t, slog.New(slog.DiscardHandler))), s.Elapse)
	})
}

func TestSetGetDelete(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, c cache.Cache, _ func(time.Duration)) {
		ctx := context.Background()
		if v, ok := c.Get(ctx, "none"); ok {
			t.Errorf("a key never set holds %q", v)
		}
		for _, want := range [][]byte{[]byte("plain"), {}, {0, 0xff, '\r', '\n'}, bytes.Repeat([]byte("x"), 1<<20)} {
			if err := c.Set(ctx, "schlüssel:☃", want, time.Minute); err != nil {
				t.Fatal(err)
			}
			if got, ok := c.Get(ctx, "schlüssel:☃"); !ok || !bytes.Equal(got, want) {
				t.Errorf("%d bytes came back as %d, %v", len(want), len(got), ok)
			}
		}
		_ = c.Set(ctx, "a", []byte("1"), time.Minute)
		_ = c.Set(ctx, "b", []byte("2"), time.Minute)
		_ = c.Set(ctx, "c", []byte("3"), time.Minute)
		if err := c.Delete(ctx, "a", "b", "never"); err != nil {
			t.Fatal(err)
		}
		if err := c.Delete(ctx); err != nil {
			t.Errorf("no keys: %v", err)
		}
		for key, want := range map[string]bool{"a": false, "b": false, "c": true} {
			if _, ok := c.Get(ctx, key); ok != want {
				t.Errorf("%s is there: %v", key, ok)
			}
		}
		if err := c.Set(ctx, "c", []byte("4"), 0); err != nil {
			t.Fatal(err)
		}
		if _, ok := c.Get(ctx, "c"); ok {
			t.Error("a Set without time must remove")
		}
	})
}

func TestValueIsTheCachesOwn(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, c cache.Cache, _ func(time.Duration)) {
		v := []byte("abc")
		_ = c.Set(context.Background(), "k", v, time.Minute)
		v[0] = 'X'
		if got, _ := c.Get(context.Background(), "k"); string(got) != "abc" {
			t.Errorf("%q", got)
		}
	})
}

func TestTimeEnds(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, c cache.Cache, elapse func(time.Duration)) {
		ctx := context.Background()
		_ = c.Set(ctx, "short", []byte("1"), 30*time.Millisecond)
		_ = c.Set(ctx, "long", []byte("1"), time.Hour)
		elapse(60 * time.Millisecond)
		if _, ok := c.Get(ctx, "short"); ok {
			t.Error("there after its time")
		}
		if _, ok := c.Get(ctx, "long"); !ok {
			t.Error("gone before its time")
		}
	})
}

func TestOutageIsAMiss(t *testing.T) {
	t.Parallel()
	redistest.Both(t, func(t *testing.T, s *redistest.Server) {
		t.Parallel()
		ctx := context.Background()
		client := s.Client(t, slog.New(slog.DiscardHandler))
		c := cache.NewRedis(client)
		if err := c.Set(ctx, "k", []byte("v"), time.Minute); err != nil {
			t.Fatal(err)
		}
		s.Stop(t)
		if _, ok := c.Get(ctx, "k"); ok {
			t.Error("a hit without Redis")
		}
		if err := c.Set(ctx, "k", []byte("v"), time.Minute); !errors.Is(err, redisx.ErrDown) {
			t.Errorf("set: %v", err)
		}
		if err := c.Delete(ctx, "k"); !errors.Is(err, redisx.ErrDown) {
			t.Errorf("delete: %v", err)
		}
		s.Start(t)
		redistest.WaitUp(t, client)
		if err := c.Set(ctx, "k", []byte("v2"), time.Minute); err != nil {
			t.Fatal(err)
		}
		if v, ok := c.Get(ctx, "k"); !ok || string(v) != "v2" {
			t.Errorf("after the outage: %q, %v", v, ok)
		}
	})
}
