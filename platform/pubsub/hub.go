package pubsub

import "sync"

// hub knows the subscriptions of this process by channel.
type hub struct {
	mu       sync.RWMutex
	channels map[string]map[*subscription]struct{}
	closed   bool
}

func newHub() *hub { return &hub{channels: make(map[string]map[*subscription]struct{})} }

// add lists s; false when the hub is closed.
func (h *hub) add(s *subscription) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	for _, name := range s.channels {
		if h.channels[name] == nil {
			h.channels[name] = make(map[*subscription]struct{})
		}
		h.channels[name][s] = struct{}{}
	}
	return true
}

// remove unlists s and closes what its reader reads.
func (h *hub) remove(s *subscription) {
	h.mu.Lock()
	for _, name := range s.channels {
		delete(h.channels[name], s)
		if len(h.channels[name]) == 0 {
			delete(h.channels, name)
		}
	}
	h.mu.Unlock()
	s.close()
}

func (h *hub) deliver(m Message) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for s := range h.channels[m.Channel] {
		s.deliver(m)
	}
}

// names lists the channels that have subscribers.
func (h *hub) names() map[string]struct{} {
	h.mu.RLock()
	defer h.mu.RUnlock()
	names := make(map[string]struct{}, len(h.channels))
	for name := range h.channels {
		names[name] = struct{}{}
	}
	return names
}

// close ends every subscription and takes no more.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, subscriptions := range h.channels {
		for s := range subscriptions {
			s.close()
		}
	}
	clear(h.channels)
}
