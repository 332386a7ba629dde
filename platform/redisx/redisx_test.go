package redisx_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/goleak"

	"github.com/madbase/madbase/platform/redisx"
	"github.com/madbase/madbase/platform/redisx/redistest"
	"github.com/madbase/madbase/platform/secret"
)

func TestMain(m *testing.M) {
	// Where redis-server is missing, testkit keeps one imitation for the process;
	// towards a cluster rueidis ends a second late.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/alicebob/miniredis/v2/server.newServer.func1"),
		goleak.IgnoreAnyFunction("github.com/alicebob/miniredis/v2/server.(*Server).servePeer"),
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"))
}

// journal collects log lines by level.
type journal struct {
	slog.Handler
	mu    sync.Mutex
	lines []slog.Record
}

func (j *journal) Enabled(context.Context, slog.Level) bool { return true }

func (j *journal) Handle(_ context.Context, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, r)
	return nil
}

func (j *journal) count(level slog.Level) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, r := range j.lines {
		if r.Level == level {
			n++
		}
	}
	return n
}

func get(c *redisx.Client, key string) (string, error) {
	var v string
	err := c.Do(context.Background(), func(ctx context.Context, r rueidis.Client) (err error) {
		v, err = r.Do(ctx, r.B().Get().Key(c.Key(key)).Build()).ToString()
		return err
	})
	return v, err
}

func set(c *redisx.Client, key, v string) error {
	return c.Do(context.Background(), func(ctx context.Context, r rueidis.Client) error {
		return r.Do(ctx, r.B().Set().Key(c.Key(key)).Value(v).Build()).Error()
	})
}

func TestDo(t *testing.T) {
	t.Parallel()
	redistest.Both(t, func(t *testing.T, s *redistest.Server) {
		j := &journal{}
		c := s.Client(t, slog.New(j))
		if err := c.Ping(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := set(c, "k", "v"); err != nil {
			t.Fatal(err)
		}
		if v, err := get(c, "k"); err != nil || v != "v" {
			t.Errorf("%q, %v", v, err)
		}
		if _, err := get(c, "none"); !rueidis.IsRedisNil(err) {
			t.Errorf("a missing key: %v", err)
		}
		wrong := c.Do(context.Background(), func(ctx context.Context, r rueidis.Client) error {
			return r.Do(ctx, r.B().Lpush().Key(c.Key("k")).Element("x").Build()).Error()
		})
		if wrong == nil || errors.Is(wrong, redisx.ErrDown) {
			t.Errorf("a command's own fault is no outage: %v", wrong)
		}
		if n := j.count(slog.LevelWarn); n != 0 {
			t.Errorf("%d warnings without an outage", n)
		}
	})
}

func TestOutage(t *testing.T) {
	t.Parallel()
	redistest.Both(t, func(t *testing.T, s *redistest.Server) {
		j := &journal{}
		c := s.Client(t, slog.New(j))
		for outage := 1; outage <= 2; outage++ {
			if err := set(c, "k", "v"); err != nil {
				t.Fatal(err)
			}
			s.Stop(t)
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for range 50 {
						if _, err := get(c, "k"); !errors.Is(err, redisx.ErrDown) {
							t.Errorf("while away: %v", err)
						}
					}
				})
			}
			wg.Wait()
			if err := c.Ping(context.Background()); !errors.Is(err, redisx.ErrDown) {
				t.Errorf("ping while away: %v", err)
			}
			s.Start(t)
			redistest.WaitUp(t, c)
			if err := set(c, "k", "again"); err != nil {
				t.Errorf("after the outage: %v", err)
			}
			if w, i := j.count(slog.LevelWarn), j.count(slog.LevelInfo); w != outage || i != outage {
				t.Errorf("outage %d: %d warnings and %d lines of return in all", outage, w, i)
			}
		}
	})
}

func TestRestartBetweenCallsIsNotSeen(t *testing.T) {
	t.Parallel()
	j := &journal{}
	s := redistest.New(t)
	c := s.Client(t, slog.New(j))
	if err := set(c, "k", "v"); err != nil {
		t.Fatal(err)
	}
	s.Stop(t)
	s.Start(t)
	if err := set(c, "k", "v"); err != nil {
		t.Errorf("a stale connection must be replaced: %v", err)
	}
	if n := j.count(slog.LevelWarn); n != 0 {
		t.Errorf("%d warnings", n)
	}
}

func TestDownAtStart(t *testing.T) {
	t.Parallel()
	j := &journal{}
	s := redistest.Reserved(t)
	c := s.Client(t, slog.New(j))
	for range 20 {
		if err := c.Ping(context.Background()); !errors.Is(err, redisx.ErrDown) {
			t.Fatalf("nobody listens: %v", err)
		}
	}
	s.Start(t)
	redistest.WaitUp(t, c)
	if err := c.Ping(context.Background()); err != nil {
		t.Error(err)
	}
	if w, i := j.count(slog.LevelWarn), j.count(slog.LevelInfo); w != 1 || i != 1 {
		t.Errorf("%d warnings, %d lines of return", w, i)
	}
}

func TestFrozenRedisCostsOneTimeout(t *testing.T) {
	t.Parallel()
	s := redistest.New(t)
	c := s.Client(t, slog.New(&journal{}))
	if err := c.Ping(context.Background()); err != nil {
		t.Fatal(err)
	}
	thaw := s.Freeze(t)
	begin := time.Now()
	for range 100 {
		if _, err := get(c, "k"); !errors.Is(err, redisx.ErrDown) {
			t.Errorf("frozen: %v", err)
		}
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("100 calls took %v; only the first may wait", took)
	}
	thaw()
	redistest.WaitUp(t, c)
	if err := set(c, "k", "v"); err != nil {
		t.Errorf("after thawing: %v", err)
	}
}

func TestCallersContextIsNoOutage(t *testing.T) {
	t.Parallel()
	j := &journal{}
	c := redistest.New(t).Client(t, slog.New(j))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Ping(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, redisx.ErrDown) {
		t.Errorf("cancelled: %v", err)
	}
	if err := c.Ping(context.Background()); err != nil {
		t.Error(err)
	}
	if n := j.count(slog.LevelWarn); n != 0 {
		t.Errorf("%d warnings", n)
	}
}

func TestCloseDuringOutage(t *testing.T) {
	t.Parallel()
	c := redistest.Reserved(t).Client(t, slog.New(&journal{}))
	_ = c.Ping(context.Background())
	c.Close()
	c.Close()
	if err := c.Ping(context.Background()); !errors.Is(err, redisx.ErrDown) {
		t.Errorf("after Close: %v", err)
	}
}

func TestValidateNamesVariablesAndHidesThePassword(t *testing.T) {
	t.Parallel()
	cfg := redisx.Config{URL: "http://user:hunter2@%zz"}
	err := cfg.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{"REDIS_URL", "REDIS_PREFIX", "REDIS_TIMEOUT"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in %q", name, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the password is in %q", err)
	}
	if (redisx.Config{}).Validate() != nil {
		t.Error("no Redis at all is valid")
	}
	good := redisx.Config{URL: secret.String("rediss://u:p@host:6380/2"), Prefix: "m", Timeout: time.Second}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}
