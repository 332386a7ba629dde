package cache

import (
	"hash/maphash"
	"sync"
	"time"
)

// Above shardFrom entries the LRU is split into shards of their own lock, so
// that many cores can read at once. Below it one shard keeps the order exact.
const (
	shardFrom = 1024
	shards    = 16
)

// LRU is a bounded map from K to V whose entries end at a time of their own.
// When it is full the entry unused for longest makes room (within its shard:
// from 1024 entries on the order is kept per shard, not over all of them).
// All methods may be called from any goroutine; Get does not allocate.
type LRU[K comparable, V any] struct {
	seed   maphash.Seed
	shards []lruShard[K, V]
}

// lruShard is one lock, one map and one ring of entries, newest first.
type lruShard[K comparable, V any] struct {
	mu    sync.Mutex
	max   int
	items map[K]*lruEntry[K, V]
	root  lruEntry[K, V] // sentinel: root.next is the newest, root.prev the oldest
	_     [64]byte       // keeps the locks of neighbours off one cache line
}

type lruEntry[K comparable, V any] struct {
	prev, next *lruEntry[K, V]
	key        K
	value      V
	expiresAt  time.Time
}

// New returns an LRU that holds at most limit entries; a limit below 1 counts as 1.
func New[K comparable, V any](limit int) *LRU[K, V] {
	n := 1
	if limit >= shardFrom {
		n = shards
	}
	c := &LRU[K, V]{seed: maphash.MakeSeed(), shards: make([]lruShard[K, V], n)}
	for i := range c.shards {
		s := &c.shards[i]
		s.max = max(limit/n, 1)
		s.items = make(map[K]*lruEntry[K, V])
		s.root.prev, s.root.next = &s.root, &s.root
	}
	return c
}

// Get returns the value stored under k and true, or the zero value and false
// when there is none or its time is over. A hit makes the entry the newest.
func (c *LRU[K, V]) Get(k K) (V, bool) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.items[k]
	if !ok {
		var zero V
		return zero, false
	}
	if e.expired(time.Now()) {
		s.remove(e)
		var zero V
		return zero, false
	}
	s.toFront(e)
	return e.value, true
}

// Put stores v under k until expiresAt, in place of what was there. The zero
// time means no end; a time in the past removes k.
func (c *LRU[K, V]) Put(k K, v V, expiresAt time.Time) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(k, v, expiresAt)
}

// Update replaces the value under k by what change makes of the present one,
// in one step that no other call comes between. change must not call the LRU.
func (c *LRU[K, V]) Update(k K, change func(v V, ok bool) (V, time.Time)) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	var old V
	e, ok := s.items[k]
	if ok = ok && !e.expired(time.Now()); ok {
		old = e.value
	}
	v, expiresAt := change(old, ok)
	s.put(k, v, expiresAt)
}

func (s *lruShard[K, V]) put(k K, v V, expiresAt time.Time) {
	e, ok := s.items[k]
	switch {
	case !expiresAt.IsZero() && !time.Now().Before(expiresAt):
		if ok {
			s.remove(e)
		}
		return
	case ok:
		s.toFront(e)
	case len(s.items) >= s.max:
		e = s.root.prev // reuse the evicted entry: a full cache allocates nothing
		delete(s.items, e.key)
		s.items[k] = e
		s.toFront(e)
	default:
		e = &lruEntry[K, V]{}
		s.items[k] = e
		s.link(e)
	}
	e.key, e.value, e.expiresAt = k, v, expiresAt
}

// Delete removes k; removing what is not there is no error.
func (c *LRU[K, V]) Delete(k K) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.items[k]; ok {
		s.remove(e)
	}
}

// Clear removes every entry.
func (c *LRU[K, V]) Clear() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		clear(s.items)
		s.root.prev, s.root.next = &s.root, &s.root
		s.mu.Unlock()
	}
}

// Len counts the entries held, those whose time is over but were not asked for
// since included.
func (c *LRU[K, V]) Len() int {
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += len(s.items)
		s.mu.Unlock()
	}
	return n
}

func (c *LRU[K, V]) shard(k K) *lruShard[K, V] {
	if len(c.shards) == 1 {
		return &c.shards[0]
	}
	return &c.shards[maphash.Comparable(c.seed, k)%shards]
}

func (e *lruEntry[K, V]) expired(now time.Time) bool {
	return !e.expiresAt.IsZero() && !now.Before(e.expiresAt)
}

func (s *lruShard[K, V]) link(e *lruEntry[K, V]) {
	e.prev, e.next = &s.root, s.root.next
	e.prev.next, e.next.prev = e, e
}

func (s *lruShard[K, V]) toFront(e *lruEntry[K, V]) {
	if s.root.next == e {
		return
	}
	e.prev.next, e.next.prev = e.next, e.prev
	s.link(e)
}

func (s *lruShard[K, V]) remove(e *lruEntry[K, V]) {
	e.prev.next, e.next.prev = e.next, e.prev
	delete(s.items, e.key)
}
