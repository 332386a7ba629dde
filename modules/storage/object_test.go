package storage_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

type objectView struct {
	Name         string
	ID           *string
	BucketID     string `json:"bucket_id"`
	Owner        string
	OwnerID      string `json:"owner_id"`
	Version      string
	UpdatedAt    *string `json:"updated_at"`
	Metadata     map[string]any
	UserMetadata map[string]any `json:"user_metadata"`
}

func TestUploadRawAndDownload(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", nil)
	id, alice := b.user()
	b.ownFolder("docs")
	path := "/docs/" + id + "/a.txt"
	got := b.req("POST", "/object"+path, alice, "hello").set("Cache-Control", "max-age=60").
		set("X-Metadata", base64.StdEncoding.EncodeToString([]byte(`{"colour":"red"}`))).send()
	var up struct{ ID, Key string }
	got.json(t, &up)
	if got.status != http.StatusOK || up.ID == "" || "/"+up.Key != path {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for _, route := range []string{"/object", "/object/authenticated"} {
		got = b.ok("GET", route+path, alice, nil)
		for name, want := range map[string]string{
			"Content-Type": "text/plain", "Content-Length": "5", "Cache-Control": "max-age=60", "Accept-Ranges": "bytes",
			"Etag": `"5d41402abc4b2a76b9719d911017c592"`, "X-Robots-Tag": "none",
		} {
			if got.header.Get(name) != want {
				t.Errorf("%s: %q, want %q", name, got.header.Get(name), want)
			}
		}
		if got.body != "hello" {
			t.Error(got.body)
		}
		if _, err := http.ParseTime(got.header.Get("Last-Modified")); err != nil {
			t.Error(err)
		}
		head := b.ok("HEAD", route+path, alice, nil)
		if head.header.Get("Content-Length") != "5" || head.header.Get("Etag") != got.header.Get("Etag") || head.body != "" {
			t.Errorf("HEAD: %v %q", head.header, head.body)
		}
	}
	var info map[string]any
	b.ok("GET", "/object/info"+path, alice, nil).json(t, &info)
	if info["size"] != 5.0 || info["content_type"] != "text/plain" || info["metadata"].(map[string]any)["colour"] != "red" || info["etag"] != `"5d41402abc4b2a76b9719d911017c592"` {
		t.Errorf("%v", info)
	}
	b.ok("HEAD", "/object/info/authenticated"+path, alice, nil)

	b.do("POST", "/object"+path, alice, "again").fails(t, "409", "Duplicate", "KeyAlreadyExists", "The resource already exists")
	b.ok("PUT", "/object"+path, alice, "updated")
	if b.ok("GET", "/object"+path, alice, nil).body != "updated" {
		t.Error("PUT did not replace")
	}
	if got := b.req("POST", "/object"+path, alice, "upserted").set("X-Upsert", "true").send(); got.status != http.StatusOK {
		t.Error(got.body)
	}
	if b.stored() != 1 || b.rows() != 1 {
		t.Errorf("%d blobs and %d rows of one object", b.stored(), b.rows())
	}
	if got := b.ok("DELETE", "/object"+path, alice, nil); got.body != `{"message":"Successfully deleted"}` {
		t.Error(got.body)
	}
	b.do("GET", "/object"+path, alice, nil).fails(t, "404", "not_found", "NoSuchKey", "Object not found")
	if b.stored() != 0 {
		t.Error("bytes of a deleted object are left")
	}
}

func TestUploadForm(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", map[string]any{"public": true})
	send := func(key string, fields [][2]string, kind string) reply {
		body, contentType := form(fields, kind, []byte("<b>hi</b>"))
		return b.req("POST", "/object/docs/"+key, b.service, body).set("Content-Type", contentType).send()
	}
	if got := send("a.html", [][2]string{{"cacheControl", "3600"}, {"metadata", `{"n":1}`}}, "text/html;charset=utf-8"); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	got := b.ok("GET", "/object/public/docs/a.html", "", nil)
	if got.body != "<b>hi</b>" || got.header.Get("Content-Type") != "text/plain" || got.header.Get("Cache-Control") != "max-age=3600" {
		t.Errorf("%v %q", got.header, got.body)
	}
	var info map[string]any
	b.ok("GET", "/object/info/public/docs/a.html", "", nil).json(t, &info)
	if info["metadata"].(map[string]any)["n"] != 1.0 || info["content_type"] != "text/html;charset=utf-8" {
		t.Errorf("%v", info)
	}
	send("b", [][2]string{{"contentType", "image/png"}, {"userMetadata", "no json"}}, "text/plain")
	got = b.ok("GET", "/object/public/docs/b", "", nil)
	if got.header.Get("Content-Type") != "image/png" || got.header.Get("Cache-Control") != "no-cache" {
		t.Errorf("%v", got.header)
	}

	var many [][2]string
	for i := range 11 {
		many = append(many, [2]string{fmt.Sprint(i), "x"})
	}
	if got := send("c", many, "text/plain"); got.status != http.StatusBadRequest {
		t.Error("eleven fields pass", got.body)
	}
	send("d", [][2]string{{"metadata", `{"x":"` + strings.Repeat("x", 1<<20) + `"}`}}, "text/plain").
		fails(t, "413", "Payload too large", "EntityTooLarge", "The user_metadata exceeded the maximum allowed size")
	b.req("POST", "/object/docs/e", b.service, "no form").set("Content-Type", "multipart/form-data; boundary=x").send().
		fails(t, "400", "InvalidRequest", "InvalidRequest", "No content provided")
	if b.stored() != 2 {
		t.Errorf("%d blobs", b.stored())
	}
}

func TestUploadLimits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("small", map[string]any{"file_size_limit": 10, "allowed_mime_types": []string{"text/plain", "image/*"}})
	b.bucket("free", nil)
	tooLarge := []string{"413", "Payload too large", "EntityTooLarge", "The object exceeded the maximum allowed size"}
	eleven := "elevenbytes"

	raw := func(key, body string, chunked bool) reply {
		r := b.req("POST", "/object/"+key, b.service, body)
		r.chunked = chunked
		return r.send()
	}
	for _, chunked := range []bool{false, true} {
		got := raw("small/a", eleven, chunked)
		got.fails(t, tooLarge[0], tooLarge[1], tooLarge[2], tooLarge[3])
		if got.status != http.StatusBadRequest {
			t.Error(got.status)
		}
		raw("free/a", strings.Repeat("x", 1<<20+1), chunked).fails(t, tooLarge[0], tooLarge[1], tooLarge[2], tooLarge[3])
	}
	body, contentType := form(nil, "text/plain", []byte(eleven))
	b.req("POST", "/object/small/a", b.service, body).set("Content-Type", contentType).send().fails(t, tooLarge[0], tooLarge[1], tooLarge[2], tooLarge[3])
	if b.stored() != 0 || b.rows() != 0 {
		t.Error("a refused upload left something")
	}
	if got := raw("small/a", eleven[:10], true); got.status != http.StatusOK {
		t.Error(got.body)
	}

	for kind, allowed := range map[string]bool{
		"text/plain": true, "text/plain;charset=utf-8": true, "TEXT/PLAIN": true, "image/png": true, "text/html": false, "nonsense": false, "imagepng": false,
	} {
		got := b.req("POST", "/object/small/k-"+strings.ToLower(strings.NewReplacer("/", "-", ";", "-").Replace(kind)), b.service, "x").set("Content-Type", kind).set("X-Upsert", "true").send()
		if allowed != (got.status == http.StatusOK) {
			t.Errorf("%s: %d %s", kind, got.status, got.body)
		}
		if !allowed {
			got.fails(t, "415", "invalid_mime_type", "InvalidMimeType", "mime type "+kind+" is not supported")
		}
	}

	if got := raw("small/f/.emptyFolderPlaceholder", "", false); got.status != http.StatusOK {
		t.Error(got.body)
	}
	raw("small/g/.emptyFolderPlaceholder", "x", true).fails(t, tooLarge[0], tooLarge[1], tooLarge[2], tooLarge[3])
	raw("none/a", "x", false).fails(t, "404", "Bucket not found", "NoSuchBucket", "Bucket not found")
}

