package receipt

import (
	"container/list"
	"context"
	"sync"
	"time"
)

const (
	// maxNames is how many names Memory remembers; beyond that the oldest is forgotten.
	maxNames = 100_000
	// maxBytes is how much of outcomes Memory keeps; beyond that the oldest are
	// emptied, while their names stay taken.
	maxBytes = 64 << 20
)

// Memory remembers within this process.
type Memory struct {
	mu    sync.Mutex
	named map[string]*list.Element // of *entry
	order *list.List               // the oldest first
	bytes int
	names int // how many at most
	most  int // bytes
}

type entry struct {
	name    string
	done    bool
	outcome []byte
	until   time.Time
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	return &Memory{named: map[string]*list.Element{}, order: list.New(), names: maxNames, most: maxBytes}
}

// Claim takes name. When it was taken before, claimed is false, and outcome is
// what was kept: nil while nothing is, and empty when it was given up for want of space.
func (m *Memory) Claim(_ context.Context, name string) (outcome []byte, claimed bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for e := m.order.Front(); e != nil && (m.order.Len() >= m.names || e.Value.(*entry).until.Before(now)); e = m.order.Front() {
		m.forget(e)
	}
	if e, taken := m.named[name]; taken {
		found := e.Value.(*entry)
		if !found.done {
			return nil, false, nil
		}
		return append([]byte{}, found.outcome...), false, nil
	}
	m.named[name] = m.order.PushBack(&entry{name: name, until: now.Add(Age)})
	return nil, true, nil
}

// Keep keeps the outcome under a claimed name.
func (m *Memory) Keep(_ context.Context, name string, outcome []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, taken := m.named[name]
	if !taken {
		return nil // forgotten meanwhile
	}
	done := e.Value.(*entry)
	done.done, done.outcome = true, outcome
	m.bytes += len(outcome)
	for e := m.order.Front(); e != nil && m.bytes > m.most; e = e.Next() {
		old := e.Value.(*entry)
		m.bytes -= len(old.outcome)
		old.outcome = nil
	}
	return nil
}

// Release gives a claimed name back.
func (m *Memory) Release(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, taken := m.named[name]; taken {
		m.forget(e)
	}
	return nil
}

func (m *Memory) forget(e *list.Element) {
	old := e.Value.(*entry)
	m.bytes -= len(old.outcome)
	delete(m.named, old.name)
	m.order.Remove(e)
}
