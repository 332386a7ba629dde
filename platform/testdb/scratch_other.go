//go:build !linux

package testdb

import (
	"os"
	"os/exec"
)

// scratchFolder is where throw-away clusters are kept.
func scratchFolder() string { return os.TempDir() }

// detach would keep a terminal's Ctrl-C from the command; only Linux needs to, since files in memory would stay there.
func detach(*exec.Cmd) {}
