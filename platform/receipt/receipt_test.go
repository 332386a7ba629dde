package receipt_test

import (
	"bytes"
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/receipt"
	"github.com/madbase/madbase/platform/redisx"
	"github.com/madbase/madbase/platform/secret"
	"github.com/madbase/madbase/platform/testkit"
)

type store interface {
	Claim(ctx context.Context, name string) ([]byte, bool, error)
	Keep(ctx context.Context, name string, outcome []byte) error
	Release(ctx context.Context, name string) error
}

func redis(t *testing.T, url string) store {
	t.Helper()
	client, err := redisx.Open(redisx.Config{URL: secret.String(url), Prefix: "test", Timeout: 2 * time.Second}, testkit.Log())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return receipt.NewRedis(client)
}

func TestNamesAreTakenOnce(t *testing.T) {
	t.Parallel()
	for kind, s := range map[string]store{"memory": receipt.NewMemory(), "redis": redis(t, testkit.Redis(t))} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var claims atomic.Int64
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					kept, claimed, err := s.Claim(t.Context(), "a")
					if claimed {
						claims.Add(1)
					}
					if kept != nil || err != nil {
						t.Error(kept, err)
					}
				})
			}
			all.Wait()
			if claims.Load() != 1 {
				t.Errorf("%d claims", claims.Load())
			}
			if err := s.Keep(t.Context(), "a", []byte("done")); err != nil {
				t.Fatal(err)
			}
			if kept, claimed, err := s.Claim(t.Context(), "a"); claimed || string(kept) != "done" || err != nil {
				t.Errorf("%q %t %v", kept, claimed, err)
			}
			if err := s.Release(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
			if kept, claimed, err := s.Claim(t.Context(), "a"); !claimed || kept != nil || err != nil {
				t.Errorf("released: %q %t %v", kept, claimed, err)
			}
		})
	}
}

// Without Redis nothing is promised, and nothing done.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	if _, claimed, err := redis(t, "redis://127.0.0.1:1").Claim(t.Context(), "a"); claimed || err == nil {
		t.Errorf("%t %v", claimed, err)
	}
}

// Memory is bounded: old outcomes go first, their names stay taken.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	s, outcome := receipt.NewMemory(), bytes.Repeat([]byte("x"), 1<<20)
	for i := range 70 {
		name := strconv.Itoa(i)
		if _, claimed, err := s.Claim(t.Context(), name); !claimed || err != nil {
			t.Fatal(claimed, err)
		}
		if err := s.Keep(t.Context(), name, outcome); err != nil {
			t.Fatal(err)
		}
	}
	if kept, claimed, _ := s.Claim(t.Context(), "0"); claimed || kept == nil || len(kept) != 0 {
		t.Errorf("the oldest: %d bytes, %t", len(kept), claimed)
	}
	if kept, claimed, _ := s.Claim(t.Context(), "69"); claimed || len(kept) != len(outcome) {
		t.Errorf("the newest: %d bytes, %t", len(kept), claimed)
	}
}
