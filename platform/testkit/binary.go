package testkit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// buildTimeout bounds building the binary, cold caches included.
const buildTimeout = 10 * time.Minute

// Build builds the program of the module's root as users get it and returns its
// path. The file is gone when the test ends: build it once for all that share it.
func Build(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		t.Fatalf("find the module: %v", err)
	}
	path := filepath.Join(t.TempDir(), "madbase")
	build := exec.CommandContext(ctx, "go", "build", "-o", path, ".")
	build.Dir = strings.TrimSpace(string(root))
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build madbase: %v\n%s", err, out)
	}
	return path
}

// Process is a running madbase.
type Process struct {
	// URL is where it serves, without a final slash.
	URL string

	cmd    *exec.Cmd
	exited chan struct{}
	err    error

	mu  sync.Mutex
	out bytes.Buffer
	log bytes.Buffer
}

// Start runs the binary with args and, besides what the machine needs, only the
// environment env. It returns once the process says that it serves; the test
// fails when it does not within a minute. The process is stopped with the test.
func Start(t testing.TB, binary string, env []string, args ...string) *Process {
	t.Helper()
	return StartWith(t, nil, binary, env, args...)
}

// StartWith is Start for a process that is given files, the first one as number 3.
func StartWith(t testing.TB, files []*os.File, binary string, env []string, args ...string) *Process {
	t.Helper()
	p := &Process{cmd: exec.Command(binary, args...), exited: make(chan struct{})} //nolint:noctx // it ends by signal, below
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "LOG_FORMAT=json"}, env...)
	p.cmd.ExtraFiles = files
	p.cmd.Dir = t.TempDir() // no .env file there
	p.cmd.Stdout = &lockedWriter{&p.mu, &p.out}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	serving := make(chan string, 1)
	go p.follow(stderr, serving)
	t.Cleanup(func() { p.Stop(t) })
	select {
	case p.URL = <-serving:
	case <-p.exited:
		t.Fatalf("madbase %s ended: %v\n%s", strings.Join(args, " "), p.err, p.Log())
	case <-time.After(time.Minute):
		t.Fatalf("madbase %s does not serve\n%s", strings.Join(args, " "), p.Log())
	}
	return p
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// follow keeps the log and tells the address once the process serves.
func (p *Process) follow(stderr io.Reader, serving chan<- string) {
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadBytes('\n')
		p.mu.Lock()
		p.log.Write(line)
		p.mu.Unlock()
		var entry struct{ Msg, Address string }
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "serving" {
			serving <- "http://" + entry.Address
		}
		if err != nil {
			p.err = p.cmd.Wait()
			close(p.exited)
			return
		}
	}
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log is what the process has written to standard error so far.
func (p *Process) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// Out is what the process has written to standard output so far.
func (p *Process) Out() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// Kill ends the process as kill -9 does, and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.exited
}

// Stop ends the process as Ctrl-C does; a process that fails, or takes more than
// half a minute, fails the test. It may have been stopped or killed before.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	select {
	case <-p.exited:
		return
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGINT) // it may end just now
	select {
	case <-p.exited:
		if p.err != nil {
			t.Errorf("madbase ended with %v\n%s", p.err, p.Log())
		}
	case <-time.After(30 * time.Second):
		p.Kill()
		t.Errorf("madbase did not stop\n%s", p.Log())
	}
}

// Command runs the binary to its end and returns its standard output and error.
func Command(t testing.TB, binary string, env []string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "LOG_FORMAT=json"}, env...)
	cmd.Dir = t.TempDir()
	out, err := cmd.Output()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(out), errors.New(string(e.Stderr))
	}
	return string(out), err
}

// Get returns the status of GET url with the given headers, name and value in turn; 0 when nothing answers.
func Get(t testing.TB, url string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}
