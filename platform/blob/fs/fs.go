// Package fs is a blob store in a folder. A blob is one file without any beside
// it: written under a temporary name, flushed, renamed, and its folder flushed,
// so that after a crash of the machine an acknowledged object is there whole
// and a broken off one is not there. All access goes through os.Root: nothing,
// not even a symbolic link put into the folder, leads out of it.
//
// ETags are not stored: Put returns the MD5, Get and Stat leave it empty.
package fs

import (
	"context"
	"crypto/md5" //nolint:gosec // an ETag, not a signature
	hexes "encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"

	"github.com/madbase/madbase/platform/blob"
)

// The store's own folders. No key's path begins with a dot.
const (
	temps   = ".tmp"
	uploads = ".uploads"
)

// What a process that died left behind is removed at Open: a temporary file
// once it is surely nobody's, a multipart upload once nobody will go on with it. One
// may live on long after its last part, with bytes that its owner keeps elsewhere.
const (
	tempLife   = 24 * time.Hour
	uploadLife = 30 * 24 * time.Hour
)

// Store is a blob.Store and blob.Multipart in a folder. Several processes may
// use one folder.
type Store struct {
	root    *os.Root
	buffers sync.Pool // *[]byte for copying
	making  singleflight.Group
}

// Open returns the store in dir, which it creates where missing (mode 0700),
// and removes leftovers.
func Open(dir string) (*Store, error) {
	for _, d := range []string{dir, path.Join(dir, temps), path.Join(dir, uploads)} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("blob: open folder: %w", err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("blob: open folder: %w", err)
	}
	s := &Store{root: root}
	s.buffers.New = func() any { b := make([]byte, 256<<10); return &b }
	if err := errors.Join(s.sweep(temps, tempLife), s.sweep(uploads, uploadLife)); err != nil {
		_ = root.Close()
		return nil, fmt.Errorf("blob: remove leftovers: %w", err)
	}
	return s, nil
}

// Close releases the folder. Readers that are open stay usable.
func (s *Store) Close() error { return s.root.Close() }

func (s *Store) sweep(folder string, life time.Duration) error {
	entries, err := fs.ReadDir(s.root.FS(), folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if time.Since(info.ModTime()) < life {
			continue
		}
		if err := s.root.RemoveAll(path.Join(folder, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, key string, r io.Reader, opts blob.PutOptions) (blob.Info, error) {
	if err := blob.CheckKey(key); err != nil {
		return blob.Info{}, err
	}
	temp, size, sum, err := s.write(blob.Checked(ctx, r, opts.Size))
	if err != nil {
		return blob.Info{}, fmt.Errorf("blob: put: %w", err)
	}
	if err := s.publish(temp, pathOf(key)); err != nil {
		return blob.Info{}, fmt.Errorf("blob: put: %w", err)
	}
	return blob.Info{Key: key, Size: size, ETag: hexes.EncodeToString(sum), Modified: time.Now()}, nil
}

// write stores r in a new temporary file, flushed to the disk, and returns its
// path. On an error there is no file.
func (s *Store) write(r io.Reader) (temp string, size int64, sum []byte, err error) {
	f, finish, err := s.temp()
	if err != nil {
		return "", 0, nil, err
	}
	defer func() { err = finish(err) }()
	hash := md5.New()
	buffer := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buffer)
	for end := false; !end; {
		var n int
		if n, end, err = blob.Fill(r, *buffer); err != nil {
			return "", 0, nil, err
		}
		hash.Write((*buffer)[:n])
		if _, err = f.Write((*buffer)[:n]); err != nil {
			return "", 0, nil, err
		}
		size += int64(n)
	}
	if err = f.Sync(); err != nil {
		return "", 0, nil, err
	}
	return path.Join(temps, path.Base(f.Name())), size, hash.Sum(nil), nil
}

// temp creates a temporary file. finish closes it, and removes it when that or
// what was done with it failed.
func (s *Store) temp() (f *os.File, finish func(error) error, err error) {
	name := path.Join(temps, uuid.NewString())
	if f, err = s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, nil, err
	}
	return f, func(failed error) error {
		closed := f.Close()
		if failed == nil {
			failed = closed
		}
		if failed != nil {
			_ = s.root.Remove(name)
		}
		return failed
	}, nil
}

// publish renames temp to name and makes that last. On an error temp is gone.
func (s *Store) publish(temp, name string) error {
	var err error
	// A Delete may remove an empty folder, or one above it, before there is something in it.
	for range 100 {
		if err = s.makeFolders(path.Dir(name)); err == nil {
			err = s.root.Rename(temp, name)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		_ = s.root.Remove(temp)
		return err
	}
	return s.sync(path.Dir(name))
}

// makeFolders creates folder where it is missing and flushes the one it is in.
// Whoever needs it at the same time waits for that flush: a folder that exists
// but is not flushed could vanish with the file just acknowledged in it.
func (s *Store) makeFolders(folder string) error {
	if folder == "." {
		return nil
	}
	_, err, _ := s.making.Do(folder, func() (any, error) { return nil, s.makeFolder(folder) })
	return err
}

func (s *Store) makeFolder(folder string) error {
	err := s.root.Mkdir(folder, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.makeFolders(path.Dir(folder)); err != nil {
			return err
		}
		err = s.root.Mkdir(folder, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.sync(path.Dir(folder))
}

func (s *Store) sync(folder string) error {
	d, err := s.root.Open(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // deleted meanwhile: nothing to keep
	}
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Delete implements blob.Store. Folders that become empty go too.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := blob.CheckKey(key); err != nil {
			return err
		}
		name := pathOf(key)
		if err := s.root.Remove(name); err != nil && !missing(err) {
			return fmt.Errorf("blob: delete: %w", err)
		}
		for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
			if s.root.Remove(folder) != nil {
				break // not empty
			}
		}
	}
	return nil
}

// Copy implements blob.Store. Files never change once they have their name, so
// a copy is a second name where the file system has hard links.
func (s *Store) Copy(ctx context.Context, src, dst string) (blob.Info, error) {
	if err := blob.CheckKey(dst); err != nil {
		return blob.Info{}, err
	}
	info, err := s.Stat(ctx, src)
	if err != nil {
		return blob.Info{}, err
	}
	temp := path.Join(temps, uuid.NewString())
	err = s.root.Link(pathOf(src), temp)
	switch {
	case missing(err):
		return blob.Info{}, blob.ErrNotFound
	case err != nil:
		return s.copyBytes(ctx, src, dst)
	}
	// The copy is new, and with it what it shares a file with: who looks for old
	// files that nobody names must not find it before it has been named.
	info.Key, info.Modified = dst, time.Now()
	if err = s.root.Chtimes(temp, info.Modified, info.Modified); err == nil {
		err = s.publish(temp, pathOf(dst))
	}
	_ = s.root.Remove(temp) // stays when both names were the same file already
	if err != nil {
		return blob.Info{}, fmt.Errorf("blob: copy: %w", err)
	}
	return info, nil
}

func (s *Store) copyBytes(ctx context.Context, src, dst string) (blob.Info, error) {
	r, info, err := s.Get(ctx, src, nil)
	if err != nil {
		return blob.Info{}, err
	}
	defer r.Close()
	return s.Put(ctx, dst, r, blob.PutOptions{Size: info.Size})
}

// missing reports whether err says that a file is not there; a file where a
// folder should be says that too.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || notFolder(err)
}
