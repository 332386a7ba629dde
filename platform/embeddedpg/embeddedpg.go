// Package embeddedpg runs madbase's private PostgreSQL: one cluster in a folder, started and stopped with the process.
//
// What it promises, in the order of importance:
//   - A row that PostgreSQL acknowledged is never lost, whichever of the two processes is killed (fsync stays on).
//   - A folder that holds data is never initialised again, and never opened by binaries of another major version.
//   - One madbase per folder: a second one gets ErrInUse at once.
//   - It starts after any crash: left-over server processes are stopped, stale locks removed.
//   - It runs as root by handing PostgreSQL to an unprivileged user.
//
// When postgres dies by itself, the cluster starts it again with growing pauses; callers meanwhile see connection errors.
//
// On Linux the kernel stops postgres when madbase is killed. Elsewhere that guard is missing: the server outlives a killed madbase
// and is stopped by the next start.
package embeddedpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// ErrInUse is returned (wrapped) by Start when another live madbase holds the folder.
var ErrInUse = errors.New("in use by another madbase")

// ErrNoBinaries is returned (wrapped) by Start when no usable PostgreSQL was found and none may or can be downloaded.
var ErrNoBinaries = errors.New("no PostgreSQL binaries")

// Option changes how a cluster is kept, where that is not a user's setting.
type Option func(*Cluster)

// Ephemeral gives up durability for speed: no fsync, no autovacuum, more connections. For tests only.
func Ephemeral() Option { return func(c *Cluster) { c.ephemeral = true } }

// LocalOnly forbids the download; Start then fails with ErrNoBinaries where no local binaries exist.
func LocalOnly() Option { return func(c *Cluster) { c.localOnly = true } }

// DistDir keeps downloaded binaries in dir, to be shared by several clusters, rather than in the state folder.
func DistDir(dir string) Option { return func(c *Cluster) { c.distDir = dir } }

// Cluster is one private PostgreSQL. Its methods may be called from several goroutines.
type Cluster struct {
	cfg      Config
	dataDir  string
	log      *slog.Logger
	progress io.Writer

	ephemeral    bool
	localOnly    bool
	distDir      string
	fallbackBase string
	longestPause time.Duration
	dist         distribution

	mu       sync.Mutex
	stopMu   sync.Mutex
	started  bool
	lock     *folderLock
	place    place
	bin      binaries
	password string
	addr     address
	current  *postmaster
	stopping chan struct{}
	done     chan struct{}
	err      error
}

// New describes a cluster kept below dataDir; it touches nothing. Notices for the person at the terminal (downloading, initialising)
// go to progress, which may be nil; everything else goes to log.
func New(cfg Config, dataDir string, log *slog.Logger, progress io.Writer, opts ...Option) *Cluster {
	if progress == nil {
		progress = io.Discard
	}
	c := &Cluster{
		cfg: cfg, dataDir: dataDir, log: log, progress: progress,
		fallbackBase: "/var/lib/madbase",
		longestPause: longestPause,
		dist:         pinned,
		stopping:     make(chan struct{}),
		done:         make(chan struct{}),
	}
	for _, o := range opts {
		o(c)
	}
	return c
}

// Start brings the cluster up and returns once it accepts connections; the first time it initialises the folder.
// After a failure everything it began is undone, and the cluster cannot be used again.
func (c *Cluster) Start(ctx context.Context) (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started {
		return errors.New("embeddedpg: start: started before")
	}
	c.started = true
	defer func() {
		if err != nil {
			c.lock.release()
			close(c.done)
		}
	}()
	if c.place, err = c.locate(); err != nil {
		return err
	}
	if c.lock, err = lockFolder(ctx, c.place.state); err != nil {
		return err
	}
	if c.bin, err = c.chooseBinaries(ctx); err != nil {
		return err
	}
	if err = c.initialise(ctx); err != nil {
		return err
	}
	if c.addr, err = c.chooseAddress(); err != nil {
		return err
	}
	pm, err := c.launch(ctx)
	if err != nil && c.addr.tcp && ctx.Err() == nil && !portFree(c.addr.port) {
		// The port was taken between our look at it and postgres' own.
		c.giveUpPort()
		pm, err = c.launch(ctx)
	}
	if err != nil {
		return err
	}
	c.current = pm
	go c.supervise(pm)
	return nil
}

