// Package pubsub carries messages between the parts of madbase: in one process
// by Memory, between processes by Redis.
//
// Delivery never holds up the sender and promises nothing over a break of the
// connection: a message may be missing, or come twice. A subscriber that may
// have missed something (Redis was away, or it read too slowly) is told so by a
// message with Lost set: whoever keeps state built from messages reads it anew
// then, as caches and schema snapshots do.
package pubsub

import (
	"context"
	"errors"
)

// ErrClosed means that the Bus was closed.
var ErrClosed = errors.New("pubsub: closed")

// Message is one message, or the news that some may be missing.
type Message struct {
	Channel string
	Payload []byte // not to be changed: all subscribers of the process share it
	// Lost says that messages on any of the subscription's channels may have
	// been missed before this point. Channel and Payload are empty then.
	Lost bool
}

// Bus sends messages to whoever subscribed to their channel.
type Bus interface {
	// Publish sends payload to the present subscribers of channel. An error
	// means that at most the subscribers in this process got it.
	Publish(ctx context.Context, channel string, payload []byte) error
	// Subscribe returns the messages of the channels until ctx ends, which
	// closes what it returned. Messages published after Subscribe returned
	// arrive, in the order one publisher sent them. Without Redis it succeeds
	// too: the subscription takes effect, with a Lost message, when Redis is
	// back. The error is the end of ctx, or ErrClosed.
	Subscribe(ctx context.Context, channels ...string) (<-chan Message, error)
	// Close ends all subscriptions and waits for what the Bus started.
	Close()
}
