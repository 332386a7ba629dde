package testkit

import (
	"os"
	"path/filepath"
	"testing"
)

// DataDir returns a temporary folder to give to madbase as its data folder. It differs from t.TempDir in that others may pass through it:
// postgres, which root runs as another user, could not reach its files there, and would be moved to a folder outside that no test removes.
func DataDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil {
		t.Fatalf("testkit: %v", err)
	}
	return dir
}
