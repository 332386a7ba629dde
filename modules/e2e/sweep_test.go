package e2e_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/blob/fs"
	"github.com/madbase/madbase/platform/testkit"
)

// TestSweepBesideTheServer finds what a crash has left by the command and by the
// control plane, while the server runs and once it does not.
func TestSweepBesideTheServer(t *testing.T) {
	t.Parallel()
	dir := testkit.DataDir(t)
	s := alone(t, dir, "ADMIN_PASSWORD=an admin's password")
	s.createBucket(t, "docs")
	if status, _ := s.send(t, http.MethodPost, s.url+"/storage/v1/object/docs/kept", strings.NewReader("kept"), 4); status != http.StatusOK {
		t.Fatal(status)
	}
	store, err := fs.Open(filepath.Join(dir, "storage"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	version := uuid.NewString()
	if _, err := store.Put(t.Context(), "default/docs/lost/"+version, strings.NewReader("lost"), blob.PutOptions{Size: 4}); err != nil {
		t.Fatal(err)
	}
	want := orphan{"default", "bytes", "lost", version, 4}
	if got := sweep(t, dir, nil); len(got) != 1 || got[0] != want {
		t.Errorf("%+v", got)
	}
	status, body := testkit.Get(t, s.url+"/platform/v1/projects/default/buckets/docs/orphan-objects?before=2999-01-01T00:00:00Z", "Authorization", "Bearer an admin's password")
	if status != http.StatusOK || !strings.Contains(body, `"value":[{"name":"lost","version":"`+version+`","size":4}]`) || strings.Contains(body, "dbOrphans") {
		t.Errorf("%d %s", status, body)
	}
	s.proxy.Kill()
	if got := sweep(t, dir, nil); len(got) != 1 || got[0] != want {
		t.Errorf("%+v", got)
	}
}

// TestSweepOfOtherProjects finds what a crash has left in projects beside the default one.
func TestSweepOfOtherProjects(t *testing.T) {
	t.Parallel()
	dir := testkit.DataDir(t)
	s := alone(t, dir, "ADMIN_PASSWORD="+adminPassword)
	ref, p := s.project(t)
	p.createBucket(t, "docs")
	if status, body := p.send(t, http.MethodPost, p.url+"/storage/v1/object/docs/kept", strings.NewReader("kept"), 4); status != http.StatusOK {
		t.Fatal(status, body)
	}
	store, err := fs.Open(filepath.Join(dir, "storage"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	version := uuid.NewString()
	for info, err := range store.List(t.Context(), ref) {
		if err != nil {
			t.Fatal(err)
		}
		own, _, _ := strings.Cut(info.Key, "/")
		if _, err := store.Put(t.Context(), own+"/docs/lost/"+version, strings.NewReader("lost"), blob.PutOptions{Size: 4}); err != nil {
			t.Fatal(err)
		}
	}
	if got := sweep(t, dir, nil); len(got) != 0 {
		t.Errorf("of the default project: %+v", got)
	}
	want := orphan{ref, "bytes", "lost", version, 4}
	for _, which := range [][]string{{"--project", ref}, {"--all"}} {
		if got := sweep(t, dir, which); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %+v", which, got)
		}
	}
	for _, which := range [][]string{{"--project", "none"}, {"--all", "--project", ref}} {
		if out, err := sweepCommand(t, dir, which).CombinedOutput(); err == nil {
			t.Errorf("%s: %s", which, out)
		}
	}
}

// orphan is what the command tells of one.
type orphan struct {
	Project, Kind, Name, Version string
	Size                         int64
}

// sweep runs the command on dir, with nothing removed.
func sweep(t *testing.T, dir string, which []string, env ...string) (found []orphan) {
	t.Helper()
	out, err := sweepCommand(t, dir, which, env...).Output()
	if err != nil {
		t.Fatalf("%s %v", out, err)
	}
	for line := range bytes.Lines(out) {
		var o orphan
		if err := json.Unmarshal(line, &o); err != nil {
			t.Fatalf("%s %v", out, err)
		}
		found = append(found, o)
	}
	return found
}

func sweepCommand(t *testing.T, dir string, which []string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"storage", "sweep", "--dry-run", "--older-than", "0s", "--json", "--data-dir", dir}, which...)...)
	cmd.Env = append(env, "PATH="+os.Getenv("PATH"), "JWT_SECRET="+jwtSecret, "MADBASE_PG_PORT=0")
	cmd.Dir = t.TempDir()
	return cmd
}
