package buffer

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// Memory bounds the bytes that its buffers hold.
//
// Each buffer says how much it may come to hold, its claim, and gives all back once
// it is full and passed on. If all were given what they ask for while there is any,
// all could end up waiting for a little more. One is therefore given more only if
// then there still is an order in which every buffer can be filled, each with what
// those before it have given back: the banker's algorithm (Dijkstra, EWD 108).
type Memory struct {
	most   int64     // 0: unbounded
	chunks sync.Pool // *[chunkSize]byte

	mu   sync.Mutex
	free int64
	// order has all that hold something, those that lack least to their claim first;
	// largest is the greatest claim since there were none.
	order   []*Buffer
	largest int64
	waiting []*waiter // those who came first at first
}

type waiter struct {
	b     *Buffer
	n     int64
	given chan struct{}
}

// NewMemory bounds what buffers hold to most bytes; 0 is no bound.
func NewMemory(most int64) *Memory {
	m := &Memory{most: most, free: most}
	m.chunks.New = func() any { return new([chunkSize]byte) }
	return m
}

// Buffer returns an empty one that takes up to size bytes. It holds nothing before
// it is filled. One that is larger than the memory gets all of it, and no bound.
func (m *Memory) Buffer(size int64) *Buffer {
	return &Buffer{memory: m, size: size, claim: m.claim(size)}
}

func (m *Memory) claim(size int64) int64 { return min(size, m.most) }

// take waits until b may hold n bytes more.
func (m *Memory) take(ctx context.Context, b *Buffer, n int64) error {
	if err := ctx.Err(); err != nil || m.most == 0 {
		return err
	}
	m.mu.Lock()
	if n = min(n, b.claim-b.held); n <= 0 || m.give(b, n) {
		m.mu.Unlock()
		return nil
	}
	w := &waiter{b: b, n: n, given: make(chan struct{})}
	m.waiting = append(m.waiting, w)
	m.mu.Unlock()
	select {
	case <-w.given:
		return nil
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.Index(m.waiting, w); i >= 0 {
		m.waiting = slices.Delete(m.waiting, i, i+1)
		return ctx.Err()
	}
	return nil // it was given meanwhile
}

// give lets b hold n bytes more, if that leaves all a way to be filled.
func (m *Memory) give(b *Buffer, n int64) bool {
	if n > m.free {
		return false
	}
	m.hold(b, n)
	if m.safe() {
		return true
	}
	m.hold(b, -n)
	return false
}

func (m *Memory) hold(b *Buffer, n int64) {
	if i := slices.Index(m.order, b); i >= 0 {
		m.order = slices.Delete(m.order, i, i+1)
	}
	m.free -= n
	if b.held += n; b.held > 0 {
		at, _ := slices.BinarySearchFunc(m.order, b, func(x, y *Buffer) int { return cmp.Compare(x.lacks(), y.lacks()) })
		m.order = slices.Insert(m.order, at, b)
		m.largest = max(m.largest, b.claim)
	}
	if len(m.order) == 0 {
		m.largest = 0
	}
}

func (b *Buffer) lacks() int64 { return b.claim - b.held }

// safe reports whether all buffers can be filled one after the other.
func (m *Memory) safe() bool {
	free := m.free
	for _, b := range m.order {
		if free >= m.largest {
			return true
		}
		if b.lacks() > free {
			return false
		}
		free += b.held
	}
	return true
}

// settle notes that b will hold no more than it does.
func (m *Memory) settle(b *Buffer) {
	if m.most == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	held := b.held
	m.hold(b, -held)
	b.claim = held
	m.hold(b, held) // has another place in the order
	m.wake()
}

// giveBack takes all from b, which may come again.
func (m *Memory) giveBack(b *Buffer) {
	if m.most == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hold(b, -b.held)
	b.claim = m.claim(b.size)
	m.wake()
}

// wake gives those who wait what they may have now. What is given to one never
// makes more possible for those before it.
func (m *Memory) wake() {
	m.waiting = slices.DeleteFunc(m.waiting, func(w *waiter) bool {
		given := m.give(w.b, w.n)
		if given {
			close(w.given)
		}
		return given
	})
}
