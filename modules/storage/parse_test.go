package storage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/rls"
)

func TestParseSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"20MB": 20e6, "1gb": 1e9, "3kB": 3000, "7b": 7, "1.5mb": 1.5e6, "1.2345kb": 1230, "20": -1, "MB": -1, "-1MB": -1, "1e9b": -1, "1 MB": -1,
		"99999999999999999999gb": -1, "": -1,
	} {
		got, ok := parseSize(text)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestRobotsRules(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"none": true, "noindex, nofollow": true, "max-snippet:-1": true, "max-image-preview: large": true, "otherbot: noindex, nofollow": true,
		"unavailable_after: 2025-06-25": true, "": false, " ": false, "nope": false, "noindex,": false, "max-snippet: x": false, "bot:": false, "a b: noindex": false,
	} {
		if got := validRobots(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func FuzzNames(f *testing.F) {
	for _, seed := range []string{"a/b.txt", "", "/", "../x", "a//b", "a/../b", ".", "ü", "a%2Fb", "a\x00", strings.Repeat("x/", 600)} {
		f.Add("bucket", seed)
	}
	f.Fuzz(func(t *testing.T, bucket, name string) {
		if !validBucket(bucket) || !validKey(name) {
			return
		}
		if strings.ContainsAny(name, "\x00\\%\n") || strings.Contains("/"+name+"/", "/../") || strings.Contains(bucket, "/") {
			t.Fatalf("%q is let through", name)
		}
		key, err := blobKey("default", bucket, name, "v")
		if err != nil {
			return
		}
		if blob.CheckKey(key) != nil || !strings.HasPrefix(key, "default/"+bucket+"/") || !strings.HasSuffix(key, "/v") {
			t.Fatalf("key %q", key)
		}
		// Two names never share a key.
		const version = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
		key = strings.TrimSuffix(key, "v") + version
		if back, ok := orphanOf("default", key); !ok || back.Bucket != bucket || back.Name != name || back.Version != version || back.key != key {
			t.Fatalf("%q became %+v", name, back)
		}
	})
}

func FuzzOrphanKeys(f *testing.F) {
	const version = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
	for _, seed := range []string{"default/b/a/" + version, "default/%uploads/" + version + "/" + version, "default/b/" + version, "other/b/a/" + version, "default/b/%/" + version, "", "/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		o, ok := orphanOf("default", key)
		if !ok || o.Bucket == tailBucket {
			return
		}
		again, err := blobKey("default", o.Bucket, o.Name, o.Version)
		if o.key != key || err == nil && again != key && blob.CheckKey(key) == nil {
			t.Fatalf("%q became %+v, and that %q", key, o, again)
		}
	})
}

func FuzzRange(f *testing.F) {
	for _, seed := range []string{"bytes=0-1", "bytes=-5", "bytes=5-", "bytes=-", "bytes=9223372036854775807-9223372036854775807", "bytes=0-9223372036854775807", "x=1", "bytes=1-2,3-4"} {
		f.Add(seed, int64(10))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		part, ok := parseRange(header)
		if !ok || part == nil || size < 0 {
			return
		}
		offset, length, err := part.Resolve(size)
		if err == nil && (offset < 0 || length <= 0 || offset+length > size) {
			t.Fatalf("%q of %d bytes: %d+%d", header, size, offset, length)
		}
	})
}

func FuzzUpload(f *testing.F) {
	for _, seed := range []string{"bucketName ZG9jcw==,objectName YQ==", "a,b ", "a YQ==,a YQ==", ",", "cacheControl LTE=,contentType ZG9jcw==,metadata e30=", "ZG9jcy9hL2ZjMzc4NjM4LTJjOTEtNDU2NC04ZWRiLTVhYmY0ODNkMmQ4Nw"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if values, ok := parseUploadMetadata(text); ok {
			in, err := said(values)
			if err == nil && (!validHeader(in.mimeType) || !validHeader(in.cacheControl) || in.userMetadata != nil && !json.Valid(in.userMetadata)) {
				t.Fatalf("%q: %+v", text, in)
			}
		}
		if bucket, name, id, ok := parseUploadID(text); ok {
			b, n, i, again := parseUploadID(uploadID(bucket, name, id))
			if !again || b != bucket || n != name || i != id || !validBucket(bucket) || !validKey(name) {
				t.Fatalf("%q: %q %q %q", text, bucket, name, id)
			}
		}
	})
}

func FuzzForm(f *testing.F) {
	f.Add([]byte("--B\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{\"a\":1}\r\n--B\r\nContent-Disposition: form-data; name=\"\"; filename=\"x\"\r\n\r\nbody\r\n--B--\r\n"), "multipart/form-data; boundary=B", "eyJhIjoxfQ==")
	f.Add([]byte("--B--"), "multipart/form-data; boundary=B", "")
	f.Add([]byte("raw"), "text/plain", "!")
	f.Fuzz(func(t *testing.T, body []byte, contentType, header string) {
		r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("X-Metadata", header)
		in, err := readUpload(r)
		if err != nil {
			return
		}
		if in.userMetadata != nil && !json.Valid(in.userMetadata) {
			t.Fatalf("user metadata %q", in.userMetadata)
		}
		n, _ := io.Copy(io.Discard, in.body)
		if n > int64(len(body)) {
			t.Fatalf("%d bytes of %d", n, len(body))
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add(cursor{"a/b", "asc", "name", ""}.String())
	f.Add(cursor{"a", "desc", "created_at", "2026-01-02T03:04:05.678Z"}.String())
	f.Add("!")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCursor(text)
		if err != nil {
			return
		}
		again, err := parseCursor(c.String())
		if err != nil || again != c {
			t.Fatalf("%+v became %+v: %v", c, again, err)
		}
	})
}

func FuzzRobots(f *testing.F) {
	f.Add("bot: noindex, unavailable_after: Wed, 25 Jun 2025 15:00:00 PST")
	f.Fuzz(func(t *testing.T, text string) {
		if validRobots(text) && strings.ContainsAny(text, "\r\n\x00") {
			t.Fatalf("%q could break a header", text)
		}
	})
}

// Bytes are deleted only where no row can name them: a server that goes away during a commit may have done it.
func TestNotCommitted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"a refused statement":         {&pgconn.PgError{Code: "42501", SeverityUnlocalized: "ERROR"}, true},
		"no connection":               {&pgconn.ConnectError{}, true},
		"no free connection":          {rls.ErrBusy, true},
		"a row that a trigger denied": {store.ErrNotFound, true},
		"a server shut down":          {&pgconn.PgError{Code: "57P01", SeverityUnlocalized: "FATAL"}, false},
		"a lost connection":           {io.ErrUnexpectedEOF, false},
	} {
		if got := notCommitted(fmt.Errorf("store: %w", c.err)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
