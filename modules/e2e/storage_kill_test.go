package e2e_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/testkit"
)

// object is the address of an object of bucket docs.
func (s *shape) object(name string) string { return s.url + "/storage/v1/object/docs/" + name }

// put writes an object and returns the answer's status, 0 without one.
func (s *shape) put(t *testing.T, name, body string) int {
	t.Helper()
	status, _ := s.send(t, http.MethodPut, s.object(name), strings.NewReader(body), int64(len(body)))
	return status
}

// holds checks what an object's bytes are; "" is that there is none.
func (s *shape) holds(t *testing.T, name, want string) {
	t.Helper()
	key := s.keys.Service.Reveal()
	status, body := testkit.Get(t, s.object(name), "apikey", key, "Authorization", "Bearer "+key)
	if want == "" && status != http.StatusBadRequest || want != "" && (status != http.StatusOK || body != want) {
		t.Errorf("%s is %d %.60q, want %q", name, status, body, want)
	}
}

// TestKillBetweenBytesAndRow kills madbase once the bytes of a new object, of a
// newer version, of a copy and of a move are stored and before their rows are: all
// is as before, and the sweep finds the bytes.
func TestKillBetweenBytesAndRow(t *testing.T) {
	t.Parallel()
	dir := testkit.DataDir(t)
	s := alone(t, dir)
	s.createBucket(t, "docs")
	if status := s.put(t, "kept", "kept"); status != http.StatusOK {
		t.Fatal(status)
	}
	names := []string{"new", "kept", "copied", "moved"}
	lock, err := pgx.Connect(t.Context(), s.databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close(context.Background())
	for _, name := range names { // for which every writer of the name waits
		if _, err := lock.Exec(t.Context(), "SELECT pg_advisory_lock(hashtextextended('storage/docs/' || $1, 0))", name); err != nil {
			t.Fatal(err)
		}
	}
	over := make(chan int)
	for _, name := range names[:2] {
		go func() { over <- s.put(t, name, "newer bytes") }()
	}
	for verb, name := range map[string]string{"copy": "copied", "move": "moved"} {
		body := `{"bucketId":"docs","sourceKey":"kept","destinationKey":"` + name + `"}`
		go func() {
			status, _ := s.send(t, http.MethodPost, s.url+"/storage/v1/object/"+verb, strings.NewReader(body), int64(len(body)))
			over <- status
		}()
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for n := 0; n < len(names); <-tick.C {
		if err := lock.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	// What waits in PostgreSQL would go on when the locks end, which madbase's end leads to: it ends first, unseen by madbase.
	if err := syscall.Kill(s.proxy.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for n := 1; n > 0; <-tick.C {
		err := lock.QueryRow(t.Context(), "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
	}
	s.proxy.Kill()
	for range names {
		if status := <-over; status != 0 {
			t.Errorf("answered with %d", status)
		}
	}

	s = alone(t, dir)
	for _, name := range names {
		s.holds(t, name, map[string]string{"kept": "kept"}[name])
	}
	left := map[string]int{}
	for _, o := range sweep(t, dir, nil) {
		left[o.Kind+" "+o.Name]++
	}
	if len(left) != 4 || left["bytes new"] != 1 || left["bytes kept"] != 1 || left["bytes copied"] != 1 || left["bytes moved"] != 1 {
		t.Errorf("%v", left)
	}
}

// TestKillBetweenRowAndCleanUp kills madbase once an object's newer version stands,
// and another is deleted, and before the bytes that nobody needs any more are: the
// changes hold, and the sweep finds the bytes.
func TestKillBetweenRowAndCleanUp(t *testing.T) {
	t.Parallel()
	dir, env := testkit.DataDir(t), s3Settings(t)
	target, _ := strings.CutPrefix(env[0], "S3_ENDPOINT=")
	faults := testkit.NewFaults(t, target)
	env[0] = "S3_ENDPOINT=" + faults.URL
	s := alone(t, dir, env...)
	s.createBucket(t, "docs")
	for _, name := range []string{"kept", "gone"} {
		if status := s.put(t, name, "old"); status != http.StatusOK {
			t.Fatal(status)
		}
	}
	faults.Fail(testkit.Hang, -1, func(r *http.Request) bool { return r.Method == http.MethodDelete || r.URL.Query().Has("delete") })
	over := make(chan struct{})
	go func() {
		s.put(t, "kept", "newer")
		over <- struct{}{}
	}()
	go func() {
		_, _ = s.send(t, http.MethodDelete, s.object("gone"), nil, 0)
		over <- struct{}{}
	}()
	<-faults.Reached
	<-faults.Reached
	s.proxy.Kill()
	<-over
	<-over
	faults.Mend()

	s = alone(t, dir, env...)
	s.holds(t, "kept", "newer")
	s.holds(t, "gone", "")
	left := map[string]int{}
	for _, o := range sweep(t, dir, nil, env...) {
		left[o.Kind+" "+o.Name]++
	}
	if len(left) != 2 || left["bytes kept"] != 1 || left["bytes gone"] != 1 {
		t.Errorf("%v", left)
	}
}

// TestKillBeforeWebhookIsHeard kills madbase while it tells a webhook that does not
// answer: the next process tells it again.
func TestKillBeforeWebhookIsHeard(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 16)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var delivery struct {
			Event struct {
				Type    string
				Payload struct{ Name string }
			}
		}
		body, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(body, &delivery)
		heard <- delivery.Event.Type + " " + delivery.Event.Payload.Name
		if r.URL.Path == "/hangs" {
			<-r.Context().Done()
		}
	}))
	t.Cleanup(hook.Close)
	dir := testkit.DataDir(t)
	s := alone(t, dir, "WEBHOOK_URL="+hook.URL+"/hangs")
	s.createBucket(t, "docs")
	if status := s.put(t, "a", "a"); status != http.StatusOK {
		t.Fatal(status)
	}
	const want = "ObjectCreated:Post a"
	if got := <-heard; got != want {
		t.Error(got)
	}
	s.proxy.Kill()

	s = alone(t, dir, "WEBHOOK_URL="+hook.URL+"/answers")
	select {
	case got := <-heard:
		if got != want {
			t.Error(got)
		}
	case <-time.After(90 * time.Second): // what a dead process has taken is its own for half a minute
		t.Error("nothing was heard")
	}
	s.holds(t, "a", "a")
}
