package e2e_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/testkit"
)

// launch starts the first "serve" on dir and returns once its stderr says moment.
func launch(t *testing.T, dir, moment string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(binary, "serve", "--listen", "127.0.0.1:0", "--data-dir", dir)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "MADBASE_PG_PORT=0", "LOG_FORMAT=json"}
	cmd.Dir = t.TempDir()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadString('\n')
		if strings.Contains(line, moment) {
			break
		}
		if err != nil {
			t.Fatalf("it ended before it said %q", moment)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	return cmd
}

// running are the processes that name dir on their command line.
func running(t *testing.T, dir string) (commands []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline") // finds none where there is no /proc
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && bytes.Contains(text, []byte(dir)) {
			commands = append(commands, string(bytes.ReplaceAll(text, []byte{0}, []byte{' '})))
		}
	}
	return commands
}

func awaitNone(t *testing.T, dir string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for left := running(t, dir); len(left) > 0; left = running(t, dir) {
		if time.Now().After(deadline) {
			t.Fatalf("still running: %q", left)
		}
		time.Sleep(10 * time.Millisecond) // a poll, not a synchronisation
	}
}

// TestStopWhileStarting ends the first start at each of its stages.
func TestStopWhileStarting(t *testing.T) {
	t.Parallel()
	for _, moment := range []string{"Initialising PostgreSQL", "initialised a PostgreSQL cluster", "private PostgreSQL is up", "migration applied"} {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			dir := testkit.DataDir(t)
			cmd := launch(t, dir, moment)
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("ended with %v", err)
			}
			awaitNone(t, dir)
			testkit.Start(t, binary, []string{"MADBASE_PG_PORT=0"}, "serve", "--listen", "127.0.0.1:0", "--data-dir", dir).Stop(t)
		})
	}
}

// TestSecondSignal does not wait for the drain that the first one began.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	dir := testkit.DataDir(t)
	p := testkit.Start(t, binary, []string{"MADBASE_PG_PORT=0", "MADBASE_DRAIN_DELAY=1h"}, "serve", "--listen", "127.0.0.1:0", "--data-dir", dir)
	process, err := os.FindProcess(p.PID())
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for status := 200; status == 200; status, _ = testkit.Get(t, p.URL+"/readyz") { // it drains, and answers meanwhile
	}
	if err := process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	awaitNone(t, dir)
}

// TestClosedOutput takes the reader of its output away from a server.
func TestClosedOutput(t *testing.T) {
	t.Parallel()
	dir := testkit.DataDir(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "serve", "--listen", "127.0.0.1:0", "--data-dir", dir)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "MADBASE_PG_PORT=0", "LOG_LEVEL=debug", "LOG_FORMAT=json"}
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.TempDir(), write, write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	write.Close()
	address := ""
	for lines := bufio.NewReader(read); address == ""; {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, `"msg":"serving"`) {
			_, rest, _ := strings.Cut(line, `"address":"`)
			address, _, _ = strings.Cut(rest, `"`)
		}
	}
	read.Close()
	for range 3 { // each is a line that nobody reads
		if status, body := testkit.Get(t, "http://"+address+"/readyz"); status != 200 {
			t.Errorf("got %d %s", status, body)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	awaitNone(t, dir)
}

// TestDropInRestWithoutSecret serves the anonymous alone, as PostgREST does without a secret.
func TestDropInRestWithoutSecret(t *testing.T) {
	t.Parallel()
	s := cluster(t) // for its database alone
	s.exec(t, "CREATE SCHEMA open; CREATE TABLE open.items (id int); INSERT INTO open.items VALUES (7); GRANT USAGE ON SCHEMA open TO anon; GRANT SELECT ON open.items TO anon")
	p := testkit.Start(t, binary, []string{"PGRST_DB_URI=" + s.databaseURL, "PGRST_DB_SCHEMAS=open", "PGRST_DB_ANON_ROLE=anon"},
		"serve", "--role", "worker", "--modules", "rest", "--listen", "127.0.0.1:0")
	if status, body := testkit.Get(t, p.URL+"/items"); status != 200 || body != `[{"id":7}]` {
		t.Errorf("got %d %s", status, body)
	}
	if status, body := testkit.Get(t, p.URL+"/items", "Authorization", "Bearer "+s.keys.Service.Reveal()); status < 400 {
		t.Errorf("a token was taken: %d %s", status, body)
	}
}
