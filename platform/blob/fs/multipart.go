package fs

import (
	"context"
	"crypto/md5" //nolint:gosec // an ETag, not a signature
	hexes "encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/madbase/madbase/platform/blob"
)

// An upload is a folder with the id as its name. In it the file "key" holds
// what it is for, and each part is a file named number-md5: the name is the
// proof of what CompleteMultipart is asked to join.
const keyFile = "key"

// CreateMultipart implements blob.Multipart.
func (s *Store) CreateMultipart(ctx context.Context, key string, _ blob.PutOptions) (blob.Upload, error) {
	if err := ctx.Err(); err != nil {
		return blob.Upload{}, err
	}
	if err := blob.CheckKey(key); err != nil {
		return blob.Upload{}, err
	}
	id := uuid.NewString()
	folder := path.Join(uploads, id)
	temp, _, _, err := s.write(strings.NewReader(key))
	if err == nil {
		err = s.publish(temp, path.Join(folder, keyFile))
	}
	if err != nil {
		return blob.Upload{}, fmt.Errorf("blob: create upload: %w", err)
	}
	return blob.Upload{Key: key, ID: id}, nil
}

// upload returns the folder of an upload.
func (s *Store) upload(ctx context.Context, up blob.Upload) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if parsed, err := uuid.Parse(up.ID); err != nil || parsed.String() != up.ID {
		return "", blob.ErrNotFound
	}
	folder := path.Join(uploads, up.ID)
	stored, err := s.root.ReadFile(path.Join(folder, keyFile))
	if missing(err) || err == nil && string(stored) != up.Key {
		return "", blob.ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("blob: read upload: %w", err)
	}
	return folder, nil
}

func partName(number int, etag string) string { return fmt.Sprintf("%05d-%s", number, etag) }

// UploadPart implements blob.Multipart.
func (s *Store) UploadPart(ctx context.Context, up blob.Upload, number int, r io.Reader, size int64) (blob.Part, error) {
	folder, err := s.upload(ctx, up)
	if err != nil {
		return blob.Part{}, err
	}
	if number < 1 || number > 10000 {
		return blob.Part{}, blob.ErrPart
	}
	before, err := s.partFiles(folder, number)
	if err != nil {
		return blob.Part{}, fmt.Errorf("blob: upload part: %w", err)
	}
	temp, n, sum, err := s.write(blob.Checked(ctx, r, size))
	if err != nil {
		return blob.Part{}, fmt.Errorf("blob: upload part: %w", err)
	}
	part := blob.Part{Number: number, Size: n, ETag: hexes.EncodeToString(sum)}
	name := path.Join(folder, partName(number, part.ETag))
	// Not publish: it would make the folder anew after an abort.
	if err := s.root.Rename(temp, name); err != nil {
		_ = s.root.Remove(temp)
		if missing(err) {
			return blob.Part{}, blob.ErrNotFound
		}
		return blob.Part{}, fmt.Errorf("blob: upload part: %w", err)
	}
	if err := s.sync(folder); err != nil {
		return blob.Part{}, fmt.Errorf("blob: upload part: %w", err)
	}
	for _, old := range before {
		if old != path.Base(name) {
			_ = s.root.Remove(path.Join(folder, old)) // what stays only takes space until the upload ends
		}
	}
	return part, nil
}

// partFiles lists the files of part number. Who stores it anew removes those that
// were there before it began: of two that do so at once each leaves the other's, as
// either may be the one that the upload is completed from.
func (s *Store) partFiles(folder string, number int) (names []string, err error) {
	d, err := s.root.Open(folder)
	if missing(err) {
		return nil, blob.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	all, err := d.Readdirnames(-1)
	for _, name := range all {
		if strings.HasPrefix(name, partName(number, "")) {
			names = append(names, name)
		}
	}
	return names, err
}

// CompleteMultipart implements blob.Multipart.
func (s *Store) CompleteMultipart(ctx context.Context, up blob.Upload, parts []blob.Part) (blob.Info, error) {
	folder, err := s.upload(ctx, up)
	if err != nil {
		return blob.Info{}, err
	}
	sums := md5.New()
	for i, p := range parts {
		sum, err := hexes.DecodeString(p.ETag)
		if err != nil || len(sum) != md5.Size || i > 0 && p.Number <= parts[i-1].Number {
			return blob.Info{}, blob.ErrPart
		}
		sums.Write(sum)
	}
	temp, size, err := s.join(ctx, folder, parts)
	if err == nil {
		err = s.publish(temp, pathOf(up.Key))
	}
	if err != nil {
		return blob.Info{}, fmt.Errorf("blob: complete upload: %w", err)
	}
	// The object stands; what is left of the upload only takes space, and Open
	// removes it in the end.
	_ = s.root.RemoveAll(folder)
	tag := hexes.EncodeToString(sums.Sum(nil)) + "-" + strconv.Itoa(len(parts))
	return blob.Info{Key: up.Key, Size: size, ETag: tag, Modified: time.Now()}, nil
}

// join writes the parts one after the other into a new temporary file. Between
// files the copy stays in the kernel.
func (s *Store) join(ctx context.Context, folder string, parts []blob.Part) (temp string, size int64, err error) {
	if len(parts) == 0 {
		return "", 0, blob.ErrPart
	}
	f, finish, err := s.temp()
	if err != nil {
		return "", 0, err
	}
	defer func() { err = finish(err) }()
	for _, p := range parts {
		if err := ctx.Err(); err != nil {
			return "", 0, err
		}
		n, err := s.appendPart(f, path.Join(folder, partName(p.Number, p.ETag)))
		if err != nil {
			return "", 0, err
		}
		size += n
	}
	return path.Join(temps, path.Base(f.Name())), size, f.Sync()
}

func (s *Store) appendPart(f *os.File, name string) (int64, error) {
	part, err := s.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, blob.ErrPart
	}
	if err != nil {
		return 0, err
	}
	defer part.Close()
	return io.Copy(f, part)
}

// Unfinished implements blob.Multipart. An upload's time is that of its last part.
func (s *Store) Unfinished(ctx context.Context, prefix string) iter.Seq2[blob.Begun, error] {
	return func(yield func(blob.Begun, error) bool) {
		err := s.entries(ctx, uploads, func(e fs.DirEntry) error {
			folder := path.Join(uploads, e.Name())
			key, err := s.root.ReadFile(path.Join(folder, keyFile))
			if missing(err) || err == nil && !strings.HasPrefix(string(key), prefix) {
				return nil
			}
			var stat fs.FileInfo
			if err == nil {
				stat, err = s.root.Stat(folder)
			}
			switch {
			case missing(err): // ended meanwhile
				return nil
			case err != nil:
				return err
			case !yield(blob.Begun{Upload: blob.Upload{Key: string(key), ID: e.Name()}, Since: stat.ModTime()}, nil):
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(blob.Begun{}, fmt.Errorf("blob: list uploads: %w", err))
		}
	}
}

// AbortMultipart implements blob.Multipart.
func (s *Store) AbortMultipart(ctx context.Context, up blob.Upload) error {
	folder, err := s.upload(ctx, up)
	if errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.root.RemoveAll(folder); err != nil {
		return fmt.Errorf("blob: abort upload: %w", err)
	}
	return nil
}
