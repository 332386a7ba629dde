package storage_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/madbase/madbase/modules/storage"
	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/blob/fs"
	"github.com/madbase/madbase/platform/project"
)

// office stands for what gets webhooks and purges.
type office struct {
	t   testing.TB
	url string

	mu     sync.Mutex
	status func(n int) int // of the n-th request, from 1
	got    []letter
}

type letter struct {
	path, authorization, body string
}

func newOffice(t testing.TB) *office {
	o := &office{t: t, status: func(int) int { return http.StatusOK }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		o.mu.Lock()
		defer o.mu.Unlock()
		o.got = append(o.got, letter{r.Method + " " + r.URL.Path, r.Header.Get("Authorization"), string(body)})
		w.WriteHeader(o.status(len(o.got)))
	}))
	t.Cleanup(server.Close)
	o.url = server.URL
	return o
}

// wait returns the first n requests once they are there.
func (o *office) wait(n int) []letter {
	o.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for over := time.After(30 * time.Second); ; {
		o.mu.Lock()
		got := slices.Clone(o.got)
		o.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-tick.C:
		case <-over:
			o.t.Fatalf("%d requests of %d: %v", len(got), n, got)
		}
	}
}

// happened is an event as a webhook reads it.
type happened struct {
	Type  string
	Event struct {
		Type      string
		Region    string
		Version   string `json:"$version"`
		ApplyTime int64
		Payload   struct {
			Tenant                                  struct{ Ref, Host string }
			Name, Version, BucketID, ReqID, SBReqID string
			UploadType                              string
			Metadata                                map[string]any
			OldObject                               *struct{ Name, BucketID, Version, ReqID string }
		}
	}
	SentAt time.Time
	Tenant struct{ Ref, Host string }
}

func (l letter) event(t testing.TB) (h happened) {
	t.Helper()
	if err := json.Unmarshal([]byte(l.body), &h); err != nil {
		t.Fatalf("%s: %v", l.body, err)
	}
	return h
}

// told is what happened, in short and in the order of names.
func told(t testing.TB, letters []letter) []string {
	var list []string
	for _, l := range letters {
		e := l.event(t)
		list = append(list, fmt.Sprint(e.Event.Type, " ", e.Event.Payload.BucketID, "/", e.Event.Payload.Name, " ", e.Event.Payload.UploadType))
	}
	slices.Sort(list)
	return list
}

// newsBench is a bench whose news are brought to o.
func newsBench(t testing.TB, o *office, change ...func(*storage.Config)) *bench {
	t.Helper()
	store, err := fs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return newBenchOn(t, store).again(store, func(c *storage.Config, d *storage.Deps) {
		c.Outbox.WebhookURL, c.Outbox.WebhookAPIKey, c.Outbox.Region = o.url+"/hook", "hook-key", "here"
		for _, f := range change {
			f(c)
		}
	})
}

// working has the bench's news brought too.
func (b *bench) working(o *office) *bench {
	return b.again(b.blobs, func(c *storage.Config, d *storage.Deps) {
		c.Outbox.WebhookURL, c.Outbox.WebhookAPIKey, c.Outbox.Region = o.url+"/hook", "hook-key", "here"
		d.Projects = project.NewDirectory(b.p.Project)
	})
}

func (b *bench) waiting() (n int) {
	b.t.Helper()
	if err := b.p.Owner.QueryRow(context.Background(), "SELECT count(*) FROM madbase.storage_outbox").Scan(&n); err != nil {
		b.t.Fatal(err)
	}
	return n
}