func TestObjectPolicies(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", nil)
	b.ownFolder("docs")
	id, alice := b.user()
	_, bob := b.user()
	path := "docs/" + id + "/a.txt"
	refused := []string{"403", "Unauthorized", "AccessDenied", "new row violates row-level security policy"}

	b.do("POST", "/object/"+path, bob, "x").fails(t, refused[0], refused[1], refused[2], refused[3])
	b.do("PUT", "/object/"+path, b.anon, "x").fails(t, refused[0], refused[1], refused[2], refused[3])
	b.ok("POST", "/object/"+path, alice, "x")
	for _, who := range []string{bob, b.anon} {
		b.do("GET", "/object/"+path, who, nil).fails(t, "404", "not_found", "NoSuchKey", "Object not found")
		b.do("GET", "/object/info/"+path, who, nil).fails(t, "404", "not_found", "NoSuchKey", "Object not found")
		if got := b.do("HEAD", "/object/"+path, who, nil); got.status != http.StatusBadRequest || got.body != "" {
			t.Errorf("HEAD: %d", got.status)
		}
		b.do("POST", "/object/sign/"+path, who, map[string]any{"expiresIn": 60}).fails(t, "404", "not_found", "NoSuchKey", "Object not found")
		b.do("DELETE", "/object/"+path, who, nil).fails(t, "403", "Unauthorized", "AccessDenied", "Access denied")
		if got := b.ok("DELETE", "/object/docs", who, map[string]any{"prefixes": []string{id + "/a.txt"}}); got.body != "[]" {
			t.Error(got.body)
		}
		if got := b.ok("POST", "/object/list/docs", who, map[string]any{"prefix": id}); got.body != "[]" {
			t.Error(got.body)
		}
		b.do("POST", "/object/move", who, map[string]any{"bucketId": "docs", "sourceKey": id + "/a.txt", "destinationKey": "b"}).fails(t, "404", "not_found", "NoSuchKey", "Object not found")
		b.do("POST", "/object/copy", who, map[string]any{"bucketId": "docs", "sourceKey": id + "/a.txt", "destinationKey": "b"}).fails(t, "404", "not_found", "NoSuchKey", "Object not found")
	}
	// What alice may not write to she may not move or copy to either.
	for _, verb := range []string{"move", "copy"} {
		b.do("POST", "/object/"+verb, alice, map[string]any{"bucketId": "docs", "sourceKey": id + "/a.txt", "destinationKey": "elsewhere"}).fails(t, refused[0], refused[1], refused[2], refused[3])
	}
	b.do("DELETE", "/object/docs/none", alice, nil).fails(t, "404", "not_found", "NoSuchKey", "Object not found")

	// Without any token a private bucket does not exist.
	for _, route := range []string{"/object/", "/object/info/", "/object/public/", "/object/info/public/"} {
		b.do("GET", route+path, "", nil).fails(t, "404", "Bucket not found", "NoSuchBucket", "Bucket not found")
	}
	if b.rows() != 1 || b.stored() != 1 {
		t.Errorf("%d rows, %d blobs", b.rows(), b.stored())
	}

	var gone []objectView
	b.ok("DELETE", "/object/docs", alice, map[string]any{"prefixes": []string{id + "/a.txt", "none"}}).json(t, &gone)
	if len(gone) != 1 || gone[0].OwnerID != id || gone[0].Owner != id || gone[0].BucketID != "docs" || gone[0].Version == "" || gone[0].Metadata["size"] != 1.0 {
		t.Errorf("%+v", gone)
	}
	if b.stored() != 0 {
		t.Error("bytes are left")
	}
}

