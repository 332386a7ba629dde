// Package topology is what the processes of one installation know of each other.
// Workers write into the database that they live (Registration), the control
// plane reads it there and tells it on (Feed), and proxies, which have no
// database, follow the control plane (Follower).
package topology

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/madbase/madbase/platform/secret"
)

// Path is where the control plane serves a Feed.
const Path = "/platform/v1/internal/topology"

const (
	// Interval is the time between two signs of life of a worker.
	Interval = time.Second
	// DeadAfter is the silence, by the database's clock, after which a worker is taken for dead.
	DeadAfter = 5 * time.Second
	// MaxWait bounds how long a Feed holds back an answer that would tell nothing new.
	MaxWait = 25 * time.Second
)

// Topology is the state that proxies follow. What is added to it is followed too:
// its Version depends on all that is written as JSON.
type Topology struct {
	// Version names this state; equal states have equal ones, whoever tells of them.
	Version string   `json:"version"`
	Workers []Worker `json:"workers"`
	// Keys is nil where the control plane knows of none.
	Keys *Keys `json:"keys,omitempty"`
}

// Worker is a process that serves requests.
type Worker struct {
	// ID is that of the process: another one after each start.
	ID string `json:"id"`
	// URL is its base URL (http://worker-1:8002), as proxies reach it.
	URL string `json:"url"`
	// Version is the binary's.
	Version   string    `json:"version,omitempty"`
	Role      string    `json:"role"`
	StartedAt time.Time `json:"started_at"`
	// Draining workers finish what they have and are to get nothing more.
	Draining bool `json:"draining,omitempty"`
}

// Token is what proxies show the control plane. Whoever knows JWT_SECRET has it.
func Token(jwtSecret secret.String) secret.String { return jwtSecret.Derive("topology", 32) }

// named returns t with its version.
func (t Topology) named() (Topology, error) {
	t.Version = ""
	text, err := json.Marshal(t)
	if err != nil {
		return Topology{}, err
	}
	sum := sha256.Sum256(text)
	t.Version = hex.EncodeToString(sum[:12])
	return t, nil
}
