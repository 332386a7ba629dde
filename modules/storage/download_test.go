package storage_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/storage"
)

func TestRanges(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("pub", map[string]any{"public": true})
	b.ok("POST", "/object/pub/a", b.service, "0123456789")
	b.ok("POST", "/object/pub/empty", b.service, "")
	for _, c := range []struct {
		header, body, content string
		status                int
	}{
		{"bytes=1-2", "12", "bytes 1-2/10", 206},
		{"bytes=4-", "456789", "bytes 4-9/10", 206},
		{"bytes=-3", "789", "bytes 7-9/10", 206},
		{"bytes=-30", "0123456789", "bytes 0-9/10", 206},
		{"bytes=8-100", "89", "bytes 8-9/10", 206},
		{"bytes=0-0", "0", "bytes 0-0/10", 206},
		{"bytes=0-9223372036854775807", "0123456789", "bytes 0-9/10", 206},
		{"items=1-2", "0123456789", "", 200},
		{"bytes=0-1,4-5", "0123456789", "", 200},
		{"bytes=10-", "", "bytes */10", 416},
		{"bytes=5-4", "", "bytes */10", 416},
		{"bytes=-0", "", "bytes */10", 416},
		{"bytes=-", "", "bytes */10", 416},
		{"bytes=x-y", "", "bytes */10", 416},
		{"bytes=99999999999999999999-", "", "bytes */10", 416},
	} {
		got := b.req("GET", "/object/public/pub/a", "", nil).set("Range", c.header).send()
		if got.status != c.status || got.header.Get("Content-Range") != c.content {
			t.Errorf("%s: %d %q", c.header, got.status, got.header.Get("Content-Range"))
		}
		if c.status == 416 {
			got.fails(t, "416", "invalid_range", "InvalidRange", "invalid range provided")
		} else if got.body != c.body {
			t.Errorf("%s: %q", c.header, got.body)
		}
	}
	if got := b.req("GET", "/object/public/pub/empty", "", nil).set("Range", "bytes=0-").send(); got.status != 416 {
		t.Error(got.status)
	}
	tag := b.ok("GET", "/object/public/pub/a", "", nil).header.Get("Etag")
	for condition, want := range map[string]int{tag: 206, `"other"`: 200, "Mon, 02 Jan 2006 15:04:05 GMT": 200} {
		got := b.req("GET", "/object/public/pub/a", "", nil).set("Range", "bytes=0-1").set("If-Range", condition).send()
		if got.status != want {
			t.Errorf("If-Range %s: %d, want %d", condition, got.status, want)
		}
	}
}

func TestConditionalDownloads(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *storage.Config) { c.SharedMaxAge = 7 })
	b.bucket("pub", map[string]any{"public": true})
	b.req("POST", "/object/pub/a", b.service, "x").set("Cache-Control", "max-age=5").send()
	first := b.ok("GET", "/object/public/pub/a", "", nil)
	tag, modified := first.header.Get("Etag"), first.header.Get("Last-Modified")
	for _, c := range []struct {
		name, value, cache string
		status             int
	}{
		{"If-None-Match", tag, "max-age=5, s-maxage=7", 304},
		{"If-None-Match", `W/` + tag, "max-age=5, s-maxage=7, stale-while-revalidate=30", 304},
		{"If-None-Match", `"a", ` + tag, "max-age=5, s-maxage=7, stale-while-revalidate=30", 304},
		{"If-None-Match", "*", "max-age=5, s-maxage=7, stale-while-revalidate=30", 304},
		{"If-None-Match", `"other"`, "max-age=5, s-maxage=7, stale-while-revalidate=30", 200},
		{"If-Modified-Since", modified, "max-age=5", 304},
		{"If-Modified-Since", "Mon, 02 Jan 2006 15:04:05 GMT", "max-age=5", 200},
		{"If-Modified-Since", "nonsense", "max-age=5", 200},
	} {
		got := b.req("GET", "/object/public/pub/a", "", nil).set(c.name, c.value).send()
		if got.status != c.status || got.header.Get("Cache-Control") != c.cache || got.status == 304 && got.body != "" {
			t.Errorf("%s: %s: %d %q %q", c.name, c.value, got.status, got.header.Get("Cache-Control"), got.body)
		}
	}
	head := b.req("HEAD", "/object/public/pub/a", "", nil).set("If-None-Match", `"other"`).send()
	if got := head.header.Get("Cache-Control"); got != "max-age=5, s-maxage=7, must-revalidate" {
		t.Error(got)
	}
}

