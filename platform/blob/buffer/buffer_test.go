package buffer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/blob/buffer"
)

const chunk = 64 << 10

func random(n int) []byte {
	data, source := make([]byte, n), rand.NewChaCha8([32]byte{byte(n)})
	_, _ = source.Read(data)
	return data
}

func TestBufferGivesWhatItTook(t *testing.T) {
	t.Parallel()
	for _, most := range []int64{0, 1 << 20} {
		m := buffer.NewMemory(most)
		for _, n := range []int{0, 1, 1000, chunk - 1, chunk, chunk + 1, 3*chunk + 17} {
			for _, room := range []int{0, 1, 2 * chunk} {
				data := random(n)
				b := m.Buffer(int64(n + room))
				end, err := b.Fill(t.Context(), iotest.OneByteReader(bytes.NewReader(data)))
				if err != nil || end != (room > 0) || b.Full() != (room == 0) || b.Len() != int64(n) {
					t.Errorf("%d bytes, %d more: %v, %v, %d", n, room, end, err, b.Len())
				}
				if err := iotest.TestReader(b.Reader(), data); err != nil {
					t.Errorf("%d bytes: %v", n, err)
				}
				var out bytes.Buffer
				if written, err := b.Reader().WriteTo(&out); err != nil || written != int64(n) || !bytes.Equal(out.Bytes(), data) {
					t.Errorf("%d bytes: %d, %v", n, written, err)
				}
				b.Free()
				if b.Len() != 0 {
					t.Error("a freed buffer has bytes")
				}
			}
		}
	}
}

func TestPrepend(t *testing.T) {
	t.Parallel()
	m := buffer.NewMemory(1 << 20)
	for _, n := range []int{0, 1, chunk, 2*chunk + 5} {
		for _, before := range []int{0, 1, chunk, chunk + 5} {
			data := random(before + n)
			b := m.Buffer(int64(before + n))
			b.Reserve(int64(before))
			if end, err := b.Fill(t.Context(), io.MultiReader(bytes.NewReader(data[before:]), strings.NewReader("more"))); err != nil || end || !b.Full() || b.Len() != int64(n) {
				t.Errorf("%v, %v, %d bytes", end, err, b.Len())
			}
			if before > 0 {
				if err := b.Prepend(t.Context(), bytes.NewReader(data[1:before]), int64(before)); err == nil {
					t.Error("too few bytes were prepended")
				}
			}
			if err := b.Prepend(t.Context(), bytes.NewReader(data), int64(before)); err != nil {
				t.Error(err)
			}
			if err := b.Prepend(t.Context(), strings.NewReader("x"), 1); !errors.Is(err, blob.ErrSize) {
				t.Errorf("beyond its size: %v", err)
			}
			if err := iotest.TestReader(b.Reader(), data); err != nil {
				t.Errorf("%d after %d bytes: %v", n, before, err)
			}
			b.Free()
		}
	}
}

// Room that is reserved late is kept too, in a chunk that is there already.
func TestReserveAfterGrow(t *testing.T) {
	t.Parallel()
	m := buffer.NewMemory(1 << 20)
	data := random(2*chunk + 10)
	b := m.Buffer(int64(len(data)))
	defer b.Free()
	if err := b.Grow(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Reserve(2 * chunk)
	if end, err := b.Fill(t.Context(), io.MultiReader(bytes.NewReader(data[2*chunk:]), strings.NewReader("more"))); err != nil || end || !b.Full() {
		t.Errorf("%v, %v, %d bytes", end, err, b.Len())
	}
	if err := b.Prepend(t.Context(), bytes.NewReader(data), 2*chunk); err != nil {
		t.Fatal(err)
	}
	if err := iotest.TestReader(b.Reader(), data); err != nil {
		t.Error(err)
	}
}

// Many that want more together than there is are all served, and never hold more than that.
func TestBuffersWaitForMemoryAndNotForEachOther(t *testing.T) {
	t.Parallel()
	const most = 2 << 20
	m := buffer.NewMemory(most)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var (
		group errgroup.Group
		held  atomic.Int64
	)
	for i := range 64 {
		group.Go(func() error {
			for round := range 20 {
				size := []int64{1, chunk / 2, 300_000, 1 << 20, most}[(i+round)%5]
				b := m.Buffer(size)
				mine := int64(0)
				_, err := b.Fill(ctx, readerFunc(func(p []byte) (int, error) {
					n := min(len(p), 10_000)
					mine += int64(n)
					if now := held.Add(int64(n)); now > most {
						t.Errorf("%d bytes are held", now)
					}
					return n, nil
				}))
				held.Add(-mine)
				b.Free()
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// What is known to be complete asks for no more, and keeps nobody waiting for that.
func TestACompleteBufferLeavesTheRest(t *testing.T) {
	t.Parallel()
	m := buffer.NewMemory(4 * chunk)
	small := m.Buffer(4 * chunk)
	if _, err := small.Fill(t.Context(), strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	next := m.Buffer(3 * chunk)
	defer next.Free()
	_ = small.Reader()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := next.Fill(ctx, bytes.NewReader(random(3*chunk))); err != nil || !next.Full() {
		t.Errorf("%v, %d bytes", err, next.Len())
	}
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := m.Buffer(1).Fill(ctx, strings.NewReader("x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("beyond the memory: %v", err)
	}
	small.Free()
	if _, err := m.Buffer(1).Fill(t.Context(), strings.NewReader("x")); err != nil {
		t.Error(err)
	}
}

// One that is larger than all memory gets through, alone.
func TestABufferBeyondTheMemory(t *testing.T) {
	t.Parallel()
	m := buffer.NewMemory(chunk)
	b := m.Buffer(3*chunk + 1)
	defer b.Free()
	data := random(3 * chunk)
	if end, err := b.Fill(t.Context(), bytes.NewReader(data)); err != nil || !end {
		t.Errorf("%v, %v", end, err)
	}
	if err := iotest.TestReader(b.Reader(), data); err != nil {
		t.Error(err)
	}
}
