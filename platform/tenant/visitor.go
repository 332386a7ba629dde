package tenant

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/cache"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/ratelimit"
	"github.com/madbase/madbase/platform/registry"
)

// Visitor is who asks for a project.
type Visitor struct {
	// Known says that the request came with a key or a token of the project. Others
	// follow links, which need none, and may have only so much opened.
	Known bool
	// Address is the client's; empty where that cannot be told.
	Address string
}

const (
	// strangersAtOnce is how many tenants a process opens at a time for visitors
	// that it does not know: each takes connections, and a database's attention.
	strangersAtOnce = 2
	// strangerSlow is how long one of them takes a place at most: a project whose
	// database does not answer must not keep strangers from the others.
	strangerSlow = 2 * time.Second
	// reopened is how often a minute one project is opened for them.
	reopened = 6
	// keptKeys bounds of how many projects that are not open the keys are kept.
	keptKeys = 1000
)

// keyring is the keys of a project as of a version of it.
type keyring struct {
	version int64
	keys    *claims.Keys
}

// newKeyrings remembers those of projects that are asked for without being opened.
func newKeyrings() *cache.LRU[string, keyring] { return cache.New[string, keyring](keptKeys) }

// Keys returns the keys of the project ref, which tell whom to open it for.
func (d *Directory) Keys(ref string) (*claims.Keys, error) {
	p, err := d.find(ref)
	if err != nil {
		return nil, err
	}
	if keys, _ := d.serving(p); keys != nil {
		return keys, nil
	}
	keys, err := d.keysOf(p)
	if err != nil {
		return nil, unavailable("project_unavailable", "The project cannot be served now", err)
	}
	return keys, nil
}

// keysOf makes the keys of p, or has them. They are made one at a time, so that the
// use of a key is noted on those that its tenant will have.
func (d *Directory) keysOf(p registry.Project) (*claims.Keys, error) {
	d.making.Lock()
	defer d.making.Unlock()
	if kept, found := d.keyrings.Get(p.Ref); found && kept.version == p.Version {
		return kept.keys, nil
	}
	keys, err := d.deps.Keys(p)
	if err == nil {
		d.keyrings.Put(p.Ref, keyring{p.Version, keys}, time.Time{})
	}
	return keys, err
}

// serving reports whether there is an entry of p as it is now that is not to be
// replaced, and returns its keys once it is open.
func (d *Directory) serving(p registry.Project) (keys *claims.Keys, found bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.entries[p.Ref]; e != nil && !e.outdated(p) {
		return e.keys, true
	}
	return nil, false
}

// outdated reports whether e is to be replaced by an entry of p.
func (e *entry) outdated(p registry.Project) bool {
	return e.project.Version != p.Version || !e.failedAt.IsZero() && time.Since(e.failedAt) > failedFor
}

// allow has ref opened for v, if it is a stranger, unless it is open or that would be
// too much. Of those who ask at once, as a page does that has many pictures, one is counted.
func (d *Directory) allow(ctx context.Context, ref string, v Visitor) error {
	p, err := d.find(ref)
	if err != nil || v.Known {
		return err
	}
	if _, open := d.serving(p); open {
		return nil
	}
	ctx = context.WithoutCancel(ctx) // what comes of it is for all of them
	by := httpx.Subscriber(v.Address)
	_, err, _ = d.asking.Do(by+" "+ref, func() (any, error) {
		if _, open := d.serving(p); open { // by now
			return nil, nil //nolint:nilnil // nobody asks for more
		}
		if err := d.count(ctx, "projects:opened-by:"+by, d.cfg.Strangers); err != nil {
			return nil, err
		}
		_, err, _ := d.asking.Do(ref, func() (any, error) { return nil, d.begun(ctx, ref, v) })
		return nil, err
	})
	return err
}

// begun returns once ref is being opened for a stranger.
func (d *Directory) begun(ctx context.Context, ref string, v Visitor) error {
	if err := d.count(ctx, "projects:opened:"+ref, reopened); err != nil {
		return err
	}
	e, err := d.enter(ctx, ref, v)
	if err == nil {
		d.leave(e)
	}
	return err
}

// count refuses what is done under the key more than so many times a minute.
func (d *Directory) count(ctx context.Context, key string, times int) error {
	made, err := d.deps.Limiter.Allow(ctx, key, ratelimit.Limit{Rate: times, Period: time.Minute})
	if err != nil || made.Allowed {
		return err
	}
	seconds := max(int(math.Ceil(made.RetryAfter.Seconds())), 1)
	return apierr.New(http.StatusTooManyRequests, "rate_limited", "Too many projects are opened without an API key").
		WithHeader("Retry-After", strconv.Itoa(seconds))
}

// makePlace has e take no stranger's place any more.
func (d *Directory) makePlace(e *entry) {
	if e.strange {
		e.strange = false
		d.strange--
		d.wake()
	}
}