func TestDownloadNameAndRobots(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("pub", map[string]any{"public": true})
	b.req("POST", "/object/pub/a", b.service, "x").set("X-Robots-Tag", "googlebot: noindex, max-snippet: 5, unavailable_after: Wed, 25 Jun 2025 15:00:00 PST, nofollow").send()
	for query, want := range map[string]string{
		"":                        "",
		"?download":               "attachment;",
		"?download=":              "attachment;",
		"?download=x%20y.txt":     "attachment; filename=x%20y.txt; filename*=UTF-8''x%20y.txt",
		"?download=%C3%BC%22.txt": "attachment; filename=%C3%BC%22.txt; filename*=UTF-8''%C3%BC%22.txt",
		"?download=(a)%0D%0Ab":    "attachment; filename=(a)%0D%0Ab; filename*=UTF-8''(a)%0D%0Ab",
	} {
		if got := b.ok("GET", "/object/public/pub/a"+query, "", nil).header.Get("Content-Disposition"); got != want {
			t.Errorf("%q: %q", query, got)
		}
	}
	if got := b.ok("GET", "/object/public/pub/a", "", nil).header.Get("X-Robots-Tag"); !strings.HasPrefix(got, "googlebot: noindex, ") {
		t.Error(got)
	}
	bad := b.req("POST", "/object/pub/b", b.service, "x").set("X-Robots-Tag", "surely not").send()
	bad.fails(t, "400", "invalid_x_robots_tag", "InvalidRequest", "Invalid X-Robots-Tag header: surely not")
}

func TestRowWithoutBytes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("pub", map[string]any{"public": true})
	b.fill("pub", "ghost")
	got := b.do("GET", "/object/public/pub/ghost", "", nil)
	got.fails(t, "404", "Not found", "NoSuchKey", "The resource was not found")
	if got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", got.header)
	}
	b.p.Exec(t, `UPDATE storage.objects SET metadata = '{"size":"7","mimetype":5}'`)
	b.ok("HEAD", "/object/public/pub/ghost", "", nil)
	b.ok("DELETE", "/object/pub/ghost", b.service, nil)
}

type signed struct {
	SignedURL, URL, Token string
}

func TestSignedURLs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", nil)
	b.ownFolder("docs")
	id, alice := b.user()
	key := id + "/a b.txt"
	path := strings.ReplaceAll(key, " ", "%20")
	b.ok("POST", "/object/docs/"+path, alice, "secret")
	var s signed
	b.ok("POST", "/object/sign/docs/"+path, alice, map[string]any{"expiresIn": 60, "transform": map[string]any{"width": 1}}).json(t, &s)
	at, token, found := strings.Cut(s.SignedURL, "?token=")
	if at != "/object/sign/docs/"+key || !found {
		t.Fatal(s.SignedURL)
	}
	open := "/object/sign/docs/" + path + "?token="
	got := b.ok("GET", open+token+"&download=n", "", nil)
	if got.body != "secret" || got.header.Get("Cache-Control") != "" || got.header.Get("Expires") == "" || got.header.Get("Content-Disposition") == "" {
		t.Errorf("%v %q", got.header, got.body)
	}
	b.ok("HEAD", open+token, "", nil)

	later := time.Now().Add(time.Hour).Unix()
	for _, c := range []struct{ what, token, status, code, message string }{
		{"none", "", "400", "InvalidRequest", "querystring must have required property 'token'"},
		{"garbage", "x", "400", "InvalidJWT", "Invalid Compact JWS"},
		{"tampered", token[:len(token)-20] + strings.Repeat("A", 20), "400", "InvalidJWT", "signature verification failed"},
		{"another object", b.token(map[string]any{"url": "docs/other", "scope": "download", "exp": later}), "400", "InvalidSignature", "Invalid signature"},
		{"an upload's", b.token(map[string]any{"url": "docs/" + key, "scope": "upload", "upsert": true, "exp": later}), "400", "InvalidSignature", "Token is not scoped for download"},
		{"an old upload's", b.token(map[string]any{"url": "docs/" + key, "upsert": true, "exp": later}), "400", "InvalidSignature", "Token is not scoped for download"},
		{"an access token", alice, "400", "InvalidSignature", "Token is not scoped for download"},
		{"with a role", b.token(map[string]any{"url": "docs/" + key, "scope": "download", "role": "anon", "exp": later}), "400", "InvalidSignature", "Token is not scoped for download"},
		{"expired a second ago", b.token(map[string]any{"url": "docs/" + key, "scope": "download", "exp": time.Now().Add(-time.Second).Unix()}), "400", "InvalidJWT", `"exp" claim timestamp check failed`},
		{"without an end", b.token(map[string]any{"url": "docs/" + key, "scope": "download"}), "400", "InvalidJWT", `"exp" claim timestamp check failed`},
	} {
		path := open + c.token
		if c.token == "" {
			path = strings.TrimSuffix(open, "?token=")
		}
		label := c.code
		if c.code == "InvalidRequest" {
			label = "Error"
		}
		got := b.do("GET", path, "", nil)
		got.fails(t, c.status, label, c.code, c.message)
		if t.Failed() {
			t.Log(c.what)
		}
	}
	b.ok("GET", open+b.token(map[string]any{"url": "docs/" + key, "exp": later}), "", nil) // of before scopes
	// It opens its object only, and is no access token.
	b.do("GET", "/object/sign/docs/"+id+"/b?token="+token, "", nil).fails(t, "400", "InvalidSignature", "InvalidSignature", "Invalid signature")
	b.do("GET", "/bucket", token, nil).fails(t, "403", "Unauthorized", "AccessDenied", "Invalid Compact JWS")
	b.do("PUT", "/object/upload/sign/docs/"+path+"?token="+token, "", "x").fails(t, "400", "InvalidSignature", "InvalidSignature", "Token is not scoped for upload")

	for body, want := range map[string]string{`{}`: "body must have required property 'expiresIn'", `{"expiresIn":0}`: "body/expiresIn must be >= 1", `{"expiresIn":1.5}`: "body/expiresIn must be integer", `{"expiresIn":null}`: "body/expiresIn must be integer"} {
		b.req("POST", "/object/sign/docs/"+path, alice, strings.NewReader(body)).send().fails(t, "400", "Error", "InvalidRequest", want)
	}
	b.do("POST", "/object/sign/docs/none", alice, map[string]any{"expiresIn": 1}).fails(t, "404", "not_found", "NoSuchKey", "Object not found")

	var many []struct {
		Error, SignedURL *string
		Path             string
	}
	b.ok("POST", "/object/sign/docs", alice, map[string]any{"expiresIn": 60, "paths": []string{"none", key}}).json(t, &many)
	if len(many) != 2 || many[0].Error == nil || many[0].SignedURL != nil || many[1].Error != nil || many[1].Path != key {
		t.Fatalf("%+v", many)
	}
	b.ok("GET", strings.ReplaceAll(*many[1].SignedURL, " ", "%20"), "", nil)
	b.do("POST", "/object/sign/docs", alice, map[string]any{"expiresIn": 60, "paths": []string{}}).fails(t, "400", "Error", "InvalidRequest", "body/paths must NOT have fewer than 1 items")
}

