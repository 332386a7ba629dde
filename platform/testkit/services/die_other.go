//go:build !linux

package main

import "os/exec"

// dieWithParent: no such guard outside Linux; the services end, and the command fails without them.
func dieWithParent(*exec.Cmd) {}
