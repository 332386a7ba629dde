package embeddedpg

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// dieWithParent has the kernel send SIGINT, postgres' fast shutdown, when the thread that started the child dies.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGINT }

// serverProcesses lists the live postgres processes working in pgdata, postmaster or backend. It asks /proc rather than signal 0,
// because a dead process that nobody has waited for still answers signals, and a recorded pid may by now be a stranger's: a dead
// process has no working directory, and a stranger has another one.
func serverProcesses(pgdata string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		dir := "/proc/" + e.Name()
		if cwd, err := os.Readlink(dir + "/cwd"); err != nil || cwd != pgdata {
			continue
		}
		exe, err := os.Readlink(dir + "/exe")
		// The mark is there when the binary was replaced by an upgrade.
		if err == nil && filepath.Base(strings.TrimSuffix(exe, " (deleted)")) == "postgres" {
			pids = append(pids, pid)
		}
	}
	return pids
}
