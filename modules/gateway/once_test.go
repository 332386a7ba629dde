package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/gateway"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/receipt"
)

// counter answers a POST with how many it has had, after the body it came with.
func counter(t *testing.T) (*worker, *atomic.Int64) {
	t.Helper()
	done := new(atomic.Int64)
	return newWorker(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		switch r.URL.Path {
		case "/rest/v1/refused":
			w.WriteHeader(http.StatusConflict)
		case "/rest/v1/failed":
			w.WriteHeader(http.StatusInternalServerError)
		case "/rest/v1/broken":
			done.Add(1)
			panic(http.ErrAbortHandler)
		case "/rest/v1/large":
			done.Add(1)
			_, _ = io.WriteString(w, strings.Repeat("x", 70<<10))
			return
		case "/rest/v1/cut":
			done.Add(1)
			w.WriteHeader(http.StatusCreated)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		default:
			w.Header().Set("Location", "/items?id=eq.7")
			w.WriteHeader(http.StatusCreated)
		}
		fmt.Fprintf(w, "%s %d", body, done.Add(1))
	}), done
}

func (d *door) post(t *testing.T, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	res := d.do(t, d.request(t, http.MethodPost, path, strings.NewReader(body), headers...))
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return res, err.Error()
	}
	return res, string(text)
}

func TestRepeatedKeyIsAnsweredAgain(t *testing.T) {
	t.Parallel()
	w, done := counter(t)
	d := open(t, config(w.URL))
	first, body := d.post(t, "/rest/v1/items", "a", "Idempotency-Key", "k1")
	again, same := d.post(t, "/rest/v1/items", "a", "Idempotency-Key", "k1")
	if first.StatusCode != 201 || again.StatusCode != 201 || body != "a 1" || same != body || done.Load() != 1 {
		t.Fatalf("%d %s, then %d %s", first.StatusCode, body, again.StatusCode, same)
	}
	if again.Header.Get("Idempotency-Replayed") != "true" || again.Header.Get("Location") != "/items?id=eq.7" || len(again.Header.Values("Access-Control-Allow-Origin")) != 1 ||
		again.Header.Get("X-Request-Id") == first.Header.Get("X-Request-Id") || first.Header.Get("Idempotency-Replayed") != "" {
		t.Errorf("%v", again.Header)
	}
	for name, other := range map[string][]string{
		"path": {"/rest/v1/others", "a", "k1"}, "query": {"/rest/v1/items?select=id", "a", "k1"}, "key": {"/rest/v1/items", "a", "k2"},
	} {
		if _, got := d.post(t, other[0], other[1], "Idempotency-Key", other[2]); got == body {
			t.Errorf("another %s has the same answer", name)
		}
	}
	if _, got := d.post(t, "/rest/v1/items", "a", "Idempotency-Key", "k1", "Authorization", "Bearer "+d.Keys.API().Service.Reveal()); got == body {
		t.Error("another caller has the same answer")
	}
	if res, got := d.post(t, "/rest/v1/items", "b", "Idempotency-Key", "k1"); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("another body: %d %s", res.StatusCode, got)
	}
	if res, got := d.post(t, "/rest/v1/items", "a", "Idempotency-Key", strings.Repeat("k", 300)); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a long key: %d %s", res.StatusCode, got)
	}
}

// A proxy may know neither the project of an opaque key nor any project's keys but
// one: what one key was answered, no other has.
func TestRepeatedKeyOfUnknownProjects(t *testing.T) {
	t.Parallel()
	w, done := counter(t)
	d := open(t, config(w.URL), func(deps *gateway.Deps) {
		deps.Keys = func(*http.Request) *claims.Keys { return nil }
		deps.Project = func(*http.Request) string { return "*" }
	})
	for i, caller := range [][]string{
		{"apikey", "sb_publishable_one"},
		{"apikey", "sb_publishable_two"},
		{"apikey", ""},
		{"apikey", "sb_publishable_one", "Authorization", "Bearer a.b.c"},
		{"apikey", "sb_publishable_one", "Authorization", "Bearer a.b.d"},
	} {
		for range 2 {
			want := fmt.Sprint("a ", i+1)
			if res, body := d.post(t, "/rest/v1/items", "a", append(caller, "Idempotency-Key", "k")...); res.StatusCode != http.StatusCreated || body != want {
				t.Errorf("%v: %d %s", caller, res.StatusCode, body)
			}
		}
	}
	if n := done.Load(); n != 5 {
		t.Errorf("done %d times", n)
	}
}

// Each gateway makes its own token of an opaque key, and a new one now and then.
func TestRepeatedKeyWithAnOpaqueAPIKey(t *testing.T) {
	t.Parallel()
	w, done := counter(t)
	receipts := receipt.NewMemory()
	shared := func(deps *gateway.Deps) { deps.Receipts = receipts }
	one, other := open(t, config(w.URL), shared), open(t, config(w.URL), shared)
	secret := one.Keys.API().Secret.Reveal()
	_, first := one.post(t, "/rest/v1/items", "a", "Idempotency-Key", "k", "apikey", secret)
	<-time.After(1100 * time.Millisecond) // tokens tell when they were made
	if res, body := other.post(t, "/rest/v1/items", "a", "Idempotency-Key", "k", "apikey", secret); body != first || done.Load() != 1 {
		t.Errorf("%d %s, first %s", res.StatusCode, body, first)
	}
	if _, body := other.post(t, "/rest/v1/items", "a", "Idempotency-Key", "k", "apikey", one.Keys.API().Publishable.Reveal()); body == first {
		t.Error("another key has the same answer")
	}
}

