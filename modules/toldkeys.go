package modules

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/secret"
	"github.com/madbase/madbase/platform/tenant"
	"github.com/madbase/madbase/platform/topology"
)

// toldKeys is what a proxy knows of API keys: the control plane tells it. While that
// is away, what was told last holds.
type toldKeys struct {
	index atomic.Pointer[topology.KeyIndex] // nil until something was told
	keys  *claims.Keys                      // the default project's
	log   *slog.Logger
}

// apply takes over what is told, unless that is nothing. Of the default project's own
// keys, those that are revoked are refused here from then on.
func (k *toldKeys) apply(told *topology.Keys) {
	if told == nil {
		return
	}
	index, api, live := topology.NewKeyIndex(*told), k.keys.API(), claims.Live{}
	for _, key := range []secret.String{api.Anon, api.Service, api.Publishable, api.Secret} {
		if index.Revoked(key.Reveal()) {
			live.API = append(live.API, claims.APIKeyRecord{Hash: claims.HashKey(key), Revoked: true})
		}
	}
	if err := k.keys.Use(live); err != nil {
		k.log.ErrorContext(context.Background(), "what the control plane tells of keys cannot be used: what held stays", "error", err)
		return
	}
	k.index.Store(index)
}

// told is the index as a Resolver asks for it.
func (k *toldKeys) told() tenant.Told {
	if index := k.index.Load(); index != nil {
		return index
	}
	return nil
}

// tellKeys returns what tells proxies of the registry's keys. It is made once for
// each version.
func (f *foundation) tellKeys() func() *topology.Keys {
	var version int64
	var keys *topology.Keys
	return func() *topology.Keys {
		snapshot := f.registry.Snapshot()
		if keys != nil && version == snapshot.Version {
			return keys
		}
		version, keys = snapshot.Version, &topology.Keys{}
		keys.Projects, keys.Revoked = snapshot.KeyHashes()
		keys.Unsigned = slices.ContainsFunc(snapshot.SigningKeys(registry.DefaultRef), func(k registry.SigningKey) bool {
			return k.ID == claims.Configured && k.Status == claims.KeyRevoked
		})
		if api := f.keys.API(); keys.Unsigned {
			anon, service := claims.HashKey(api.Anon), claims.HashKey(api.Service)
			keys.Revoked = append(keys.Revoked, anon[:], service[:])
		}
		return keys
	}
}

// revoked reports whether r's API key is known to have ended, whoever else checks it.
func (f *foundation) revoked(r *http.Request) bool {
	key := tenant.Key(r)
	if f.registry == nil {
		index := f.told.index.Load()
		return index != nil && index.Revoked(key)
	}
	if f.tenants != nil && key != "" {
		if keys, err := f.tenants.Keys(tenant.Ref(r)); err == nil {
			token, err := keys.Exchange(key)
			if err == nil {
				_, err = keys.Verify(token)
			}
			return err != nil
		}
	}
	k, found := f.registry.Snapshot().Key(key)
	return found && !k.Valid(time.Now())
}