func TestPolicySeesTheOperationAndWhatIsUploaded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", nil)
	_, alice := b.user()
	b.p.Exec(t, `CREATE POLICY narrow ON storage.objects FOR INSERT TO authenticated WITH CHECK (
		storage.allow_only_operation('object.upload') AND (metadata ->> 'mimetype') = 'image/png' AND (metadata ->> 'contentLength')::int < 4
		AND (user_metadata ->> 'team') = 'a' AND owner_id = auth.uid()::text AND storage.extension(name) = 'png'
		AND current_setting('request.method') = 'POST' AND current_setting('request.path') = '/object/docs/' || name)`)
	try := func(key, kind, body, team string) int {
		return b.req("POST", "/object/docs/"+key, alice, body).set("Content-Type", kind).
			set("X-Metadata", base64.StdEncoding.EncodeToString([]byte(`{"team":"`+team+`"}`))).send().status
	}
	if try("a.png", "image/png", "abc", "a") != http.StatusOK {
		t.Error("what the policy allows is refused")
	}
	for _, c := range [][4]string{{"b.png", "image/jpg", "abc", "a"}, {"c.png", "image/png", "abcd", "a"}, {"d.png", "image/png", "abc", "b"}, {"e.jpg", "image/png", "abc", "a"}} {
		if try(c[0], c[1], c[2], c[3]) == http.StatusOK {
			t.Errorf("%v passes", c)
		}
	}
}