// Without a body too, a request that broke on a connection that was used before may
// have been done.
func TestKeyWithoutABodyIsSentOnce(t *testing.T) {
	t.Parallel()
	w, done := counter(t)
	d := open(t, config(w.URL))
	for _, header := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if res, _ := d.post(t, "/rest/v1/items", ""); res.StatusCode != http.StatusCreated {
			t.Fatal(res.StatusCode)
		}
		before := done.Load()
		if res, body := d.post(t, "/rest/v1/broken", "", header, "k"); res.StatusCode != http.StatusBadGateway || done.Load() != before+1 {
			t.Errorf("%s: %d %s, done %d times", header, res.StatusCode, body, done.Load()-before)
		}
	}
}

// What had no effect may be tried again; what may have had one is not done twice.
func TestWhatIsDoneAgain(t *testing.T) {
	t.Parallel()
	for path, want := range map[string][2]int{
		"/rest/v1/refused": {409, 409}, "/rest/v1/failed": {500, 500}, // and done again, below
		"/rest/v1/broken": {502, 409}, "/rest/v1/large": {200, 409}, "/rest/v1/cut": {201, 409},
	} {
		w, done := counter(t)
		d := open(t, config(w.URL))
		for i, status := range want {
			if res, body := d.post(t, path, "a", "Idempotency-Key", "k"); res.StatusCode != status {
				t.Errorf("%s, attempt %d: %d %s", path, i+1, res.StatusCode, body)
			}
		}
		if n := done.Load(); (want[0] >= 400 && want[0] != 502) != (n == 2) {
			t.Errorf("%s was done %d times", path, n)
		}
	}
	w, _ := counter(t)
	w.Close()
	d := open(t, config(w.URL))
	for range 2 { // nobody did it
		if res, _ := d.post(t, "/rest/v1/items", "a", "Idempotency-Key", "k"); res.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("nobody there: %d", res.StatusCode)
		}
	}
}

func TestConcurrentRequestsWithOneKey(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	w := newWorker(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		ok(w, r)
	})
	d := open(t, config(w.URL))
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		res, err := d.Client.Do(d.request(t, http.MethodPost, "/rest/v1/items", strings.NewReader("a"), "Idempotency-Key", "k").WithContext(ctx))
		if err == nil {
			_ = res.Body.Close()
		}
		gone <- err
	}()
	<-arrived
	if res, body := d.post(t, "/rest/v1/items", "a", "Idempotency-Key", "k"); res.StatusCode != http.StatusConflict || res.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	leave() // the client loses its connection, and asks again
	if err := <-gone; err == nil {
		t.Error("the client is still there")
	}
	<-time.After(50 * time.Millisecond) // so that the gateway has noticed
	close(release)
	eventually(t, "it has the answer", func() bool {
		res, body := d.post(t, "/rest/v1/items", "a", "Idempotency-Key", "k")
		return res.StatusCode == http.StatusOK && body == "ok" && res.Header.Get("Idempotency-Replayed") == "true"
	})
	if n := w.Requests.Load(); n != 1 {
		t.Errorf("done %d times", n)
	}
}

// A form's boundary is another one each time; keys of GET and of auth are nobody's business.
func TestKeysWithoutBodiesHash(t *testing.T) {
	t.Parallel()
	w, done := counter(t)
	d := open(t, config(w.URL))
	for i := range 2 {
		d.post(t, "/storage/v1/object/b/k", fmt.Sprint("--", i), "Idempotency-Key", "k", "Content-Type", fmt.Sprint("multipart/form-data; boundary=", i))
	}
	if done.Load() != 1 {
		t.Errorf("an upload was done %d times", done.Load())
	}
	for range 2 {
		d.post(t, "/auth/v1/signup", "a", "Idempotency-Key", "k")
		d.get(t, http.MethodGet, "/rest/v1/items", "Idempotency-Key", "k")
	}
	if done.Load() != 5 {
		t.Errorf("%d", done.Load())
	}
}

type awayReceipts struct{ gateway.Receipts }

func (awayReceipts) Claim(context.Context, string) ([]byte, bool, error) {
	return nil, false, errors.New("away")
}

func TestWithoutReceiptsNothingIsDone(t *testing.T) {
	t.Parallel()
	w, done := counter(t)
	d := open(t, config(w.URL), func(deps *gateway.Deps) { deps.Receipts = awayReceipts{} })
	if res, body := d.post(t, "/rest/v1/items", "a", "Idempotency-Key", "k"); res.StatusCode != http.StatusServiceUnavailable || done.Load() != 0 {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if res, _ := d.post(t, "/rest/v1/items", "a"); res.StatusCode != http.StatusCreated {
		t.Error(res.StatusCode)
	}
}
