//go:build unix

package embeddedpg

import (
	"context"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// FallbackBase replaces /var/lib/madbase.
func FallbackBase(dir string) Option { return func(c *Cluster) { c.fallbackBase = dir } }

// LongestPause replaces the longest wait before a dead postgres is started again.
func LongestPause(d time.Duration) Option { return func(c *Cluster) { c.longestPause = d } }

// Distribution replaces the pinned binaries with one archive for this platform.
func Distribution(version string, major int, sum string) Option {
	return func(c *Cluster) {
		c.dist = distribution{version: version, major: major, sums: map[string]string{platformName(): sum}}
	}
}

// PlatformName is how packages name this platform.
var PlatformName = platformName

// Download fetches the distribution into the folder of DistDir and returns the folder of its programs.
func (c *Cluster) Download(ctx context.Context) (string, error) {
	b, err := c.download(ctx)
	return b.dir, err
}

// ServerCommand is the command that runs the cluster's server, for tests that run it behind the cluster's back.
func (c *Cluster) ServerCommand() *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.bin.dir, "postgres"), c.serverArgs()...)
	c.prepare(cmd)
	return cmd
}

// OwnerAttr runs a command as the cluster's user.
func (c *Cluster) OwnerAttr() *syscall.SysProcAttr { return c.place.owner.procAttr() }

// SocketDir is the folder of the unix socket.
func (c *Cluster) SocketDir() string { return c.addr.dir }
