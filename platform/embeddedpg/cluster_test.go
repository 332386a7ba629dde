//go:build unix

package embeddedpg_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/embeddedpg"
)

func skipWithoutBinaries(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, embeddedpg.ErrNoBinaries) {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI=true and %v", err)
	}
	t.Skipf("SKIPPED: %v", err)
}

// A second start finds the first one's data. The folder is given relative to the working folder, which postgres leaves.
func TestSecondStartKeepsData(t *testing.T) {
	t.Parallel()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Rel(wd, dataDir(t))
	if err != nil {
		t.Fatal(err)
	}
	first, _ := newCluster(t, anyPort, dir)
	start(t, first)
	run(t, first.URL(), "create table kept as select 'yes' as v")
	if got := query(t, first.URL(), "show wal_level"); got != "logical" {
		t.Errorf("wal_level = %s", got)
	}
	stop(t, first)
	stop(t, first)
	if err := first.Err(); err != nil {
		t.Errorf("after stop: %v", err)
	}
	second, _ := newCluster(t, anyPort, dir)
	start(t, second)
	if got := query(t, second.URL(), "select v from kept"); got != "yes" {
		t.Errorf("kept = %q", got)
	}
}

func TestSecondInstanceIsRefused(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	first, _ := newCluster(t, anyPort, dir)
	start(t, first)
	second, _ := newCluster(t, anyPort, dir)
	err := second.Start(t.Context())
	if !errors.Is(err, embeddedpg.ErrInUse) {
		t.Fatalf("second instance: %v", err)
	}
	if want := fmt.Sprintf("in use by another madbase (pid %d)", os.Getpid()); !strings.Contains(err.Error(), want) {
		t.Errorf("%q does not say %q", err, want)
	}
	select {
	case <-second.Done():
	default:
		t.Error("a failed start does not end the cluster")
	}
	if got := query(t, first.URL(), "select 'alive'"); got != "alive" {
		t.Error("the first instance suffered")
	}
}

func TestBusyPortLeavesTheSocket(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := anyPort
	cfg.Port = l.Addr().(*net.TCPAddr).Port
	c, log := newCluster(t, cfg, dataDir(t))
	start(t, c)
	if !strings.Contains(log.String(), "in use by another program") {
		t.Errorf("the log does not tell: %s", log)
	}
	if got := query(t, c.URL(), "select coalesce(inet_server_addr()::text, 'socket')"); got != "socket" {
		t.Errorf("connected by %s", got)
	}
}

// A state folder that is too deep for a socket's path gets its socket elsewhere, until the stop.
func TestDeepFolder(t *testing.T) {
	t.Parallel()
	c, _ := newCluster(t, anyPort, filepath.Join(dataDir(t), strings.Repeat("deep/", 20)))
	start(t, c)
	if strings.HasPrefix(c.SocketDir(), c.StateDir()) {
		t.Errorf("socket in %s", c.SocketDir())
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.SocketDir()); !os.IsNotExist(err) {
		t.Errorf("the socket's folder is left: %v", err)
	}
}

// Data of another version, and files that are no cluster, stay as they are.
func TestForeignFolderIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"PG_VERSION": "was made by PostgreSQL 9",
		"something":  "not touching it",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := dataDir(t)
			pgdata := filepath.Join(dir, "postgres", "pgdata")
			if err := os.MkdirAll(pgdata, 0o700); err != nil {
				t.Fatal(err)
			}
			if os.Geteuid() == 0 {
				if err := os.Chown(pgdata, 65534, 65534); err != nil {
					t.Fatal(err)
				}
			}
			file := filepath.Join(pgdata, name)
			if err := os.WriteFile(file, []byte("9\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			c, _ := newCluster(t, anyPort, dir)
			if err := c.Start(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("start: %v; want %q", err, want)
			}
			entries, err := os.ReadDir(pgdata)
			if err != nil || len(entries) != 1 {
				t.Errorf("the folder now holds %v, %v", entries, err)
			}
			if text, err := os.ReadFile(file); err != nil || string(text) != "9\n" {
				t.Errorf("the file now holds %q, %v", text, err)
			}
		})
	}
}

// What an interrupted first start left is begun anew.
func TestInterruptedInitialisation(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	half := filepath.Join(dir, "postgres", "pgdata.init", "base")
	if err := os.MkdirAll(half, 0o700); err != nil {
		t.Fatal(err)
	}
	c, _ := newCluster(t, anyPort, dir)
	start(t, c)
	if _, err := os.Stat(filepath.Dir(half)); !os.IsNotExist(err) {
		t.Errorf("side folder: %v", err)
	}
}

