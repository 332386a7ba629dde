package httpx

import (
	"net"
	"syscall"
)

// quiet reports whether nothing has come on an idle connection, not even its end:
// what has would be taken for the answer to the next request.
func quiet(conn net.Conn) bool {
	raw, ok := conn.(syscall.Conn)
	if !ok {
		return true
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return false
	}
	nothing := false
	err = control.Read(func(fd uintptr) bool {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		nothing = err == syscall.EAGAIN //nolint:errorlint // an error number of the system
		return true
	})
	return err == nil && nothing
}
