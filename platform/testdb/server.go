package testdb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/embeddedpg"
	"github.com/madbase/madbase/platform/testkit/container"
)

// URLVariable names the environment variable with the owner's URL of a server to use.
const URLVariable = "MADBASE_TEST_PG_URL"

// MirrorVariable names the environment variable with another place to download PostgreSQL from, as MADBASE_PG_URL does for serve.
const MirrorVariable = "MADBASE_TEST_PG_MIRROR"

// Server is a PostgreSQL server for tests.
type Server struct {
	// URL logs in as its owner.
	URL string
	// Origin says what it is, for people.
	Origin string

	stop func(context.Context) error
}

// Stop ends the server if this process started it, and removes its files. Should the process end without calling it, the same happens.
func (s *Server) Stop(ctx context.Context) error {
	if s.stop == nil {
		return nil
	}
	return s.stop(ctx)
}

// Start returns the server to use, starting one where no environment variable names it. Programs that run tests call it; tests just ask
// for databases.
func Start(ctx context.Context) (*Server, error) {
	if url := os.Getenv(URLVariable); url != "" {
		if err := answers(ctx, url); err != nil {
			return nil, fmt.Errorf("testdb: %s: %w", URLVariable, err)
		}
		return &Server{URL: url, Origin: URLVariable}, nil
	}
	s, localErr := startPrivate(ctx, embeddedpg.LocalOnly())
	if localErr == nil {
		s.Origin = "a private cluster of local binaries"
		return s, nil
	}
	s, dockerErr := startContainer(ctx)
	if dockerErr == nil {
		return s, nil
	}
	cache, err := binaryCache()
	if err != nil {
		return nil, errors.Join(localErr, dockerErr, err)
	}
	s, err = startPrivate(ctx, embeddedpg.DistDir(cache))
	if err != nil {
		return nil, errors.Join(localErr, dockerErr, err)
	}
	s.Origin = "a private cluster of downloaded binaries"
	return s, nil
}

// binaryCache is where downloaded binaries are kept for the next run. Root's own cache would not do: another user has to run them.
func binaryCache() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/madbase-test", nil
	}
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "madbase-test", "postgres"), err
}

func answers(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// startContainer runs the image that the compose files use.
func startContainer(ctx context.Context) (*Server, error) {
	password := rand.Text()
	url := func(addr string) string {
		return "postgresql://postgres:" + password + "@" + addr + "/postgres?sslmode=disable"
	}
	addr, stop, err := container.Run(ctx, container.Spec{
		Image: "postgres", Tag: "15-alpine", Port: "5432", Env: []string{"POSTGRES_PASSWORD=" + password},
		Cmd: []string{"postgres", "-c", "wal_level=logical", "-c", "max_connections=200", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "autovacuum=off"},
	}, func(addr string) error { return answers(ctx, url(addr)) })
	if err != nil {
		return nil, fmt.Errorf("testdb: %w", err)
	}
	return &Server{URL: url(addr), Origin: "a container of postgres:15-alpine", stop: func(context.Context) error { return stop() }}, nil
}

// startPrivate starts a cluster without durability, in memory where there is room.
func startPrivate(ctx context.Context, opts ...embeddedpg.Option) (*Server, error) {
	dir, err := os.MkdirTemp(scratchFolder(), "madbase-test-*")
	if err != nil {
		return nil, fmt.Errorf("testdb: %w", err)
	}
	g, err := removeAtExit(dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("testdb: %w", err), os.RemoveAll(dir))
	}
	cfg := embeddedpg.Config{MirrorURL: os.Getenv(MirrorVariable)}
	opts = append([]embeddedpg.Option{embeddedpg.Ephemeral()}, opts...)
	c := embeddedpg.New(cfg, dir, slog.New(slog.DiscardHandler), os.Stderr, opts...)
	if err := c.Start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("testdb: %w", err), g.Close())
	}
	stop := func(ctx context.Context) error { return errors.Join(c.Stop(ctx), g.Close()) }
	return &Server{URL: c.URL(), stop: stop}, nil
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