// Root cannot run postgres, and another user may not be able to reach the data folder.
func TestUnreachableParent(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root runs postgres as another user")
	}
	base := dataDir(t)
	closed := filepath.Join(dataDir(t), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(closed, "data")
	first, log := newCluster(t, anyPort, dir, embeddedpg.FallbackBase(base))
	start(t, first)
	if !strings.HasPrefix(first.StateDir(), base) || !strings.Contains(log.String(), first.StateDir()) {
		t.Errorf("kept in %s, log: %s", first.StateDir(), log)
	}
	run(t, first.URL(), "create table kept as select 'yes' as v")
	stop(t, first)

	// The next start goes there even where it would choose otherwise.
	if err := os.Chmod(closed, 0o755); err != nil {
		t.Fatal(err)
	}
	second, _ := newCluster(t, anyPort, dir, embeddedpg.FallbackBase(dataDir(t)))
	start(t, second)
	if got := query(t, second.URL(), "select v from kept"); got != "yes" {
		t.Errorf("kept = %q", got)
	}
	stop(t, second)

	// A recorded folder that is gone is not replaced by an empty one.
	if err := os.RemoveAll(second.StateDir()); err != nil {
		t.Fatal(err)
	}
	third, _ := newCluster(t, anyPort, dir, embeddedpg.FallbackBase(base))
	if err := third.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "is not there any more") {
		t.Errorf("start without the folder: %v", err)
	}
}

func TestPostgresIsStartedAgain(t *testing.T) {
	t.Parallel()
	c, log := newCluster(t, anyPort, dataDir(t))
	start(t, c)
	url := c.URL()
	if err := syscall.Kill(postmasterPID(t, filepath.Join(c.StateDir(), "pgdata")), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "postgres answers again", func() bool {
		_, err := tryQuery(t.Context(), url, "select ''")
		return err == nil && strings.Contains(log.String(), "runs again")
	})
	if c.URL() != url {
		t.Errorf("URL changed from %s to %s", url, c.URL())
	}
}

// A server that cannot be kept running ends the cluster, with the reason.
func TestPostgresThatCannotRunAgain(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	c, _ := newCluster(t, anyPort, dir, embeddedpg.LongestPause(10*time.Millisecond))
	start(t, c)
	pgdata := filepath.Join(c.StateDir(), "pgdata")
	pid := postmasterPID(t, pgdata)
	conf := filepath.Join(pgdata, "postgresql.conf")
	if err := os.WriteFile(conf, []byte("nonsense = on\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the cluster gives up", func() bool {
		select {
		case <-c.Done():
			return true
		default:
			return false
		}
	})
	if err := c.Err(); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("reason: %v", err)
	}
	if err := os.WriteFile(conf, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	next, _ := newCluster(t, anyPort, dir)
	start(t, next)
}

func TestValidateNamesEveryVariable(t *testing.T) {
	t.Parallel()
	err := embeddedpg.Config{Port: 70000, BinDir: "bin", MirrorURL: "ftp://x", MaxConnections: 1}.Validate()
	for _, name := range []string{"MADBASE_PG_PORT", "MADBASE_PG_BIN", "MADBASE_PG_URL", "MADBASE_PG_MAX_CONNECTIONS"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
	if err := (embeddedpg.Config{Port: embeddedpg.DefaultPort, MirrorURL: embeddedpg.DefaultMirror, MaxConnections: 100}).Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}

// Binaries that postgres' user cannot run are not chosen, and the reason is told where they were asked for.
func TestUnusableBinaries(t *testing.T) {
	t.Parallel()
	cfg := anyPort
	cfg.BinDir = t.TempDir()
	for _, name := range []string{"initdb", "postgres"} {
		if err := os.WriteFile(filepath.Join(cfg.BinDir, name), []byte("#!/bin/sh\necho 'postgres (PostgreSQL) 9.6'; exit 3\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c, _ := newCluster(t, cfg, dataDir(t))
	err := c.Start(t.Context())
	if !errors.Is(err, embeddedpg.ErrNoBinaries) || !strings.Contains(err.Error(), cfg.BinDir+": ") {
		t.Errorf("start: %v", err)
	}
	if err := os.Chmod(filepath.Dir(cfg.BinDir), 0o711); err != nil {
		t.Fatal(err)
	}
	c, _ = newCluster(t, cfg, dataDir(t))
	if err := c.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("start: %v", err)
	}
}