func TestWebhookHearsOfEveryChange(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	b := newsBench(t, o).working(o)
	b.bucket("docs", nil)
	b.bucket("more", nil)
	id, alice := b.user()
	b.ownFolder("docs")
	name := id + "/a.txt"
	b.req("POST", "/object/docs/"+name, alice, "one").set("X-Forwarded-Host", "api.example").set("Sb-Request-Id", "sb1").set("X-Request-Id", "r1").send()
	first := o.wait(1)[0]
	if first.path != "POST /hook" || first.authorization != "Bearer hook-key" {
		t.Errorf("%+v", first)
	}
	e := first.event(t)
	payload := e.Event.Payload
	if e.Type != "Webhook" || e.Event.Region != "here" || e.Event.Version != "v1" || time.Since(time.UnixMilli(e.Event.ApplyTime)).Abs() > time.Minute ||
		time.Since(e.SentAt).Abs() > time.Minute || e.Tenant.Ref != b.p.Ref || e.Tenant.Host != "api.example" || payload.Tenant != e.Tenant ||
		payload.SBReqID != "sb1" || payload.ReqID == "" || len(payload.Version) != 36 || payload.Metadata["size"] != 3.0 || payload.Metadata["mimetype"] != "text/plain" {
		t.Errorf("%s", first.body)
	}
	b.ok("PUT", "/object/docs/"+name, alice, "two")
	b.ok("PUT", "/object/docs/"+id+"/b.txt", alice, "new")
	b.ok("POST", "/object/copy", alice, map[string]any{"bucketId": "docs", "sourceKey": name, "destinationKey": id + "/c.txt"})
	b.ok("POST", "/object/move", b.service, map[string]any{"bucketId": "docs", "sourceKey": name, "destinationBucket": "more", "destinationKey": "m.txt"})
	b.ok("DELETE", "/object/docs/"+id+"/b.txt", alice, nil)
	b.ok("DELETE", "/object/docs", alice, map[string]any{"prefixes": []string{id + "/c.txt", "nothing", "m.txt"}})
	path := b.begin(alice, "4", about("bucketName", "docs", "objectName", id+"/t.txt"))
	b.patch(path, alice, 0, "0123")
	b.ok("POST", "/bucket/more/empty", b.service, nil)
	all := o.wait(10)
	want := []string{
		"ObjectCreated:Copy docs/ID/c.txt standard", "ObjectCreated:Move more/m.txt standard",
		"ObjectCreated:Post docs/ID/a.txt standard", "ObjectCreated:Post docs/ID/b.txt standard", "ObjectCreated:Post docs/ID/t.txt resumable",
		"ObjectCreated:Put docs/ID/a.txt standard",
		"ObjectRemoved:Delete docs/ID/b.txt ", "ObjectRemoved:Delete docs/ID/c.txt ", "ObjectRemoved:Delete more/m.txt ", "ObjectRemoved:Move docs/ID/a.txt ",
	}
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], "ID", id)
	}
	if got := told(t, all); !slices.Equal(got, want) {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
	for _, l := range all {
		if e := l.event(t).Event; e.Type == "ObjectCreated:Move" && (e.Payload.OldObject == nil || e.Payload.OldObject.Name != name ||
			e.Payload.OldObject.BucketID != "docs" || e.Payload.OldObject.Version == "" || e.Payload.OldObject.Version == e.Payload.Version) {
			t.Errorf("%s", l.body)
		}
	}
	b.waitFor("SELECT CASE WHEN EXISTS (SELECT FROM madbase.storage_outbox) THEN 0 ELSE 1 END")
}

