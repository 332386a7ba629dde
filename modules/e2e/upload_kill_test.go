package e2e_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/testkit"
)

// TestKillDuringUploads kills madbase while one upload creates an object and
// another overwrites one: neither leaves a row, nor half an object.
func TestKillDuringUploads(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]func(*testing.T) []string{
		"folder": func(*testing.T) []string { return nil },
		"S3":     s3Settings,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, settings := testkit.DataDir(t), env(t)
			s := alone(t, dir, settings...)
			s.createBucket(t, "docs")
			kept, begun := s.url+"/storage/v1/object/docs/kept", s.url+"/storage/v1/object/docs/new"
			if status, _ := s.send(t, http.MethodPost, kept, strings.NewReader("kept"), 4); status != http.StatusOK {
				t.Fatal(status)
			}
			over, killed := make(chan int), make(chan struct{})
			for method, url := range map[string]string{http.MethodPut: kept, http.MethodPost: begun} {
				body := &stalled{left: 40 << 20, reached: make(chan struct{}), end: killed}
				go func() {
					status, _ := s.send(t, method, url, body, 50<<20)
					over <- status
				}()
				<-body.reached
			}
			s.proxy.Kill()
			close(killed)
			for range 2 {
				if status := <-over; status != 0 {
					t.Errorf("an upload that was killed was answered with %d", status)
				}
			}

			s = alone(t, dir, settings...)
			key := s.keys.Service.Reveal()
			if status, body := testkit.Get(t, s.url+"/storage/v1/object/docs/kept", "apikey", key, "Authorization", "Bearer "+key); status != http.StatusOK || body != "kept" {
				t.Errorf("the object before is %d %.20q", status, body)
			}
			if status, _ := s.send(t, http.MethodGet, s.url+"/storage/v1/object/docs/new", nil, 0); status != http.StatusBadRequest {
				t.Errorf("the new object is answered with %d", status)
			}
			if n := s.count(t, "storage.objects"); n != 1 {
				t.Errorf("%d rows", n)
			}
		})
	}
}

// stalled is a body that stops coming after some bytes, and breaks off at end.
type stalled struct {
	left    int
	reached chan struct{}
	end     <-chan struct{}
}

func (s *stalled) Read(p []byte) (int, error) {
	if s.left <= 0 {
		close(s.reached)
		<-s.end
		return 0, io.ErrUnexpectedEOF
	}
	n := min(len(p), s.left)
	clear(p[:n])
	s.left -= n
	return n, nil
}

// s3Settings are the variables for a bucket of the test's own.
func s3Settings(t *testing.T) []string {
	t.Helper()
	s3 := testkit.S3(t)
	return []string{
		"S3_ENDPOINT=" + s3.Endpoint, "S3_ACCESS_KEY=" + s3.AccessKey, "S3_SECRET_KEY=" + s3.SecretKey, "S3_BUCKET=" + s3.Bucket, "S3_REGION=" + s3.Region,
	}
}

func (s *shape) count(t *testing.T, table string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
