package storage_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/storage"
	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/blob/fs"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/testkit"
)

const resumable = "/upload/resumable"

// about is an Upload-Metadata header of pairs of key and value.
func about(pairs ...string) string {
	var list []string
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, pairs[i]+" "+base64.StdEncoding.EncodeToString([]byte(pairs[i+1])))
	}
	return strings.Join(list, ",")
}

// tusReq is a request of the protocol.
func (b *bench) tusReq(method, path, token string, body any) *req {
	return b.req(method, path, token, body).set("Tus-Resumable", "1.0.0").set("Content-Type", "application/offset+octet-stream")
}

// begin makes an upload of length bytes ("" puts it off) and returns its path.
func (b *bench) begin(token, length, metadata string) string {
	b.t.Helper()
	r := b.tusReq("POST", resumable, token, nil).set("Upload-Metadata", metadata)
	r.header.Del("Content-Type")
	if length == "" {
		r.set("Upload-Defer-Length", "1")
	} else {
		r.set("Upload-Length", length)
	}
	got := r.send()
	if got.status != http.StatusCreated || got.header.Get("Upload-Expires") == "" {
		b.t.Fatalf("%d %s %v", got.status, got.body, got.header)
	}
	return b.location(got)
}

// location is the path of the upload that got has made, below the service's prefix.
func (b *bench) location(got reply) string {
	b.t.Helper()
	path, ok := strings.CutPrefix(got.header.Get("Location"), b.p.PublicURL+prefix)
	if !ok {
		b.t.Fatalf("Location %q", got.header.Get("Location"))
	}
	return path
}

func (b *bench) patch(path, token string, offset int, body string) reply {
	b.t.Helper()
	return b.tusReq("PATCH", path, token, body).set("Upload-Offset", strconv.Itoa(offset)).send()
}

// at checks how far an upload is.
func (b *bench) at(path, token string, offset int) {
	b.t.Helper()
	got := b.tusReq("HEAD", path, token, nil).send()
	if got.status != http.StatusOK || got.header.Get("Upload-Offset") != strconv.Itoa(offset) || got.header.Get("Cache-Control") != "no-store" {
		b.t.Errorf("%d, offset %s, want %d", got.status, got.header.Get("Upload-Offset"), offset)
	}
}

// says checks a plain error.
func (r reply) says(t testing.TB, status int, text string) {
	t.Helper()
	if r.status != status || r.body != text || r.header.Get("Tus-Resumable") != "1.0.0" {
		t.Errorf("got %d %q %v, want %d %q", r.status, r.body, r.header, status, text)
	}
}

func TestResumableUpload(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", nil)
	id, alice := b.user()
	b.ownFolder("docs")
	metadata := about("bucketName", "docs", "objectName", id+"/a b.txt", "contentType", "text/plain", "cacheControl", "60", "metadata", `{"who":"alice"}`)
	path := b.begin(alice, "10", metadata)
	b.at(path, alice, 0)
	if got := b.patch(path, alice, 0, "0123"); got.status != http.StatusNoContent || got.header.Get("Upload-Offset") != "4" || got.header.Get("Tus-Complete") != "" {
		t.Errorf("%d %s %v", got.status, got.body, got.header)
	}
	b.at(path, alice, 4)
	if b.rows() != 0 || b.do("GET", "/object/docs/"+id+"/a%20b.txt", alice, nil).status == http.StatusOK {
		t.Error("half an object is visible")
	}
	b.patch(path, alice, 0, "0123").says(t, 409, "Upload-Offset conflict\n")
	b.patch(path, alice, 5, "5").says(t, 409, "Upload-Offset conflict\n")
	b.patch(path, alice, 4, "4567890123").says(t, 413, "upload's size exceeded\n")
	if got := b.patch(path, alice, 4, "45"); got.status != http.StatusNoContent {
		t.Error(got.status, got.body)
	}
	got := b.patch(path, alice, 6, "6789")
	if got.status != http.StatusNoContent || got.header.Get("Upload-Offset") != "10" || got.header.Get("Tus-Complete") != "1" {
		t.Errorf("%d %s %v", got.status, got.body, got.header)
	}
	b.at(path, alice, 10)
	got = b.ok("GET", "/object/docs/"+id+"/a%20b.txt", alice, nil)
	if got.body != "0123456789" || got.header.Get("Content-Type") != "text/plain" || got.header.Get("Cache-Control") != "max-age=60" || got.header.Get("ETag") != `"781e5e245d69b566979b86e28d23f2c7"` {
		t.Errorf("%q %v", got.body, got.header)
	}
	var owner, said string
	if err := b.p.Owner.QueryRow(t.Context(), "SELECT owner_id, user_metadata::text FROM storage.objects").Scan(&owner, &said); err != nil || owner != id || said != `{"who": "alice"}` {
		t.Error(owner, said, err)
	}
	if b.stored() != 1 {
		t.Errorf("%d blobs", b.stored())
	}
	// Once more is not an error; what is done cannot be undone.
	if got := b.patch(path, alice, 10, ""); got.status != http.StatusNoContent || got.header.Get("Tus-Complete") != "1" {
		t.Error(got.status, got.body)
	}
	b.tusReq("DELETE", path, alice, nil).send().says(t, 400, "Cannot terminate an already completed upload\n")
}

