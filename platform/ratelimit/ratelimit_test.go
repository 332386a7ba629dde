package ratelimit_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/madbase/madbase/platform/ratelimit"
	"github.com/madbase/madbase/platform/redisx/redistest"
)

// drivers runs a test on every driver.
func drivers(t *testing.T, test func(t *testing.T, l ratelimit.Limiter)) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, ratelimit.NewMemory(1000))
	})
	redistest.Both(t, func(t *testing.T, s *redistest.Server) {
		t.Parallel()
		test(t, ratelimit.NewRedis(s.Client(t, slog.New(slog.DiscardHandler)), refuser{}))
	})
}

// refuser stands where the fallback must not be reached.
type refuser struct{}

func (refuser) Allow(context.Context, string, ratelimit.Limit) (ratelimit.Decision, error) {
	return ratelimit.Decision{}, errors.New("the fallback was asked")
}

func allow(t testing.TB, l ratelimit.Limiter, key string, limit ratelimit.Limit) ratelimit.Decision {
	t.Helper()
	d, err := l.Allow(context.Background(), key, limit)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestBurstThenRefusal(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, l ratelimit.Limiter) {
		limit := ratelimit.Limit{Rate: 1, Period: time.Hour, Burst: 3}
		for i := range 3 {
			if d := allow(t, l, "a", limit); !d.Allowed || d.Remaining != 2-i || d.RetryAfter != 0 {
				t.Errorf("use %d: %+v", i+1, d)
			}
		}
		for range 3 {
			d := allow(t, l, "a", limit)
			if d.Allowed || d.Remaining != 0 || d.RetryAfter <= 59*time.Minute || d.RetryAfter > time.Hour {
				t.Errorf("beyond the burst: %+v", d)
			}
		}
		if d := allow(t, l, "b", limit); !d.Allowed {
			t.Error("another key is another bucket")
		}
	})
}

func TestRefill(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, l ratelimit.Limiter) {
		limit := ratelimit.Limit{Rate: 10, Period: time.Second, Burst: 1}
		for range 3 {
			if d := allow(t, l, "a", limit); !d.Allowed {
				t.Fatalf("%+v", d)
			}
			d := allow(t, l, "a", limit)
			if d.Allowed || d.RetryAfter > 100*time.Millisecond {
				t.Fatalf("at once again: %+v", d)
			}
			<-time.After(d.RetryAfter)
		}
	})
}

func TestBurstDefaultsToRate(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, l ratelimit.Limiter) {
		limit := ratelimit.Limit{Rate: 5, Period: time.Hour}
		n := 0
		for allow(t, l, "a", limit).Allowed {
			n++
		}
		if n != 5 {
			t.Errorf("%d allowed", n)
		}
	})
}

func TestNoLimit(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, l ratelimit.Limiter) {
		for range 100 {
			if d := allow(t, l, "a", ratelimit.Limit{}); !d.Allowed || d.Remaining < 1 {
				t.Fatalf("%+v", d)
			}
		}
	})
}

func TestNarrowedLimitDoesNotLockOut(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, l ratelimit.Limiter) {
		wide := ratelimit.Limit{Rate: 100, Period: time.Hour}
		for allow(t, l, "a", wide).Allowed {
		}
		d := allow(t, l, "a", ratelimit.Limit{Rate: 1, Period: time.Second, Burst: 1})
		if d.RetryAfter > time.Second {
			t.Errorf("waits %v for a limit of one a second", d.RetryAfter)
		}
	})
}

func TestConcurrentUsesAreCountedOnce(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, l ratelimit.Limiter) {
		var allowed atomic.Int64
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for range 20 {
					if d, err := l.Allow(context.Background(), "a", ratelimit.Limit{Rate: 100, Period: time.Hour}); err != nil {
						t.Error(err)
					} else if d.Allowed {
						allowed.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if allowed.Load() != 100 {
			t.Errorf("%d of 100 allowed", allowed.Load())
		}
	})
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, l ratelimit.Limiter) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := l.Allow(ctx, "a", ratelimit.Limit{Rate: 1, Period: time.Hour}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestMemoryRefillsOverTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.NewMemory(10)
		limit := ratelimit.Limit{Rate: 60, Period: time.Minute, Burst: 10}
		for allow(t, l, "a", limit).Allowed {
		}
		time.Sleep(5 * time.Second)
		n := 0
		for allow(t, l, "a", limit).Allowed {
			n++
		}
		if n != 5 {
			t.Errorf("5 s at one a second gave %d", n)
		}
		time.Sleep(time.Hour)
		if d := allow(t, l, "a", limit); d.Remaining != 9 {
			t.Errorf("a full bucket holds the burst: %+v", d)
		}
	})
}

func TestOutageFallsBackPerProcess(t *testing.T) {
	t.Parallel()
	redistest.Both(t, func(t *testing.T, s *redistest.Server) {
		t.Parallel()
		client := s.Client(t, slog.New(slog.DiscardHandler))
		l := ratelimit.NewRedis(client, ratelimit.NewMemory(10))
		limit := ratelimit.Limit{Rate: 2, Period: time.Hour}
		count := func() (n int) {
			for allow(t, l, "a", limit).Allowed {
				n++
			}
			return n
		}
		if n := count(); n != 2 {
			t.Errorf("with Redis %d allowed", n)
		}
		s.Stop(t)
		if n := count(); n != 2 {
			t.Errorf("during the outage %d allowed", n)
		}
		s.Start(t)
		redistest.WaitUp(t, client)
		other := ratelimit.NewRedis(s.Client(t, slog.New(slog.DiscardHandler)), refuser{})
		allow(t, l, "shared", limit)
		allow(t, other, "shared", limit)
		if d := allow(t, l, "shared", limit); d.Allowed {
			t.Error("after the outage the processes do not count together")
		}
	})
}

func TestProcessesShareTheLimit(t *testing.T) {
	t.Parallel()
	s := redistest.New(t)
	limit := ratelimit.Limit{Rate: 4, Period: time.Hour}
	n := 0
	for range 4 {
		l := ratelimit.NewRedis(s.Client(t, slog.New(slog.DiscardHandler)), refuser{})
		for range 2 {
			if allow(t, l, "a", limit).Allowed {
				n++
			}
		}
	}
	if n != 4 {
		t.Errorf("%d of 4 allowed over four clients", n)
	}
}

func BenchmarkMemory(b *testing.B) {
	l := ratelimit.NewMemory(10_000)
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = "10.0.0." + strconv.Itoa(i)
	}
	limit := ratelimit.Limit{Rate: 100, Period: time.Second}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			_, _ = l.Allow(context.Background(), keys[i%len(keys)], limit)
		}
	})
}

func BenchmarkRedis(b *testing.B) {
	l := ratelimit.NewRedis(redistest.New(b).Client(b, slog.New(slog.DiscardHandler)), refuser{})
	limit := ratelimit.Limit{Rate: 100, Period: time.Second}
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := l.Allow(context.Background(), strconv.Itoa(i%1000), limit); err != nil {
				b.Error(err)
			}
		}
	})
}
