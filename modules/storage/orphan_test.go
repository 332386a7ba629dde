package storage_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/madbase/madbase/modules/storage"
	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/blob/mem"
)

// sweep returns what a sweep finds, as "kind bucket/name" and with "!" where it was removed.
func (b *bench) sweep(o *storage.Orphans, s storage.Search) (found []string) {
	b.t.Helper()
	if s.Before.IsZero() {
		s.Before = time.Now().Add(time.Minute)
	}
	err := o.Sweep(b.t.Context(), b.p.Project, s, func(list []storage.Orphan) error {
		for _, one := range list {
			text := one.Kind + " " + one.Bucket + "/" + one.Name
			if one.Removed {
				text += "!"
			}
			found = append(found, text)
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

// left puts bytes under a key that no request made.
func (b *bench) left(key string) {
	b.t.Helper()
	if _, err := b.blobs.Put(b.t.Context(), "default/"+key, strings.NewReader("left"), blob.PutOptions{Size: 4}); err != nil {
		b.t.Fatal(err)
	}
}

func atOnce() error { return nil }

func TestSweepFindsWhatNoRowNames(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", nil)
	for _, name := range []string{"a", "d//e", "gone", "x"} {
		b.ok("POST", "/object/docs/"+name, b.service, name)
	}
	version := uuid.NewString
	// What a crash leaves: a version without a row, of an object, of none and of no bucket; and an upload's tail.
	b.left("docs/a/" + version())
	b.left("docs/d/%/e/" + version())
	b.left("docs/none/" + version())
	b.left("nobucket/n/" + version())
	b.left("%uploads/" + version() + "/" + version())
	// What is somebody's: of another's making, of an old project, of uploads under way.
	b.left("docs/x/readme.txt")
	b.left("docs/x/" + version() + ".info")
	old, live, s3 := version(), version(), version()
	b.left("docs/old/" + old)
	b.left("docs/live/" + live)
	b.left("docs/s3/" + s3)
	b.p.Exec(t, fmt.Sprintf(`INSERT INTO storage.objects (bucket_id, name) VALUES ('docs', 'old/%s');
		INSERT INTO madbase.storage_uploads (id, bucket_id, name, said, version, state, expires_at) VALUES (gen_random_uuid(), 'docs', 'live', '', '%s', 'whole', now());
		INSERT INTO storage.s3_multipart_uploads (id, upload_signature, bucket_id, key, version) VALUES ('u', '', 'docs', 's3', '%s')`, old, live, s3))
	path := b.begin(b.service, "10", about("bucketName", "docs", "objectName", "t"))
	b.patch(path, b.service, 0, "0123")
	// A row without bytes.
	for info, err := range b.blobs.List(t.Context(), "default/docs/gone/") {
		if err == nil {
			err = b.blobs.Delete(t.Context(), info.Key)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	stored := b.stored()
	orphans := storage.NewOrphans(b.blobs).BetweenLooks(atOnce)
	if got := b.sweep(orphans, storage.Search{Before: time.Now().Add(-time.Hour)}); len(got) != 0 {
		t.Errorf("young ones were found: %q", got)
	}
	want := []string{"bytes docs/a", "bytes docs/d//e", "bytes docs/none"}
	rows := []string{"row docs/gone", "row docs/old/" + old}
	if got := b.sweep(orphans, storage.Search{Bucket: "docs"}); !slices.Equal(got, append(slices.Clone(want), rows...)) {
		t.Errorf("%q", got)
	}
	found := b.sweep(orphans, storage.Search{})
	if len(found) != 7 || !strings.HasPrefix(found[0], "bytes %uploads/") || found[4] != "bytes nobucket/n" || b.stored() != stored {
		t.Errorf("%q, %d of %d blobs", found, b.stored(), stored)
	}
	removed := b.sweep(orphans, storage.Search{Remove: true, SkipRows: true})
	for i := range found[:5] {
		found[i] += "!"
	}
	if !slices.Equal(removed, found[:5]) || b.stored() != stored-5 {
		t.Errorf("%q, %d of %d blobs", removed, b.stored(), stored)
	}
	if got := b.sweep(orphans, storage.Search{}); !slices.Equal(got, rows) {
		t.Errorf("%q", got)
	}
	for _, name := range []string{"a", "d//e", "x"} {
		if got := b.ok("GET", "/object/docs/"+name, b.service, nil).body; got != name {
			t.Errorf("%q", got)
		}
	}
	b.at(path, b.service, 4)
}

// Bytes whose row is being written have none at the first look.
func TestSweepSparesUploadsUnderWay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", nil)
	version := uuid.NewString()
	b.left("docs/late/" + version)
	b.left("docs/lost/" + uuid.NewString())
	orphans := storage.NewOrphans(b.blobs).BetweenLooks(func() error {
		b.p.Exec(t, "INSERT INTO storage.objects (bucket_id, name, version, metadata) VALUES ('docs', 'late', '"+version+`', '{"size":4,"mimetype":"text/plain"}')`)
		return nil
	})
	if got := b.sweep(orphans, storage.Search{Remove: true}); !slices.Equal(got, []string{"bytes docs/lost!"}) {
		t.Errorf("%q", got)
	}
	if got := b.ok("GET", "/object/docs/late", b.service, nil).body; got != "left" {
		t.Errorf("%q", got)
	}
}

// A copy of an old object is young, though in a folder it shares the old one's file.
func TestCopiesOfOldObjectsAreYoung(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.left("docs/a/" + uuid.NewString())
	for info := range b.blobs.List(t.Context(), "default/docs/a/") {
		before := time.Now()
		copied, err := b.blobs.Copy(t.Context(), info.Key, "default/docs/b/"+uuid.NewString())
		if err != nil {
			t.Fatal(err)
		}
		if stat, err := b.blobs.Stat(t.Context(), copied.Key); err != nil || stat.Modified.Before(before.Add(-time.Second)) || copied.Modified.Before(before) {
			t.Errorf("%v %v %v", copied, stat, err)
		}
	}
}

// aged has its uploads begun long ago.
type aged struct{ *mem.Store }

func (a aged) Unfinished(ctx context.Context, prefix string) iter.Seq2[blob.Begun, error] {
	return func(yield func(blob.Begun, error) bool) {
		for begun, err := range a.Store.Unfinished(ctx, prefix) {
			begun.Since = begun.Since.Add(-48 * time.Hour)
			if !yield(begun, err) {
				return
			}
		}
	}
}

func TestSweepRemovesUnfinishedUploads(t *testing.T) {
	t.Parallel()
	store := mem.New()
	b := newBenchOn(t, store)
	b.bucket("docs", nil)
	begin := func(name, version string) blob.Upload {
		up, err := store.CreateMultipart(t.Context(), "default/docs/"+name+"/"+version, blob.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return up
	}
	live := uuid.NewString()
	begin("lost", uuid.NewString())
	begin("live", live)
	begin("other", "not-ours")
	b.p.Exec(t, "INSERT INTO storage.s3_multipart_uploads (id, upload_signature, bucket_id, key, version) VALUES ('u', '', 'docs', 'live', '"+live+"')")
	orphans := storage.NewOrphans(store).BetweenLooks(atOnce)
	if got := b.sweep(orphans, storage.Search{Remove: true}); len(got) != 0 {
		t.Errorf("uploads of today: %q", got)
	}
	orphans = storage.NewOrphans(aged{store}).BetweenLooks(atOnce)
	if got := b.sweep(orphans, storage.Search{}); !slices.Equal(got, []string{"upload docs/lost"}) {
		t.Errorf("%q", got)
	}
	if got := b.sweep(orphans, storage.Search{Remove: true}); !slices.Equal(got, []string{"upload docs/lost!"}) {
		t.Errorf("%q", got)
	}
	if got := b.sweep(orphans, storage.Search{}); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

// More orphans than are looked up, and than wait, at once.
func TestSweepOfMany(t *testing.T) {
	t.Parallel()
	b := newBenchOn(t, mem.New())
	b.bucket("docs", nil)
	const many = 2500
	for i := range many {
		b.left(fmt.Sprintf("docs/%04d/%s", i, uuid.NewString()))
	}
	b.p.Exec(t, `INSERT INTO storage.objects (bucket_id, name, version) SELECT 'docs', 'row' || n, gen_random_uuid()::text FROM generate_series(1, 2500) AS n`)
	orphans := storage.NewOrphans(b.blobs).BetweenLooks(atOnce)
	if got := b.sweep(orphans, storage.Search{Remove: true}); len(got) != 2*many {
		t.Errorf("%d found", len(got))
	}
	if b.stored() != 0 || b.rows() != many {
		t.Errorf("%d blobs, %d rows", b.stored(), b.rows())
	}
}

func TestSweepRefusesBadBuckets(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, bucket := range []string{"../other", "a/b", ".", "%uploads"} {
		err := storage.NewOrphans(b.blobs).Sweep(t.Context(), b.p.Project, storage.Search{Bucket: bucket}, func([]storage.Orphan) error { return nil })
		if err == nil {
			t.Errorf("%q passed", bucket)
		}
	}
}
