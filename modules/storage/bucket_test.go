package storage_test

import (
	"net/http"
	"testing"
)

type bucketView struct {
	ID               string
	Name             string
	Owner            *string
	Public           bool
	Type             *string
	FileSizeLimit    *int64   `json:"file_size_limit"`
	AllowedMIMETypes []string `json:"allowed_mime_types"`
	CreatedAt        string   `json:"created_at"`
}

func TestBucketLife(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	got := b.ok("POST", "/bucket", b.service, map[string]any{"name": "avatars", "public": true, "file_size_limit": "20kb", "allowed_mime_types": []string{"image/*"}})
	if got.body != `{"name":"avatars"}` {
		t.Error(got.body)
	}
	b.do("POST", "/bucket", b.service, map[string]any{"name": "avatars"}).fails(t, "409", "Duplicate", "BucketAlreadyExists", "The resource already exists")

	var one bucketView
	b.ok("GET", "/bucket/avatars", b.service, nil).json(t, &one)
	if one.ID != "avatars" || !one.Public || *one.FileSizeLimit != 20000 || len(one.AllowedMIMETypes) != 1 || one.Type != nil || one.Owner == nil || *one.Owner != "" {
		t.Errorf("%+v", one)
	}
	if len(one.CreatedAt) != len("2026-01-02T03:04:05.678Z") {
		t.Error(one.CreatedAt)
	}
	if got := b.ok("PUT", "/bucket/avatars", b.service, map[string]any{"id": "avatars", "name": "avatars", "public": false, "file_size_limit": nil}); got.body != `{"message":"Successfully updated"}` {
		t.Error(got.body)
	}
	one = bucketView{}
	b.ok("GET", "/bucket/avatars", b.service, nil).json(t, &one)
	if one.Public || one.FileSizeLimit != nil || len(one.AllowedMIMETypes) != 1 {
		t.Errorf("what an update leaves out must stay: %+v", one)
	}

	if got := b.req("POST", "/object/avatars/a.png", b.service, "x").set("Content-Type", "image/png").send(); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	b.do("DELETE", "/bucket/avatars", b.service, nil).fails(t, "409", "ResourceNotEmpty", "ResourceNotEmpty", "The bucket you tried to delete is not empty")
	b.ok("POST", "/bucket/avatars/empty", b.service, map[string]any{})
	if b.stored() != 0 || b.rows() != 0 {
		t.Errorf("emptying left %d blobs, %d rows", b.stored(), b.rows())
	}
	if got := b.ok("DELETE", "/bucket/avatars", b.service, map[string]any{}); got.body != `{"message":"Successfully deleted"}` {
		t.Error(got.body)
	}
	gone := b.do("GET", "/bucket/avatars", b.service, nil)
	gone.fails(t, "404", "Bucket not found", "NoSuchBucket", "Bucket not found")
	if gone.status != http.StatusBadRequest {
		t.Errorf("HTTP status %d", gone.status)
	}
}

func TestBucketFaults(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, c := range []struct {
		name                    string
		body                    any
		status, code, label, is string
	}{
		{"no name", map[string]any{}, "400", "InvalidRequest", "Error", "body must have required property 'name'"},
		{"no object", []int{1}, "400", "InvalidRequest", "Error", "body must be object"},
		{"slash", map[string]any{"name": "a/b"}, "400", "InvalidBucketName", "Invalid Input", "Bucket name invalid"},
		{"slash in id", map[string]any{"name": "ab", "id": "../a"}, "400", "InvalidBucketName", "Invalid Input", "Bucket name invalid"},
		{"dots", map[string]any{"name": ".."}, "400", "InvalidBucketName", "Invalid Input", "Bucket name invalid"},
		{"space at the end", map[string]any{"name": "a "}, "400", "InvalidBucketName", "Invalid Input", "Bucket name invalid"},
		{"reserved", map[string]any{"name": "a--table-s3"}, "400", "InvalidBucketName", "Invalid Input", "Bucket name invalid"},
		{"beyond the global limit", map[string]any{"name": "a", "file_size_limit": 1<<20 + 1}, "413", "EntityTooLarge", "Payload too large", "The object exceeded the maximum allowed size"},
		{"negative limit", map[string]any{"name": "a", "file_size_limit": -1}, "400", "InvalidRequest", "Error", "body/file_size_limit must be >= 0"},
		{"bad type", map[string]any{"name": "a", "allowed_mime_types": []string{"nonsense"}}, "415", "InvalidMimeType", "invalid_mime_type", "mime type nonsense is not supported"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := b.do("POST", "/bucket", b.service, c.body)
			got.fails(t, c.status, c.label, c.code, c.is)
			if got.status != http.StatusBadRequest {
				t.Errorf("HTTP status %d", got.status)
			}
		})
	}
	b.bucket("plain", nil)
	b.do("PUT", "/bucket/plain", b.service, map[string]any{}).fails(t, "400", "Error", "InvalidRequest", "body must have required property 'public'")
	b.do("PUT", "/bucket/none", b.service, map[string]any{"public": true}).fails(t, "404", "Bucket not found", "NoSuchBucket", "Bucket not found")
	b.do("DELETE", "/bucket/none", b.service, nil).fails(t, "404", "Bucket not found", "NoSuchBucket", "Bucket not found")
}

