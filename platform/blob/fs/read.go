package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/madbase/madbase/platform/blob"
)

// Get implements blob.Store. Without a range the reader is the *os.File, and
// with one it writes itself from it, so that io.Copy to a socket can leave the
// bytes in the kernel.
func (s *Store) Get(ctx context.Context, key string, rng *blob.Range) (io.ReadCloser, blob.Info, error) {
	f, info, err := s.open(ctx, key)
	if err != nil {
		return nil, blob.Info{}, err
	}
	if rng == nil {
		return f, info, nil
	}
	offset, length, err := rng.Resolve(info.Size)
	if err == nil {
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		_ = f.Close()
		return nil, blob.Info{}, err
	}
	return &section{file: f, rest: io.LimitedReader{R: f, N: length}}, info, nil
}

func (s *Store) open(ctx context.Context, key string) (*os.File, blob.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, blob.Info{}, err
	}
	if err := blob.CheckKey(key); err != nil {
		return nil, blob.Info{}, err
	}
	f, err := s.root.Open(pathOf(key))
	if missing(err) {
		return nil, blob.Info{}, blob.ErrNotFound
	}
	if err != nil {
		return nil, blob.Info{}, fmt.Errorf("blob: get: %w", err)
	}
	stat, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, blob.Info{}, fmt.Errorf("blob: get: %w", err)
	}
	return f, describe(key, stat), nil
}

func describe(key string, stat fs.FileInfo) blob.Info {
	return blob.Info{Key: key, Size: stat.Size(), Modified: stat.ModTime()}
}

// section is a part of a file.
type section struct {
	file *os.File
	rest io.LimitedReader
}

func (s *section) Read(p []byte) (int, error) { return s.rest.Read(p) }

// WriteTo hands the writer the pair of types that net knows to send from the
// kernel.
func (s *section) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, &s.rest) }

func (s *section) Close() error { return s.file.Close() }

// Stat implements blob.Store.
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	if err := ctx.Err(); err != nil {
		return blob.Info{}, err
	}
	if err := blob.CheckKey(key); err != nil {
		return blob.Info{}, err
	}
	stat, err := s.root.Stat(pathOf(key))
	if missing(err) {
		return blob.Info{}, blob.ErrNotFound
	}
	if err != nil {
		return blob.Info{}, fmt.Errorf("blob: stat: %w", err)
	}
	return describe(key, stat), nil
}

// List implements blob.Store. It reads only the folders below the last slash
// of prefix.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		start := "."
		if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
			start = foldersOf(prefix[:i])
			if blob.CheckKey(prefix[:i]) != nil {
				return // no key begins so
			}
		}
		err := s.walk(ctx, start, func(name string, e fs.DirEntry) error { return s.visit(name, prefix, e, yield) })
		if err != nil && !errors.Is(err, errStop) {
			yield(blob.Info{}, fmt.Errorf("blob: list: %w", err))
		}
	}
}

// walk visits the files below folder.
func (s *Store) walk(ctx context.Context, folder string, visit func(name string, e fs.DirEntry) error) error {
	return s.entries(ctx, folder, func(e fs.DirEntry) error {
		name := path.Join(folder, e.Name())
		switch {
		case name == temps || name == uploads:
			return nil
		case e.IsDir():
			return s.walk(ctx, name, visit)
		}
		return visit(name, e)
	})
}

// entriesAtOnce bounds how much of a folder is in memory: one may have millions.
const entriesAtOnce = 1024

// entries visits what is in folder itself; one that is not there has nothing in it.
func (s *Store) entries(ctx context.Context, folder string, visit func(fs.DirEntry) error) error {
	d, err := s.root.Open(folder)
	if missing(err) {
		return nil // deleted meanwhile
	}
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		list, err := d.ReadDir(entriesAtOnce)
		for _, e := range list {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := visit(e); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || missing(err) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// errStop ends a walk whose reader has enough.
var errStop = errors.New("stop")

func (s *Store) visit(name, prefix string, e fs.DirEntry, yield func(blob.Info, error) bool) error {
	key, ok := keyOf(name)
	if !ok || !strings.HasPrefix(key, prefix) {
		return nil
	}
	stat, err := e.Info()
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if !yield(describe(key, stat), nil) {
		return errStop
	}
	return nil
}

// notFolder reports whether err says that a component of a path is a file.
func notFolder(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
