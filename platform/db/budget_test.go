package db_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/testdb"
)

// Two pools together have no more connections than their budget; one that closes
// makes room for the other.
func TestABudgetBoundsPoolsTogether(t *testing.T) {
	t.Parallel()
	url := testdb.Empty(t)
	var short atomic.Int32
	budget := db.NewBudget(2, func() { short.Add(1) })
	open := func() (acquire func(context.Context) error, closePool func()) {
		pool, err := db.Open(t.Context(), db.PoolConfig{URL: url, Name: "test", MaxConns: 2, Budget: budget})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		return func(ctx context.Context) error {
			conn, err := pool.Acquire(ctx)
			if err == nil {
				conn.Release()
			}
			return err
		}, pool.Close
	}
	first, closeFirst := open()
	second, _ := open()
	if err := first(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := second(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := budget.Used(); n != 2 || short.Load() != 0 {
		t.Fatalf("%d connections, short %d times", n, short.Load())
	}
	third, _ := open()
	hurried, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := third(hurried); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, db.ErrBudget) {
		t.Errorf("beyond the budget: %v", err)
	}
	got := make(chan error)
	go func() { got <- third(t.Context()) }()
	closeFirst()
	if err := <-got; err != nil || short.Load() == 0 {
		t.Errorf("after one has closed: %v, short %d times", err, short.Load())
	}
	if n := budget.Used(); n > 2 {
		t.Errorf("%d connections", n)
	}
}
