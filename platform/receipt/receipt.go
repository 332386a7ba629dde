// Package receipt remembers that something was done, and what came of it, so
// that who asks for it again under the same name has the outcome instead: in one
// process by Memory, among all processes on one Redis by Redis.
package receipt

import "time"

// Age is how long a name is remembered.
const Age = 24 * time.Hour

// What a store keeps under a name begins with one of these.
const (
	claimedMark = '?'
	keptMark    = '!'
)
