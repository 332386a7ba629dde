package topology

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/module"
	"github.com/madbase/madbase/platform/secret"
)

const (
	// pollTimeout is MaxWait and time for the way.
	pollTimeout = MaxWait + 10*time.Second
	// maxTopology bounds an answer in bytes.
	maxTopology = 16 << 20
	// firstPause and lastPause bound the growing pause after a failure.
	firstPause, lastPause = 250 * time.Millisecond, 5 * time.Second
)

// Follower asks a control plane for the topology, again and again, and hands each
// new one on. While the control plane is away, what was last known holds. It is a
// module without routes.
type Follower struct {
	module.Base
	cfg Following

	mu     sync.Mutex
	cancel context.CancelFunc
	polls  sync.WaitGroup
}

// Following says what a Follower follows and who hears of it.
type Following struct {
	// Control is the control plane's base URL, Token what it is shown.
	Control string
	Token   secret.String
	// Transport is the process's shared one.
	Transport http.RoundTripper
	Log       *slog.Logger
	// Apply is called with each new topology, one at a time.
	Apply func(Topology)
}

// NewFollower returns a Follower that does nothing yet.
func NewFollower(cfg Following) *Follower { return &Follower{cfg: cfg} }

// Name is "topology".
func (f *Follower) Name() string { return "topology" }

// Routes registers nothing.
func (f *Follower) Routes(*echo.Group) {}

// Start begins to follow and waits for nothing.
func (f *Follower) Start(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cancel == nil {
		var ctx context.Context
		ctx, f.cancel = context.WithCancel(context.Background())
		f.polls.Go(func() { f.follow(ctx) })
	}
	return nil
}

// Stop ends the following. Apply is not called after it.
func (f *Follower) Stop(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cancel != nil {
		f.cancel()
		f.polls.Wait()
		f.cancel = nil
	}
	return nil
}

func (f *Follower) follow(ctx context.Context) {
	version, pause := "", firstPause
	for ctx.Err() == nil {
		asked := time.Now()
		t, err := f.poll(ctx, version)
		if err == nil {
			if pause > firstPause {
				f.cfg.Log.InfoContext(ctx, "the control plane is back")
			}
			pause = firstPause
			if t.Version != version {
				version = t.Version
				f.cfg.Apply(t)
				continue
			}
			if time.Since(asked) > firstPause {
				continue
			} // else it does not wait for news, as when it drains
		} else {
			if pause == firstPause && ctx.Err() == nil {
				f.cfg.Log.WarnContext(ctx, "the control plane does not tell of workers: those known last stay", "error", err)
			}
			pause = min(2*pause, lastPause)
		}
		rest(ctx, pause)
	}
}

// rest waits about as long as pause: proxies are not to ask all at once.
func rest(ctx context.Context, pause time.Duration) {
	wait := time.NewTimer(pause/2 + rand.N(pause))
	defer wait.Stop()
	select {
	case <-ctx.Done():
	case <-wait.C:
	}
}

// poll asks once. An unchanged topology has the version since and nothing else.
func (f *Follower) poll(ctx context.Context, since string) (Topology, error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	address := strings.TrimRight(f.cfg.Control, "/") + Path + "?since=" + url.QueryEscape(since)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return Topology{}, fmt.Errorf("topology: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+f.cfg.Token.Reveal())
	res, err := f.cfg.Transport.RoundTrip(r)
	if err != nil {
		return Topology{}, fmt.Errorf("topology: ask the control plane: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	switch res.StatusCode {
	case http.StatusNotModified:
		return Topology{Version: since}, nil
	case http.StatusOK:
	default:
		return Topology{}, fmt.Errorf("topology: the control plane answers %d", res.StatusCode)
	}
	var t Topology
	if err := json.NewDecoder(io.LimitReader(res.Body, maxTopology)).Decode(&t); err != nil {
		return Topology{}, fmt.Errorf("topology: read: %w", err)
	}
	if t.Version == "" {
		return Topology{}, fmt.Errorf("topology: an answer without a version")
	}
	return t, nil
}
