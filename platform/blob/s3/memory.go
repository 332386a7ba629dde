package s3

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// memory bounds the bytes that uploads hold in buffers.
type memory struct {
	most int64 // 0: unbounded
	held *semaphore.Weighted
}

func newMemory(most int64) memory { return memory{most, semaphore.NewWeighted(most)} }

// take waits until an upload may hold n bytes, and returns how to give them back.
// One that wants more than there is gets all of it.
func (m memory) take(ctx context.Context, n int64) (release func(), err error) {
	if m.most == 0 {
		return func() {}, nil
	}
	n = min(n, m.most)
	if err := m.held.Acquire(ctx, n); err != nil {
		return nil, err
	}
	return func() { m.held.Release(n) }, nil
}
