package sigv4_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/storage/sigv4"
)

// FuzzParse gives strangers' headers and queries to the parser: nothing but a
// signature under the secret may pass, and nothing may panic.
func FuzzParse(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=a/20130524/us-east-1/s3/aws4_request,SignedHeaders=host,Signature="+strings.Repeat("0", 64), "x=%20&y", published)
	f.Add("AWS4-HMAC-SHA256 ", "X-Amz-Credential=a%2F20130524%2Fr%2Fs3%2Faws4_request&X-Amz-SignedHeaders=host&X-Amz-Expires=1&X-Amz-Date="+published+
		"&X-Amz-Signature="+strings.Repeat("0", 64), "")
	f.Add("AWS4-HMAC-SHA256 Credential=////,=,", "%zz", "x")
	f.Fuzz(func(t *testing.T, authorization, query, date string) {
		r := httptest.NewRequest("PUT", "/a/b", strings.NewReader("x"))
		r.Header.Set("Authorization", authorization)
		r.Header.Set("X-Amz-Date", date)
		r.URL.RawQuery = query
		s, err := sigv4.Parse(r)
		if err != nil {
			_ = code(t, err)
			return
		}
		v := &sigv4.Verifier{Now: at(t, published)}
		if _, err := v.Verify(r, s, "a secret that nobody guesses"); code(t, err) == "" {
			t.Error("a guess passes")
		}
	})
}

// FuzzChunks gives any framing to the decoder: what passes is as long as was announced,
// and what is signed is only what was signed.
func FuzzChunks(f *testing.F) {
	f.Add("5\r\nhello\r\n0\r\n\r\n", false)
	f.Add("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", false)
	f.Add("5;chunk-signature="+strings.Repeat("0", 64)+"\r\nhello\r\n0;chunk-signature="+strings.Repeat("0", 64)+"\r\n\r\n", true)
	f.Add("7fffffffffffffff\r\n", false)
	f.Add("-1\r\n", false)
	now := time.Now()
	f.Fuzz(func(t *testing.T, body string, seal bool) {
		kind := "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
		if seal {
			kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
		}
		r := request("PUT", "/a", body, "X-Amz-Decoded-Content-Length: 5")
		got, err := verify(&sigv4.Verifier{Now: func() time.Time { return now }}, signed(t, r, kind, now))
		if err == nil && (len(got) != 5 || seal) {
			t.Errorf("%q passes as %q", body, got)
		}
	})
}
