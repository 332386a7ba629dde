package db_test

import (
	"context"
	"testing"

	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/testdb"
)

// Two pools together have no more connections than their budget; one that closes
// makes room for the other.
func TestABudgetBoundsPoolsTogether(t *testing.T) {
	t.Parallel()
	url := testdb.Empty(t)
	short := make(chan struct{}, 10)
	budget := db.NewBudget(2, func() { short <- struct{}{} })
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
	if n := budget.Used(); n != 2 || len(short) != 0 {
		t.Fatalf("%d connections, short %d times", n, len(short))
	}
	third, _ := open()
	got := make(chan error)
	go func() { got <- third(t.Context()) }()
	<-short // it waits
	closeFirst()
	if err := <-got; err != nil {
		t.Errorf("after one has closed: %v", err)
	}
	if n := budget.Used(); n > 2 {
		t.Errorf("%d connections", n)
	}
}
