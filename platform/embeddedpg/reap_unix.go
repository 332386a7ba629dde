//go:build unix

package embeddedpg

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// reap stops every postgres process that works in pgdata. The folder's lock is held, so no madbase looks after them: they were left by
// one that was killed, or their postmaster was. Stopping follows the mild way first; a committed row survives all of them.
func (c *Cluster) reap(pgdata string) error {
	left := serverProcesses(pgdata)
	if len(left) == 0 {
		return nil
	}
	c.log.Warn("stopping a PostgreSQL that was left running", "dir", pgdata, "pids", left)
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for _, step := range []struct {
		sig  syscall.Signal
		wait time.Duration
	}{{syscall.SIGINT, fastTime}, {syscall.SIGQUIT, immediateTime}, {syscall.SIGKILL, killTime}} {
		// The postmaster passes a shutdown on to its children. Without one they do not heed SIGINT, but soon end by themselves.
		told, wait := left, step.wait
		if pid := postmasterOf(pgdata, left); pid != 0 && step.sig != syscall.SIGKILL {
			told = []int{pid}
		} else if step.sig == syscall.SIGINT {
			wait = time.Second
		}
		for _, pid := range told {
			_ = syscall.Kill(pid, step.sig)
		}
		for deadline := time.Now().Add(wait); time.Now().Before(deadline); {
			if left = serverProcesses(pgdata); len(left) == 0 {
				return nil
			}
			<-poll.C
		}
	}
	return fmt.Errorf("embeddedpg: PostgreSQL processes %v in %s cannot be stopped", left, pgdata)
}

// postmasterOf returns the process that the folder's lock file names, if it is one of pids, else 0.
func postmasterOf(pgdata string, pids []int) int {
	text, err := os.ReadFile(filepath.Join(pgdata, "postmaster.pid"))
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || !slices.Contains(pids, pid) {
		return 0
	}
	return pid
}

// removeStale removes the locks of a server that is gone. PostgreSQL would refuse to start over them when their pid still answers:
// as a zombie, or as a stranger that got the number.
func (c *Cluster) removeStale() error {
	stale, err := filepath.Glob(filepath.Join(c.addr.dir, ".s.PGSQL.*"))
	if err != nil {
		return fmt.Errorf("embeddedpg: stale locks: %w", err)
	}
	for _, path := range append(stale, filepath.Join(c.place.pgdata(), "postmaster.pid")) {
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("embeddedpg: stale locks: %w", err)
		}
	}
	return nil
}
