//go:build unix

package embeddedpg_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/madbase/madbase/platform/embeddedpg"
)

// file is one entry of an archive.
type file struct{ name, text string }

// goodFiles is the least that passes for a PostgreSQL package; its library is reached by a link, as in the real ones.
var goodFiles = []file{
	{"package/package.json", "{}"},
	{"package/native/bin/initdb", "#!/bin/sh\n"},
	{"package/native/bin/postgres", "#!/bin/sh\ntest -e \"${0%/*}/../lib/libx.so.1\" && echo 'postgres (PostgreSQL) 17.10'\n"},
	{"package/native/lib/libx.so.1.2", "library"},
	{"package/native/pg-symlinks.json", `[{"source":"native/lib/libx.so.1.2","target":"native/lib/libx.so.1"}]`},
}

func archive(t *testing.T, files []file) (tgz []byte, sum string) {
	t.Helper()
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	tw := tar.NewWriter(zw)
	for _, f := range files {
		if err := tw.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(f.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	hash := sha512.Sum512(buf.Bytes())
	return buf.Bytes(), base64.StdEncoding.EncodeToString(hash[:])
}

// mirror serves one archive under the package's path, and counts.
func mirror(t *testing.T, tgz []byte) (url string, requests *atomic.Int32) {
	t.Helper()
	requests = &atomic.Int32{}
	p := embeddedpg.PlatformName()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /npm/@embedded-postgres/"+p+"/-/"+p+"-17.0.tgz", func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		_, _ = w.Write(tgz)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL + "/npm/", requests
}

func downloader(url, dist, sum string, progress *bytes.Buffer) *embeddedpg.Cluster {
	return embeddedpg.New(embeddedpg.Config{MirrorURL: url}, "unused", slog.New(slog.DiscardHandler), progress,
		embeddedpg.Distribution("17.0", 17, sum), embeddedpg.DistDir(dist))
}

func TestDownloadOnce(t *testing.T) {
	t.Parallel()
	tgz, sum := archive(t, goodFiles)
	url, requests := mirror(t, tgz)
	dist := filepath.Join(t.TempDir(), "dist")
	var progress bytes.Buffer
	for range 2 {
		dir, err := downloader(url, dist, sum, &progress).Download(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if fi, err := os.Stat(filepath.Join(dir, "initdb")); err != nil || fi.Mode().Perm() != 0o755 {
			t.Errorf("initdb: %v, %v", fi, err)
		}
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
	if !strings.Contains(progress.String(), "Downloading PostgreSQL 17.0") {
		t.Errorf("progress: %q", &progress)
	}
	if entries, err := os.ReadDir(dist); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// Whatever is wrong with the archive, nothing of it stays.
func TestBadDownloadLeavesNothing(t *testing.T) {
	t.Parallel()
	with := func(more ...file) []file { return append(append([]file{}, goodFiles[:4]...), more...) }
	_, rightSum := archive(t, goodFiles)
	for name, test := range map[string]struct {
		files []file
		sum   string
		want  string
	}{
		"wrong sum":         {files: with(), sum: rightSum, want: "wrong checksum"},
		"name leads out":    {files: with(file{"package/native/../../escaped", "x"}), want: "leads out"},
		"absolute name":     {files: with(file{"package/native//etc/escaped", "x"}), want: "leads out"},
		"link leads out":    {files: with(file{"package/native/pg-symlinks.json", `[{"source":"native/../../x","target":"native/lib/l"}]`}), want: "leads out"},
		"target leads out":  {files: with(file{"package/native/pg-symlinks.json", `[{"source":"native/lib/l","target":"../l"}]`}), want: "leads out"},
		"links are no JSON": {files: with(file{"package/native/pg-symlinks.json", `[`}), want: "pg-symlinks.json"},
		"same name twice":   {files: with(goodFiles[1]), want: "exists"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tgz, sum := archive(t, test.files)
			if test.sum != "" {
				sum = test.sum
			}
			url, _ := mirror(t, tgz)
			parent := t.TempDir()
			_, err := downloader(url, filepath.Join(parent, "a", "dist"), sum, &bytes.Buffer{}).Download(t.Context())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("download: %v; want %q", err, test.want)
			}
			walkErr := filepath.WalkDir(parent, func(path string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					t.Errorf("left behind: %s", path)
				}
				return err
			})
			if walkErr != nil {
				t.Error(walkErr)
			}
		})
	}
}

func TestDownloadTellsWhatToDo(t *testing.T) {
	t.Parallel()
	url, _ := mirror(t, nil)
	_, err := downloader(url+"elsewhere", t.TempDir(), "", &bytes.Buffer{}).Download(t.Context())
	for _, want := range []string{"404", "DATABASE_URL", "MADBASE_PG_BIN"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
}

// The pinned archive itself is too large to fetch in every run: MADBASE_TEST_PG_ARCHIVE names a copy of it.
func TestPinnedArchive(t *testing.T) {
	t.Parallel()
	path := os.Getenv("MADBASE_TEST_PG_ARCHIVE")
	if path == "" {
		t.Skip("SKIPPED: MADBASE_TEST_PG_ARCHIVE names no copy of the pinned archive")
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) }))
	t.Cleanup(s.Close)
	dir := dataDir(t)
	c := embeddedpg.New(embeddedpg.Config{MirrorURL: s.URL}, "unused", slog.New(slog.DiscardHandler), &bytes.Buffer{}, embeddedpg.DistDir(filepath.Join(dir, "dist")))
	bin, err := c.Download(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cfg := anyPort
	cfg.BinDir = bin
	c, _ = newCluster(t, cfg, filepath.Join(dir, "data"))
	start(t, c)
	if got := query(t, c.URL(), "show server_version"); !strings.HasPrefix(got, "17.") {
		t.Errorf("server_version = %s", got)
	}
	run(t, c.URL(), "create extension pgcrypto")
	if got := query(t, c.URL(), `select string_agg(v, '' order by v) from unnest(array['b', 'A', 'a', 'ä', 'Z']) v`); got != "AZabä" {
		t.Errorf("order is %s", got)
	}
}
