// Package redistest starts a private Redis for a test, which the test may take
// away and bring back. It is redis-server where that is on PATH; Both runs a
// test on miniredis too, which needs nothing installed but lacks much.
package redistest

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/madbase/madbase/platform/redisx"
	"github.com/madbase/madbase/platform/secret"
	"github.com/madbase/madbase/platform/testkit"
)

// Server is a Redis on a loopback port that stays the same over Stop and Start.
type Server struct {
	addr string
	mini *miniredis.Miniredis
	path string // of redis-server
	cmd  *exec.Cmd
}

// Both runs test as a subtest on redis-server, or skips it where there is
// none, and as another on miniredis.
func Both(t *testing.T, test func(t *testing.T, s *Server)) {
	t.Helper()
	t.Run("redis", func(t *testing.T) {
		path, err := exec.LookPath("redis-server")
		if err != nil {
			testkit.Redis(t) // says what is missing, and fails where that must not be
			t.Skip("no redis-server on PATH to be taken away and brought back")
		}
		test(t, begin(t, &Server{path: path}))
	})
	t.Run("miniredis", func(t *testing.T) {
		test(t, begin(t, &Server{mini: miniredis.NewMiniRedis()}))
	})
}

// New starts one Redis: redis-server where it is on PATH, else miniredis.
func New(t testing.TB) *Server {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		testkit.Redis(t) // says what is missing, and fails where that must not be
		return begin(t, &Server{mini: miniredis.NewMiniRedis()})
	}
	return begin(t, &Server{path: path})
}

// Reserved returns a Server that does not run yet: its port is chosen, Start
// brings it up.
func Reserved(t testing.TB) *Server {
	t.Helper()
	s := &Server{addr: freeAddr(t)}
	var err error
	if s.path, err = exec.LookPath("redis-server"); err != nil {
		s.mini = miniredis.NewMiniRedis()
	}
	t.Cleanup(func() { s.Stop(t) })
	return s
}

func begin(t testing.TB, s *Server) *Server {
	t.Helper()
	s.addr = freeAddr(t)
	t.Cleanup(func() { s.Stop(t) })
	s.Start(t)
	return s
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// URL is the server's redis:// URL.
func (s *Server) URL() string { return "redis://" + s.addr }

// Start brings the server up and returns once it takes connections.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if s.mini != nil {
		if err := s.mini.StartAddr(s.addr); err != nil {
			t.Fatal(err)
		}
		return
	}
	_, port, _ := net.SplitHostPort(s.addr)
	cmd := exec.Command(s.path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	cmd.SysProcAttr = ownedByTest()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.cmd = cmd
	var lines []string
	for scan := bufio.NewScanner(out); scan.Scan(); {
		lines = append(lines, scan.Text())
		if strings.Contains(scan.Text(), "Ready to accept connections") {
			return
		}
	}
	t.Fatalf("redis-server did not start: %s", strings.Join(lines, "\n"))
}

// Stop takes the server away without a farewell (SIGKILL).
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if s.mini != nil {
		s.mini.Close()
		return
	}
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Errorf("kill redis-server: %v", err)
	}
	_ = s.cmd.Wait() // "signal: killed" is what was asked for
	s.cmd = nil
}

// Freeze stops the server from answering while its connections stay, and
// returns what thaws it. It skips the test on miniredis.
func (s *Server) Freeze(t testing.TB) (thaw func()) {
	t.Helper()
	if s.mini != nil {
		t.Skip("miniredis cannot be frozen")
	}
	process := s.cmd.Process
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	return func() { _ = process.Signal(syscall.SIGCONT) }
}

// Elapse lets d pass for the server's expiries: on miniredis by moving its
// clock, on Redis by waiting.
func (s *Server) Elapse(d time.Duration) {
	if s.mini != nil {
		s.mini.FastForward(d)
		return
	}
	<-time.After(d)
}

// Client opens a client of the server that closes with the test. The prefix is
// the test's name.
func (s *Server) Client(t testing.TB, log *slog.Logger) *redisx.Client {
	t.Helper()
	c, err := redisx.Open(redisx.Config{URL: secret.String(s.URL()), Prefix: t.Name(), Timeout: time.Second}, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// WaitUp pings until the client sees Redis.
func WaitUp(t testing.TB, c *redisx.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := c.Await(ctx); err != nil {
		t.Fatalf("redis did not come back: %v", err)
	}
}
