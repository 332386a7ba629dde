package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestHelperWorker is no test: it is the worker process of TestKilledWorkerFailsNoRead.
func TestHelperWorker(t *testing.T) {
	if os.Getenv("MADBASE_TEST_WORKER") == "" {
		return
	}
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("http://%s\n", l.Addr())
	body := []byte(strings.Repeat("x", 3000))
	_ = (&http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })}).Serve(l)
}

// startWorker runs a worker process and returns its base URL and what kills it.
func startWorker(t *testing.T) (base string, kill func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHelperWorker$") //nolint:gosec // the test binary itself
	cmd.Env = append(os.Environ(), "MADBASE_TEST_WORKER=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), kill
}

func TestKilledWorkerFailsNoRead(t *testing.T) {
	t.Parallel()
	a, killA := startWorker(t)
	b, _ := startWorker(t)
	cfg := config(a, b)
	cfg.HealthInterval, cfg.HealthTimeout, cfg.HealthRise, cfg.HealthFall = 2*time.Second, time.Second, 2, 3
	d := open(t, cfg)
	var failed, done atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				res, err := d.Client.Do(d.request(t, http.MethodGet, "/rest/v1/items", nil))
				if err == nil {
					var n int64
					n, err = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
					if res.StatusCode != 200 || n != 3000 {
						err = io.ErrUnexpectedEOF
					}
				}
				if err != nil {
					failed.Add(1)
				}
				if done.Add(1) == 1000 {
					killA() // SIGKILL, as kill -9
				}
			}
		})
	}
	wg.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d of 4000 reads failed", failed.Load())
	}
}