// News are in the same transaction as the row: none without the other.
func TestNewsAreWrittenWithTheirRow(t *testing.T) {
	t.Parallel()
	b := newsBench(t, newOffice(t)) // brings nothing
	b.bucket("docs", nil)
	_, alice := b.user()
	b.ok("POST", "/object/docs/a", b.service, "a")
	if b.waiting() != 1 {
		t.Errorf("%d", b.waiting())
	}
	for _, got := range []reply{
		b.do("POST", "/object/docs/a", b.service, "twice"), b.do("POST", "/object/docs/b", alice, "not allowed"),
		b.do("DELETE", "/object/docs/a", alice, nil), b.do("DELETE", "/object/docs/none", b.service, nil),
		b.do("POST", "/object/copy", b.service, map[string]any{"bucketId": "docs", "sourceKey": "none", "destinationKey": "c"}),
	} {
		if got.status == http.StatusOK {
			t.Error(got.body)
		}
	}
	b.p.Exec(t, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
		CREATE CONSTRAINT TRIGGER refuse AFTER INSERT OR DELETE ON storage.objects DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`)
	if got := b.do("POST", "/object/docs/c", b.service, "c"); got.status == http.StatusOK {
		t.Error(got.body)
	}
	if got := b.do("DELETE", "/object/docs/a", b.service, nil); got.status == http.StatusOK {
		t.Error(got.body)
	}
	if b.waiting() != 1 || b.rows() != 1 {
		t.Errorf("%d news, %d rows", b.waiting(), b.rows())
	}
}

func TestNoNewsWithoutAWebhook(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", map[string]any{"public": true})
	b.ok("POST", "/object/docs/a", b.service, "a")
	b.ok("DELETE", "/object/docs/a", b.service, nil)
	b.ok("PUT", "/bucket/docs", b.service, map[string]any{"public": false})
	b.ok("DELETE", "/bucket/docs", b.service, nil)
	if b.waiting() != 0 {
		t.Errorf("%d", b.waiting())
	}
}

// What the transaction of a delete does at its end has the caller's rights, not those under which news are put down.
func TestNewsLeaveTheCallersRole(t *testing.T) {
	t.Parallel()
	b := newsBench(t, newOffice(t))
	b.bucket("docs", nil)
	id, alice := b.user()
	b.ownFolder("docs")
	b.p.Exec(t, `CREATE TABLE seen (who text); GRANT INSERT ON seen TO PUBLIC;
		CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen VALUES (current_user); RETURN NULL; END $$;
		CREATE CONSTRAINT TRIGGER see AFTER DELETE ON storage.objects DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION see()`)
	b.ok("POST", "/object/docs/"+id+"/a", alice, "a")
	b.ok("DELETE", "/object/docs/"+id+"/a", alice, nil)
	var who string
	if err := b.p.Owner.QueryRow(t.Context(), "SELECT who FROM seen").Scan(&who); err != nil || who != "authenticated" {
		t.Errorf("%q %v", who, err)
	}
	for _, role := range []string{"anon", "authenticated", "service_role"} {
		for _, sql := range []string{"SELECT count(*) FROM madbase.storage_outbox", "DELETE FROM madbase.storage_outbox", "UPDATE madbase.storage_outbox SET attempts = 1"} {
			if _, err := b.p.Owner.Exec(t.Context(), "BEGIN; SET LOCAL ROLE "+role+"; "+sql); err == nil || !strings.Contains(err.Error(), "42501") {
				t.Errorf("%s may %s: %v", role, sql, err)
			}
		}
	}
}

func TestWebhookThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.status = func(n int) int {
		if n <= 2 {
			return http.StatusInternalServerError
		}
		return http.StatusNoContent
	}
	b := newsBench(t, o).working(o)
	b.bucket("docs", nil)
	b.ok("POST", "/object/docs/a", b.service, "a")
	got := o.wait(3)
	if e := got[2].event(t); e.Event.Payload.Name != "a" || e.Event.ApplyTime != got[0].event(t).Event.ApplyTime {
		t.Error(got)
	}
	b.waitFor("SELECT CASE WHEN EXISTS (SELECT FROM madbase.storage_outbox) THEN 0 ELSE 1 END")
}

func TestNewsAreGivenUpAfterADay(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.status = func(int) int { return http.StatusInternalServerError }
	b := newsBench(t, o)
	b.bucket("docs", nil)
	b.ok("POST", "/object/docs/a", b.service, "a")
	b.p.Exec(t, "UPDATE madbase.storage_outbox SET created_at = now() - interval '25 hours'")
	b.working(o)
	o.wait(1)
	b.waitFor("SELECT CASE WHEN EXISTS (SELECT FROM madbase.storage_outbox) THEN 0 ELSE 1 END")
}

// Several workers share the outbox: each of many events leaves once.
func TestWorkersShareNews(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	quiet := newsBench(t, o)
	quiet.bucket("docs", nil)
	const events = 60
	var names []string
	for i := range events / 2 {
		names = append(names, fmt.Sprintf("n%02d", i))
		quiet.ok("POST", "/object/docs/"+names[i], quiet.service, "x")
	}
	quiet.ok("DELETE", "/object/docs", quiet.service, map[string]any{"prefixes": names})
	for range 3 {
		quiet.working(o)
	}
	o.wait(events)
	quiet.waitFor("SELECT CASE WHEN EXISTS (SELECT FROM madbase.storage_outbox) THEN 0 ELSE 1 END")
	if got := told(t, o.wait(events)); len(got) != events || len(slices.Compact(got)) != events {
		t.Errorf("%d events, %d different ones", len(got), len(slices.Compact(got)))
	}
}

func TestPurge(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	b := newBench(t)
	b.do("DELETE", "/cdn", b.service, nil).fails(t, "400", "MissingParameter", "MissingParameter", "Missing Required Parameter CDN_PURGE_ENDPOINT_URL is not set")
	b = b.again(b.blobs, func(c *storage.Config, d *storage.Deps) {
		c.Outbox.PurgeURL, c.Outbox.PurgeKey, d.Projects = o.url+"/cache/?x=1", "cdn-key", project.NewDirectory(b.p.Project)
	})
	ref := `"tenant":{"ref":"` + b.p.Ref + `"}`
	for i, c := range []struct{ path, body string }{
		{"/cdn", `{"type":"tenant",` + ref + `}`},
		{"/cdn?transformations=true", `{"type":"tenant-transforms",` + ref + `}`},
		{"/cdn/docs?transformations=false", `{"type":"bucket",` + ref + `,"bucketId":"docs"}`},
		{"/cdn/docs?transformations=true", `{"type":"bucket-transforms",` + ref + `,"bucketId":"docs"}`},
		{"/cdn/docs/a%20b/c", `{"type":"object",` + ref + `,"bucketId":"docs","objectName":"a b/c"}`},
		{"/cdn/docs/a?transformations=true", `{"type":"object-transforms",` + ref + `,"bucketId":"docs","objectName":"a"}`},
	} {
		if got := b.ok("DELETE", c.path, b.service, nil); got.body != `{"message":"success","statusCode":"200"}`+"\n" && got.body != `{"message":"success","statusCode":"200"}` {
			t.Error(got.body)
		}
		if got := o.wait(i + 1)[i]; got != (letter{"POST /cache/purge", "Bearer cdn-key", c.body}) {
			t.Errorf("%+v", got)
		}
	}
	_, alice := b.user()
	if got := b.do("DELETE", "/cdn/docs", alice, nil); got.status != http.StatusForbidden {
		t.Errorf("%d %s", got.status, got.body)
	}
	b.do("DELETE", "/cdn?transformations=x", b.service, nil).fails(t, "400", "Error", "InvalidRequest", "querystring/transformations must be boolean")
	o.mu.Lock()
	o.status = func(int) int { return http.StatusBadGateway }
	o.mu.Unlock()
	if got := b.do("DELETE", "/cdn/docs", b.service, nil); got.status != http.StatusInternalServerError {
		t.Error(got.status)
	} else {
		got.fails(t, "500", "InternalError", "InternalError", "Error purging cache")
	}
}

// A CDN forgets a bucket that is public no more, also when it was away at first.
func TestPurgeOfWhatIsPublicNoMore(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.status = func(n int) int {
		if n == 1 {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	}
	b := newBench(t)
	b = b.again(b.blobs, func(c *storage.Config, d *storage.Deps) {
		c.Outbox.PurgeURL, d.Projects = o.url, project.NewDirectory(b.p.Project)
	})
	b.bucket("docs", map[string]any{"public": true})
	b.bucket("kept", nil)
	b.ok("PUT", "/bucket/docs", b.service, map[string]any{"file_size_limit": 10})
	b.ok("PUT", "/bucket/kept", b.service, map[string]any{"public": false})
	b.ok("PUT", "/bucket/kept", b.service, map[string]any{"public": true})
	if b.waiting() != 0 {
		t.Errorf("%d", b.waiting())
	}
	b.ok("PUT", "/bucket/docs", b.service, map[string]any{"public": false})
	want := letter{"POST /purge", "", `{"type":"bucket","tenant":{"ref":"` + b.p.Ref + `"},"bucketId":"docs"}`}
	for _, got := range o.wait(2) {
		if got != want {
			t.Errorf("%+v", got)
		}
	}
	b.ok("DELETE", "/bucket/kept", b.service, nil)
	if got := o.wait(3)[2].body; !strings.Contains(got, `"kept"`) {
		t.Error(got)
	}
}

func TestOutboxSettings(t *testing.T) {
	t.Parallel()
	for value, valid := range map[string]bool{"": true, "http://a/b": true, "https://a": true, "ftp://a": false, "a/b": false, "://": false} {
		cfg := storage.Config{FileSizeLimit: 1, UploadTTL: 1, EmptyBucketMax: 1, ResumableLife: 1000, ResumableMax: 1}
		cfg.Outbox.WebhookURL, cfg.Outbox.PurgeURL = value, value
		err := cfg.Validate()
		if (err == nil) != valid {
			t.Errorf("%q: %v", value, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "WEBHOOK_URL") || !strings.Contains(err.Error(), "CDN_PURGE_ENDPOINT_URL")) {
			t.Error(err)
		}
	}
}

// Events of the S3 protocol come from the same places.
func TestWebhookHearsOfS3(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	b := newsBench(t, o)
	b = b.again(b.blobs, s3Heard(b, o))
	b.bucket("docs", nil)
	s3 := b.s3()
	docs, a, large, copied, source := "docs", "a", "large", "copied", "docs/a"
	s3.put(docs, a, "one")
	s3.put(docs, a, "two")
	id, parts := s3.multipart(docs, large, strings.Repeat("x", blob.MinPart), "end")
	if _, err := s3.complete(docs, large, id, parts); err != nil {
		t.Fatal(err)
	}
	if _, err := s3.CopyObject(t.Context(), &awss3.CopyObjectInput{Bucket: &docs, Key: &copied, CopySource: &source}); err != nil {
		t.Fatal(err)
	}
	if _, err := s3.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: &docs, Key: &a}); err != nil {
		t.Fatal(err)
	}
	if _, err := s3.DeleteObjects(t.Context(), &awss3.DeleteObjectsInput{
		Bucket: &docs, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: &large}, {Key: &copied}}},
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"ObjectCreated:Copy docs/copied s3", "ObjectCreated:Post docs/a s3", "ObjectCreated:Post docs/large s3", "ObjectCreated:Put docs/a s3",
		"ObjectRemoved:Delete docs/a ", "ObjectRemoved:Delete docs/copied ", "ObjectRemoved:Delete docs/large ",
	}
	if got := told(t, o.wait(len(want))); !slices.Equal(got, want) {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

func s3Heard(b *bench, o *office) func(*storage.Config, *storage.Deps) {
	return func(c *storage.Config, d *storage.Deps) {
		s3On(c)
		c.Outbox.WebhookURL, d.Projects = o.url+"/hook", project.NewDirectory(b.p.Project)
	}
}
