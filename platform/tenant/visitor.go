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
	if e := d.serving(p); e != nil && e.keys != nil {
		return e.keys, nil
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

// serving is the entry of p as it is now, if there is one that is not to be replaced.
func (d *Directory) serving(p registry.Project) *entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.entries[p.Ref]; e != nil && !e.outdated(p) {
		return e
	}
	return nil
}

// outdated reports whether e is to be replaced by an entry of p.
func (e *entry) outdated(p registry.Project) bool {
	return e.project.Version != p.Version || !e.failedAt.IsZero() && time.Since(e.failedAt) > failedFor
}

// allow counts that a stranger wants ref opened, unless it is.
func (d *Directory) allow(ctx context.Context, ref string, v Visitor) error {
	p, err := d.find(ref)
	if err != nil || v.Known || d.serving(p) != nil {
		return err
	}
	for _, rule := range []struct {
		key   string
		times int
	}{{"projects:opened-by:" + httpx.Subscriber(v.Address), d.cfg.Strangers}, {"projects:opened:" + ref, reopened}} {
		made, err := d.deps.Limiter.Allow(ctx, rule.key, ratelimit.Limit{Rate: rule.times, Period: time.Minute})
		if err != nil {
			return err
		}
		if !made.Allowed {
			seconds := max(int(math.Ceil(made.RetryAfter.Seconds())), 1)
			return apierr.New(http.StatusTooManyRequests, "rate_limited", "Too many projects are opened without an API key").
				WithHeader("Retry-After", strconv.Itoa(seconds))
		}
	}
	return nil
}
