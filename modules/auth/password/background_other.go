//go:build !linux

package password

// inBackground runs do as it is: elsewhere threads have no priority of their own.
func inBackground(do func()) { do() }
