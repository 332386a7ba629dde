//go:build unix

package embeddedpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// folderLock keeps other processes out of a state folder. The kernel drops it when the process dies, however it dies.
type folderLock struct{ f *os.File }

// lockPatience is how long a lock whose holder is already dead is waited for: a killed process is torn down a moment later.
const lockPatience = 2 * time.Second

// lockFolder takes the lock and writes its own pid into it, for the message another process prints. It fails with ErrInUse.
func lockFolder(ctx context.Context, state string) (*folderLock, error) {
	path := filepath.Join(state, "madbase.lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("embeddedpg: lock: %w", err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(lockPatience); ; {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			break
		}
		pid := holder(f)
		if (pid > 0 && syscall.Kill(pid, 0) == nil) || time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("embeddedpg: %s is %w (pid %d)", state, ErrInUse, pid), f.Close())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("embeddedpg: lock: %w", ctx.Err()), f.Close())
		}
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("embeddedpg: lock: %w", err), f.Close())
	}
	return &folderLock{f: f}, nil
}

// holder reads the pid in a lock file, 0 when there is none yet.
func holder(f *os.File) int {
	buf := make([]byte, 32)
	n, err := f.ReadAt(buf, 0)
	if n == 0 && err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
	if err != nil {
		return 0
	}
	return pid
}

// release gives the folder free; the file stays, because removing it would let two processes lock two files of one name.
func (l *folderLock) release() {
	if l != nil {
		_ = l.f.Close()
	}
}
