// Package blob stores the bytes of objects: in a folder (blob/fs), in S3
// (blob/s3), or in memory for tests (blob/mem). What an object is called, who
// may read it and what type it has is kept in PostgreSQL by the caller; here is
// only the byte string under a key. blob/driver picks the store the settings
// ask for; blobtest is the contract as tests.
//
// Callers write each version of an object under a new key, so a key's bytes
// never change while someone reads them.
package blob

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"time"
	"unicode/utf8"
)

var (
	// ErrNotFound means that there is no object under the key, or no such
	// multipart upload.
	ErrNotFound = errors.New("blob: not found")
	// ErrRange means that the range holds no byte of the object.
	ErrRange = errors.New("blob: range not satisfiable")
	// ErrSize means that the reader gave another number of bytes than announced.
	ErrSize = errors.New("blob: size differs from the one announced")
	// ErrKey means that the key is not one that every store can hold.
	ErrKey = errors.New("blob: invalid key")
	// ErrPart means that a multipart upload lacks a part it is to be completed
	// from, or holds another one.
	ErrPart = errors.New("blob: invalid part")
)

// Store keeps byte strings under keys (CheckKey says which). All methods may be
// called from any goroutine and stop when ctx ends.
type Store interface {
	// Put stores what r gives until its end under key, in place of what was
	// there. The object appears whole or not at all: when r fails, gives
	// another number of bytes than opts.Size (ErrSize) or ctx ends, nothing has
	// changed. Memory use does not depend on the size. r's error is in the chain.
	Put(ctx context.Context, key string, r io.Reader, opts PutOptions) (Info, error)
	// Get opens the object, or rng of it; nil means all. Info.Size is the size
	// of the whole object. ErrNotFound, ErrRange. The reader must be closed.
	Get(ctx context.Context, key string, rng *Range) (io.ReadCloser, Info, error)
	// Stat describes the object. ErrNotFound.
	Stat(ctx context.Context, key string) (Info, error)
	// Delete removes the objects; one that is not there is no error. When it
	// fails any part of them may be gone.
	Delete(ctx context.Context, keys ...string) error
	// Copy stores the bytes of src under dst as Put would. ErrNotFound.
	Copy(ctx context.Context, src, dst string) (Info, error)
	// List gives the objects whose keys begin with prefix, in no particular
	// order. An error ends it. Objects put or deleted meanwhile may be missing.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
}

// PutOptions says what is known of an object before its bytes.
type PutOptions struct {
	// Size is the number of bytes, or -1 when it is not known.
	Size int64
	// ContentType is kept by stores that serve objects themselves (S3).
	ContentType string
}

// Info describes a stored object.
type Info struct {
	Key  string
	Size int64 // bytes
	// ETag changes whenever the bytes do: the MD5 in hex, or what S3 makes of a
	// multipart upload. Without quotes. Only Put and CompleteMultipart always
	// set it; the rest may leave it empty.
	ETag     string
	Modified time.Time
}

// Range is a part of an object. An Offset below zero counts from the end: -5 is
// the last five bytes, or all of a shorter object, and Length is ignored. Length
// zero means up to the end; a Length beyond the end is cut.
type Range struct {
	Offset int64
	Length int64
}

// Resolve returns the part of an object of size bytes that r means, or ErrRange
// when that is empty.
func (r *Range) Resolve(size int64) (offset, length int64, err error) {
	if r == nil {
		return 0, size, nil
	}
	offset, length = r.Offset, size
	if offset < 0 {
		offset = max(size+offset, 0)
	} else if r.Length > 0 {
		length = r.Length
	}
	if offset >= size || r.Length < 0 {
		return 0, 0, ErrRange
	}
	return offset, min(length, size-offset), nil
}

// Multipart is what a store may be able to do besides: an upload in parts that
// may come in any order, from several processes, over a long time. Part numbers
// go from 1 to 10000; all parts but the last must have at least MinPart bytes.
type Multipart interface {
	// CreateMultipart begins an upload. opts.Size is ignored.
	CreateMultipart(ctx context.Context, key string, opts PutOptions) (Upload, error)
	// UploadPart stores part number, in place of an earlier one of that number;
	// size is its number of bytes, or -1 for a part of at most UnsizedPart that
	// does not know. ErrNotFound, ErrSize, ErrPart.
	UploadPart(ctx context.Context, up Upload, number int, r io.Reader, size int64) (Part, error)
	// CompleteMultipart makes the object of parts, which must be in rising
	// order and as UploadPart returned them. ErrNotFound, ErrPart. Completing
	// once more gives the same object or ErrNotFound, as the store likes.
	CompleteMultipart(ctx context.Context, up Upload, parts []Part) (Info, error)
	// AbortMultipart removes an upload; one that is not there is no error.
	AbortMultipart(ctx context.Context, up Upload) error
	// Unfinished gives the uploads whose keys begin with prefix and that were
	// neither completed nor aborted, in no particular order. An error ends it.
	// Some S3 servers (MinIO) tell of none, and remove old ones by themselves.
	Unfinished(ctx context.Context, prefix string) iter.Seq2[Begun, error]
}

// Begun is an upload under way, or given up.
type Begun struct {
	Upload
	// Since is when it began or, as a store may know it, when it last got a part.
	Since time.Time
}

// Upload names a multipart upload: the key of the object to be, and the id that
// the store gave. Both are needed to go on with it in another process.
type Upload struct{ Key, ID string }

// Part is one stored part of a multipart upload.
type Part struct {
	Number int
	Size   int64 // bytes
	ETag   string
}

// MinPart is the least size in bytes of a part that is not the last, by S3's
// rule; stores that are not S3 do not insist.
const MinPart = 5 << 20

// UnsizedPart is the greatest size in bytes of a part whose size was not
// announced: such a part may have to be held in memory.
const UnsizedPart = 8 << 20

// CheckKey returns ErrKey unless key is 1 to 1024 bytes of valid UTF-8 without
// NUL, made of components between single slashes of which none is "." or "..".
// That is what S3 and its lookalikes on file systems hold alike.
func CheckKey(key string) error {
	if len(key) > 1024 || !utf8.ValidString(key) || strings.ContainsRune(key, 0) {
		return ErrKey
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part == "." || part == ".." {
			return ErrKey
		}
	}
	return nil
}

// Check answers nil when the store can be asked: a health check.
func Check(ctx context.Context, s Store) error {
	if _, err := s.Stat(ctx, "health"); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}
