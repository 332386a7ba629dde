//go:build unix

package leash

import (
	"os/exec"
	"syscall"
)

// detach keeps a terminal's Ctrl-C from the program: its owner stops it when its own work is done.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
