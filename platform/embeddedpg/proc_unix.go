//go:build unix && !linux

package embeddedpg

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// dieWithParent: no such guard outside Linux. A killed madbase leaves postgres running; the next start stops it.
func dieWithParent(*syscall.SysProcAttr) {}

// serverProcesses knows only the postmaster that the lock file names, if that pid is a postgres today.
func serverProcesses(pgdata string) []int {
	text, err := os.ReadFile(filepath.Join(pgdata, "postmaster.pid"))
	if err != nil {
		return nil
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid <= 1 {
		return nil
	}
	out, err := exec.Command("ps", "-o", "stat=,comm=", "-p", strconv.Itoa(pid)).Output()
	if fields := strings.Fields(string(out)); err != nil || len(fields) < 2 || strings.HasPrefix(fields[0], "Z") || filepath.Base(fields[1]) != "postgres" {
		return nil
	}
	return []int{pid}
}
