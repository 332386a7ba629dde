package testdb

import (
	"os"
	"os/exec"
	"syscall"
)

// memoryFolder is a file system in memory on Linux, and needs this much room, in bytes, to be worth using.
const (
	memoryFolder = "/dev/shm"
	memoryRoom   = 1 << 30
)

// scratchFolder is where throw-away clusters are kept: in memory where there is room, creating a database there takes a tenth of the time.
func scratchFolder() string {
	var st syscall.Statfs_t
	if err := syscall.Statfs(memoryFolder, &st); err == nil && st.Bavail*uint64(st.Bsize) > memoryRoom {
		return memoryFolder
	}
	return os.TempDir()
}

// detach keeps a terminal's Ctrl-C from the command.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
