//go:build !linux

package redistest

import "syscall"

// ownedByTest has no means beyond Linux; the test's cleanup stops the server.
func ownedByTest() *syscall.SysProcAttr { return nil }
