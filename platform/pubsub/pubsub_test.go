package pubsub_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/madbase/madbase/platform/pubsub"
	"github.com/madbase/madbase/platform/redisx"
	"github.com/madbase/madbase/platform/redisx/redistest"
)

func TestMain(m *testing.M) {
	// Where redis-server is missing, testkit keeps one imitation for the process;
	// towards a cluster rueidis ends a second late.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/alicebob/miniredis/v2/server.newServer.func1"),
		goleak.IgnoreAnyFunction("github.com/alicebob/miniredis/v2/server.(*Server).servePeer"),
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"))
}

var quiet = slog.New(slog.DiscardHandler)

func redisBus(t *testing.T, c *redisx.Client) *pubsub.Redis {
	b := pubsub.NewRedis(c, quiet)
	t.Cleanup(b.Close)
	return b
}

// drivers runs a test on every driver; open returns a bus that reaches the
// buses it returned before.
func drivers(t *testing.T, test func(t *testing.T, open func() pubsub.Bus)) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		bus := pubsub.NewMemory()
		t.Cleanup(bus.Close)
		test(t, func() pubsub.Bus { return bus })
	})
	redistest.Both(t, func(t *testing.T, s *redistest.Server) {
		t.Parallel()
		test(t, func() pubsub.Bus { return redisBus(t, s.Client(t, quiet)) })
	})
}

func subscribe(t *testing.T, b pubsub.Bus, channels ...string) <-chan pubsub.Message {
	t.Helper()
	ch, err := b.Subscribe(t.Context(), channels...)
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func publish(t *testing.T, b pubsub.Bus, channel, payload string) {
	t.Helper()
	if err := b.Publish(context.Background(), channel, []byte(payload)); err != nil {
		t.Fatal(err)
	}
}

// next reads a message or fails after ten seconds.
func next(t *testing.T, ch <-chan pubsub.Message) pubsub.Message {
	t.Helper()
	select {
	case m, ok := <-ch:
		if !ok {
			t.Fatal("the subscription ended")
		}
		return m
	case <-time.After(10 * time.Second):
		t.Fatal("no message")
	}
	return pubsub.Message{}
}

func want(t *testing.T, ch <-chan pubsub.Message, channel, payload string) {
	t.Helper()
	if m := next(t, ch); m.Lost || m.Channel != channel || string(m.Payload) != payload {
		t.Fatalf("got %q on %q (lost %v), want %q on %q", m.Payload, m.Channel, m.Lost, payload, channel)
	}
}

func TestEachSubscriberGetsItsChannels(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, open func() pubsub.Bus) {
		one, two := open(), open()
		a := subscribe(t, one, "a")
		ab := subscribe(t, two, "a", "b:ü☃")
		for i := range 50 {
			publish(t, one, "a", fmt.Sprint(i))
		}
		publish(t, one, "nobody", "x")
		publish(t, two, "b:ü☃", "\x00\xff\r\n")
		for i := range 50 {
			want(t, a, "a", fmt.Sprint(i))
			want(t, ab, "a", fmt.Sprint(i))
		}
		want(t, ab, "b:ü☃", "\x00\xff\r\n")
		publish(t, one, "a", "")
		want(t, a, "a", "")
	})
}

func TestEndOfContextClosesOnlyThatSubscription(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, open func() pubsub.Bus) {
		bus := open()
		stays := subscribe(t, bus, "a")
		for range 3 {
			ctx, cancel := context.WithCancel(context.Background())
			ends, err := bus.Subscribe(ctx, "a", "only")
			if err != nil {
				t.Fatal(err)
			}
			cancel()
			for range ends { // ends by being closed
			}
			publish(t, bus, "a", "x")
			want(t, stays, "a", "x")
		}
		again := subscribe(t, bus, "only")
		publish(t, bus, "only", "y")
		want(t, again, "only", "y")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := bus.Subscribe(ctx, "a"); !errors.Is(err, context.Canceled) {
			t.Errorf("a context that is over: %v", err)
		}
	})
}

func TestSlowReaderIsToldAndHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, open func() pubsub.Bus) {
		bus := open()
		slow, fast := subscribe(t, bus, "a"), subscribe(t, bus, "a")
		const n = 2000
		for i := range n {
			publish(t, bus, "a", fmt.Sprint(i))
			want(t, fast, "a", fmt.Sprint(i))
		}
		lost := false
		for i := 0; !lost; i++ {
			m := next(t, slow)
			if lost = m.Lost; !lost && string(m.Payload) != fmt.Sprint(i) {
				t.Fatalf("message %d is %q without a word of loss", i, m.Payload)
			}
		}
		publish(t, bus, "a", "after")
		m := next(t, slow)
		if string(m.Payload) == fmt.Sprint(n-1) { // which may have reached the fast reader first
			m = next(t, slow)
		}
		if m.Lost || string(m.Payload) != "after" {
			t.Fatalf("got %q (lost %v) after the loss was told", m.Payload, m.Lost)
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, open func() pubsub.Bus) {
		bus := open()
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for j := range 20 {
					name := fmt.Sprint(i, j%3)
					ctx, cancel := context.WithCancel(context.Background())
					ch, err := bus.Subscribe(ctx, name)
					if err != nil {
						t.Error(err)
					} else if err := bus.Publish(ctx, name, []byte(name)); err != nil {
						t.Error(err)
					} else if m := <-ch; string(m.Payload) != name {
						t.Errorf("%q on %q", m.Payload, name)
					}
					cancel()
				}
			})
		}
		wg.Wait()
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, open func() pubsub.Bus) {
		bus := open()
		ch := subscribe(t, bus, "a")
		bus.Close()
		bus.Close()
		for range ch {
		}
		if _, err := bus.Subscribe(context.Background(), "a"); !errors.Is(err, pubsub.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestPublishedPayloadIsTheSubscribersOwn(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, open func() pubsub.Bus) {
		bus := open()
		ch := subscribe(t, bus, "a")
		p := []byte("abc")
		if err := bus.Publish(context.Background(), "a", p); err != nil {
			t.Fatal(err)
		}
		p[0] = 'X'
		if m := next(t, ch); !bytes.Equal(m.Payload, []byte("abc")) {
			t.Errorf("%q", m.Payload)
		}
	})
}

func TestOutage(t *testing.T) {
	t.Parallel()
	redistest.Both(t, func(t *testing.T, s *redistest.Server) {
		t.Parallel()
		client := s.Client(t, quiet)
		here, there := redisBus(t, client), redisBus(t, s.Client(t, quiet))
		ch := subscribe(t, here, "a")
		for range 2 {
			publish(t, there, "a", "before")
			m := next(t, ch)
			for string(m.Payload) == "after" { // what was published twice below
				m = next(t, ch)
			}
			if m.Lost || string(m.Payload) != "before" {
				t.Fatalf("before the outage: %+v", m)
			}

			s.Stop(t)
			if err := here.Publish(context.Background(), "a", []byte("local")); !errors.Is(err, redisx.ErrDown) {
				t.Errorf("publish during the outage: %v", err)
			}
			want(t, ch, "a", "local")
			during := subscribe(t, here, "b")

			s.Start(t)
			for name, c := range map[string]<-chan pubsub.Message{"a": ch, "b": during} {
				if m := next(t, c); !m.Lost {
					t.Fatalf("after the outage: %+v", m)
				}
				redistest.WaitUp(t, client)
				publish(t, here, name, "after")
				m := next(t, c)
				for m.Lost { // one outage may be told more than once: what came before may be lost
					publish(t, here, name, "after")
					m = next(t, c)
				}
				if m.Channel != name || string(m.Payload) != "after" {
					t.Fatalf("after the outage: %+v", m)
				}
			}
			// The other client may notice the return later than this one.
			if err := waitPublish(there); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// waitPublish publishes on an unheard channel until that works.
func waitPublish(b pubsub.Bus) (err error) {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if err = b.Publish(context.Background(), "unheard", nil); err == nil {
			return nil
		}
		<-time.After(10 * time.Millisecond)
	}
	return err
}

func TestSubscribeWithRedisDownAtStart(t *testing.T) {
	t.Parallel()
	s := redistest.Reserved(t)
	client := s.Client(t, quiet)
	bus := redisBus(t, client)
	ch := subscribe(t, bus, "a")
	s.Start(t)
	if m := next(t, ch); !m.Lost {
		t.Fatalf("%+v", m)
	}
	redistest.WaitUp(t, client)
	publish(t, bus, "a", "x")
	want(t, ch, "a", "x")
}
