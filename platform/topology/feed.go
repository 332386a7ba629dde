package topology

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/secret"
)

// lookEvery is how often the database is asked while somebody waits.
const lookEvery = 500 * time.Millisecond

// Feed tells proxies the topology, and holds an answer back until there is news.
// However many wait, the database is asked once in each interval.
type Feed struct {
	q     db.Queryer
	token secret.String
	keys  func() *Keys

	draining chan struct{}
	drain    func()

	mu   sync.Mutex
	last Topology
	at   time.Time
}

// NewFeed returns the Feed of the database of q for those who show token. It tells
// what keys returns, which is called once at a time and may return nil.
func NewFeed(q db.Queryer, token secret.String, keys func() *Keys) *Feed {
	draining := make(chan struct{})
	return &Feed{q: q, token: token, keys: keys, draining: draining, drain: sync.OnceFunc(func() { close(draining) })}
}

// Drain answers those who wait, and whoever asks from now on, at once.
func (f *Feed) Drain() { f.drain() }

// Serve answers GET ?since=VERSION: 200 with the topology as soon as its version
// is another one, 304 when it is still the same after MaxWait.
func (f *Feed) Serve(c echo.Context) error {
	r := c.Request()
	scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") || !f.token.Equal(strings.TrimSpace(bearer)) {
		return apierr.New(http.StatusUnauthorized, "unauthorized", "This is for madbase's own proxies")
	}
	t, err := f.await(r.Context(), c.QueryParam("since"))
	if err != nil {
		return apierr.New(http.StatusServiceUnavailable, "unavailable", "The topology is not known").Because(err)
	}
	if t.Version == c.QueryParam("since") {
		return c.NoContent(http.StatusNotModified)
	}
	return httpx.JSON(c, http.StatusOK, t)
}

// await returns the topology once it is another one than since, or after MaxWait.
func (f *Feed) await(ctx context.Context, since string) (Topology, error) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	enough := time.NewTimer(MaxWait)
	defer enough.Stop()
	for {
		t, err := f.Look(ctx)
		if err != nil || t.Version != since {
			return t, err
		}
		select {
		case <-ctx.Done():
			return Topology{}, ctx.Err()
		case <-enough.C:
			return t, nil
		case <-f.draining:
			return t, nil
		case <-ticker.C:
		}
	}
}

// Look returns the topology as it was less than an interval ago.
func (f *Feed) Look(ctx context.Context) (Topology, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.at) < lookEvery/2 {
		return f.last, nil
	}
	// The outcome is for all who wait, so that one who leaves does not spoil it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beatTimeout)
	defer cancel()
	workers, err := liveWorkers(ctx, f.q)
	if err != nil {
		return Topology{}, err
	}
	t := Topology{Workers: workers}
	if keys := f.keys(); keys != nil {
		t.Keys = keys.limited()
	}
	t, err = t.named()
	if err != nil {
		return Topology{}, err
	}
	f.last, f.at = t, time.Now()
	return t, nil
}
