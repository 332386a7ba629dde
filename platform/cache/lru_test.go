package cache_test

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/madbase/madbase/platform/cache"
)

func TestLRUEvictsTheOldest(t *testing.T) {
	t.Parallel()
	c := cache.New[string, int](2)
	c.Put("a", 1, time.Time{})
	c.Put("b", 2, time.Time{})
	c.Get("a") // now b is the oldest
	c.Put("c", 3, time.Time{})
	if _, ok := c.Get("b"); ok {
		t.Error("b was used longest ago and is still there")
	}
	for k, want := range map[string]int{"a": 1, "c": 3} {
		if got, ok := c.Get(k); !ok || got != want {
			t.Errorf("Get(%q) = %d, %v; want %d", k, got, ok, want)
		}
	}
}

func TestLRUReplacesAndDeletes(t *testing.T) {
	t.Parallel()
	c := cache.New[string, int](0)
	c.Put("a", 1, time.Time{})
	c.Put("a", 2, time.Time{})
	if got, ok := c.Get("a"); !ok || got != 2 || c.Len() != 1 {
		t.Errorf("after a second Put: %d, %v, length %d", got, ok, c.Len())
	}
	c.Delete("a")
	c.Delete("never")
	if _, ok := c.Get("a"); ok || c.Len() != 0 {
		t.Error("a is still there after Delete")
	}
	c.Put("a", 3, time.Time{})
	c.Clear()
	if _, ok := c.Get("a"); ok {
		t.Error("a is still there after Clear")
	}
	c.Put("b", 4, time.Time{})
	if got, ok := c.Get("b"); !ok || got != 4 {
		t.Error("Put after Clear is lost")
	}
}

func TestLRUExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := cache.New[string, int](8)
		c.Put("a", 1, time.Now().Add(time.Minute))
		time.Sleep(time.Minute - 1)
		if _, ok := c.Get("a"); !ok {
			t.Error("gone before its time")
		}
		time.Sleep(time.Nanosecond)
		if _, ok := c.Get("a"); ok {
			t.Error("there at its end")
		}
		if c.Len() != 0 {
			t.Error("an expired entry stays after Get")
		}
		c.Put("b", 1, time.Time{})
		c.Put("b", 2, time.Now())
		if _, ok := c.Get("b"); ok {
			t.Error("a Put that is already over must remove the old value")
		}
	})
}

func TestLRUStaysBounded(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 7, 1023, 1024, 5000} {
		c := cache.New[int, int](limit)
		for i := range 4 * limit {
			c.Put(i, i, time.Time{})
		}
		if n := c.Len(); n > limit || n < limit*9/10 {
			t.Errorf("limit %d: holds %d", limit, n)
		}
	}
}

func TestLRUConcurrent(t *testing.T) {
	t.Parallel()
	c := cache.New[string, string](2000)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5000 {
				k := strconv.Itoa(rand.IntN(4000))
				switch rand.IntN(4) {
				case 0:
					c.Put(k, k, time.Now().Add(time.Duration(rand.IntN(3))*time.Millisecond))
				case 1:
					c.Delete(k)
				default:
					if v, ok := c.Get(k); ok && v != k {
						t.Errorf("Get(%q) = %q", k, v)
					}
				}
			}
		})
	}
	wg.Wait()
	if c.Len() > 2000 {
		t.Errorf("holds %d", c.Len())
	}
}

func TestLRUUpdateIsOneStep(t *testing.T) {
	t.Parallel()
	c := cache.New[string, int](8)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				c.Update("n", func(n int, _ bool) (int, time.Time) { return n + 1, time.Time{} })
			}
		})
	}
	wg.Wait()
	if n, _ := c.Get("n"); n != 4000 {
		t.Errorf("%d of 4000 increments", n)
	}
	c.Update("n", func(int, bool) (int, time.Time) { return 0, time.Now() })
	c.Update("n", func(n int, ok bool) (int, time.Time) {
		if ok || n != 0 {
			t.Errorf("an ended value came back: %d, %v", n, ok)
		}
		return 1, time.Time{}
	})
}

func TestLRUGetDoesNotAllocate(t *testing.T) {
	c := cache.New[string, [4]int](2000)
	c.Put("k", [4]int{1}, time.Now().Add(time.Hour))
	if n := testing.AllocsPerRun(100, func() { c.Get("k"); c.Get("none") }); n != 0 {
		t.Errorf("%v allocations per Get", n)
	}
}

func BenchmarkLRUGet(b *testing.B) {
	c := cache.New[string, int](10_000)
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + strconv.Itoa(i)
		c.Put(keys[i], i, time.Now().Add(time.Hour))
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			c.Get(keys[i%len(keys)])
		}
	})
}
