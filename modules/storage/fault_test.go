package storage_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/storage"
	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/blob/fs"
	"github.com/madbase/madbase/platform/blob/s3"
	"github.com/madbase/madbase/platform/secret"
	"github.com/madbase/madbase/platform/testkit"
)

// faultyBench is a bench whose bytes are in an S3 that fails as it is told.
func faultyBench(t *testing.T) (*bench, *testkit.Faults) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs an S3 server, which may have to be built")
	}
	server := testkit.S3(t)
	faults := testkit.NewFaults(t, server.Endpoint)
	store, err := s3.Open(t.Context(), blob.Config{
		Endpoint: faults.URL, AccessKey: server.AccessKey, SecretKey: secret.String(server.SecretKey),
		Bucket: server.Bucket, Region: server.Region, PathStyle: true, ResponseTimeout: 500 * time.Millisecond,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	b := newBenchOn(t, store, func(c *storage.Config) { c.FileSizeLimit = 64 << 20 })
	b.bucket("docs", map[string]any{"public": true})
	b.ok("POST", "/object/docs/kept", b.service, "kept")
	return b, faults
}

func puts(r *http.Request) bool { return r.Method == http.MethodPut }
func gets(r *http.Request) bool { return r.Method == http.MethodGet }
func deletes(r *http.Request) bool {
	return r.Method == http.MethodDelete || r.URL.Query().Has("delete")
}

// intact checks that the object of before is whole, and that rows and bytes agree.
func (b *bench) intact(rows int) {
	b.t.Helper()
	if got := b.ok("GET", "/object/public/docs/kept", "", nil).body; got != "kept" {
		b.t.Errorf("%.40q", got)
	}
	orphans := storage.NewOrphans(b.blobs).BetweenLooks(atOnce)
	for _, found := range b.sweep(orphans, storage.Search{}) {
		if strings.HasPrefix(found, "row") {
			b.t.Errorf("%s has no bytes", found)
		}
	}
	if b.rows() != rows {
		b.t.Errorf("%d rows, want %d", b.rows(), rows)
	}
}

// A fault of the store is the service's, in its dialect and without its cause.
func (r reply) isFault(t testing.TB) {
	t.Helper()
	var got struct{ StatusCode, Error, Code, Message string }
	r.json(t, &got)
	if r.status != http.StatusInternalServerError || got.StatusCode != "500" || got.Error == "" || got.Code == "" || got.Message == "" || strings.Contains(r.body, "127.0.0.1") {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestStoreThatFailsUploads(t *testing.T) {
	t.Parallel()
	bodies := map[string]string{"small": strings.Repeat("x", 1000), "large": strings.Repeat("0123456789abcdef", 12<<20/16)} // the large one goes in parts
	for name, fault := range map[string]testkit.Fault{"503": testkit.Unavailable, "hang": testkit.Hang, "reset": testkit.CutRequest} {
		for size, body := range bodies {
			t.Run(name+" "+size, func(t *testing.T) {
				t.Parallel()
				b, faults := faultyBench(t)
				faults.Fail(fault, -1, puts)
				b.do("PUT", "/object/docs/kept", b.service, body).isFault(t)
				b.do("POST", "/object/docs/new", b.service, body).isFault(t)
				faults.Mend()
				if got := b.do("GET", "/object/public/docs/new", "", nil); got.status != http.StatusBadRequest {
					t.Error(got.status)
				}
				b.intact(1)
				faults.Fail(fault, 1, puts) // one fault is tried again
				b.ok("POST", "/object/docs/again", b.service, body)
				if got := b.ok("GET", "/object/public/docs/again", "", nil).body; got != body {
					t.Errorf("%d bytes of %d", len(got), len(body))
				}
				b.intact(2)
			})
		}
	}
}

func TestStoreThatFailsCopies(t *testing.T) {
	t.Parallel()
	b, faults := faultyBench(t)
	faults.Fail(testkit.Unavailable, -1, func(r *http.Request) bool { return r.Header.Get("X-Amz-Copy-Source") != "" })
	for _, verb := range []string{"copy", "move"} {
		b.do("POST", "/object/"+verb, b.service, map[string]any{"bucketId": "docs", "sourceKey": "kept", "destinationKey": "other"}).isFault(t)
	}
	faults.Mend()
	b.intact(1)
}

func TestStoreThatFailsDownloads(t *testing.T) {
	t.Parallel()
	b, faults := faultyBench(t)
	body := strings.Repeat("0123456789abcdef", 4<<20/16)
	b.ok("POST", "/object/docs/large", b.service, body)
	for _, fault := range []testkit.Fault{testkit.Unavailable, testkit.Hang} {
		faults.Fail(fault, -1, gets)
		b.do("GET", "/object/public/docs/large", "", nil).isFault(t)
		faults.Fail(fault, 1, gets)
		if got := b.ok("GET", "/object/public/docs/large", "", nil); got.body != body {
			t.Errorf("%d bytes", len(got.body))
		}
	}
	// Half an answer never looks whole, nor does it harm the connection's next.
	for _, fault := range []testkit.Fault{testkit.CutAnswer, testkit.StallAnswer} {
		faults.Fail(fault, -1, gets)
		for _, header := range []string{"", "bytes=10-2000000"} {
			got, err := b.req("GET", "/object/public/docs/large", "", nil).set("Range", header).try(context.Background())
			if err == nil || len(got.body) == len(body) {
				t.Errorf("%d with %d bytes: %v", got.status, len(got.body), err)
			}
		}
	}
	faults.Mend()
	if got := b.ok("GET", "/object/public/docs/large", "", nil); got.body != body {
		t.Errorf("%d bytes", len(got.body))
	}
	b.intact(2)
}

// What is deleted is gone for callers though its bytes stay; the sweep finds those.
func TestStoreThatFailsDeletions(t *testing.T) {
	t.Parallel()
	b, faults := faultyBench(t)
	b.ok("POST", "/object/docs/a", b.service, "a")
	b.ok("POST", "/object/docs/b", b.service, "b")
	faults.Fail(testkit.Unavailable, -1, deletes)
	b.ok("PUT", "/object/docs/kept", b.service, "kept")
	b.ok("DELETE", "/object/docs/a", b.service, nil)
	b.ok("DELETE", "/object/docs", b.service, map[string]any{"prefixes": []string{"b"}})
	faults.Mend()
	b.intact(1)
	if b.stored() != 4 {
		t.Errorf("%d blobs", b.stored())
	}
	b.sweep(storage.NewOrphans(b.blobs).BetweenLooks(atOnce), storage.Search{Remove: true})
	if b.stored() != 1 {
		t.Errorf("%d blobs", b.stored())
	}
	b.intact(1)
}

// fullStore has room for some bytes more.
type fullStore struct {
	*fs.Store

	mu   sync.Mutex
	room int64 // below zero: endless
}

func (f *fullStore) set(room int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.room = room
}

// short is a body during which the disk fills up.
type short struct {
	r    io.Reader
	left int64
}

func (s *short) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if s.left -= int64(n); s.left < 0 {
		return 0, fmt.Errorf("write: %w", syscall.ENOSPC)
	}
	return n, err
}

func (f *fullStore) filling(r io.Reader) io.Reader {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.room < 0 {
		return r
	}
	return &short{r, f.room}
}

func (f *fullStore) Put(ctx context.Context, key string, r io.Reader, o blob.PutOptions) (blob.Info, error) {
	return f.Store.Put(ctx, key, f.filling(r), o)
}

func (f *fullStore) UploadPart(ctx context.Context, up blob.Upload, number int, r io.Reader, size int64) (blob.Part, error) {
	return f.Store.UploadPart(ctx, up, number, f.filling(r), size)
}

func TestDiskThatIsFull(t *testing.T) {
	t.Parallel()
	folder, err := fs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = folder.Close() })
	store := &fullStore{Store: folder, room: -1}
	b := newBenchOn(t, store, func(c *storage.Config) { c.FileSizeLimit = 64 << 20 })
	b.bucket("docs", map[string]any{"public": true})
	b.ok("POST", "/object/docs/kept", b.service, "kept")
	path := b.begin(b.service, "20000000", about("bucketName", "docs", "objectName", "resumed"))
	body := strings.Repeat("x", 20_000_000)
	store.set(1000)
	file, contentType := form(nil, "text/plain", []byte(body[:5000]))
	for _, got := range []reply{
		b.do("PUT", "/object/docs/kept", b.service, body[:5000]), b.do("POST", "/object/docs/new", b.service, body),
		b.req("POST", "/object/docs/new", b.service, file).set("Content-Type", contentType).send(),
		b.patch(path, b.service, 0, body),
	} {
		got.isFault(t)
	}
	b.intact(1)
	b.at(path, b.service, 0)
	store.set(-1)
	if got := b.patch(path, b.service, 0, body); got.status != http.StatusNoContent {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := b.ok("GET", "/object/public/docs/resumed", "", nil).body; got != body {
		t.Errorf("%d bytes", len(got))
	}
	b.intact(2)
	if b.stored() != 2 {
		t.Errorf("%d blobs", b.stored())
	}
}
