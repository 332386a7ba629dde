package db_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/testdb"
)

// doorway stands before PostgreSQL and lets connections through one at a time.
type doorway struct {
	net.Listener
	arrived chan net.Conn
	server  func() (net.Conn, error)
	passed  sync.WaitGroup
}

// newDoorway returns a doorway to url's server, and a pool that goes through it.
func newDoorway(t *testing.T, maxConns int) (*doorway, *db.Pool) {
	t.Helper()
	base := testdb.Empty(t)
	cfg, err := pgx.ParseConfig(base)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &doorway{Listener: listener, arrived: make(chan net.Conn, 100), server: func() (net.Conn, error) {
		network, address := pgconn.NetworkAddress(cfg.Host, cfg.Port)
		return net.Dial(network, address)
	}}
	d.passed.Go(func() {
		for conn, err := d.Accept(); err == nil; conn, err = d.Accept() {
			d.arrived <- conn
		}
	})
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("host", "127.0.0.1")
	q.Set("port", strconv.Itoa(listener.Addr().(*net.TCPAddr).Port))
	u.RawQuery = q.Encode()
	pool, err := db.Open(t.Context(), db.PoolConfig{URL: u.String(), Name: "test", MaxConns: maxConns})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = listener.Close()
		pool.Close()
		d.passed.Wait()
	})
	return d, pool
}

// pass lets a connection that has arrived through.
func (d *doorway) pass(t *testing.T, client net.Conn) {
	server, err := d.server()
	if err != nil {
		t.Error(err)
		_ = client.Close()
		return
	}
	for from, to := range map[net.Conn]net.Conn{client: server, server: client} {
		d.passed.Go(func() {
			_, _ = io.Copy(to, from)
			_ = to.Close()
		})
	}
}

// open lets all through from now on.
func (d *doorway) open(t *testing.T) {
	stop := make(chan struct{})
	var opened sync.WaitGroup
	opened.Go(func() {
		for {
			select {
			case conn := <-d.arrived:
				d.pass(t, conn)
			case <-stop:
				return
			}
		}
	})
	t.Cleanup(func() { close(stop); opened.Wait() })
}

// take returns a connection, which first has to pass.
func (d *doorway) take(t *testing.T, pool *db.Pool) *pgxpool.Conn {
	t.Helper()
	got := make(chan *pgxpool.Conn)
	go func() {
		conn, err := pool.Take(t.Context())
		if err != nil {
			t.Error(err)
		}
		got <- conn
	}()
	d.pass(t, <-d.arrived)
	return <-got
}

// use has n users of pool at once, and returns what each of them got to hear.
func use(ctx context.Context, pool *db.Pool, n int) <-chan error {
	heard := make(chan error, n)
	for range n {
		go func() {
			conn, err := pool.Take(ctx)
			if err == nil {
				_, err = conn.Exec(ctx, "SELECT pg_sleep(0.01)")
				pool.Give(conn)
			}
			heard <- err
		}()
	}
	return heard
}

// Those who come at once wait for the few connections there are, rather than for one of their own.
func TestABurstOpensFewConnectionsAtATime(t *testing.T) {
	t.Parallel()
	door, pool := newDoorway(t, 20)
	held := door.take(t, pool)
	heard := use(t.Context(), pool, 16)
	late := <-door.arrived // one makes a connection of its own, which takes long
	pool.Give(held)
	for range 15 { // the others take turns
		if err := <-heard; err != nil {
			t.Error(err)
		}
	}
	if n := len(door.arrived); n > 0 {
		t.Errorf("%d more connections were opened meanwhile", n)
	}
	door.open(t)
	door.pass(t, late)
	if err := <-heard; err != nil {
		t.Error(err)
	}
}

// The pool grows to its bound and no further, and who waits too long hears of it.
func TestThePoolGrowsToItsBound(t *testing.T) {
	t.Parallel()
	door, pool := newDoorway(t, 3)
	door.open(t)
	for _, heard := range []<-chan error{use(t.Context(), pool, 30), use(t.Context(), pool, 30)} {
		for range 30 {
			if err := <-heard; err != nil {
				t.Error(err)
			}
		}
	}
	var held []*pgxpool.Conn
	for range 3 {
		conn, err := pool.Take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for heard := use(short, pool, 5); len(held) > 0; held = held[1:] {
		if err := <-heard; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v while all are in use", err)
		}
		defer pool.Give(held[0])
	}
	if n := pool.Stat().TotalConns(); n != 3 {
		t.Errorf("%d connections", n)
	}
}

// Who gives up in the queue leaves no gap, and a server that was away is found again.
func TestAPoolRecovers(t *testing.T) {
	t.Parallel()
	door, pool := newDoorway(t, 20)
	held := door.take(t, pool)
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for heard, i := use(short, pool, 5), 0; i < 5; i++ {
		if err := <-heard; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v while none is to be had", err)
		}
	}
	_ = held.Conn().Close(t.Context())
	pool.Give(held)
	_ = (<-door.arrived).Close() // the server is away
	for heard, i := use(t.Context(), pool, 5), 0; i < 5; {
		select {
		case conn := <-door.arrived:
			_ = conn.Close()
		case err := <-heard:
			if i++; err == nil {
				t.Error("an answer of nobody")
			}
		}
	}
	door.open(t)
	for heard, i := use(t.Context(), pool, 16), 0; i < 16; i++ {
		if err := <-heard; err != nil {
			t.Error(err)
		}
	}
}
