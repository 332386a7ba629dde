package testdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/embeddedpg"
)

// URLVariable names the environment variable with the owner's URL of a server to use.
const URLVariable = "MADBASE_TEST_PG_URL"

// find returns the owner's URL of a server and where it came from, trying the sources in order.
func find(ctx context.Context) (url, origin string, err error) {
	if url := os.Getenv(URLVariable); url != "" {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return "", "", fmt.Errorf("%s: %w", URLVariable, err)
		}
		return url, URLVariable, conn.Close(ctx)
	}
	url, _, err = StartPrivate(ctx, embeddedpg.LocalOnly())
	if err == nil {
		return url, "a private cluster of local binaries", nil
	}
	return "", "", err
}

// StartPrivate starts a cluster without durability, in memory where there is room, and returns its owner's URL. stop ends it and removes
// its files; the same happens when the process ends without calling it.
func StartPrivate(ctx context.Context, opts ...embeddedpg.Option) (url string, stop func(context.Context) error, err error) {
	dir, err := os.MkdirTemp(scratchFolder(), "madbase-test-*")
	if err != nil {
		return "", nil, fmt.Errorf("testdb: %w", err)
	}
	guard, err := removeAtExit(dir)
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("testdb: %w", err), os.RemoveAll(dir))
	}
	opts = append([]embeddedpg.Option{embeddedpg.Ephemeral()}, opts...)
	c := embeddedpg.New(embeddedpg.Config{MaxConnections: 200}, dir, slog.New(slog.DiscardHandler), io.Discard, opts...)
	if err := c.Start(ctx); err != nil {
		return "", nil, errors.Join(fmt.Errorf("testdb: %w", err), guard.Close())
	}
	return c.URL(), func(ctx context.Context) error { return errors.Join(c.Stop(ctx), guard.Close()) }, nil
}

// removeAtExit starts a shell that waits for this process to end, or for the returned pipe to be closed, and then, once postgres has
// ended, removes dir. A test process has no last moment of its own to do that in.
func removeAtExit(dir string) (io.Closer, error) {
	const script = `read _; n=0; while [ -e "$1" ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done; rm -rf "$2"`
	cmd := exec.Command("/bin/sh", "-c", script, "sh", filepath.Join(dir, "postgres", "pgdata", "postmaster.pid"), dir)
	detach(cmd)
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	return guard{cmd: cmd, pipe: pipe}, cmd.Start()
}

// guard is the shell that removes a folder.
type guard struct {
	cmd  *exec.Cmd
	pipe io.Closer
}

// Close has the folder removed now.
func (g guard) Close() error { return errors.Join(g.pipe.Close(), g.cmd.Wait()) }
