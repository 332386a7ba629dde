package fs_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/blob/blobtest"
	blobfs "github.com/madbase/madbase/platform/blob/fs"
)

func open(t testing.TB, dir string) *blobfs.Store {
	t.Helper()
	s, err := blobfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, t.TempDir()) })
}

func put(t testing.TB, s blob.Store, key, data string) {
	t.Helper()
	if _, err := s.Put(t.Context(), key, strings.NewReader(data), blob.PutOptions{Size: int64(len(data))}); err != nil {
		t.Fatal(err)
	}
}

// files lists the files and folders below dir, the store's own two left out.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		if name != "." && name != ".tmp" && name != ".uploads" {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestKeyAndItsFolderLiveSideBySide(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	for _, key := range []string{"a", "a/b", "a/b/c", "a=", "a=/b", "a~/b", "A", "^a", "%41", "a%", "a%3d"} {
		put(t, s, key, key)
	}
	n := 0
	for info, err := range s.List(t.Context(), "") {
		n++
		if err != nil {
			t.Fatal(err)
		}
		r, _, err := s.Get(t.Context(), info.Key, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := io.ReadAll(r); string(got) != info.Key {
			t.Errorf("%q holds %q", info.Key, got)
		}
		_ = r.Close()
	}
	if n != 11 {
		t.Errorf("%d of 11 keys listed", n)
	}
}

func TestLongestKeys(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	for _, key := range []string{strings.Repeat("a", 1024), strings.Repeat("☃", 341), strings.Repeat("a/", 511) + "ab", strings.Repeat("A", 203) + "/x"} {
		put(t, s, key, "x")
		found := false
		for info, err := range s.List(t.Context(), key[:3]) {
			found = found || err == nil && info.Key == key
		}
		if !found {
			t.Errorf("a key of %d bytes is not listed", len(key))
		}
		if err := s.Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
	}
}

func TestDeleteLeavesNoFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	put(t, s, "bucket/object/version", "x")
	put(t, s, "bucket/other/version", "x")
	if err := s.Delete(t.Context(), "bucket/object/version"); err != nil {
		t.Fatal(err)
	}
	if got := files(t, dir); len(got) != 3 {
		t.Errorf("%q", got)
	}
	if err := s.Delete(t.Context(), "bucket/other/version"); err != nil {
		t.Fatal(err)
	}
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func TestFailedPutLeavesNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := s.Put(t.Context(), "a/b", strings.NewReader("12345"), blob.PutOptions{Size: 6}); !errors.Is(err, blob.ErrSize) {
		t.Fatal(err)
	}
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func TestPutAndDeleteInOneFolderAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	var wg sync.WaitGroup
	for i := range 4 {
		key := "deep/er/folder/" + string(rune('a'+i))
		wg.Go(func() {
			for range 50 {
				put(t, s, key, "x")
				if err := s.Delete(t.Context(), key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestOpenRemovesOldLeftovers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	put(t, s, "old/object", "stays")
	up, err := s.CreateMultipart(t.Context(), "k", blob.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"fresh", "stale"} {
		if err := os.WriteFile(filepath.Join(dir, ".tmp", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	later, err := s.CreateMultipart(t.Context(), "later", blob.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, days := range map[string]int{".tmp/stale": 2, ".uploads/" + up.ID: 31, ".uploads/" + later.ID: 15, "old": 90, "old/object=": 90} {
		past := time.Now().AddDate(0, 0, -days)
		if err := os.Chtimes(filepath.Join(dir, name), past, past); err != nil {
			t.Fatal(err)
		}
	}
	open(t, dir)
	kept := ".uploads/" + later.ID
	if got := files(t, dir); strings.Join(got, " ") != ".tmp/fresh "+kept+" "+kept+"/key old old/object=" {
		t.Errorf("%q", got)
	}
}

func TestAPartSentAgainTakesThePlaceOfTheOneBefore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	up, err := s.CreateMultipart(t.Context(), "k", blob.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{"first", "second", "second", "third"} {
		if _, err := s.UploadPart(t.Context(), up, 1, strings.NewReader(data), -1); err != nil {
			t.Fatal(err)
		}
	}
	other, err := s.UploadPart(t.Context(), up, 10000, strings.NewReader("other"), -1)
	if err != nil {
		t.Fatal(err)
	}
	if got := files(t, filepath.Join(dir, ".uploads", up.ID)); len(got) != 3 {
		t.Errorf("%q", got)
	}
	// Of two at once each may be the one that counts.
	r, w := io.Pipe()
	slow := make(chan blob.Part)
	go func() {
		p, err := s.UploadPart(t.Context(), up, 1, r, -1)
		if err != nil {
			t.Error(err)
		}
		slow <- p
	}()
	_, _ = w.Write([]byte("slo"))
	if _, err = s.UploadPart(t.Context(), up, 1, strings.NewReader("quick"), -1); err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte("w"))
	_ = w.Close()
	last := <-slow
	if len(files(t, filepath.Join(dir, ".uploads", up.ID))) != 4 {
		t.Error("the other's part is gone")
	}
	info, err := s.CompleteMultipart(t.Context(), up, []blob.Part{last, other})
	if err != nil || info.Size != int64(len("slowother")) {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestSymbolicLinkLeadsNowhere(t *testing.T) {
	t.Parallel()
	outside, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "x="), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	if err := os.Symlink(outside, filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Get(t.Context(), "out/x", nil); err == nil {
		t.Error("a link led out of the folder")
	}
	if _, err := s.Put(t.Context(), "out/y", strings.NewReader("y"), blob.PutOptions{Size: 1}); err == nil {
		t.Error("a link led a write out of the folder")
	}
}

func TestOpenNamesTheFolderItCannotUse(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := blobfs.Open(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("%v", err)
	}
}

func TestWholeObjectIsAFile(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	put(t, s, "k", "0123456789")
	whole, _, err := s.Get(t.Context(), "k", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	if _, ok := whole.(*os.File); !ok {
		t.Errorf("%T keeps the kernel from sending it", whole)
	}
	part, _, err := s.Get(t.Context(), "k", &blob.Range{Offset: 2, Length: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer part.Close()
	var b strings.Builder
	if n, err := part.(io.WriterTo).WriteTo(&b); n != 3 || err != nil || b.String() != "234" {
		t.Errorf("%d, %v, %q", n, err, b.String())
	}
}

func TestStreamIsFlatInMemory(t *testing.T) {
	blobtest.Flat(t, open(t, t.TempDir()))
}

func BenchmarkPut4KiB(b *testing.B) {
	s := open(b, b.TempDir())
	data := strings.Repeat("x", 4096)
	b.SetBytes(4096)
	for b.Loop() {
		put(b, s, "bucket/object/version", data)
	}
}

func BenchmarkGet4KiB(b *testing.B) {
	s := open(b, b.TempDir())
	put(b, s, "bucket/object/version", strings.Repeat("x", 4096))
	b.SetBytes(4096)
	for b.Loop() {
		r, _, err := s.Get(b.Context(), "bucket/object/version", nil)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, r)
		_ = r.Close()
	}
}
