//go:build unix

package embeddedpg_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/embeddedpg"
)

// childVariable turns the test binary into a madbase that does nothing but insert rows into the cluster of the folder it names.
const childVariable = "MADBASE_TEST_EMBEDDEDPG_DIR"

// insertUntilKilled prints the id of every row that postgres acknowledged, one by one, until it is killed or told to stop.
func insertUntilKilled(dir string) int {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	c := embeddedpg.New(anyPort, dir, slog.New(slog.NewTextHandler(os.Stderr, nil)), io.Discard, embeddedpg.LocalOnly())
	if err := c.Start(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for ctx.Err() == nil {
		// A killed postgres is started again behind the URL.
		if err := insert(ctx, c.URL()); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "writer:", err)
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
	if err := c.Stop(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func insert(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "create table if not exists written (id bigserial primary key, filler text default repeat('x', 200))"); err != nil {
		return err
	}
	for {
		var id int64
		if err := conn.QueryRow(ctx, "insert into written default values returning id").Scan(&id); err != nil {
			return err
		}
		fmt.Println(id)
	}
}

// writer is a child process that inserts.
type writer struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	acked map[int64]bool
}

func startWriter(t *testing.T, dir string, acked map[int64]bool) *writer {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+dir)
	log := &logText{}
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		if t.Failed() {
			t.Logf("writer %d: %s", cmd.Process.Pid, log)
		}
	})
	return &writer{cmd: cmd, lines: bufio.NewScanner(out), acked: acked}
}

// read takes n acknowledged ids, or what is left when n is negative.
func (w *writer) read(t *testing.T, n int) {
	t.Helper()
	for ; n != 0; n-- {
		if !w.lines.Scan() {
			if n < 0 {
				return
			}
			t.Fatal("the writer ended early")
		}
		id, err := strconv.ParseInt(w.lines.Text(), 10, 64)
		if err != nil {
			// The last line of a killed process may be cut.
			continue
		}
		w.acked[id] = true
	}
}

// end takes what the writer printed to its end.
func (w *writer) end(t *testing.T) {
	t.Helper()
	w.read(t, -1)
	_ = w.cmd.Wait()
}

func (w *writer) kill(t *testing.T) {
	t.Helper()
	if err := w.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
}

// Neither kill -9 of madbase nor of postgres, in any order, loses a row that was acknowledged. Durability is on, and the data on disk.
func TestEmbeddedSurvivesKill(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	pgdata := filepath.Join(dir, "postgres", "pgdata")
	acked := map[int64]bool{}
	probe, _ := newCluster(t, anyPort, dataDir(t))
	start(t, probe)
	stop(t, probe)

	killPostgres := func() {
		if err := syscall.Kill(postmasterPID(t, pgdata), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	rounds := []struct {
		name string
		do   func(w *writer)
	}{
		{"madbase", func(w *writer) { w.kill(t) }},
		{"madbase again", func(w *writer) { w.kill(t) }},
		{"postgres then madbase", func(w *writer) { killPostgres(); w.kill(t) }},
		{"madbase then postgres", func(w *writer) {
			pid := postmasterPID(t, pgdata)
			w.kill(t)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}},
		{"postgres, twice, madbase goes on", func(w *writer) {
			for range 2 {
				dead := postmasterPID(t, pgdata)
				killPostgres()
				eventually(t, "another postgres is ready", func() bool {
					text, err := os.ReadFile(filepath.Join(pgdata, "postmaster.pid"))
					return err == nil && !strings.HasPrefix(string(text), strconv.Itoa(dead)+"\n") && strings.Contains(string(text), "ready")
				})
				w.read(t, 200)
			}
			w.kill(t)
		}},
	}
	for _, round := range rounds {
		before := len(acked)
		w := startWriter(t, dir, acked)
		w.read(t, 100)
		round.do(w)
		w.end(t)
		t.Logf("kill %s: %d rows acknowledged", round.name, len(acked)-before)
	}

	c := embeddedpg.New(anyPort, dir, slog.New(slog.DiscardHandler), io.Discard, embeddedpg.LocalOnly())
	start(t, c)
	defer stop(t, c)
	missing := missingRows(t, c.URL(), acked)
	if len(missing) > 0 {
		t.Errorf("%d of %d acknowledged rows are missing: %v", len(missing), len(acked), missing)
	}
}

func missingRows(t *testing.T, url string, acked map[int64]bool) []int64 {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(), "select id from written")
	if err != nil {
		t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		t.Fatal(err)
	}
	stored := map[int64]bool{}
	for _, id := range ids {
		stored[id] = true
	}
	var missing []int64
	for id := range acked {
		if !stored[id] {
			missing = append(missing, id)
		}
	}
	return missing
}
