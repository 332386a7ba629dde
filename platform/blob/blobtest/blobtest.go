// Package blobtest is the contract of blob.Store and blob.Multipart as tests
// that every store runs.
package blobtest

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // an ETag, not a signature
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/madbase/madbase/platform/blob"
)

// Run tests the stores that open returns: fresh and empty ones.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, blob.Store){
		"PutGetStat":          putGetStat,
		"PutReplaces":         putReplaces,
		"Range":               ranges,
		"NotFound":            notFound,
		"Delete":              deletes,
		"DeleteMany":          deleteMany,
		"Copy":                copies,
		"List":                lists,
		"UnicodeKeys":         unicodeKeys,
		"InvalidKeys":         invalidKeys,
		"ConcurrentSameKey":   concurrentSameKey,
		"ReaderFails":         readerFails,
		"SizeDiffers":         sizeDiffers,
		"ContextEnds":         contextEnds,
		"ReadWhileReplaced":   readWhileReplaced,
		"LargeStream":         largeStream,
		"Multipart":           multipart,
		"MultipartRefusals":   multipartRefusals,
		"MultipartAbort":      multipartAbort,
		"MultipartUnfinished": multipartUnfinished,
		"Check":               check,
		"ErrorsOfReaderMatch": readerErrorMatches,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func md5Hex(b []byte) string {
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

func put(t *testing.T, s blob.Store, key, data string) blob.Info {
	t.Helper()
	info, err := s.Put(t.Context(), key, strings.NewReader(data), blob.PutOptions{Size: int64(len(data))})
	if err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
	return info
}

func read(t *testing.T, s blob.Store, key string, rng *blob.Range) (string, blob.Info) {
	t.Helper()
	r, info, err := s.Get(t.Context(), key, rng)
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read %q: %v", key, err)
	}
	return string(data), info
}

func keys(t *testing.T, s blob.Store, prefix string) []string {
	t.Helper()
	found := []string{}
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("list %q: %v", prefix, err)
		}
		found = append(found, info.Key)
	}
	slices.Sort(found)
	return found
}

func isNotFound(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("%s: %v, want ErrNotFound", what, err)
	}
}

func putGetStat(t *testing.T, s blob.Store) {
	for name, data := range map[string]string{
		"empty": "", "small": "hello", "binary": "\x00\xff\r\n\x1a", "big": strings.Repeat("0123456789abcdef", 20_000),
	} {
		for _, size := range []int64{int64(len(data)), -1} {
			info, err := s.Put(t.Context(), name, strings.NewReader(data), blob.PutOptions{Size: size, ContentType: "text/plain"})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if info.Key != name || info.Size != int64(len(data)) || info.ETag != md5Hex([]byte(data)) {
				t.Errorf("%s: put answers %+v", name, info)
			}
			got, of := read(t, s, name, nil)
			if got != data || of.Size != int64(len(data)) || of.Key != name {
				t.Errorf("%s: got %d bytes and %+v", name, len(got), of)
			}
			stat, err := s.Stat(t.Context(), name)
			if err != nil || stat.Size != int64(len(data)) || stat.Key != name || stat.Modified.IsZero() {
				t.Errorf("%s: stat %+v, %v", name, stat, err)
			}
		}
	}
}

func putReplaces(t *testing.T, s blob.Store) {
	put(t, s, "a/k", "a long first version")
	put(t, s, "a/k", "second")
	if got, info := read(t, s, "a/k", nil); got != "second" || info.Size != 6 {
		t.Errorf("%q, %+v", got, info)
	}
	if got := keys(t, s, ""); !slices.Equal(got, []string{"a/k"}) {
		t.Errorf("keys %q", got)
	}
}

func ranges(t *testing.T, s blob.Store) {
	put(t, s, "k", "0123456789")
	put(t, s, "empty", "")
	for _, c := range []struct {
		offset, length int64
		want           string
	}{
		{0, 1, "0"},
		{0, 0, "0123456789"},
		{3, 4, "3456"},
		{9, 1, "9"},
		{5, 0, "56789"},
		{5, 100, "56789"},
		{-3, 0, "789"},
		{-100, 0, "0123456789"},
	} {
		got, info := read(t, s, "k", &blob.Range{Offset: c.offset, Length: c.length})
		if got != c.want || info.Size != 10 || info.Key != "k" {
			t.Errorf("%d+%d: %q of %+v, want %q", c.offset, c.length, got, info, c.want)
		}
	}
	for key, offset := range map[string]int64{"k": 10, "empty": 0} {
		if _, _, err := s.Get(t.Context(), key, &blob.Range{Offset: offset}); !errors.Is(err, blob.ErrRange) {
			t.Errorf("%s from %d: %v, want ErrRange", key, offset, err)
		}
	}
	_, _, err := s.Get(t.Context(), "none", &blob.Range{Offset: 1})
	isNotFound(t, "range of nothing", err)
}

