package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/testkit"
)

var install = sync.OnceValues(func() (string, error) {
	dir, err := filepath.Abs("js")
	if err != nil {
		return "", err
	}
	node := filepath.Join(dir, "node_modules", ".bin", "node")
	stamp, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json"))
	lock, lockErr := os.Stat(filepath.Join(dir, "package-lock.json"))
	if err == nil && lockErr == nil && !stamp.ModTime().Before(lock.ModTime()) && exec.Command(node, "--version").Run() == nil {
		return node, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund")
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		return string(out), err
	}
	return node, nil
})

// node returns a Node.js that supabase-js runs on, with the journeys' packages
// installed. Without npm the test is skipped, or fails when CI=true.
func node(t *testing.T) string {
	t.Helper()
	path, err := install()
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") == "true":
		t.Fatalf("npm ci: %v\n%s", err, path)
	default:
		t.Skipf("npm ci: %v\n%s", err, path)
	}
	return ""
}

// run lets the journeys of journey.mjs go through s.
func (s *shape) run(t *testing.T, file string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node(t), "--test", "--test-reporter=tap", file)
	cmd.Dir = "js"
	cmd.Env = append(os.Environ(), "MADBASE_URL="+s.url, "ANON_KEY="+s.keys.Anon.Reveal(), "SERVICE_KEY="+s.keys.Service.Reveal())
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "# fail 0") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestJourneyAlone(t *testing.T) {
	t.Parallel()
	s := alone(t, testkit.DataDir(t))
	s.load(t)
	s.run(t, "journey.mjs")
}

func TestJourneyCluster(t *testing.T) {
	t.Parallel()
	s := cluster(t)
	s.load(t)
	s.run(t, "journey.mjs")
}

// TestJourneyWithOpaqueKeys uses the sb_ keys in place of the JWT ones.
func TestJourneyWithOpaqueKeys(t *testing.T) {
	t.Parallel()
	s := alone(t, testkit.DataDir(t))
	s.load(t)
	s.keys.Anon, s.keys.Service = s.keys.Publishable, s.keys.Secret
	s.run(t, "journey.mjs")
}