func TestPublicBucketNeedsNoPolicy(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("open", map[string]any{"public": true})
	b.ok("POST", "/object/open/d/a b.txt", b.service, "x")
	_, alice := b.user()
	for _, c := range [][2]string{
		{"/object/public/open/d/a%20b.txt", ""},
		{"/object/open/d/a%20b.txt", ""},
		{"/object/open/d/a%20b.txt", "garbage"},
		{"/object/open/d%2Fa%20b.txt", alice},
		{"/object/authenticated/open/d/a%20b.txt", b.anon},
		{"/object/info/open/d/a%20b.txt", ""},
		{"/object/info/open/d/a%20b.txt", "garbage"},
	} {
		b.ok("GET", c[0], c[1], nil)
		b.ok("HEAD", c[0], c[1], nil)
	}
	b.do("GET", "/object/public/open/none", "", nil).fails(t, "404", "not_found", "NoSuchKey", "Object not found")
	b.do("GET", "/object/public/none/none", "", nil).fails(t, "404", "Bucket not found", "NoSuchBucket", "Bucket not found")
	if got := b.ok("POST", "/object/list/open", alice, map[string]any{"prefix": ""}); got.body != "[]" {
		t.Error("a public bucket must not be listed without a policy", got.body)
	}
}

func TestMoveAndCopy(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("one", nil)
	b.bucket("two", nil)
	b.p.Exec(t, `CREATE POLICY all_of_it ON storage.objects FOR ALL TO authenticated USING (true) WITH CHECK (true)`)
	id, alice := b.user()
	b.req("POST", "/object/one/a", alice, "bytes").set("Cache-Control", "max-age=9").
		set("X-Metadata", base64.StdEncoding.EncodeToString([]byte(`{"k":"v"}`))).send()
	b.ok("POST", "/object/one/taken", alice, "other")

	if got := b.ok("POST", "/object/move", alice, map[string]any{"bucketId": "one", "sourceKey": "a", "destinationKey": "d/b"}); got.body != `{"message":"Successfully moved"}` {
		t.Error(got.body)
	}
	b.do("GET", "/object/one/a", alice, nil).fails(t, "404", "not_found", "NoSuchKey", "Object not found")
	got := b.ok("GET", "/object/one/d/b", alice, nil)
	if got.body != "bytes" || got.header.Get("Cache-Control") != "max-age=9" || got.header.Get("Content-Type") != "text/plain" {
		t.Errorf("%v %s", got.header, got.body)
	}
	b.ok("POST", "/object/move", alice, map[string]any{"bucketId": "one", "sourceKey": "d/b", "destinationBucket": "two", "destinationKey": "c"})
	b.do("POST", "/object/move", alice, map[string]any{"bucketId": "one", "sourceKey": "d/b", "destinationKey": "x"}).fails(t, "404", "not_found", "NoSuchKey", "Object not found")
	b.do("POST", "/object/move", alice, map[string]any{"bucketId": "two", "sourceKey": "c", "destinationBucket": "one", "destinationKey": "taken"}).
		fails(t, "409", "Duplicate", "ResourceAlreadyExists", "The resource already exists")
	b.ok("POST", "/object/move", alice, map[string]any{"bucketId": "two", "sourceKey": "c", "destinationKey": "c"})
	b.do("POST", "/object/move", alice, map[string]any{"bucketId": "two", "sourceKey": "c", "destinationKey": "../c"}).fails(t, "400", "InvalidKey", "InvalidKey", "Invalid key: ../c")
	b.do("POST", "/object/move", alice, map[string]any{"bucketId": "two", "sourceKey": "c"}).fails(t, "400", "Error", "InvalidRequest", "body must have required property 'destinationKey'")

	var copied struct {
		Key string
		objectView
	}
	b.ok("POST", "/object/copy", alice, map[string]any{"bucketId": "two", "sourceKey": "c", "destinationBucket": "one", "destinationKey": "copy"}).json(t, &copied)
	if copied.Key != "one/copy" || copied.Name != "copy" || copied.BucketID != "one" || copied.OwnerID != id || copied.UserMetadata["k"] != "v" || copied.Metadata["cacheControl"] != "max-age=9" {
		t.Errorf("%+v", copied)
	}
	b.do("POST", "/object/copy", alice, map[string]any{"bucketId": "two", "sourceKey": "c", "destinationBucket": "one", "destinationKey": "copy"}).
		fails(t, "409", "Duplicate", "KeyAlreadyExists", "The resource already exists")
	got = b.req("POST", "/object/copy", alice, map[string]any{
		"bucketId": "two", "sourceKey": "c", "destinationBucket": "one", "destinationKey": "copy", "copyMetadata": false, "metadata": map[string]any{"mimetype": "image/png"},
	}).set("X-Upsert", "true").set("X-Metadata", base64.StdEncoding.EncodeToString([]byte(`{"k":"new"}`))).send()
	copied.UserMetadata = nil
	got.json(t, &copied)
	if copied.Metadata["mimetype"] != "image/png" || copied.Metadata["cacheControl"] != "max-age=9" || copied.UserMetadata["k"] != "new" {
		t.Errorf("%s", got.body)
	}
	if b.ok("GET", "/object/one/copy", alice, nil).header.Get("Content-Type") != "image/png" || b.ok("GET", "/object/two/c", alice, nil).body != "bytes" {
		t.Error("copy is not what was asked for")
	}
	b.do("POST", "/object/copy", alice, map[string]any{"bucketId": "two", "sourceKey": "c", "destinationBucket": "none", "destinationKey": "c"}).
		fails(t, "404", "InvalidRequest", "InvalidRequest", "The related resource does not exist")
	if b.rows() != 3 || b.stored() != 3 {
		t.Errorf("%d rows, %d blobs", b.rows(), b.stored())
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("odd & even (1)", map[string]any{"public": true})
	bucket := "odd%20&%20even%20(1)"
	good := map[string]string{
		"a b.txt": "a%20b.txt", "a+b": "a+b", "!.*'()&$=@;:+,?-_": "!.*'()&$=@;:+,%3F-_", "a//b": "a//b", "folder/": "folder/", "/lead": "/lead",
		"a": "a", "a/b": "a/b", "...": "...", "d/.hidden": "d/.hidden", "public": "public", strings.Repeat("n", 300): strings.Repeat("n", 300),
	}
	for _, name := range []string{
		"ü", "u\u0308", "日本語/ファイル.txt", "Привет, мир!", "عربي/ملف", "हिन्दी", "می\u200cخواهم", "👩\u200d👩\u200d👧 🇩🇪.png", "Foto 3.45\u202fPM.png", "a\u00a0b", "№ € ½ “x” – …", "／．．／x", "𝔘",
	} {
		good[name] = url.PathEscape(name)
	}
	for name, path := range good {
		if got := b.do("POST", "/object/"+bucket+"/"+path, b.service, name); got.status != http.StatusOK {
			t.Errorf("%q: %s", name, got.body)
			continue
		}
		if got := b.do("GET", "/object/public/"+bucket+"/"+path, "", nil); got.body != name {
			t.Errorf("%q: %d %q", name, got.status, got.body)
		}
	}
	if b.stored() != len(good) || b.rows() != len(good) {
		t.Errorf("%d blobs and %d rows of %d objects", b.stored(), b.rows(), len(good))
	}
	for name, path := range map[string]string{
		"a/[x].txt": "a/%5Bx%5D.txt", "../x": "..%2Fx", "a/../../x": "a/%2E%2E/%2E%2E/x", ".": "%2E", "a/./b": "a/%2E/b", "a%b": "a%25b", "a#b": "a%23b",
		"a\\b": "a%5Cb", "a\x00b": "a%00b", "a\nb": "a%0Ab", "{": "%7B", "~": "~", "|": "%7C", "^": "%5E", `"`: "%22", "<": "%3C",
		"a\u202eb": "a%E2%80%AEb", "a\u200fb": "a%E2%80%8Fb", "a\u2028b": "a%E2%80%A8b", "\ufeffa": "%EF%BB%BFa", "a\u0085b": "a%C2%85b", "a\ufffdb": "a%FFb", "\ue000": "%EE%80%80",
		"\U0010ffff": "%F4%8F%BF%BF", "ü/../x": "%C3%BC/%2E%2E/x",
	} {
		b.do("POST", "/object/"+bucket+"/"+path, b.service, "x").fails(t, "400", "InvalidKey", "InvalidKey", "Invalid key: "+name)
	}
	b.do("POST", "/object/"+bucket+"/"+strings.Repeat("n", 1100), b.service, "x").fails(t, "400", "InvalidKey", "InvalidKey", "Invalid key: "+strings.Repeat("n", 1100))
	b.do("POST", "/object/a%2Fb/x", b.service, "x").fails(t, "400", "Invalid Input", "InvalidBucketName", "Bucket name invalid")
	b.do("GET", "/object/public/..%2F..%2Fetc/passwd", "", nil).fails(t, "400", "Invalid Input", "InvalidBucketName", "Bucket name invalid")
}

func TestUnknownRoutes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	got := b.do("PATCH", "/object/b/k", b.service, nil)
	got.fails(t, "404", "Not Found", "InvalidRequest", "Route PATCH:/object/b/k not found")
	if got.status != http.StatusNotFound {
		t.Error(got.status)
	}
	for _, path := range []string{"/nope", "/upload/other", "/s3/b", "/vector/ListIndexes"} {
		got = b.do("POST", path, b.service, map[string]any{})
		if want := `{"message":"Route POST:` + path + ` not found","error":"Not Found","statusCode":404}`; got.body != want || got.status != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if got := b.ok("GET", "/status", "", nil); got.body != "" {
		t.Error(got.body)
	}
	if got := b.ok("GET", "/health", b.anon, nil); got.body != `{"healthy":true}` {
		t.Error(got.body)
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", nil)
	b.do("GET", "/bucket", "", nil).fails(t, "400", "Error", "InvalidRequest", "headers must have required property 'authorization'")
	good := b.token(map[string]any{"role": "authenticated"})
	for token, want := range map[string]string{
		"garbage": "Invalid Compact JWS",
		good[:len(good)-20] + strings.Repeat("A", 20):                                                          "signature verification failed",
		b.token(map[string]any{"role": "anon", "exp": time.Now().Add(-time.Hour).Unix()}):                      `"exp" claim timestamp check failed`,
		b.token(map[string]any{"url": "docs/a", "scope": "download", "exp": time.Now().Add(time.Hour).Unix()}): "Invalid Compact JWS",
		b.token(map[string]any{"role": "supabase_storage_admin"}):                                              `permission denied to set role "supabase_storage_admin"`,
		b.token(map[string]any{"role": "postgres"}):                                                            `permission denied to set role "postgres"`,
	} {
		got := b.do("GET", "/bucket", token, nil)
		got.fails(t, "403", "Unauthorized", "AccessDenied", want)
		if got.status != http.StatusBadRequest {
			t.Error(got.status)
		}
	}
}
