package secret_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/madbase/madbase/platform/secret"
)

func TestStringIsMasked(t *testing.T) {
	t.Parallel()
	s := secret.String("hunter2")
	marshalled, err := json.Marshal(map[string]any{"s": s})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "s", s)
	shown := fmt.Sprintf("%s %v %+v %#v %q", s, s, struct{ S secret.String }{s}, s, s) + string(marshalled) + log.String()
	if strings.Contains(shown, "hunter2") {
		t.Errorf("shown in %s", shown)
	}
}

func TestEqual(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		secret secret.String
		given  string
		want   bool
	}{{"a", "a", true}, {"a", "b", false}, {"a", "", false}, {"", "", false}, {"a", "aa", false}} {
		if got := test.secret.Equal(test.given); got != test.want {
			t.Errorf("%q equals %q: %v", test.secret.Reveal(), test.given, got)
		}
	}
}

func TestDerive(t *testing.T) {
	t.Parallel()
	a := secret.String("one")
	if again := secret.String("one"); a.Derive("x", 16) != again.Derive("x", 16) || a.Derive("x", 16) == a.Derive("y", 16) || a.Derive("x", 16) == secret.String("two").Derive("x", 16) {
		t.Error("derived keys must depend on the secret and the purpose alone")
	}
}

func TestLoadOrCreate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data", "secrets.json")
	first, err := secret.LoadOrCreate(path, "a")
	if err != nil {
		t.Fatal(err)
	}
	second, err := secret.LoadOrCreate(path, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	if first["a"] != second["a"] || second["b"] == "" || len(first["a"].Reveal()) != 64 || second["a"] == second["b"] {
		t.Errorf("secrets did not last: %d and %d of them", len(first), len(second))
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file: %v %v", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte("{half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.LoadOrCreate(path, "a"); err == nil {
		t.Error("a damaged file was replaced: what it protected would be lost")
	}
}

// A first "serve" and a "keys" beside it must not end up with different secrets.
func TestCreatedByManyAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secrets.json")
	var group errgroup.Group
	made := make([]secret.String, 8)
	for i := range made {
		group.Go(func() error {
			secrets, err := secret.LoadOrCreate(path, "a")
			made[i] = secrets["a"]
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, s := range made {
		if s != made[0] {
			t.Error("two secrets were made")
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("left %v %v", entries, err)
	}
}
