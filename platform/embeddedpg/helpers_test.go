//go:build unix

package embeddedpg_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/madbase/madbase/platform/embeddedpg"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		os.Exit(insertUntilKilled(dir))
	}
	goleak.VerifyTestMain(m)
}

// anyPort has the cluster take a free port; LocalOnly keeps tests off the network.
var anyPort = embeddedpg.Config{MaxConnections: 20}

// dataDir is a temporary folder that postgres' user can enter; t.TempDir alone keeps everybody else out.
func dataDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// logText collects a log.
type logText struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// newCluster describes a fast cluster that is stopped when the test ends, and its log.
func newCluster(t *testing.T, cfg embeddedpg.Config, dir string, opts ...embeddedpg.Option) (*embeddedpg.Cluster, *logText) {
	t.Helper()
	log := &logText{}
	opts = append([]embeddedpg.Option{embeddedpg.LocalOnly(), embeddedpg.Ephemeral()}, opts...)
	c := embeddedpg.New(cfg, dir, slog.New(slog.NewTextHandler(log, nil)), io.Discard, opts...)
	t.Cleanup(func() { stop(t, c) })
	return c, log
}

// start brings a cluster up, or skips the test where the machine has no PostgreSQL.
func start(t *testing.T, c *embeddedpg.Cluster) {
	t.Helper()
	if err := c.Start(t.Context()); err != nil {
		skipWithoutBinaries(t, err)
		t.Fatal(err)
	}
}

func stop(t *testing.T, c *embeddedpg.Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := c.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// query runs SQL and returns its single value as text.
func query(t *testing.T, url, sql string) string {
	t.Helper()
	v, err := tryQuery(t.Context(), url, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func tryQuery(ctx context.Context, url, sql string) (string, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var v string
	err = conn.QueryRow(ctx, sql).Scan(&v)
	return v, err
}

// postmasterPID reads the server's pid from its lock file.
func postmasterPID(t *testing.T, pgdata string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(pgdata, "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// eventually calls check until it returns true.
func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	for !check() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("never: %s", what)
		}
	}
}

// run runs SQL that returns nothing.
func run(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}