func notFound(t *testing.T, s blob.Store) {
	put(t, s, "a/b", "x")
	for _, key := range []string{"none", "a", "a/b/c", "a/c"} {
		_, _, err := s.Get(t.Context(), key, nil)
		isNotFound(t, "get "+key, err)
		_, err = s.Stat(t.Context(), key)
		isNotFound(t, "stat "+key, err)
		_, err = s.Copy(t.Context(), key, "copy")
		isNotFound(t, "copy "+key, err)
	}
}

func deletes(t *testing.T, s blob.Store) {
	put(t, s, "a/b/c", "1")
	put(t, s, "a/b/d", "2")
	put(t, s, "a/e", "3")
	if err := s.Delete(t.Context(), "a/b/c", "a/e", "never"); err != nil {
		t.Fatal(err)
	}
	if got := keys(t, s, ""); !slices.Equal(got, []string{"a/b/d"}) {
		t.Errorf("left: %q", got)
	}
	if err := s.Delete(t.Context()); err != nil {
		t.Errorf("nothing to delete: %v", err)
	}
	if err := s.Delete(t.Context(), "a/b/d"); err != nil {
		t.Fatal(err)
	}
	put(t, s, "a/b/d", "again")
	if got, _ := read(t, s, "a/b/d", nil); got != "again" {
		t.Errorf("%q", got)
	}
}

func deleteMany(t *testing.T, s blob.Store) {
	all := make([]string, 1100) // more than one request of S3 takes
	for i := range all {
		all[i] = fmt.Sprintf("many/%04d", i)
	}
	put(t, s, all[0], "first")
	put(t, s, all[1099], "last")
	put(t, s, "many/other", "stays")
	if err := s.Delete(t.Context(), all...); err != nil {
		t.Fatal(err)
	}
	if got := keys(t, s, ""); !slices.Equal(got, []string{"many/other"}) {
		t.Errorf("left: %q", got)
	}
}

func copies(t *testing.T, s blob.Store) {
	put(t, s, "src/ü +%.txt", "bytes")
	put(t, s, "old", "to be replaced")
	for _, dst := range []string{"dst/ö&?", "old", "src/ü +%.txt"} {
		if _, err := s.Copy(t.Context(), "src/ü +%.txt", dst); err != nil {
			t.Fatalf("to %q: %v", dst, err)
		}
		if got, info := read(t, s, dst, nil); got != "bytes" || info.Size != 5 {
			t.Errorf("%q: %q", dst, got)
		}
	}
	// A copy lives on its own.
	put(t, s, "src/ü +%.txt", "changed")
	if got, _ := read(t, s, "old", nil); got != "bytes" {
		t.Errorf("the copy changed with its source: %q", got)
	}
	if err := s.Delete(t.Context(), "src/ü +%.txt"); err != nil {
		t.Fatal(err)
	}
	if got, _ := read(t, s, "dst/ö&?", nil); got != "bytes" {
		t.Errorf("the copy went with its source: %q", got)
	}
}

func lists(t *testing.T, s blob.Store) {
	want := map[string]int64{"p/a": 1, "p/ab/c": 2, "p/ab/d": 3, "q/a": 4, "px": 5}
	for key, size := range want {
		put(t, s, key, strings.Repeat("x", int(size)))
	}
	for prefix, expect := range map[string][]string{
		"":       slices.Sorted(maps.Keys(want)),
		"p":      {"p/a", "p/ab/c", "p/ab/d", "px"},
		"p/":     {"p/a", "p/ab/c", "p/ab/d"},
		"p/a":    {"p/a", "p/ab/c", "p/ab/d"},
		"p/ab/":  {"p/ab/c", "p/ab/d"},
		"p/ab/d": {"p/ab/d"},
		"none/":  {},
		"px/":    {},
	} {
		if got := keys(t, s, prefix); !slices.Equal(got, expect) {
			t.Errorf("%q: %q, want %q", prefix, got, expect)
		}
	}
	for info := range s.List(t.Context(), "") {
		if info.Size != want[info.Key] || info.Modified.IsZero() {
			t.Errorf("%+v", info)
		}
	}
	for range s.List(t.Context(), "") {
		break // a reader may have enough
	}
}