func TestBucketListSearchesSortsAndPages(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, name := range []string{"alpha", "beta", "al_ine", "gamma"} {
		b.bucket(name, nil)
	}
	names := func(query string) (list []string) {
		var all []bucketView
		b.ok("GET", "/bucket"+query, b.service, nil).json(t, &all)
		for _, one := range all {
			if one.Type == nil || *one.Type != "STANDARD" {
				t.Errorf("type of %s: %v", one.Name, one.Type)
			}
			list = append(list, one.Name)
		}
		return list
	}
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"?sortColumn=name", []string{"al_ine", "alpha", "beta", "gamma"}},
		{"?sortColumn=name&sortOrder=desc&limit=2", []string{"gamma", "beta"}},
		{"?sortColumn=name&limit=2&offset=1", []string{"alpha", "beta"}},
		{"?search=AL&sortColumn=id", []string{"al_ine", "alpha"}},
		{"?search=_&sortColumn=id", []string{"al_ine"}},
	} {
		if got := names(c.query); !equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.query, got, c.want)
		}
	}
	b.do("GET", "/bucket?sortColumn=nope", b.service, nil).fails(t, "400", "Error", "InvalidRequest", "querystring/sortColumn must be equal to one of the allowed values")
	b.do("GET", "/bucket?limit=0", b.service, nil).fails(t, "400", "Error", "InvalidRequest", "querystring/limit must be >= 1")

	old := b.req("GET", "/bucket", b.service, nil).set("X-Client-Info", "supabase-py/2.17.3").send()
	var raw []map[string]any
	old.json(t, &raw)
	if _, found := raw[0]["type"]; found {
		t.Error("an old Python client must not get the member type")
	}
}

func TestBucketPolicies(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, alice := b.user()
	b.do("POST", "/bucket", alice, map[string]any{"name": "mine"}).fails(t, "403", "Unauthorized", "AccessDenied", "new row violates row-level security policy")
	b.bucket("hidden", nil)
	b.do("GET", "/bucket/hidden", alice, nil).fails(t, "404", "Bucket not found", "NoSuchBucket", "Bucket not found")
	if got := b.ok("GET", "/bucket", alice, nil); got.body != "[]" {
		t.Error(got.body)
	}
	b.do("DELETE", "/bucket/hidden", alice, nil).fails(t, "404", "Bucket not found", "NoSuchBucket", "Bucket not found")
	refused := b.do("POST", "/bucket/hidden/empty", alice, nil)
	refused.fails(t, "403", "Unauthorized", "AccessDenied", "Access denied: Invalid role")
	if refused.status != http.StatusForbidden {
		t.Errorf("HTTP status %d", refused.status)
	}

	b.p.Exec(t, `CREATE POLICY make ON storage.buckets FOR INSERT TO authenticated WITH CHECK (owner_id = auth.uid()::text AND storage.operation() = 'storage.bucket.create')`)
	b.p.Exec(t, `CREATE POLICY look ON storage.buckets FOR SELECT TO authenticated USING (owner = auth.uid())`)
	b.ok("POST", "/bucket", alice, map[string]any{"name": "mine"})
	_, bob := b.user()
	if b.ok("GET", "/bucket", bob, nil).body != "[]" {
		t.Error("another user sees the bucket")
	}
	b.ok("GET", "/bucket/mine", alice, nil)
}

func equal[T comparable](a, b []T) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
