package storage_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/madbase/madbase/modules/storage"
	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/blob/fs"
	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/registry"
	"github.com/madbase/madbase/platform/testdb"
	"github.com/madbase/madbase/platform/testkit"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, append(testdb.IgnoreGoroutines(), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"), goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"))...)
}

// bench is a storage service on a database and a folder of its own.
type bench struct {
	t     testing.TB
	p     *testkit.Project
	url   string
	blobs blob.Store
	http  *http.Client

	anon, service string
}

const prefix = "/storage/v1"

func newBench(t testing.TB, change ...func(*storage.Config)) *bench {
	t.Helper()
	store, err := fs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return newBenchOn(t, store, change...)
}

func newBenchOn(t testing.TB, store blob.Store, change ...func(*storage.Config)) *bench {
	t.Helper()
	cfg := storage.Config{FileSizeLimit: 1 << 20, UploadTTL: 60, EmptyBucketMax: 1000, ResumableLife: 60_000, ResumableMax: 8}
	for _, c := range change {
		c(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	p := testkit.NewProject(t, "storage")
	b := &bench{t: t, p: p, blobs: store, http: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(b.http.CloseIdleConnections)
	b.url = testkit.Serve(t, p.Project, prefix, storage.New(cfg, storage.Deps{Blobs: store, Log: testkit.Log(), Sealer: sealer(t)})) + prefix
	b.anon, b.service = p.Keys.API().Anon.Reveal(), p.Keys.API().Service.Reveal()
	return b
}

// sealer encrypts what a test's database keeps secret.
func sealer(t testing.TB) *registry.Sealer {
	t.Helper()
	s, err := registry.NewSealer(registry.Config{}, testkit.JWTSecret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// user returns the id and token of a signed-in user.
func (b *bench) user() (id, token string) {
	b.t.Helper()
	id = uuid.NewString()
	return id, b.token(map[string]any{"sub": id, "role": claims.RoleAuthenticated, "exp": time.Now().Add(time.Hour).Unix()})
}

func (b *bench) token(payload map[string]any) string {
	b.t.Helper()
	text, err := json.Marshal(payload)
	if err != nil {
		b.t.Fatal(err)
	}
	token, err := b.p.Keys.Sign(text)
	if err != nil {
		b.t.Fatal(err)
	}
	return token
}

// reply is an answer read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

// req is a request to be changed before it is sent.
type req struct {
	b       *bench
	method  string
	path    string
	body    io.Reader
	header  http.Header
	chunked bool
}

func (b *bench) req(method, path, token string, body any) *req {
	r := &req{b: b, method: method, path: path, header: http.Header{}}
	switch v := body.(type) {
	case nil:
	case string:
		r.body = strings.NewReader(v)
		r.header.Set("Content-Type", "text/plain")
	case []byte:
		r.body = bytes.NewReader(v)
		r.header.Set("Content-Type", "application/octet-stream")
	case io.Reader:
		r.body = v
	default:
		text, err := json.Marshal(v)
		if err != nil {
			b.t.Fatal(err)
		}
		r.body = bytes.NewReader(text)
		r.header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.header.Set("Authorization", "Bearer "+token)
	}
	return r
}

func (r *req) set(name, value string) *req {
	r.header.Set(name, value)
	return r
}

func (r *req) try(ctx context.Context) (reply, error) {
	body := r.body
	if r.chunked {
		body = struct{ io.Reader }{body}
	}
	request, err := http.NewRequestWithContext(ctx, r.method, r.b.url+r.path, body)
	if err != nil {
		return reply{}, err
	}
	for name, values := range r.header {
		request.Header[name] = values
	}
	response, err := r.b.http.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(text)}, err
}

func (r *req) send() reply {
	r.b.t.Helper()
	got, err := r.try(context.Background())
	if err != nil {
		r.b.t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	return got
}

// do sends a request and returns its answer.
func (b *bench) do(method, path, token string, body any) reply {
	b.t.Helper()
	return b.req(method, path, token, body).send()
}

// ok sends a request that must succeed.
func (b *bench) ok(method, path, token string, body any) reply {
	b.t.Helper()
	got := b.do(method, path, token, body)
	if got.status != http.StatusOK {
		b.t.Fatalf("%s %s: %d %s", method, path, got.status, got.body)
	}
	return got
}

// bucket makes a bucket as the service.
func (b *bench) bucket(name string, more map[string]any) {
	b.t.Helper()
	body := map[string]any{"name": name}
	for k, v := range more {
		body[k] = v
	}
	b.ok("POST", "/bucket", b.service, body)
}

// fails checks an error's status in the body and its other members.
func (r reply) fails(t testing.TB, statusCode, name, code, message string) {
	t.Helper()
	var got struct{ StatusCode, Error, Code, Message string }
	if err := json.Unmarshal([]byte(r.body), &got); err != nil {
		t.Fatalf("%d %q: %v", r.status, r.body, err)
	}
	want := struct{ StatusCode, Error, Code, Message string }{statusCode, name, code, message}
	if got != want {
		t.Errorf("got  %d %+v\nwant %+v", r.status, got, want)
	}
}

func (r reply) json(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), into); err != nil {
		t.Fatalf("%d %q: %v", r.status, r.body, err)
	}
}

// form is a multipart body: fields, then a file of the given type.
func form(fields [][2]string, fileType string, file []byte) (body []byte, contentType string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range fields {
		_ = w.WriteField(f[0], f[1])
	}
	h := textproto.MIMEHeader{}
	h.Set("Content-Disposition", `form-data; name=""; filename="blob"`)
	h.Set("Content-Type", fileType)
	part, _ := w.CreatePart(h)
	_, _ = part.Write(file)
	_ = w.Close()
	return b.Bytes(), w.FormDataContentType()
}

// stored counts the blobs under the project's prefix.
func (b *bench) stored() int {
	b.t.Helper()
	n := 0
	for _, err := range b.blobs.List(context.Background(), "default/") {
		if err != nil {
			b.t.Fatal(err)
		}
		n++
	}
	return n
}

// rows counts the objects.
func (b *bench) rows() int {
	b.t.Helper()
	var n int
	if err := b.p.Owner.QueryRow(context.Background(), "SELECT count(*) FROM storage.objects").Scan(&n); err != nil {
		b.t.Fatal(err)
	}
	return n
}

// ownFolder lets users read and write in the folder of their id in bucket.
func (b *bench) ownFolder(bucket string) {
	for _, command := range []string{"SELECT", "INSERT", "UPDATE", "DELETE"} {
		check := "USING"
		if command == "INSERT" {
			check = "WITH CHECK"
		}
		b.p.Exec(b.t, fmt.Sprintf(`CREATE POLICY own_%[1]s_%[2]s ON storage.objects FOR %[2]s TO authenticated %[3]s
			(bucket_id = '%[1]s' AND (storage.foldername(name))[1] = (SELECT auth.uid()::text))`, bucket, command, check))
	}
}
