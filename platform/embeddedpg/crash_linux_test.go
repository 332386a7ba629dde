package embeddedpg_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/madbase/madbase/platform/embeddedpg"
)

// made returns a stopped cluster with a table, and where its data is.
func made(t *testing.T, dir string) (c *embeddedpg.Cluster, pgdata string) {
	t.Helper()
	c, _ = newCluster(t, anyPort, dir)
	start(t, c)
	run(t, c.URL(), "create table kept as select 'yes' as v")
	stop(t, c)
	return c, filepath.Join(c.StateDir(), "pgdata")
}

// behind runs the cluster's server behind the cluster's back, as if its madbase had been killed.
func behind(t *testing.T, c *embeddedpg.Cluster, pgdata string) *exec.Cmd {
	t.Helper()
	cmd := c.ServerCommand()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server is ready", func() bool {
		text, _ := os.ReadFile(filepath.Join(pgdata, "postmaster.pid"))
		return strings.Contains(string(text), "ready")
	})
	return cmd
}

// A killed postmaster that nobody has waited for is a zombie: it answers signals, and its locks are still there.
func TestZombiePostmaster(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	dead, pgdata := made(t, dir)
	cmd := behind(t, dead, pgdata)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	eventually(t, "the postmaster is a zombie", func() bool {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		return strings.Contains(string(stat), ") Z ")
	})
	if err := syscall.Kill(cmd.Process.Pid, 0); err != nil {
		t.Fatalf("the zombie does not answer: %v", err)
	}
	c, _ := newCluster(t, anyPort, dir)
	start(t, c)
	if got := query(t, c.URL(), "select v from kept"); got != "yes" {
		t.Errorf("kept = %q", got)
	}
}

// A server that outlived its madbase is stopped, and another one started.
func TestLivingOrphan(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	dead, pgdata := made(t, dir)
	cmd := behind(t, dead, pgdata)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	c, log := newCluster(t, anyPort, dir)
	start(t, c)
	if err := <-ended; err != nil {
		t.Errorf("the orphan was not stopped the mild way: %v", err)
	}
	if !strings.Contains(log.String(), "left running") {
		t.Errorf("the log does not tell: %s", log)
	}
	if got := query(t, c.URL(), "select v from kept"); got != "yes" {
		t.Errorf("kept = %q", got)
	}
}

// The pid in a stale lock file may by now be a stranger's of the same user, as happens when a container restarts.
func TestStalePIDOfAStranger(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	dead, pgdata := made(t, dir)
	stranger := exec.Command("sleep", "60")
	stranger.SysProcAttr = dead.OwnerAttr()
	stranger.Dir = "/"
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = stranger.Process.Kill()
		_ = stranger.Wait()
	}()
	pid := strconv.Itoa(stranger.Process.Pid)
	lock := pid + "\n" + pgdata + "\n1700000000\n54322\n" + dead.SocketDir() + "\n\n0 0\nready\n"
	fi, err := os.Stat(pgdata)
	if err != nil {
		t.Fatal(err)
	}
	own := fi.Sys().(*syscall.Stat_t)
	for _, path := range []string{filepath.Join(pgdata, "postmaster.pid"), filepath.Join(dead.SocketDir(), ".s.PGSQL.54322.lock")} {
		if err := os.WriteFile(path, []byte(lock), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, int(own.Uid), int(own.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	c, _ := newCluster(t, anyPort, dir)
	start(t, c)
	if got := query(t, c.URL(), "select v from kept"); got != "yes" {
		t.Errorf("kept = %q", got)
	}
	if err := stranger.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the stranger was hit: %v", err)
	}
}
