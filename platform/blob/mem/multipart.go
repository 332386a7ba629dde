package mem

import (
	"context"
	"crypto/md5" //nolint:gosec // an ETag, not a signature
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/madbase/madbase/platform/blob"
)

type upload struct {
	key   string
	since time.Time
	parts map[int][]byte
}

// CreateMultipart implements blob.Multipart.
func (s *Store) CreateMultipart(ctx context.Context, key string, _ blob.PutOptions) (blob.Upload, error) {
	if err := ctx.Err(); err != nil {
		return blob.Upload{}, err
	}
	if err := blob.CheckKey(key); err != nil {
		return blob.Upload{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextID++
	id := strconv.Itoa(s.nextID)
	s.uploads[id] = &upload{key: key, since: time.Now(), parts: make(map[int][]byte)}
	return blob.Upload{Key: key, ID: id}, nil
}

// UploadPart implements blob.Multipart.
func (s *Store) UploadPart(ctx context.Context, up blob.Upload, number int, r io.Reader, size int64) (blob.Part, error) {
	data, err := io.ReadAll(blob.Checked(ctx, r, size))
	if err != nil {
		return blob.Part{}, fmt.Errorf("blob: upload part: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.uploads[up.ID]
	switch {
	case !ok || u.key != up.Key:
		return blob.Part{}, blob.ErrNotFound
	case number < 1 || number > 10000:
		return blob.Part{}, blob.ErrPart
	}
	u.parts[number] = data
	return blob.Part{Number: number, Size: int64(len(data)), ETag: etag(data)}, nil
}

// CompleteMultipart implements blob.Multipart.
func (s *Store) CompleteMultipart(ctx context.Context, up blob.Upload, parts []blob.Part) (blob.Info, error) {
	if err := ctx.Err(); err != nil {
		return blob.Info{}, err
	}
	data, tag, err := s.assemble(up, parts)
	if err != nil {
		return blob.Info{}, err
	}
	return s.store(up.Key, data, tag), nil
}

func (s *Store) assemble(up blob.Upload, parts []blob.Part) (data []byte, tag string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.uploads[up.ID]
	if !ok || u.key != up.Key {
		return nil, "", blob.ErrNotFound
	}
	sums := md5.New()
	last := 0
	for _, p := range parts {
		part, ok := u.parts[p.Number]
		if !ok || p.Number <= last || etag(part) != p.ETag {
			return nil, "", blob.ErrPart
		}
		last = p.Number
		sum := md5.Sum(part)
		sums.Write(sum[:])
		data = append(data, part...)
	}
	if last == 0 {
		return nil, "", blob.ErrPart
	}
	delete(s.uploads, up.ID)
	return data, hex.EncodeToString(sums.Sum(nil)) + "-" + strconv.Itoa(len(parts)), nil
}

// Unfinished implements blob.Multipart.
func (s *Store) Unfinished(ctx context.Context, prefix string) iter.Seq2[blob.Begun, error] {
	return func(yield func(blob.Begun, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(blob.Begun{}, err)
			return
		}
		s.mu.Lock()
		var list []blob.Begun
		for id, u := range s.uploads {
			if strings.HasPrefix(u.key, prefix) {
				list = append(list, blob.Begun{Upload: blob.Upload{Key: u.key, ID: id}, Since: u.since})
			}
		}
		s.mu.Unlock()
		for _, begun := range list {
			if !yield(begun, nil) {
				return
			}
		}
	}
}

// AbortMultipart implements blob.Multipart.
func (s *Store) AbortMultipart(ctx context.Context, up blob.Upload) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if u, ok := s.uploads[up.ID]; ok && u.key == up.Key {
		delete(s.uploads, up.ID)
	}
	return nil
}
