package redistest

import "syscall"

// ownedByTest ends the server with the test binary, even when that is killed.
func ownedByTest() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
