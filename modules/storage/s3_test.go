package storage_test

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/madbase/madbase/modules/storage"
	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/blob/s3"
	"github.com/madbase/madbase/platform/secret"
	"github.com/madbase/madbase/platform/testkit"
)

// The walk through every use of the store, with the bytes in S3.
func TestBytesInS3(t *testing.T) {
	if testing.Short() {
		t.Skip("needs an S3 server, which may have to be built")
	}
	t.Parallel()
	server := testkit.S3(t)
	store, err := s3.Open(t.Context(), blob.Config{
		Endpoint: server.Endpoint, AccessKey: server.AccessKey, SecretKey: secret.String(server.SecretKey),
		Bucket: server.Bucket, Region: server.Region, PathStyle: true,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	b := newBenchOn(t, store, func(c *storage.Config) { c.FileSizeLimit = 20<<20 + 100 })
	b.bucket("docs", map[string]any{"public": true})
	large := strings.Repeat("0123456789abcdef", 12<<20/16)
	b.ok("POST", "/object/docs/d/a%20b.bin", b.service, large)
	got := b.req("GET", "/object/public/docs/d/a%20b.bin", "", nil).set("Range", "bytes=9437184-9437187").send()
	if got.status != http.StatusPartialContent || got.body != "0123" || got.header.Get("Content-Range") != "bytes 9437184-9437187/12582912" {
		t.Errorf("%d %q %v", got.status, got.body, got.header)
	}
	if got := b.req("GET", "/object/public/docs/d/a%20b.bin", "", nil).set("Range", "bytes=99999999-").send(); got.status != http.StatusRequestedRangeNotSatisfiable {
		t.Error(got.status)
	}
	if b.ok("GET", "/object/docs/d/a%20b.bin", b.anon, nil).body != large {
		t.Error("bytes differ")
	}
	b.ok("POST", "/object/copy", b.service, map[string]any{"bucketId": "docs", "sourceKey": "d/a b.bin", "destinationKey": "c//"})
	b.ok("POST", "/object/move", b.service, map[string]any{"bucketId": "docs", "sourceKey": "d/a b.bin", "destinationKey": "m+&?"})
	if b.ok("GET", "/object/public/docs/m+&%3F", "", nil).body != large || b.ok("GET", "/object/public/docs/c//", "", nil).body != large {
		t.Error("bytes differ")
	}
	b.ok("PUT", "/object/docs/c//", b.service, "")
	if b.ok("GET", "/object/public/docs/c//", "", nil).body != "" || b.stored() != 2 {
		t.Errorf("%d blobs", b.stored())
	}
	r := b.req("POST", "/object/docs/toolarge", b.service, large+large)
	r.chunked = true
	r.send().fails(t, "413", "Payload too large", "EntityTooLarge", "The object exceeded the maximum allowed size")
	b.ok("DELETE", "/object/docs", b.service, map[string]any{"prefixes": []string{"c//", "m+&?"}})
	if b.stored() != 0 {
		t.Errorf("%d blobs", b.stored())
	}
	resumes(t, b, func() *bench { return b.again(store) })
	path := b.begin(b.service, strconv.Itoa(20<<20), about("bucketName", "docs", "objectName", "ended"))
	b.patch(path, b.service, 0, large)
	if got := b.tusReq("DELETE", path, b.service, nil).send(); got.status != http.StatusNoContent || b.stored() != 1 {
		t.Errorf("%d %s, %d blobs", got.status, got.body, b.stored())
	}
}
