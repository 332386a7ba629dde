package s3api_test

import (
	"bytes"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/madbase/madbase/modules/storage/s3api"
	"github.com/madbase/madbase/platform/apierr"
)

func TestTarget(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]s3api.Target{
		"": {}, "/": {}, "/b": {Bucket: "b"}, "/b/": {Bucket: "b"}, "/b/k": {Bucket: "b", Key: "k"}, "/b//k/": {Bucket: "b", Key: "/k/"},
		"/b/a%2Fb%20+%25%3F": {Bucket: "b", Key: "a/b +%?"}, "/a%2Fb/c": {Bucket: "a/b", Key: "c"},
	} {
		if got, err := s3api.ParseTarget(path); err != nil || got != want {
			t.Errorf("%q: %+v %v", path, got, err)
		}
	}
	if _, err := s3api.ParseTarget("/b/%zz"); apierr.From(err).Code != "InvalidURI" {
		t.Error(err)
	}
}

func TestSubresource(t *testing.T) {
	t.Parallel()
	for request, want := range map[string]string{
		"GET": "", "GET x-id=GetObject": "", "GET tagging": "tagging", "GET tagging=&x-id=a": "tagging", "PUT tagging": "tagging", "DELETE tagging": "tagging",
		"GET prefix=&delimiter=%2F&list-type=2&marker": "", "PUT prefix=a": "prefix", "GET uploads&prefix=a": "uploads", "GET uploadId=x&max-parts=2": "uploadId",
		"PUT uploadId=x&partNumber=1": "partNumber&uploadId", "GET partNumber=2": "", "GET versionId=x": "", "DELETE versionId=x": "", "PUT versionId=x": "versionId",
		"PUT X-Amz-Signature=a&X-Amz-SignedHeaders=host;x": "", "GET response-content-type=a": "", "GET acl": "acl", "POST select&select-type=2": "select&select-type",
		"GET metadata=true": "", "PUT metadata=true": "metadata", "GET some": "some", "PUT a;tagging": "a;tagging", "PUT &&acl=": "acl",
	} {
		method, raw, _ := strings.Cut(request, " ")
		query, err := s3api.ParseQuery(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := s3api.Subresource(method, query); got != want {
			t.Errorf("%s: %q", request, got)
		}
	}
	if _, err := s3api.ParseQuery("tagging%z"); err == nil {
		t.Error("a query that cannot be read is taken")
	}
}

func TestSourcesAndRanges(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"b/k": "b k", "/b/k/l": "b k/l", "b/a%20b+c%2B": "b a b+c+", "b/k?versionId=null": "b k", "b/k?v": "b k?v",
		"b/k?versionId=1": "NoSuchVersion", "b": "InvalidParameter", "b/": "InvalidParameter", "": "InvalidParameter", "b/%": "InvalidParameter",
	} {
		target, err := s3api.ParseSource(header)
		got := target.Bucket + " " + target.Key
		if err != nil {
			got = apierr.From(err).Code
		}
		if got != want {
			t.Errorf("%q: %q", header, got)
		}
	}
	for header, want := range map[string][2]int64{"bytes=0-0": {0, 1}, "bytes=3-9": {3, 7}} {
		if offset, length, err := s3api.ParseSourceRange(header, 10); err != nil || offset != want[0] || length != want[1] {
			t.Errorf("%q: %d %d %v", header, offset, length, err)
		}
	}
	for _, header := range []string{"", "bytes=", "bytes=0-10", "bytes=5-4", "bytes=-5", "bytes=5-", "0-5", "bytes=0-1,2-3", "bytes=+1-2", "bytes=99999999999999999999-1"} {
		if _, _, err := s3api.ParseSourceRange(header, 10); err == nil {
			t.Errorf("%q is taken", header)
		}
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 600e6, time.UTC)
	second := func(n int) string { return at.Add(time.Duration(n) * time.Second).Format(http.TimeFormat) }
	for _, tt := range []struct {
		headers string
		want    int
	}{
		{"", 0},
		{`If-Match="tag"`, 0},
		{"If-Match=tag", 0},
		{"If-Match=*", 0},
		{`If-Match="a", "tag"`, 0},
		{`If-Match="a"`, 412},
		{`If-None-Match="tag"`, 304},
		{`If-None-Match=W/"tag"`, 304},
		{"If-None-Match=*", 304},
		{`If-None-Match="a"`, 0},
		{"If-Modified-Since=" + second(0), 304},
		{"If-Modified-Since=" + second(-1), 0},
		{"If-Modified-Since=never", 0},
		{"If-Unmodified-Since=" + second(0), 0},
		{"If-Unmodified-Since=" + second(-1), 412},
		{`If-Match="tag"|If-Unmodified-Since=` + second(-1), 0},
		{`If-None-Match="a"|If-Modified-Since=` + second(0), 0},
		{`If-Match="a"|If-None-Match="tag"`, 412},
	} {
		h := http.Header{}
		for pair := range strings.SplitSeq(tt.headers, "|") {
			name, value, _ := strings.Cut(pair, "=")
			h.Set("X-"+name, value)
		}
		if got := s3api.ReadConditions(h, "X-").Check(`"tag"`, at); got != tt.want {
			t.Errorf("%s: %d", tt.headers, got)
		}
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	list := s3api.List{Prefix: "a/", Delimiter: "/"}
	for name, folder := range map[string]bool{"": false, "a": false, "a/": false, "a/b": false, "a/b/": true, "a/b/c": false, "a/b/c/": false, "b/": false} {
		if got := list.After(name); got.Key != name || got.Folder != folder {
			t.Errorf("%q: %+v", name, got)
		}
	}
	list.Delimiter = "::"
	if list.After("a/b").Folder || !list.After("a/b::").Folder {
		t.Error("a long delimiter")
	}
	list.Delimiter = ""
	if list.After("a/b/").Folder {
		t.Error("a folder without a delimiter")
	}
	for query, code := range map[string]string{"encoding-type=x": "InvalidParameter", "max-keys=-1": "InvalidParameter", "max-keys=+1": "InvalidParameter", "max-keys=a": "InvalidParameter"} {
		values, _ := url.ParseQuery(strings.ReplaceAll(query, "+", "%2B"))
		if _, err := s3api.ReadList(values, "max-keys"); err == nil || apierr.From(err).Code != code {
			t.Errorf("%s: %v", query, err)
		}
	}
}

func TestTakenHeaders(t *testing.T) {
	t.Parallel()
	h := http.Header{"X-Amz-Acl": {"private"}}
	s3api.TakeHeaders(h, url.Values{"x-amz-acl": {"public-read"}, "x-amz-meta-a": {"b"}, "X-Amz-Signature": {"s"}, "X-Amz-SignedHeaders": {"host"}, "acl": {""}})
	if len(h) != 2 || h.Get("X-Amz-Acl") != "private" || s3api.UserMetadata(h)["a"] != "b" {
		t.Error(h)
	}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	if err := s3api.Write(w, http.StatusOK, s3api.BucketList{}); err != nil {
		t.Fatal(err)
	}
	const want = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Buckets></Buckets></ListAllMyBucketsResult>`
	if w.Body.String() != want || w.Header().Get("Content-Length") == "" {
		t.Error(w.Body)
	}
	w = httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if err := s3api.WriteError(w, r, apierr.New(404, "NoSuchKey", "a < b & c"), "/b/k", "id"); err != nil {
		t.Fatal(err)
	}
	const failure = `<Error><Code>NoSuchKey</Code><Message>a &lt; b &amp; c</Message><Resource>/b/k</Resource><RequestId>id</RequestId></Error>`
	if !strings.HasSuffix(w.Body.String(), failure) || w.Code != 404 {
		t.Error(w.Body)
	}
	var request s3api.Delete
	for body, code := range map[string]string{
		`<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key> a&amp;b</Key></Object><Quiet>true</Quiet></Delete>`: "",
		"<Delete><Object><Key>a</Key></Object>": "MalformedXML",
		"<Other></Other>":                       "MalformedXML",
		"":                                      "MalformedXML",
		"<Delete>" + strings.Repeat(" ", 1<<10) + "</Delete>":                            "MalformedXML",
		`<!DOCTYPE a [<!ENTITY b "c">]><Delete><Object><Key>&b;</Key></Object></Delete>`: "MalformedXML",
	} {
		err := s3api.Read(strings.NewReader(body), 1<<10, &request)
		if code == "" && (err != nil || request.Object[0].Key != " a&b" || !request.Quiet) || code != "" && (err == nil || apierr.From(err).Code != code) {
			t.Errorf("%.40s: %+v %v", body, request, err)
		}
	}
}

// What a stranger sends is read or refused, and what is read can be written again.
func FuzzRequest(f *testing.F) {
	for _, seed := range [][2]string{{"/b/a%20b", "list-type=2&prefix=a%2F&encoding-type=url"}, {"b/k?versionId=null", "X-Amz-Meta-A=b"}, {"/%zz", "a&&b=%"}} {
		f.Add(seed[0], seed[1], "bytes=1-2", `<Delete><Object><Key>a</Key></Object></Delete>`)
	}
	f.Fuzz(func(t *testing.T, path, raw, header, body string) {
		if target, err := s3api.ParseTarget(path); err == nil && target.Level() == s3api.Object && target.Key == "" {
			t.Errorf("%+v", target)
		}
		_, _ = s3api.ParseSource(path)
		if offset, length, err := s3api.ParseSourceRange(header, 100); err == nil && (offset < 0 || length < 1 || offset+length > 100) {
			t.Errorf("%q: %d %d", header, offset, length)
		}
		s3api.ReadConditions(http.Header{"If-Match": {header}}, "").Check(path, time.Time{})
		var request s3api.Delete
		_ = s3api.Read(strings.NewReader(body), 1<<16, &request)
		query, err := s3api.ParseQuery(raw)
		if err != nil {
			return
		}
		s3api.Subresource(http.MethodPut, query)
		s3api.TakeHeaders(http.Header{}, query)
		list, err := s3api.ReadList(query, "max-keys")
		if err != nil {
			return
		}
		if place := list.After(path); path != "" {
			if back, err := s3api.ParseToken(place.Token()); err != nil || back != place {
				t.Errorf("%+v %+v %v", place, back, err)
			}
		}
		if list.URL && utf8.ValidString(path) {
			if name, err := url.QueryUnescape(list.Name(path)); err != nil || name != path {
				t.Errorf("%q: %q %v", path, name, err)
			}
		}
		w := httptest.NewRecorder()
		answer := s3api.ObjectList{Contents: []s3api.Entry{{Key: list.Name(path)}}, Prefix: list.Name(list.Prefix)}
		if err := s3api.Write(w, http.StatusOK, answer); err != nil {
			t.Fatal(err)
		}
		if err := xml.NewDecoder(bytes.NewReader(w.Body.Bytes())).Decode(&s3api.ObjectList{}); err != nil {
			t.Errorf("%s: %v", w.Body, err)
		}
	})
}
