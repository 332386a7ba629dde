// Package mem is a blob store in memory, for tests of what stands on blob.
package mem

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // an ETag, not a signature
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/madbase/madbase/platform/blob"
)

// Store is a blob.Store and blob.Multipart in memory.
type Store struct {
	mu      sync.RWMutex
	objects map[string]object
	uploads map[string]*upload
	nextID  int
}

type object struct {
	data []byte // never changed once stored
	info blob.Info
}

// New returns an empty store.
func New() *Store {
	return &Store{objects: make(map[string]object), uploads: make(map[string]*upload)}
}

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, key string, r io.Reader, opts blob.PutOptions) (blob.Info, error) {
	if err := blob.CheckKey(key); err != nil {
		return blob.Info{}, err
	}
	data, err := io.ReadAll(blob.Checked(ctx, r, opts.Size))
	if err != nil {
		return blob.Info{}, fmt.Errorf("blob: put: %w", err)
	}
	return s.store(key, data, etag(data)), nil
}

func etag(data []byte) string {
	sum := md5.Sum(data)
	return hex.EncodeToString(sum[:])
}

func (s *Store) store(key string, data []byte, tag string) blob.Info {
	o := object{data, blob.Info{Key: key, Size: int64(len(data)), ETag: tag, Modified: time.Now()}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[key] = o
	return o.info
}

// Get implements blob.Store.
func (s *Store) Get(ctx context.Context, key string, rng *blob.Range) (io.ReadCloser, blob.Info, error) {
	o, err := s.find(ctx, key)
	if err != nil {
		return nil, blob.Info{}, err
	}
	offset, length, err := rng.Resolve(o.info.Size)
	if err != nil {
		return nil, blob.Info{}, err
	}
	return io.NopCloser(bytes.NewReader(o.data[offset : offset+length])), o.info, nil
}

// Stat implements blob.Store.
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	o, err := s.find(ctx, key)
	return o.info, err
}

func (s *Store) find(ctx context.Context, key string) (object, error) {
	if err := ctx.Err(); err != nil {
		return object{}, err
	}
	if err := blob.CheckKey(key); err != nil {
		return object{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	o, ok := s.objects[key]
	if !ok {
		return object{}, blob.ErrNotFound
	}
	return o, nil
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		if err := blob.CheckKey(key); err != nil {
			return err
		}
		delete(s.objects, key)
	}
	return nil
}

// Copy implements blob.Store.
func (s *Store) Copy(ctx context.Context, src, dst string) (blob.Info, error) {
	if err := blob.CheckKey(dst); err != nil {
		return blob.Info{}, err
	}
	o, err := s.find(ctx, src)
	if err != nil {
		return blob.Info{}, err
	}
	return s.store(dst, o.data, o.info.ETag), nil
}

// List implements blob.Store.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(blob.Info{}, err)
			return
		}
		for _, info := range s.matching(prefix) {
			if !yield(info, nil) {
				return
			}
		}
	}
}

func (s *Store) matching(prefix string) []blob.Info {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var infos []blob.Info
	for key, o := range s.objects {
		if strings.HasPrefix(key, prefix) {
			infos = append(infos, o.info)
		}
	}
	return infos
}
