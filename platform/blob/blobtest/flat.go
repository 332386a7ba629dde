package blobtest

import (
	"io"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/blob"
)

// Flat streams 256 MiB into the store and out again and fails when memory grew
// by more than 64 MiB over what it was before. It is skipped with -short and
// must not run beside parallel tests.
func Flat(t *testing.T, s blob.Store) {
	t.Helper()
	if testing.Short() {
		t.Skip("streams 256 MiB")
	}
	const n, limit = 256 << 20, 64 << 20
	debug.FreeOSMemory()
	before := inUse()
	peak, stop := watch()
	for _, size := range []int64{n, -1} {
		r, _ := Pattern(n)
		if _, err := s.Put(t.Context(), "flat", r, blob.PutOptions{Size: size}); err != nil {
			t.Fatal(err)
		}
	}
	r, _, err := s.Get(t.Context(), "flat", nil)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := io.Copy(io.Discard, r); err != nil || m != n {
		t.Errorf("%d bytes, %v", m, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	stop()
	grown := int64(peak.Load()) - int64(before)
	t.Logf("memory grew by %d MiB", grown>>20)
	if grown > limit {
		t.Errorf("memory grew by %d MiB, more than %d", grown>>20, limit>>20)
	}
}

// inUse is what the Go heap and stacks hold from the system: what a process's
// RSS is made of, without the pages of its binary.
func inUse() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapSys - m.HeapReleased + m.StackSys
}

// watch notes the highest inUse, a hundred times a second, until stop.
func watch() (peak *atomic.Uint64, stop func()) {
	peak = new(atomic.Uint64)
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			peak.Store(max(peak.Load(), inUse()))
			select {
			case <-tick.C:
			case <-end:
				return
			}
		}
	}()
	return peak, func() { close(end); <-done }
}
