//go:build !unix

package embeddedpg

import (
	"context"
	"errors"
	"os"
	"syscall"
)

// errUnsupported: the private cluster needs Unix. madbase itself runs here with a database URL.
var errUnsupported = errors.New("embeddedpg: no private PostgreSQL on this system: set DATABASE_URL")

type owner struct{ name string }

func chooseOwner(_, _ string) (owner, error) { return owner{}, errUnsupported }
func (owner) dirMode() os.FileMode           { return 0o700 }
func (owner) openUp(...string) error         { return nil }
func (owner) blockedAt(_, _ string) string   { return "" }
func (owner) owns(string) error              { return nil }
func (owner) mkdir(dir string) error         { return os.MkdirAll(dir, 0o700) }
func (owner) give(string) error              { return nil }
func (owner) procAttr() *syscall.SysProcAttr { return nil }

type folderLock struct{}

func lockFolder(context.Context, string) (*folderLock, error) { return nil, errUnsupported }
func (*folderLock) release()                                  {}

func (c *Cluster) reap(string) error  { return errUnsupported }
func (c *Cluster) removeStale() error { return errUnsupported }
