package embeddedpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// process is a child with its end awaited.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error
}

// spawn starts cmd from a goroutine that keeps its thread until the child has ended: the kernel's death signal watches the thread that
// started the child, not the process.
func spawn(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
		close(p.exited)
	}()
	return p, <-started
}

// runToEnd runs a short-lived program of PostgreSQL's.
func runToEnd(cmd *exec.Cmd) error {
	cmd.WaitDelay = 5 * time.Second
	p, err := spawn(cmd)
	if err != nil {
		return err
	}
	<-p.exited
	return p.err
}

// prepare gives a PostgreSQL program its user, folder and an environment without PG* variables. LC_ALL keeps its messages parseable and,
// on macOS, keeps the system from starting threads in it.
func (c *Cluster) prepare(cmd *exec.Cmd) {
	cmd.Dir = c.place.state
	cmd.Env = []string{"LC_ALL=C", "PATH=" + filepath.Dir(cmd.Path) + ":/usr/bin:/bin"}
	cmd.SysProcAttr = c.place.owner.procAttr()
}

// postmaster is one running server.
type postmaster struct {
	*process
	out    *serverLog
	pgdata string
}

// Deadlines of the ways to stop a server, mildest first.
const (
	fastTime      = 30 * time.Second
	immediateTime = 10 * time.Second
	killTime      = 5 * time.Second
	pollEvery     = 10 * time.Millisecond
)

// launch clears what a crash left, starts a server and waits until it accepts connections.
func (c *Cluster) launch(ctx context.Context) (*postmaster, error) {
	if err := c.reap(c.place.pgdata()); err != nil {
		return nil, err
	}
	if err := c.removeStale(); err != nil {
		return nil, err
	}
	pm, err := c.startServer()
	if err != nil {
		return nil, err
	}
	err = c.awaitReady(ctx, pm)
	if err == nil {
		return pm, nil
	}
	pm.shutdown()
	return nil, err
}

func (c *Cluster) startServer() (*postmaster, error) {
	out, w, err := openServerLog(filepath.Join(c.place.state, "postgres.log"), c.log)
	if err != nil {
		return nil, fmt.Errorf("embeddedpg: log file: %w", err)
	}
	cmd := exec.Command(filepath.Join(c.bin.dir, "postgres"), c.serverArgs()...)
	c.prepare(cmd)
	cmd.Stdout, cmd.Stderr = w, w
	p, err := spawn(cmd)
	closeErr := w.Close()
	if err = errors.Join(err, closeErr); err != nil {
		out.close()
		return nil, fmt.Errorf("embeddedpg: start postgres: %w", err)
	}
	return &postmaster{process: p, out: out, pgdata: c.place.pgdata()}, nil
}

// serverArgs are the settings that must hold whatever postgresql.conf says.
func (c *Cluster) serverArgs() []string {
	settings := []string{
		"listen_addresses=" + c.addr.listen(),
		"port=" + strconv.Itoa(c.addr.port),
		"unix_socket_directories=" + c.addr.dir,
		"unix_socket_permissions=0700",
		"logging_collector=off",
		"log_destination=stderr",
		"wal_level=logical",
		"max_connections=" + strconv.Itoa(max(c.cfg.MaxConnections, 10)),
	}
	if c.ephemeral {
		settings = append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off",
			"max_connections=200", "shared_buffers=64MB", "checkpoint_timeout=30min",
			// Below the folder, and gone with it however the server ends.
			"dynamic_shared_memory_type=mmap")
	}
	args := []string{"-D", c.place.pgdata()}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	return args
}

// awaitReady returns when the server accepts connections. Recovery after a crash may take long, so only ctx and the server's death end the wait.
func (c *Cluster) awaitReady(ctx context.Context, pm *postmaster) error {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	slow := time.NewTicker(5 * time.Second)
	defer slow.Stop()
	for {
		select {
		case <-pm.exited:
			return fmt.Errorf("embeddedpg: postgres did not start: %w", pm.cause())
		case <-ctx.Done():
			return fmt.Errorf("embeddedpg: waiting for postgres: %w: %s", context.Cause(ctx), &pm.out.last)
		case <-slow.C:
			fmt.Fprintln(c.progress, "PostgreSQL is still starting (it may be recovering after a crash) ...")
		case <-poll.C:
			if !pm.ready() {
				continue
			}
			if err := c.ping(ctx); err != nil {
				return fmt.Errorf("embeddedpg: first connection: %w", err)
			}
			return nil
		}
	}
}

// ready tells whether the server has written into its lock file, in the eighth line, that it accepts connections.
func (pm *postmaster) ready() bool {
	text, err := os.ReadFile(filepath.Join(pm.pgdata, "postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(string(text), "\n")
	return len(lines) >= 8 && lines[0] == strconv.Itoa(pm.cmd.Process.Pid) && strings.TrimSpace(lines[7]) == "ready"
}

func (c *Cluster) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := pgconn.Connect(ctx, c.url(c.addr.tcp))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// cause says why a server has ended, with its last words.
func (pm *postmaster) cause() error {
	pm.out.close()
	err := pm.err
	if err == nil {
		err = errors.New("it ended by itself")
	}
	return fmt.Errorf("%w: %s", err, &pm.out.last)
}

// quit ends the server at once, without a checkpoint.
func (pm *postmaster) quit() { _ = pm.cmd.Process.Signal(syscall.SIGQUIT) }

// shutdown stops the server, the mild way first, and returns when it is gone.
func (pm *postmaster) shutdown() {
	for _, step := range []struct {
		sig  os.Signal
		wait time.Duration
	}{{syscall.SIGINT, fastTime}, {syscall.SIGQUIT, immediateTime}, {syscall.SIGKILL, killTime}} {
		_ = pm.cmd.Process.Signal(step.sig)
		select {
		case <-pm.exited:
			pm.out.close()
			return
		case <-time.After(step.wait):
		}
	}
	pm.out.close()
}