func unicodeKeys(t *testing.T, s blob.Store) {
	names := []string{
		"ünï/çödé/☃", "日本語/ファイル.txt", "emoji/👩‍👩‍👧‍👦", "sp ace/tab\tx", "UPPER/lower", "upper/LOWER",
		"%2e%2e/%2f", "quote\"'`", "a..b/...", "back\\slash", "plus+and&eq=?#", "nfc/é", "nfd/e\u0301", "~/^a/%", "-rf", ".hidden/.x",
		"<xml>&amp;", strings.Repeat("long", 50) + "/x",
	}
	for i, name := range names {
		put(t, s, name, fmt.Sprint(i))
	}
	for i, name := range names {
		if got, _ := read(t, s, name, nil); got != fmt.Sprint(i) {
			t.Errorf("%q: %q", name, got)
		}
	}
	slices.Sort(names)
	if got := keys(t, s, ""); !slices.Equal(got, names) {
		t.Errorf("listed %q\nwant %q", got, names)
	}
}

func invalidKeys(t *testing.T, s blob.Store) {
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../x", "a/../b", "a/./b", "a/..", "nul\x00", "not\xffutf8", strings.Repeat("x", 1025),
	} {
		if _, err := s.Put(t.Context(), key, strings.NewReader("x"), blob.PutOptions{Size: 1}); !errors.Is(err, blob.ErrKey) {
			t.Errorf("put %q: %v", key, err)
		}
		if _, _, err := s.Get(t.Context(), key, nil); !errors.Is(err, blob.ErrKey) {
			t.Errorf("get %q: %v", key, err)
		}
		if err := s.Delete(t.Context(), key); !errors.Is(err, blob.ErrKey) {
			t.Errorf("delete %q: %v", key, err)
		}
		if _, err := s.Copy(t.Context(), "a", key); !errors.Is(err, blob.ErrKey) {
			t.Errorf("copy to %q: %v", key, err)
		}
	}
}

func concurrentSameKey(t *testing.T, s blob.Store) {
	var wg sync.WaitGroup
	for i := range 8 {
		data := bytes.Repeat([]byte{byte('a' + i)}, 100_000)
		wg.Go(func() {
			for range 4 {
				if _, err := s.Put(t.Context(), "k", bytes.NewReader(data), blob.PutOptions{Size: -1}); err != nil {
					t.Errorf("put: %v", err)
				}
			}
		})
	}
	wg.Wait()
	got, info := read(t, s, "k", nil)
	if info.Size != 100_000 || got != strings.Repeat(got[:1], 100_000) {
		t.Errorf("%d bytes that are not those of one writer", info.Size)
	}
}

// failing gives n bytes, then err.
type failing struct {
	n    int
	err  error
	stop func() // called before err
}

func (f *failing) Read(p []byte) (int, error) {
	if f.n == 0 {
		if f.stop != nil {
			f.stop()
		}
		return 0, f.err
	}
	n := min(f.n, len(p))
	f.n -= n
	return n, nil
}

var errReader = errors.New("the client went away")

func readerFails(t *testing.T, s blob.Store) {
	put(t, s, "old", "stays")
	for _, n := range []int{0, 1, 100_000, 20 << 20} {
		for _, key := range []string{"new", "old"} {
			for _, size := range []int64{-1, int64(n) + 1} {
				if _, err := s.Put(t.Context(), key, &failing{n: n, err: errReader}, blob.PutOptions{Size: size}); !errors.Is(err, errReader) {
					t.Errorf("%d bytes: %v", n, err)
				}
			}
		}
	}
	nothingChanged(t, s)
}

func nothingChanged(t *testing.T, s blob.Store) {
	t.Helper()
	if got := keys(t, s, ""); !slices.Equal(got, []string{"old"}) {
		t.Errorf("keys %q", got)
	}
	if got, _ := read(t, s, "old", nil); got != "stays" {
		t.Errorf("the old object is now %q", got)
	}
}

