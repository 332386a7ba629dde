package edge_test

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"golang.org/x/crypto/acme/autocert"

	"github.com/madbase/madbase/platform/edge"
	"github.com/madbase/madbase/platform/redisx"
	"github.com/madbase/madbase/platform/secret"
	"github.com/madbase/madbase/platform/testkit"
)

func TestSharedCache(t *testing.T) {
	t.Parallel()
	client, err := redisx.Open(redisx.Config{URL: secret.String(testkit.Redis(t)), Prefix: "madbase", Timeout: 5 * time.Second}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	caches := map[string]autocert.Cache{}
	for _, s := range []string{"one secret", "another secret"} {
		if caches[s], err = edge.NewSharedCache(client, s); err != nil {
			t.Fatal(err)
		}
	}
	own, other := caches["one secret"], caches["another secret"]
	if _, err := own.Get(t.Context(), "a"); !errors.Is(err, autocert.ErrCacheMiss) {
		t.Errorf("empty: %v", err)
	}
	if err := own.Put(t.Context(), "a", []byte("private key")); err != nil {
		t.Fatal(err)
	}
	if got, err := own.Get(t.Context(), "a"); err != nil || string(got) != "private key" {
		t.Errorf("%q %v", got, err)
	}
	if got, err := other.Get(t.Context(), "a"); !errors.Is(err, autocert.ErrCacheMiss) {
		t.Errorf("by another secret: %q %v", got, err)
	}
	redis, err := client.Await(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stored, err := redis.Do(t.Context(), redis.B().Get().Key(client.Key("acme", "a")).Build()).AsBytes()
	if err != nil || len(stored) == 0 || string(stored) == "private key" {
		t.Errorf("stored as %q %v", stored, err)
	}
	if err := redis.Do(t.Context(), redis.B().Set().Key(client.Key("acme", "b")).Value(rueidis.BinaryString(stored)).Build()).Error(); err != nil {
		t.Fatal(err)
	}
	if got, err := own.Get(t.Context(), "b"); !errors.Is(err, autocert.ErrCacheMiss) {
		t.Errorf("under another name: %q %v", got, err)
	}
	if err := own.Delete(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	if _, err := own.Get(t.Context(), "a"); !errors.Is(err, autocert.ErrCacheMiss) {
		t.Errorf("deleted: %v", err)
	}
}
