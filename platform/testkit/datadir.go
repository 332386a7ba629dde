package testkit

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// DataDir returns a temporary folder to give to madbase as its data folder. It differs from t.TempDir in that others may pass through it:
// postgres, which root runs as another user, could not reach its files there, and would be moved to a folder outside that no test removes.
func DataDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil {
		t.Fatalf("testkit: %v", err)
	}
	t.Cleanup(func() { awaitPostgres(dir) })
	return dir
}

// awaitPostgres waits for the server of a madbase that was killed: were its folder removed during its shutdown, it would fail, and leave
// shared memory behind.
func awaitPostgres(dir string) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-tick.C {
		locks, _ := filepath.Glob(filepath.Join(dir, "postgres", "pgdata", "postmaster.pid")) // the patterns are well-formed
		deeper, _ := filepath.Glob(filepath.Join(dir, "*", "postgres", "pgdata", "postmaster.pid"))
		if len(locks)+len(deeper) == 0 {
			return
		}
	}
}