// readerErrorMatches: the error of a reader keeps its type through Put.
func readerErrorMatches(t *testing.T, s blob.Store) {
	_, err := s.Put(t.Context(), "k", &failing{n: 10, err: &typedError{413}}, blob.PutOptions{Size: -1})
	var typed *typedError
	if !errors.As(err, &typed) || typed.status != 413 {
		t.Errorf("%v", err)
	}
}

type typedError struct{ status int }

func (e *typedError) Error() string { return fmt.Sprint("status ", e.status) }

func sizeDiffers(t *testing.T, s blob.Store) {
	put(t, s, "old", "stays")
	for _, announced := range []int64{0, 4, 6, 100, 30 << 20} {
		if _, err := s.Put(t.Context(), "old", strings.NewReader("12345"), blob.PutOptions{Size: announced}); !errors.Is(err, blob.ErrSize) {
			t.Errorf("5 bytes announced as %d: %v", announced, err)
		}
	}
	nothingChanged(t, s)
}

func contextEnds(t *testing.T, s blob.Store) {
	put(t, s, "old", "stays")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(over, "new", strings.NewReader("x"), blob.PutOptions{Size: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	if _, _, err := s.Get(over, "old", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("get: %v", err)
	}
	if _, err := s.Stat(over, "old"); !errors.Is(err, context.Canceled) {
		t.Errorf("stat: %v", err)
	}
	if err := s.Delete(over, "old"); !errors.Is(err, context.Canceled) {
		t.Errorf("delete: %v", err)
	}
	if _, err := s.Copy(over, "old", "new"); !errors.Is(err, context.Canceled) {
		t.Errorf("copy: %v", err)
	}
	for _, err := range s.List(over, "") {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("list: %v", err)
		}
	}
	for _, n := range []int{1000, 20 << 20} {
		midway, cancel := context.WithCancel(t.Context())
		r := io.MultiReader(&failing{n: n, err: io.EOF, stop: cancel}, strings.NewReader("more"))
		if _, err := s.Put(midway, "new", r, blob.PutOptions{Size: -1}); !errors.Is(err, context.Canceled) {
			t.Errorf("put cancelled after %d bytes: %v", n, err)
		}
		cancel()
	}
	nothingChanged(t, s)
}

func readWhileReplaced(t *testing.T, s blob.Store) {
	first := strings.Repeat("1", 1<<20)
	put(t, s, "k", first)
	r, _, err := s.Get(t.Context(), "k", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	head := make([]byte, 10)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}
	put(t, s, "k", "2")
	rest, err := io.ReadAll(r)
	// A store may break the old reader off; it must not mix the versions.
	if err == nil && string(head)+string(rest) != first {
		t.Errorf("%d bytes that are not the first version", len(head)+len(rest))
	}
}

// Pattern is a reader of n bytes that differ by place, and their MD5.
func Pattern(n int64) (io.Reader, func() string) {
	hash := md5.New()
	return io.TeeReader(io.LimitReader(&pattern{}, n), hash), func() string { return hex.EncodeToString(hash.Sum(nil)) }
}

type pattern struct{ at uint64 }

func (p *pattern) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(p.at ^ p.at>>8 ^ p.at>>16)
		p.at++
	}
	return len(b), nil
}

func largeStream(t *testing.T, s blob.Store) {
	const n = 20<<20 + 12345 // three parts on S3
	for _, size := range []int64{n, -1} {
		r, sum := Pattern(n)
		info, err := s.Put(t.Context(), "large", r, blob.PutOptions{Size: size})
		if err != nil {
			t.Fatal(err)
		}
		if info.Size != n || info.ETag == "" {
			t.Errorf("%+v", info)
		}
		got, _, err := s.Get(t.Context(), "large", nil)
		if err != nil {
			t.Fatal(err)
		}
		hash := md5.New()
		if m, err := io.Copy(hash, got); err != nil || m != n {
			t.Errorf("%d bytes, %v", m, err)
		}
		if err := got.Close(); err != nil {
			t.Error(err)
		}
		if hex.EncodeToString(hash.Sum(nil)) != sum() {
			t.Error("other bytes came back")
		}
	}
	part, _ := read(t, s, "large", &blob.Range{Offset: 9 << 20, Length: 7})
	want := make([]byte, 7)
	_, _ = (&pattern{at: 9 << 20}).Read(want)
	if part != string(want) {
		t.Errorf("a range across parts: %x, want %x", part, want)
	}
}

func check(t *testing.T, s blob.Store) {
	if err := blob.Check(t.Context(), s); err != nil {
		t.Error(err)
	}
}