// URL is the connection URL of the cluster's owner, a superuser, with its password. It is empty before Start has returned and
// stays the same until Stop, also over a restart of postgres.
func (c *Cluster) URL() string { return c.urlBy(true) }

// SocketURL is URL by the unix socket, for processes of the same machine and user:
// a statement takes less of both sides' time than by TCP.
func (c *Cluster) SocketURL() string { return c.urlBy(false) }

// urlBy is the URL by TCP, as far as there is that, or by the unix socket.
func (c *Cluster) urlBy(tcp bool) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil {
		return ""
	}
	return c.url(tcp && c.addr.tcp)
}

// Version is PostgreSQL's major version, 0 before Start has returned.
func (c *Cluster) Version() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bin.major
}

// StateDir is the folder that holds the cluster: below the data folder, or elsewhere where postgres' user cannot enter that one.
// Empty before Start.
func (c *Cluster) StateDir() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.place.state
}

// Done is closed when the cluster has ended: by Stop, by a failed Start, or because postgres could not be kept running.
func (c *Cluster) Done() <-chan struct{} { return c.done }

// Err says, once Done is closed, why the cluster ended by itself; nil after Stop.
func (c *Cluster) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// Stop shuts postgres down and returns when it has ended: sessions are cut, transactions in flight rolled back. When ctx ends first,
// postgres is told to quit at once, which costs a recovery at the next start but no committed row. Stop may be called again, and without Start.
func (c *Cluster) Stop(ctx context.Context) error {
	c.stopMu.Lock()
	defer c.stopMu.Unlock()
	c.mu.Lock()
	running := c.current != nil
	c.mu.Unlock()
	if !running {
		return nil
	}
	select {
	case <-c.stopping:
	default:
		close(c.stopping)
	}
	// The supervisor reacts to stopping; it is the only one that ends the server.
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
	}
	c.mu.Lock()
	c.current.quit()
	c.mu.Unlock()
	<-c.done
	return fmt.Errorf("embeddedpg: stop: %w", context.Cause(ctx))
}

// Restarts of a server that died by itself: the pause doubles from first to longest, a run of settled forgets earlier deaths,
// and after maxDeaths in a row the cluster gives up.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 10 * time.Second
	settled      = time.Minute
	maxDeaths    = 8
)

// supervise lives as long as the cluster: it restarts a dead server and stops the last one.
func (c *Cluster) supervise(pm *postmaster) {
	defer close(c.done)
	defer c.lock.release()
	defer c.dropSocketDir()
	deaths, pause, born := 0, min(firstPause, c.longestPause), time.Now()
	for {
		select {
		case <-c.stopping:
			pm.shutdown()
			c.log.Debug("postgres stopped")
			return
		case <-pm.exited:
		}
		if time.Since(born) > settled {
			deaths, pause = 0, min(firstPause, c.longestPause)
		}
		next, err := c.revive(pm, &deaths, &pause)
		if err != nil {
			c.err = err
			return
		}
		if next == nil {
			return
		}
		pm, born = next, time.Now()
		c.mu.Lock()
		c.current = pm
		c.mu.Unlock()
	}
}

// revive starts postgres again after it died; it returns neither server nor error when the cluster is being stopped.
func (c *Cluster) revive(dead *postmaster, deaths *int, pause *time.Duration) (*postmaster, error) {
	cause := dead.cause()
	for {
		*deaths++
		if *deaths > maxDeaths {
			return nil, fmt.Errorf("embeddedpg: postgres died %d times in a row: %w", maxDeaths, cause)
		}
		c.log.Error("postgres died, starting it again", "cause", cause, "pause", *pause)
		select {
		case <-c.stopping:
			return nil, nil
		case <-time.After(*pause):
		}
		*pause = min(*pause*2, c.longestPause)
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			select {
			case <-c.stopping:
				cancel()
			case <-ctx.Done():
			}
		}()
		pm, err := c.launch(ctx)
		cancel()
		if err == nil {
			c.log.Info("postgres runs again")
			return pm, nil
		}
		select {
		case <-c.stopping:
			return nil, nil
		default:
			cause = err
		}
	}
}
