package pubsub

import (
	"bytes"
	"context"
)

// Memory is a Bus within this process.
type Memory struct{ hub *hub }

// NewMemory returns a Bus without subscribers.
func NewMemory() *Memory { return &Memory{hub: newHub()} }

// Publish implements Bus. The payload is copied.
func (m *Memory) Publish(ctx context.Context, channel string, payload []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.hub.deliver(Message{Channel: channel, Payload: bytes.Clone(payload)})
	return nil
}

// Subscribe implements Bus.
func (m *Memory) Subscribe(ctx context.Context, channels ...string) (<-chan Message, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := newSubscription(channels)
	if !m.hub.add(s) {
		return nil, ErrClosed
	}
	context.AfterFunc(ctx, func() { m.hub.remove(s) })
	return s.out, nil
}

// Close implements Bus.
func (m *Memory) Close() { m.hub.close() }
