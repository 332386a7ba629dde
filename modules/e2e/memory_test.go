package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/madbase/madbase/platform/testkit"
)

const (
	transfer  = 200 << 20 // bytes moved each way
	mayGrowBy = 64 << 20  // bytes, whatever the size
)

// TestTransfersAreFlatInMemory sends a large object and fetches it, through every process there is.
func TestTransfersAreFlatInMemory(t *testing.T) {
	t.Parallel()
	limit := fmt.Sprintf("UPLOAD_FILE_SIZE_LIMIT=%d", transfer)
	for name, start := range map[string]func(*testing.T) *shape{
		"alone in a folder": func(t *testing.T) *shape { return alone(t, testkit.DataDir(t), limit) },
		"cluster on S3":     func(t *testing.T) *shape { return cluster(t, limit) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			s.createBucket(t, "big")
			processes := append([]*testkit.Process{s.proxy}, s.workers...)
			before := make([]int64, len(processes))
			for i, p := range processes {
				before[i] = peak(t, p, true)
			}
			object := s.url + "/storage/v1/object/big/a"
			if status, _ := s.send(t, http.MethodPost, object, io.LimitReader(zeros{}, transfer), transfer); status != http.StatusOK {
				t.Fatalf("upload: %d", status)
			}
			if status, n := s.send(t, http.MethodGet, object, nil, 0); status != http.StatusOK || n != transfer {
				t.Fatalf("download: %d, %d bytes", status, n)
			}
			for i, p := range processes {
				grown := peak(t, p, false) - before[i]
				t.Logf("process %d grew by %d MiB above %d MiB", i, grown>>20, before[i]>>20)
				if grown > mayGrowBy {
					t.Errorf("process %d grew by %d MiB", i, grown>>20)
				}
			}
		})
	}
}

// peak is the most memory in bytes that p has had resident since it was last told to begin anew.
func peak(t *testing.T, p *testkit.Process, anew bool) int64 {
	t.Helper()
	if anew {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.PID()), []byte("5"), 0); err != nil {
			t.Skipf("this system does not tell a process's peak memory: %v", err)
		}
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	var kilobytes int64
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		t.Fatalf("VmHWM: %v", err)
	}
	return kilobytes << 10
}

// createBucket makes a private bucket.
func (s *shape) createBucket(t *testing.T, name string) {
	t.Helper()
	if status := post(t, s.url+"/storage/v1/bucket", s.keys.Service.Reveal(), `{"name":"`+name+`"}`); status != http.StatusOK {
		t.Fatalf("create bucket: %d", status)
	}
}

// send makes a request with the service key and returns the answer's status and
// the size of its body; 0 when there was no whole answer.
func (s *shape) send(t *testing.T, method, url string, body io.Reader, size int64) (status int, n int64) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = size
	r.Header.Set("Authorization", "Bearer "+s.keys.Service.Reveal())
	r.Header.Set("apikey", s.keys.Service.Reveal())
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return 0, 0
	}
	defer response.Body.Close()
	if n, err = io.Copy(io.Discard, response.Body); err != nil {
		return 0, n
	}
	return response.StatusCode, n
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
