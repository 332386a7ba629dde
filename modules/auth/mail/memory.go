package mail

import (
	"context"
	"slices"
	"sync"
	"time"
)

// maxWaiting bounds the drafts that a Memory holds.
const maxWaiting = 10_000

// Memory is a Queue in the process: what waits in it is lost with the process. It
// is for databases that have no table for it.
type Memory struct {
	mu      sync.Mutex
	waiting []*waiting
}

type waiting struct {
	id       string
	draft    Draft
	attempts int
	since    time.Time
	due      time.Time
}

// Add puts a draft down, and reports whether there was room.
func (q *Memory) Add(id string, d Draft) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) >= maxWaiting {
		return false
	}
	now := time.Now()
	q.waiting = append(q.waiting, &waiting{id: id, draft: d, since: now, due: now})
	return true
}

// Claim implements Queue.
func (q *Memory) Claim(_ context.Context, lease time.Duration) (*Item, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for _, w := range q.waiting {
		if w.due.After(now) {
			continue
		}
		w.due = now.Add(lease)
		w.attempts++
		return &Item{ID: w.id, Kind: w.draft.Kind, Attempts: w.attempts, Age: now.Sub(w.since), Draft: func() (Draft, error) { return w.draft, nil }}, nil
	}
	return nil, nil
}

// Done implements Queue.
func (q *Memory) Done(_ context.Context, id string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = slices.DeleteFunc(q.waiting, func(w *waiting) bool { return w.id == id })
	return nil
}

// Again implements Queue.
func (q *Memory) Again(_ context.Context, id string, after time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, w := range q.waiting {
		if w.id == id {
			w.due = time.Now().Add(after)
		}
	}
	return nil
}

// Len is how many drafts wait.
func (q *Memory) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}
