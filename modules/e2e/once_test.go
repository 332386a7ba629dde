package e2e_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/testkit"
)

// TestIdempotencyKeyOverProxies asks a second proxy for what the first one has
// done, once with a worker that dies over it.
func TestIdempotencyKeyOverProxies(t *testing.T) {
	t.Parallel()
	s := cluster(t)
	s.exec(t, `CREATE TABLE public.orders (id bigserial PRIMARY KEY, item text);
		CREATE FUNCTION public.slow_order() RETURNS void LANGUAGE sql AS $$ SELECT pg_sleep(60); INSERT INTO public.orders (item) VALUES ('slow') $$`)
	for _, w := range s.workers {
		s.await(t, w.URL+"/rest/v1/orders")
	}
	second := testkit.Start(t, binary, s.proxyEnv, "serve", "--role", "proxy", "--listen", "127.0.0.1:0")
	send := func(proxy, path, key, body string) (*http.Response, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, proxy+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Apikey": {s.keys.Service.Reveal()}, "Content-Type": {"application/json"}, "Prefer": {"return=representation"}, "Idempotency-Key": {key}}
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(answer)
	}
	first, made := send(s.url, "/rest/v1/orders", "k", `{"item":"tea"}`)
	again, same := send(second.URL, "/rest/v1/orders", "k", `{"item":"tea"}`)
	if first.StatusCode != http.StatusCreated || again.StatusCode != http.StatusCreated || made != same || !strings.Contains(made, "tea") || again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%d %s, then %d %s", first.StatusCode, made, again.StatusCode, same)
	}
	if res, body := send(second.URL, "/rest/v1/orders", "k", `{"item":"milk"}`); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("another body: %d %s", res.StatusCode, body)
	}
	lost := make(chan int, 1)
	go func() {
		res, _ := send(s.url, "/rest/v1/rpc/slow_order", "lost", "{}")
		lost <- res.StatusCode
	}()
	s.awaitRow(t, "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()")
	for _, w := range s.workers {
		w.Kill()
	}
	if status := <-lost; status != http.StatusBadGateway {
		t.Errorf("the worker died: %d", status)
	}
	if res, body := send(second.URL, "/rest/v1/rpc/slow_order", "lost", "{}"); res.StatusCode != http.StatusConflict {
		t.Errorf("what may have been done: %d %s", res.StatusCode, body)
	}
	s.awaitRow(t, "SELECT count(*) = 1 FROM orders")
}

// awaitRow asks the database until it answers true.
func (s *shape) awaitRow(t *testing.T, question string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for yes := false; !yes; <-time.After(10 * time.Millisecond) {
		if err := conn.QueryRow(t.Context(), question).Scan(&yes); err != nil {
			t.Fatal(err)
		}
	}
}
