package pubsub

import "sync"

// backlog is how many messages a subscription holds for a slow reader before
// it drops some and reports them lost.
const backlog = 256

// subscription is one reader. Its lock lets many publishers deliver to it while
// it may end at any moment.
type subscription struct {
	channels []string

	mu       sync.Mutex
	out      chan Message
	dropping bool // a Lost message lies in out that stands for all until it is read
	closed   bool
}

func newSubscription(channels []string) *subscription {
	return &subscription{channels: channels, out: make(chan Message, backlog)}
}

// deliver hands m over without waiting for the reader. The last place of the
// buffer is kept for a Lost message; what comes after it is dropped until the
// reader has taken half of the buffer. Dropping is right only while that Lost
// message is unread, and half a buffer ago it still is.
func (s *subscription) deliver(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	held := len(s.out) // only shrinks from here: senders hold the lock
	if s.dropping && held >= backlog/2 {
		return
	}
	s.dropping = held == backlog-1
	if s.dropping {
		m = Message{Lost: true}
	}
	s.out <- m
}

func (s *subscription) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.out)
	}
}