func TestResumableUploadWithItsCreation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", nil)
	create := func(length, body string) reply {
		return b.tusReq("POST", resumable, b.service, body).set("X-Upsert", "true").
			set("Upload-Length", length).set("Upload-Metadata", about("bucketName", "docs", "objectName", "a")).send()
	}
	if got := create("5", "whole"); got.status != http.StatusCreated || got.header.Get("Upload-Offset") != "5" || got.header.Get("Tus-Complete") != "1" {
		t.Errorf("%d %s %v", got.status, got.body, got.header)
	}
	if got := b.ok("GET", "/object/docs/a", b.service, nil); got.body != "whole" || got.header.Get("Content-Type") != "application/octet-stream" || got.header.Get("Cache-Control") != "no-cache" {
		t.Errorf("%q %v", got.body, got.header)
	}
	got := create("6", "seco")
	if got.status != http.StatusCreated || got.header.Get("Upload-Offset") != "4" {
		t.Errorf("%d %s %v", got.status, got.body, got.header)
	}
	if got := b.ok("GET", "/object/docs/a", b.service, nil); got.body != "whole" {
		t.Errorf("%q", got.body)
	}
	// Without the header it may not overwrite.
	b.patch(b.location(got), b.service, 4, "nd").says(t, 409, "The resource already exists")
	last := b.tusReq("POST", b.location(got), b.service, "nd").set("X-HTTP-Method-Override", "PATCH").
		set("Upload-Offset", "4").set("X-Upsert", "true").send()
	if last.status != http.StatusNoContent || b.ok("GET", "/object/docs/a", b.service, nil).body != "second" {
		t.Error(last.status, last.body)
	}
	if b.rows() != 1 || b.stored() != 1 {
		t.Errorf("%d rows, %d blobs", b.rows(), b.stored())
	}
	if got := create("0", ""); got.status != http.StatusCreated || b.ok("GET", "/object/docs/a", b.service, nil).body != "" {
		t.Error(got.status, got.body)
	}
}

func TestResumableUploadOfAnyLength(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", map[string]any{"file_size_limit": 8})
	path := b.begin(b.service, "", about("bucketName", "docs", "objectName", "a"))
	if got := b.tusReq("HEAD", path, b.service, nil).send(); got.header.Get("Upload-Defer-Length") != "1" || got.header.Get("Upload-Length") != "" {
		t.Error(got.header)
	}
	b.patch(path, b.service, 0, "0123")
	b.patch(path, b.service, 4, "456789").says(t, 413, "upload's size exceeded\n")
	patch := func(length, body string) reply {
		return b.tusReq("PATCH", path, b.service, body).set("Upload-Offset", "4").set("Upload-Length", length).send()
	}
	patch("3", "").says(t, 400, "Upload-Length or Upload-Defer-Length header required\n")
	patch("9", "").says(t, 413, "Maximum size exceeded\n")
	if got := patch("6", "45"); got.status != http.StatusNoContent || got.header.Get("Tus-Complete") != "1" {
		t.Error(got.status, got.body)
	}
	if got := b.ok("GET", "/object/docs/a", b.service, nil).body; got != "012345" {
		t.Errorf("%q", got)
	}
}

func TestResumableUploadIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", map[string]any{"file_size_limit": 100, "allowed_mime_types": []string{"text/*"}})
	id, alice := b.user()
	_, bob := b.user()
	b.ownFolder("docs")
	create := func(token, length, metadata string) reply {
		return b.tusReq("POST", resumable, token, nil).set("Upload-Length", length).set("Upload-Metadata", metadata).send()
	}
	mine := about("bucketName", "docs", "objectName", id+"/a", "contentType", "text/plain")
	create(bob, "1", mine).says(t, 403, "new row violates row-level security policy")
	create(alice, "101", mine).says(t, 413, "Maximum size exceeded\n")
	create(alice, "-1", mine).says(t, 400, "Invalid upload-length\n")
	create(alice, "", mine).says(t, 400, "Upload-Length or Upload-Defer-Length header required\n")
	create(alice, "1", "").says(t, 400, "Metadata header is required")
	create(alice, "1", about("bucketName", "none", "objectName", "a")).says(t, 404, "Bucket not found")
	create(alice, "1", about("bucketName", "docs", "objectName", id+"/a", "contentType", "image/png")).says(t, 415, "mime type image/png is not supported")
	create(alice, "1", about("bucketName", "docs", "objectName", id+"/a")).says(t, 415, "mime type application/octet-stream is not supported")
	create(alice, "1", about("bucketName", "docs", "objectName", "../../etc")).says(t, 400, "Invalid key: ../../etc")
	create(alice, "1", about("bucketName", "../docs", "objectName", "a")).says(t, 400, "Bucket name invalid")
	create(alice, "1", about("bucketName", "docs", "objectName", "a\x00b")).says(t, 400, "Invalid key: a\x00b")
	create(alice, "1", about("bucketName", "docs", "objectName", id+"/a", "contentType", "text/plain\r\nX: y")).says(t, 400, "Invalid character in contentType")
	create(b.service, "1", about("bucketName", "docs", "objectName", strings.Repeat("x", 1100), "contentType", "text/plain")).says(t, 400, "Invalid key: "+strings.Repeat("x", 1100))
	for _, header := range []string{"bucketName", "bucketName !", "a YQ==,a YQ==", ",", " YQ=="} {
		if got := create(alice, "1", header); got.status != http.StatusBadRequest {
			t.Errorf("%q: %d %s", header, got.status, got.body)
		}
	}
	b.req("POST", resumable, alice, nil).set("Upload-Length", "1").set("Upload-Metadata", mine).send().says(t, 412, "Tus-Resumable Required\n")
	got := create("", "1", mine)
	got.fails(t, "400", "Error", "InvalidRequest", "headers must have required property 'authorization'")
	b.tusReq("POST", resumable, alice, nil).set("Upload-Concat", "partial").set("Upload-Length", "1").set("Upload-Metadata", mine).send().
		says(t, 501, "Concatenation extension is not (yet) supported. Disable parallel uploads in the tus client.\n")

	path := b.begin(alice, "4", mine)
	b.patch(path, bob, 0, "0123").says(t, 403, "new row violates row-level security policy")
	b.tusReq("DELETE", path, bob, nil).send().says(t, 403, "new row violates row-level security policy")
	b.tusReq("PATCH", path, alice, "0123").set("Upload-Offset", "0").set("Content-Type", "text/plain").send().says(t, 400, "Invalid content-type\n")
	b.tusReq("PATCH", path, alice, "0123").send().says(t, 403, "Upload-Offset header required\n")
	for _, other := range []string{"x", "%2e%2e", base64.RawURLEncoding.EncodeToString([]byte("docs/a/b")), path[len(resumable)+1:] + "AA"} {
		b.patch(resumable+"/"+other, alice, 0, "0123").says(t, 404, "The file for this url was not found\n")
	}
	b.at(path, alice, 0)

	// Rights are looked at again at the end.
	b.patch(path, alice, 0, "01")
	b.p.Exec(t, `DROP POLICY own_docs_insert ON storage.objects`)
	b.patch(path, alice, 2, "23").says(t, 403, "new row violates row-level security policy")
	if b.rows() != 0 {
		t.Error("an object without a right to it")
	}
	if got := b.tusReq("DELETE", path, b.service, nil).send(); got.status != http.StatusNoContent {
		t.Error(got.status, got.body)
	}
	if got := b.tusReq("HEAD", path, alice, nil).send(); got.status != http.StatusNotFound || b.stored() != 0 {
		t.Errorf("%d, %d blobs", got.status, b.stored())
	}
}

func TestResumableUploadBySignature(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", nil)
	id, alice := b.user()
	b.ownFolder("docs")
	var signed struct{ Token string }
	b.ok("POST", "/object/upload/sign/docs/"+id+"/a", alice, nil).json(t, &signed)
	send := func(method, path, token, body string, more ...string) reply {
		r := b.tusReq(method, path, "", body).set("X-Signature", token)
		for i := 0; i < len(more); i += 2 {
			r.set(more[i], more[i+1])
		}
		return r.send()
	}
	mine := about("bucketName", "docs", "objectName", id+"/a")
	got := send("POST", resumable+"/sign", signed.Token, "01", "Upload-Length", "4", "Upload-Metadata", mine)
	if got.status != http.StatusCreated {
		t.Fatal(got.status, got.body)
	}
	path := b.location(got)
	if !strings.HasPrefix(path, resumable+"/sign/") {
		t.Error(path)
	}
	send("PATCH", path, "", "23", "Upload-Offset", "2").says(t, 400, "Missing x-signature header")
	send("POST", resumable+"/sign", signed.Token, "", "Upload-Length", "4", "Upload-Metadata", about("bucketName", "docs", "objectName", "other")).says(t, 400, "Invalid signature")
	if got := send("PATCH", path, signed.Token, "23", "Upload-Offset", "2"); got.status != http.StatusNoContent {
		t.Error(got.status, got.body)
	}
	var owner string
	if err := b.p.Owner.QueryRow(t.Context(), "SELECT owner_id FROM storage.objects").Scan(&owner); err != nil || owner != id {
		t.Error(owner, err)
	}
	if got := b.ok("GET", "/object/docs/"+id+"/a", alice, nil).body; got != "0123" {
		t.Errorf("%q", got)
	}
}

func TestResumableOptions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, path := range []string{"", "/", "/x", "/sign", "/sign/x"} {
		got := b.do("OPTIONS", resumable+path, "", nil)
		if h := got.header; got.status != http.StatusNoContent || h.Get("Tus-Version") != "1.0.0" || h.Get("Tus-Max-Size") != "1048576" ||
			h.Get("Tus-Extension") != "creation,creation-with-upload,creation-defer-length,termination,expiration" {
			t.Errorf("%s: %d %v", path, got.status, h)
		}
	}
}

func TestResumableSettings(t *testing.T) {
	t.Parallel()
	for life, valid := range map[int64]bool{999: false, 1000: true, 604_800_000: true, 604_800_001: false} {
		cfg := storage.Config{FileSizeLimit: 1, UploadTTL: 1, EmptyBucketMax: 1, ResumableLife: life, ResumableMax: 1}
		if err := cfg.Validate(); (err == nil) != valid {
			t.Errorf("%d: %v", life, err)
		}
	}
}

// again serves the same database and store by another worker.
func (b *bench) again(store blob.Store, change ...func(*storage.Config, *storage.Deps)) *bench {
	cfg := storage.Config{FileSizeLimit: 64 << 20, UploadTTL: 60, EmptyBucketMax: 1000, ResumableLife: 60_000, ResumableMax: 8}
	deps := storage.Deps{Blobs: store, Log: testkit.Log()}
	for _, c := range change {
		c(&cfg, &deps)
	}
	other := *b
	other.url = testkit.Serve(b.t, b.p.Project, prefix, storage.New(cfg, deps)) + prefix
	return &other
}

// Parts and tails go through the store as they come, and from one worker to the next.
func TestResumableUploadAcrossWorkers(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	open := func() blob.Store {
		store, err := fs.Open(folder)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		return store
	}
	b := newBenchOn(t, open(), func(c *storage.Config) { c.FileSizeLimit = 64 << 20 })
	b.bucket("docs", nil)
	resumes(t, b, func() *bench { return b.again(open()) })
}

// resumes sends an object of 20 MiB in pieces of uneven size, each to another worker.
func resumes(t *testing.T, b *bench, other func() *bench) {
	t.Helper()
	var text strings.Builder
	for i := 0; text.Len() < 20<<20; i++ {
		fmt.Fprintf(&text, "%d,", i)
	}
	whole := text.String()
	path := b.begin(b.service, strconv.Itoa(len(whole)), about("bucketName", "docs", "objectName", "large"))
	offset := 0
	for _, size := range []int{10, 1 << 20, 6 << 20, 3, 9 << 20, len(whole)} {
		end := min(offset+size, len(whole))
		if got := other().patch(path, b.service, offset, whole[offset:end]); got.status != http.StatusNoContent {
			t.Fatalf("at %d: %d %s", offset, got.status, got.body)
		}
		offset = end
		b.at(path, b.service, offset)
	}
	if b.ok("GET", "/object/docs/large", b.service, nil).body != whole {
		t.Error("the bytes differ")
	}
	if b.stored() != 1 || b.rows() != 1 {
		t.Errorf("%d blobs, %d rows", b.stored(), b.rows())
	}
}

// A connection that breaks off loses nothing of what has come.
func TestResumableUploadThatBreaksOff(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", nil)
	path := b.begin(b.service, "2000", about("bucketName", "docs", "objectName", "a"))
	b.abort("PATCH "+prefix+path+" HTTP/1.1\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: 2000", strings.Repeat("x", 1500))
	b.at(path, b.service, 1500)
	if got := b.patch(path, b.service, 1500, strings.Repeat("y", 500)); got.status != http.StatusNoContent {
		t.Error(got.status, got.body)
	}
	if got := b.ok("GET", "/object/docs/a", b.service, nil).body; got != strings.Repeat("x", 1500)+strings.Repeat("y", 500) {
		t.Errorf("%d bytes", len(got))
	}
}

// Of requests that bring the same bytes at once the object has one's, whole.
func TestResumableUploadByTwoAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", nil)
	path := b.begin(b.service, "3000", about("bucketName", "docs", "objectName", "a"))
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			got, err := b.tusReq("PATCH", path, b.service, strings.Repeat(strconv.Itoa(i), 3000)).
				set("Content-Type", "application/offset+octet-stream").set("Upload-Offset", "0").try(context.Background())
			if err != nil || got.status != http.StatusNoContent && got.status != http.StatusConflict && got.status != http.StatusLocked {
				t.Errorf("%d %s: %v", got.status, got.body, err)
			}
		})
	}
	wg.Wait()
	b.at(path, b.service, 3000)
	got := b.ok("GET", "/object/docs/a", b.service, nil).body
	if len(got) != 3000 || strings.Trim(got, got[:1]) != "" {
		t.Errorf("%.20q and %d bytes", got, len(got))
	}
	if b.rows() != 1 || b.stored() != 1 {
		t.Errorf("%d rows, %d blobs", b.rows(), b.stored())
	}
}

// A client that comes again displaces the connection that it has given up.
func TestResumableUploadIsTakenOver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", nil)
	path := b.begin(b.service, "4", about("bucketName", "docs", "objectName", "a"))
	stalled, feed := io.Pipe()
	first := make(chan reply)
	go func() {
		r := b.tusReq("PATCH", path, b.service, stalled).set("Upload-Offset", "0")
		got, err := r.try(context.Background())
		if err != nil {
			t.Error(err)
		}
		first <- got
	}()
	_, _ = feed.Write([]byte("x"))
	b.waitFor("SELECT count(*) FROM madbase.storage_uploads WHERE holder IS NOT NULL")
	if got := b.patch(path, b.service, 0, "01"); got.status != http.StatusNoContent {
		t.Error(got.status, got.body)
	}
	_, _ = feed.Write([]byte("xxx"))
	_ = feed.Close()
	(<-first).says(t, 423, "Request aborted due to lock acquired\n")
	b.at(path, b.service, 2)
	b.patch(path, b.service, 2, "23")
	if got := b.ok("GET", "/object/docs/a", b.service, nil).body; got != "0123" || b.stored() != 1 {
		t.Errorf("%q, %d blobs", got, b.stored())
	}
}

// Clients that begin to send and then stall hold what they sent, and keep nobody else from sending.
func TestResumableUploadsThatStallKeepNobodyWaiting(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *storage.Config) { c.FileSizeLimit, c.ResumableMax = 64<<20, 2 })
	b.bucket("docs", nil)
	var stalled sync.WaitGroup
	var feeds []*io.PipeWriter
	defer func() {
		for _, feed := range feeds {
			_ = feed.Close()
		}
		stalled.Wait()
	}()
	for i := range 8 {
		path := b.begin(b.service, "9000000", about("bucketName", "docs", "objectName", "slow"+strconv.Itoa(i)))
		body, feed := io.Pipe()
		feeds = append(feeds, feed)
		stalled.Go(func() {
			got, err := b.tusReq("PATCH", path, b.service, body).set("Upload-Offset", "0").try(t.Context())
			if err != nil || got.status != http.StatusNoContent {
				t.Errorf("stalled: %d %s, %v", got.status, got.body, err)
			}
		})
		if _, err := feed.Write([]byte("x")); err != nil { // returns when it is on its way
			t.Fatal(err)
		}
	}
	b.waitFor("SELECT count(*) / 8 FROM madbase.storage_uploads WHERE holder IS NOT NULL")
	whole := strings.Repeat("0123456789", 1_000_000)
	path := b.begin(b.service, "10000000", about("bucketName", "docs", "objectName", "quick"))
	offset := 0
	for _, end := range []int{4_000_000, 5_000_000, 10_000_000} { // with a tail
		if got := b.patch(path, b.service, offset, whole[offset:end]); got.status != http.StatusNoContent {
			t.Fatal(got.status, got.body)
		}
		offset = end
	}
	if b.ok("GET", "/object/docs/quick", b.service, nil).body != whole {
		t.Error("the bytes differ")
	}
}

// waitFor waits until the count is one.
func (b *bench) waitFor(query string) {
	b.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for n, over := 0, time.After(20*time.Second); n != 1; {
		select {
		case <-tick.C:
			if err := b.p.Owner.QueryRow(context.Background(), query).Scan(&n); err != nil {
				b.t.Fatal(err)
			}
		case <-over:
			b.t.Fatalf("%s: %d", query, n)
		}
	}
}

// brittle fails where it is told to.
type brittle struct {
	*fs.Store
	complete bool
}

func (s *brittle) CompleteMultipart(ctx context.Context, up blob.Upload, parts []blob.Part) (blob.Info, error) {
	info, err := s.Store.CompleteMultipart(ctx, up, parts)
	if s.complete {
		s.complete = false
		return info, errors.New("the answer was lost")
	}
	return info, err
}

// A worker that dies between the last byte and the answer leaves an upload that the next request ends.
func TestResumableUploadAfterACrashAtItsEnd(t *testing.T) {
	t.Parallel()
	folder, err := fs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = folder.Close() })
	store := &brittle{Store: folder, complete: true}
	b := newBenchOn(t, store, func(c *storage.Config) { c.FileSizeLimit = 64 << 20 })
	b.bucket("docs", nil)
	large := strings.Repeat("x", 9<<20)
	path := b.begin(b.service, strconv.Itoa(len(large)), about("bucketName", "docs", "objectName", "a"))
	if got := b.patch(path, b.service, 0, large); got.status != http.StatusInternalServerError {
		t.Error(got.status, got.body)
	}
	const acknowledged = 8 << 20
	b.at(path, b.service, acknowledged)
	if b.rows() != 0 {
		t.Error("an object that was not acknowledged")
	}
	for range 2 {
		if got := b.patch(path, b.service, acknowledged, large[acknowledged:]); got.status != http.StatusNoContent || got.header.Get("Tus-Complete") != "1" {
			t.Error(got.status, got.body)
		}
		if got := b.ok("GET", "/object/docs/a", b.service, nil); got.body != large || got.header.Get("ETag") == `""` {
			t.Errorf("%d bytes, %v", len(got.body), got.header)
		}
		if b.rows() != 1 || b.stored() != 1 {
			t.Errorf("%d rows, %d blobs", b.rows(), b.stored())
		}
		// As if it had died between the object's row and the upload's.
		b.p.Exec(t, "UPDATE madbase.storage_uploads SET state = 'whole', received = $1", acknowledged)
	}
}

// Uploads that nobody goes on with are removed, with all they brought.
func TestResumableUploadsExpire(t *testing.T) {
	t.Parallel()
	folder, err := fs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = folder.Close() })
	b := newBenchOn(t, folder, func(c *storage.Config) { c.FileSizeLimit = 64 << 20 })
	b.bucket("docs", nil)
	kept := b.begin(b.service, "4", about("bucketName", "docs", "objectName", "kept"))
	done := b.begin(b.service, "4", about("bucketName", "docs", "objectName", "done"))
	b.patch(done, b.service, 0, "done")
	tail := b.begin(b.service, "4", about("bucketName", "docs", "objectName", "tail"))
	b.patch(tail, b.service, 0, "x")
	parts := b.begin(b.service, strconv.Itoa(20<<20), about("bucketName", "docs", "objectName", "parts"))
	b.patch(parts, b.service, 0, strings.Repeat("x", 9<<20))
	b.p.Exec(t, "UPDATE madbase.storage_uploads SET expires_at = now() - interval '1 second' WHERE name <> 'kept'")
	b.patch(parts, b.service, 9<<20, "x").says(t, 410, "The file for this url no longer exists\n")
	b.again(folder, func(c *storage.Config, d *storage.Deps) {
		c.ResumableLife, d.Projects = 1000, project.NewDirectory(b.p.Project)
	})
	b.waitFor("SELECT count(*) FROM madbase.storage_uploads")
	b.at(kept, b.service, 0)
	if got := b.ok("GET", "/object/docs/done", b.service, nil).body; got != "done" || b.stored() != 1 {
		t.Errorf("%q, %d blobs", got, b.stored())
	}
}