// TestUploadsRunNoScripts asks for what browsers may take for a page.
func TestUploadsRunNoScripts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("pub", map[string]any{"public": true})
	for kind, contained := range map[string]bool{
		"image/svg+xml": true, "application/xhtml+xml": true, "text/xml; charset=utf-8": true, "text/xsl": true,
		"page": true, "te xt/plain": true, "unknown/unknown": true, "*/*": true, "image/png;a=b,*/*": true,
		"text/html": false, "image/png": false, "application/pdf": false, "text/plain;charset=UTF-8": false,
		"application/vnd.openxmlformats-officedocument.wordprocessingml.document": false,
	} {
		b.req("POST", "/object/pub/a", b.service, "<html>").set("Content-Type", kind).set("X-Upsert", "true").send()
		got := b.ok("GET", "/object/public/pub/a", "", nil)
		if policy := got.header.Get("Content-Security-Policy"); (policy == "sandbox") != contained || got.header.Get("Content-Type") == "text/html" {
			t.Errorf("%s: %q %q", kind, got.header.Get("Content-Type"), policy)
		}
	}
}

func TestSignedUpload(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bucket("docs", nil)
	b.ownFolder("docs")
	id, alice := b.user()
	_, bob := b.user()
	b.do("POST", "/object/upload/sign/docs/"+id+"/a", bob, nil).fails(t, "403", "Unauthorized", "AccessDenied", "new row violates row-level security policy")
	var s signed
	b.ok("POST", "/object/upload/sign/docs/"+id+"/a", alice, map[string]any{}).json(t, &s)
	if s.URL != "/object/upload/sign/docs/"+id+"/a?token="+s.Token {
		t.Fatal(s.URL)
	}
	if got := b.ok("PUT", s.URL, "", "x"); got.body != `{"Key":"docs/`+id+`/a"}` {
		t.Error(got.body)
	}
	b.do("PUT", s.URL, "", "again").fails(t, "409", "Duplicate", "KeyAlreadyExists", "The resource already exists")
	b.do("GET", "/object/sign/docs/"+id+"/a?token="+s.Token, "", nil).fails(t, "400", "InvalidSignature", "InvalidSignature", "Token is not scoped for download")
	var owner string
	if err := b.p.Owner.QueryRow(context.Background(), "SELECT owner_id FROM storage.objects").Scan(&owner); err != nil || owner != id {
		t.Error(owner, err)
	}
	got := b.req("POST", "/object/upload/sign/docs/"+id+"/a", alice, nil).set("X-Upsert", "true").send()
	got.json(t, &s)
	body, contentType := form(nil, "text/plain", []byte("form"))
	for range 2 {
		if got := b.req("PUT", s.URL, "", body).set("Content-Type", contentType).send(); got.status != http.StatusOK {
			t.Error(got.body)
		}
	}
	if b.ok("GET", "/object/docs/"+id+"/a", alice, nil).body != "form" || b.stored() != 1 {
		t.Error("the signed upload did not replace the object")
	}
}
