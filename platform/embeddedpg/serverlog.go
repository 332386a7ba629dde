package embeddedpg

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
)

// maxLogFile bounds postgres.log, in bytes; at that size it becomes postgres.log.1, replacing the one before.
const maxLogFile = 8 << 20

// serverLog takes what postgres writes: into a bounded file, to slog as debug lines, and its last lines for error messages.
type serverLog struct {
	r      *os.File
	path   string
	file   *os.File
	size   int64
	log    *slog.Logger
	last   tail
	done   chan struct{}
	closed sync.Once
}

// openServerLog returns the log and the end of a pipe to give to the server.
func openServerLog(path string, log *slog.Logger) (*serverLog, *os.File, error) {
	l := &serverLog{path: path, log: log, done: make(chan struct{})}
	var err error
	if l.file, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return nil, nil, err
	}
	fi, err := l.file.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, l.file.Close())
	}
	l.size = fi.Size()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, errors.Join(err, l.file.Close())
	}
	l.r = r
	go l.run()
	return l, w, nil
}

func (l *serverLog) run() {
	defer close(l.done)
	defer func() { _ = l.file.Close() }()
	in := bufio.NewReader(l.r)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			l.take(line)
		}
		if err != nil {
			return
		}
	}
}

// take keeps one line. A full disk must not block postgres, so a failing write is let go.
func (l *serverLog) take(line string) {
	_, _ = io.WriteString(&l.last, line)
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("postgres: " + strings.TrimRight(line, "\n"))
	}
	if l.size > maxLogFile {
		l.rotate()
	}
	n, _ := l.file.WriteString(line)
	l.size += int64(n)
}

func (l *serverLog) rotate() {
	_ = l.file.Close()
	_ = os.Rename(l.path, l.path+".1")
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err == nil {
		l.file = f
	}
	l.size = 0
}

// close ends the reading once the server has exited: what is in the pipe is still read, but a backend that lives on is not waited for.
func (l *serverLog) close() {
	l.closed.Do(func() {
		_ = l.r.SetReadDeadline(deadlineSoon())
		<-l.done
		_ = l.r.Close()
	})
	<-l.done
}
