//go:build !unix

package testkit

// lockFile does nothing here: a build made twice only takes longer.
func lockFile(string) (unlock func(), err error) { return func() {}, nil }
