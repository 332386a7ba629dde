package tenant_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/tenant"
)

func stranger(address string) tenant.Visitor { return tenant.Visitor{Address: address} }

// enter has v come in and go.
func (s *stage) enter(t *testing.T, ref string, v tenant.Visitor) error {
	t.Helper()
	_, _, release, err := s.Acquire(t.Context(), ref, v)
	if err == nil {
		release()
	}
	return err
}

// Strangers may have only so much opened; what is open, and those with a key, are
// left alone by that.
func TestStrangersOpenOnlySoMuch(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(c *tenant.Config) { c.Strangers = 2 }, "one", "two", "three")
	for _, ref := range []string{"one", "two"} {
		if err := s.enter(t, ref, stranger("2001:db8::1")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.enter(t, "three", stranger("2001:db8::2")); !isStatus(err, 429) {
		t.Errorf("one network's third project: %v", err)
	}
	if err := s.enter(t, "one", stranger("2001:db8::2")); err != nil {
		t.Errorf("a project that is open: %v", err)
	}
	if n := s.opened.Load(); n != 2 {
		t.Errorf("opened %d", n)
	}
	if err := s.enter(t, "three", known); err != nil {
		t.Errorf("with a key: %v", err)
	}
	if err := s.enter(t, "three", stranger("2001:db8::3")); err != nil {
		t.Errorf("after somebody with a key: %v", err)
	}
}

// Requests that come together, as those of a page for its pictures, count as the one
// opening that they come to, whoever they are from.
func TestWhatStrangersAskForTogetherCountsOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(c *tenant.Config) { c.Strangers, c.Requests = 1, 100 }, "one")
	var together sync.WaitGroup
	for i := range 60 {
		together.Go(func() {
			if err := s.enter(t, "one", stranger("192.0.2."+strconv.Itoa(i%3))); err != nil {
				t.Error(err)
			}
		})
	}
	together.Wait()
	if n := s.opened.Load(); n != 1 {
		t.Errorf("opened %d times", n)
	}
}

// What a visitor shows is checked while the project is being opened for another one.
func TestKeysOfWhatIsBeingOpened(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(*tenant.Config) {}, "one")
	s.slow = make(chan struct{})
	time.AfterFunc(50*time.Millisecond, func() { close(s.slow) })
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for len(s.closed) == 0 {
				if keys, err := s.Keys("one"); err != nil || keys == nil {
					t.Errorf("%v, %v", keys, err)
					return
				}
			}
		})
	}
	s.hold(t, "one")()
	s.Evict()
	asking.Wait()
}

// A project whose database does not answer keeps strangers from no other one.
func TestWhatHangsKeepsNoStrangersOut(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(*tenant.Config) {}, "one", "two", "three")
	s.slow = make(chan struct{})
	end := sync.OnceFunc(func() { close(s.slow) })
	defer end()
	var waiting sync.WaitGroup
	for _, ref := range []string{"one", "two", "three"} {
		waiting.Go(func() {
			if err := s.enter(t, ref, stranger(ref)); err != nil {
				t.Error(err)
			}
		})
	}
	s.awaitOpened(t, 3)
	end()
	waiting.Wait()
}

// One project is not opened for strangers over and over, whoever they are.
func TestAProjectIsOpenedForStrangersNowAndThen(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(c *tenant.Config) { c.Open = 1 }, "one", "two")
	var refused error
	for i := range 10 {
		if refused = s.enter(t, "one", stranger(string(rune('a'+i)))); refused != nil {
			break
		}
		s.hold(t, "two")() // which takes its room
	}
	if !isStatus(refused, 429) {
		t.Errorf("opened %d times, %v", s.opened.Load(), refused)
	}
}

// While what strangers want is being opened, others of them wait, and nobody else.
func TestStrangersWaitForEachOther(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(*tenant.Config) {}, "one", "two", "three", "four")
	s.slow = make(chan struct{})
	var waiting sync.WaitGroup
	for _, ref := range []string{"one", "two", "three"} {
		gone, cancel := context.WithCancel(t.Context())
		waiting.Go(func() {
			defer cancel()
			if ref != "three" { // that its visitor has gone gives no room
				time.AfterFunc(100*time.Millisecond, cancel)
			}
			_, _, release, err := s.Acquire(gone, ref, stranger(ref))
			if err == nil {
				release()
			}
			if ref == "three" && err != nil {
				t.Error(err)
			}
		})
		s.awaitOpened(t, map[string]int32{"one": 1, "two": 2, "three": 2}[ref])
	}
	waiting.Go(func() {
		if err := s.enter(t, "four", known); err != nil {
			t.Error(err)
		}
	})
	s.awaitOpened(t, 3)
	<-time.After(300 * time.Millisecond)
	if n := s.opened.Load(); n != 3 {
		t.Errorf("opened %d at once", n)
	}
	close(s.slow)
	waiting.Wait()
	if n := s.opened.Load(); n != 4 {
		t.Errorf("opened %d", n)
	}
}

// awaitOpened waits until n tenants were opened, or are being opened.
func (s *stage) awaitOpened(t *testing.T, n int32) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); s.opened.Load() < n; <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("opened %d, want %d", s.opened.Load(), n)
		}
	}
}
