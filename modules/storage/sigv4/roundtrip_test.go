package sigv4_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/madbase/madbase/modules/storage/sigv4"
	"github.com/madbase/madbase/platform/apierr"
)

// server verifies requests and answers with what it read of them.
func server(t *testing.T, v *sigv4.Verifier, secure bool) (*httptest.Server, *http.Request) {
	t.Helper()
	last := new(http.Request)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*last = *r
		body, err := verify(v, r)
		if e, ok := errors.AsType[*apierr.Error](err); ok {
			http.Error(w, "<Error><Code>"+e.Code+"</Code><Message>"+e.Message+"</Message></Error>", e.Status)
			return
		}
		w.Header().Set("ETag", `"`+hexSum(body)+`"`)
	})
	s := httptest.NewUnstartedServer(handler)
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s, last
}

func hexSum(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

func client(s *httptest.Server, region string) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(s.URL), UsePathStyle: true, Region: region, HTTPClient: s.Client(), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})
}

// TestSDKUploads lets AWS's own client upload in every way that it has.
func TestSDKUploads(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		s, last := server(t, &sigv4.Verifier{}, secure)
		c := client(s, "us-east-1")
		for _, algorithm := range []types.ChecksumAlgorithm{"", "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
			for _, size := range []int{0, 1, 70000, 200_000} {
				body := strings.Repeat("x", size)
				out, err := c.PutObject(t.Context(), &s3.PutObjectInput{
					Bucket: aws.String("bucket"), Key: aws.String("a folder/ünïcode+&=~'()*!;:@$,?#%2F"), Body: strings.NewReader(body),
					ChecksumAlgorithm: algorithm, Metadata: map[string]string{"note": "two  spaces"},
				})
				if err != nil || aws.ToString(out.ETag) != `"`+hexSum(body)+`"` {
					t.Errorf("TLS %v, %q, %d bytes as %s: %v", secure, algorithm, size, last.Header.Get("X-Amz-Content-Sha256"), err)
				}
			}
		}
		if got := last.Header.Get("X-Amz-Content-Sha256"); secure && got != "STREAMING-UNSIGNED-PAYLOAD-TRAILER" {
			t.Errorf("the client does not send trailers any more but %q", got)
		}
		if _, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{
			Bucket: aws.String("bucket"), Prefix: aws.String("a b+c/ü"), Delimiter: aws.String("/"), StartAfter: aws.String("="),
		}); err != nil {
			t.Error(err)
		}
	}
}

func TestSDKPresigns(t *testing.T) {
	t.Parallel()
	now := time.Now()
	clock := func() time.Time { return now }
	s, _ := server(t, &sigv4.Verifier{Now: func() time.Time { return clock() }}, false)
	presigner := s3.NewPresignClient(client(s, "eu-central-1"))
	get, err := presigner.PresignGetObject(t.Context(), &s3.GetObjectInput{
		Bucket: aws.String("bucket"), Key: aws.String("a b/ü.png"), ResponseContentDisposition: aws.String(`attachment; filename="a b"`),
	}, s3.WithPresignExpires(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	put, err := presigner.PresignPutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("bucket"), Key: aws.String("a"), Metadata: map[string]string{"note": "x"},
	})
	if err != nil {
		t.Fatal(err)
	}
	send := func(method, url, body string, headers http.Header) string {
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = headers
		res, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		text, _ := io.ReadAll(res.Body)
		_, text, _ = bytes.Cut(text, []byte("<Code>"))
		text, _, _ = bytes.Cut(text, []byte("</Code>"))
		return string(text)
	}
	bearer := http.Header{"Authorization": {"Bearer of-something-else"}}
	for name, test := range map[string]struct{ got, want string }{
		"get":                  {send("GET", get.URL, "", http.Header{}), ""},
		"with another header":  {send("GET", get.URL, "", bearer), ""},
		"put":                  {send("PUT", put.URL, "hello", put.SignedHeader), ""},
		"another method":       {send("DELETE", get.URL, "", http.Header{}), "SignatureDoesNotMatch"},
		"another answer":       {send("GET", strings.Replace(get.URL, "attachment", "inline", 1), "", http.Header{}), "SignatureDoesNotMatch"},
		"longer":               {send("GET", strings.Replace(get.URL, "X-Amz-Expires=60", "X-Amz-Expires=600", 1), "", http.Header{}), "SignatureDoesNotMatch"},
		"for more than a week": {send("GET", strings.Replace(get.URL, "X-Amz-Expires=60", "X-Amz-Expires=604801", 1), "", http.Header{}), "InvalidSignature"},
		"for ever":             {send("GET", strings.Replace(get.URL, "X-Amz-Expires=60", "", 1), "", http.Header{}), "InvalidSignature"},
		"said twice":           {send("GET", get.URL+"&X-Amz-Expires=600", "", http.Header{}), "InvalidSignature"},
		"session added":        {send("GET", get.URL+"&X-Amz-Security-Token=eyJ", "", http.Header{}), "SignatureDoesNotMatch"},
		"session in a header":  {send("GET", get.URL, "", http.Header{"X-Amz-Security-Token": {"eyJ"}}), "AccessDenied"},
		"metadata added":       {send("PUT", put.URL, "hello", http.Header{"X-Amz-Meta-Note": {"x"}, "X-Amz-Meta-More": {"y"}}), "AccessDenied"},
	} {
		if test.got != test.want {
			t.Errorf("%s: got %q, want %q", name, test.got, test.want)
		}
	}
	now = now.Add(61 * time.Second)
	if got := send("GET", get.URL, "", http.Header{}); got != "ExpiredToken" {
		t.Errorf("after its time: %q", got)
	}
	now = now.Add(-time.Hour)
	if got := send("GET", get.URL, "", http.Header{}); got != "AccessDenied" {
		t.Errorf("before its time: %q", got)
	}
}

// signed returns r with a signature by AWS's signer for its payload hash.
func signed(t testing.TB, r *http.Request, payload string, when time.Time) *http.Request {
	t.Helper()
	r.Header.Set("X-Amz-Content-Sha256", payload)
	r.URL.Host = r.Host
	credential := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}
	err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).
		SignHTTP(context.Background(), credential, r, payload, "s3", "local", when)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestClocks(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 5, 0, time.UTC) // close to midnight: a client's day may be another
	for skew, want := range map[time.Duration]string{
		0: "", 14 * time.Minute: "", -14 * time.Minute: "", 16 * time.Minute: "RequestTimeTooSkewed", -16 * time.Minute: "RequestTimeTooSkewed",
	} {
		r := signed(t, httptest.NewRequest("GET", "/a", nil), emptyHash, now.Add(skew))
		if _, err := verify(&sigv4.Verifier{Now: func() time.Time { return now }}, r); code(t, err) != want {
			t.Errorf("%v: got %v, want %q", skew, err, want)
		}
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	const body, other = "hello", "hellO"
	sum := hexSum(body)
	for name, test := range map[string]struct {
		payload, sent string
		headers       []string
		want          string
	}{
		"signed":               {sum, body, nil, ""},
		"signed another":       {sum, other, nil, "XAmzContentSHA256Mismatch"},
		"unsigned":             {"UNSIGNED-PAYLOAD", other, nil, ""},
		"no hash":              {"NONSENSE", body, nil, "InvalidRequest"},
		"MD5":                  {sum, body, []string{"Content-MD5: XUFAKrxLKna5cZ2REBfFkg=="}, ""},
		"another MD5":          {sum, body, []string{"Content-MD5: AAAAAAAAAAAAAAAAAAAAAA=="}, "BadDigest"},
		"no MD5":               {sum, body, []string{"Content-MD5: AAAA"}, "InvalidDigest"},
		"CRC32C":               {sum, body, []string{"x-amz-checksum-crc32c: mnG7TA=="}, ""},
		"no CRC32C":            {sum, body, []string{"x-amz-checksum-crc32c: mnG7"}, "InvalidRequest"},
		"a wrong CRC32":        {sum, body, []string{"x-amz-checksum-crc32: AAAAAA=="}, "BadDigest"},
		"a checksum of ours":   {sum, body, []string{"x-amz-checksum-xxhash64: AAAAAA=="}, "InvalidRequest"},
		"kind of checksum":     {sum, body, []string{"x-amz-checksum-type: FULL_OBJECT", "x-amz-sdk-checksum-algorithm: CRC32"}, ""},
		"empty":                {emptyHash, "", nil, ""},
		"empty, signed other":  {sum, "", nil, "XAmzContentSHA256Mismatch"},
		"no hash of a body":    {"", body, nil, "InvalidRequest"},
		"two hashes are given": {sum, body, []string{"X-Amz-Content-Sha256: " + emptyHash}, "InvalidSignature"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request("PUT", "/bucket/key", test.sent, test.headers...)
			extra := r.Header.Values("X-Amz-Content-Sha256")
			signed(t, r, test.payload, time.Now())
			r.Header["X-Amz-Content-Sha256"] = append([]string{test.payload}, extra...)
			if test.payload == "" {
				delete(r.Header, "X-Amz-Content-Sha256")
			}
			got, err := verify(&sigv4.Verifier{}, r)
			if code(t, err) != test.want {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			if err == nil && got != test.sent {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestLastByteWaits sees that who reads just as many bytes as were announced gets the
// last of them only when all is as it was signed.
func TestLastByteWaits(t *testing.T) {
	t.Parallel()
	r := signed(t, request("PUT", "/a", "hellO"), hexSum("hello"), time.Now())
	s, err := sigv4.Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := (&sigv4.Verifier{}).Verify(r, s, secretKey)
	if err != nil || payload.Size() != 5 {
		t.Fatal(payload.Size(), err)
	}
	if n, err := io.ReadFull(payload, make([]byte, 5)); n == 5 || code(t, err) != "XAmzContentSHA256Mismatch" {
		t.Errorf("got %d bytes, %v", n, err)
	}
	if code(t, payload.Verified()) != "XAmzContentSHA256Mismatch" {
		t.Error(payload.Verified())
	}
}

// chunked frames a body as aws-chunked, signed from seed on unless that is empty, and
// returns it with the last signature.
func chunked(seed, stamp, body string, size int, trailers ...string) string {
	scope := stamp[:8] + "/local/s3/aws4_request"
	key := hmacs("AWS4"+secretKey, stamp[:8], "local", "s3", "aws4_request")
	var b strings.Builder
	for done := false; !done; {
		n := min(size, len(body))
		done = n == 0
		line := fmt.Sprintf("%x", n)
		if seed != "" {
			text := strings.Join([]string{"AWS4-HMAC-SHA256-PAYLOAD", stamp, scope, seed, emptyHash, hexSum(body[:n])}, "\n")
			seed = hex.EncodeToString(hmacs(string(key), text))
			line += ";chunk-signature=" + seed
		}
		b.WriteString(line + "\r\n" + body[:n])
		if n > 0 {
			b.WriteString("\r\n")
		}
		body = body[n:]
	}
	for _, line := range trailers {
		b.WriteString(line + "\r\n")
	}
	if len(trailers) > 0 && seed != "" {
		text := strings.Join([]string{"AWS4-HMAC-SHA256-TRAILER", stamp, scope, seed, hexSum(strings.Join(trailers, "\n") + "\n")}, "\n")
		b.WriteString("x-amz-trailer-signature:" + hex.EncodeToString(hmacs(string(key), text)) + "\r\n")
	}
	return b.String() + "\r\n"
}

func TestChunkedWithTrailers(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("0123456789", 5000)
	checksum := func(h hash.Hash) string {
		_, _ = io.WriteString(h, body)
		return base64.StdEncoding.EncodeToString(h.Sum(nil))
	}
	crc32c := checksum(crc32.New(crc32.MakeTable(crc32.Castagnoli)))
	for _, trailer := range []string{
		"x-amz-checksum-crc32:" + checksum(crc32.NewIEEE()), "x-amz-checksum-crc32c:" + crc32c,
		"x-amz-checksum-crc64nvme:" + checksum(crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5))), "x-amz-checksum-sha256:" + checksum(sha256.New()),
	} {
		for _, kind := range []string{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"} {
			for _, size := range []int{7, 8192, 1 << 20} {
				if err := sendChunked(t, kind, body, size, trailer); err != nil {
					t.Errorf("%s in chunks of %d with %s: %v", kind, size, trailer, err)
				}
			}
			name, _, _ := strings.Cut(trailer, ":")
			if err := sendChunked(t, kind, body, 8192, name+":"+crc32c[:len(crc32c)-3]+"Ag=="); err == nil {
				t.Errorf("%s with a wrong %s passes", kind, name)
			}
		}
	}
	if err := sendChunked(t, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", body, 8192, ""); err != nil {
		t.Error(err)
	}
	if err := sendChunked(t, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "", 8192, "x-amz-checksum-crc32:AAAAAA=="); err != nil {
		t.Error(err)
	}
	if err := sendChunked(t, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "", 8192, "x-amz-checksum-crc32:AAAAAQ=="); code(t, err) != "BadDigest" {
		t.Error(err)
	}
}

// A signature over no bytes is not one over any: a body without an announced length
// is none of length 0. Proxies drop the length of an empty one.
func TestSignedLength(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		signed string
		length int64
		body   string
		want   string
	}{
		"of none":             {"0", 0, "", ""},
		"of one":              {"1", 1, "x", ""},
		"another":             {"0", 1, "x", "SignatureDoesNotMatch"},
		"of a body without":   {"0", -1, "x", "SignatureDoesNotMatch"},
		"of one that is gone": {"1", -1, "x", "SignatureDoesNotMatch"},
	} {
		const names, payload = "content-length;host;x-amz-content-sha256;x-amz-date", "UNSIGNED-PAYLOAD"
		canonical := strings.Join([]string{
			"PUT", "/key", "", "content-length:" + test.signed, "host:example.com", "x-amz-content-sha256:" + payload, "x-amz-date:" + published, "", names, payload,
		}, "\n")
		text := strings.Join([]string{"AWS4-HMAC-SHA256", published, "20130524/us-east-1/s3/aws4_request", hexSum(canonical)}, "\n")
		signature := hmacs("AWS4"+secretKey, "20130524", "us-east-1", "s3", "aws4_request", text)
		r := request("PUT", "/key", test.body, "Host: example.com", dated, "X-Amz-Content-Sha256: "+payload, authorization(names, hex.EncodeToString(signature)))
		r.ContentLength = test.length
		if got, err := verify(&sigv4.Verifier{Now: at(t, published)}, r); code(t, err) != test.want || err == nil && got != test.body {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func sendChunked(t *testing.T, kind, body string, size int, trailer string) error {
	t.Helper()
	r := httptest.NewRequest("PUT", "/bucket/key", nil)
	r.Header.Set("X-Amz-Decoded-Content-Length", fmt.Sprint(len(body)))
	r.Header.Set("Content-Encoding", "gzip, aws-chunked")
	name, _, _ := strings.Cut(trailer, ":")
	var trailers []string
	if trailer != "" {
		r.Header.Set("X-Amz-Trailer", name)
		trailers = []string{trailer}
	}
	signed(t, r, kind, time.Now())
	seed := ""
	if !strings.Contains(kind, "UNSIGNED") {
		_, seed, _ = strings.Cut(r.Header.Get("Authorization"), "Signature=")
	}
	framed := chunked(seed, r.Header.Get("X-Amz-Date"), body, size, trailers...)
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(framed)), int64(len(framed))
	if sigv4.ContentEncoding(r.Header) != "gzip" {
		t.Error(sigv4.ContentEncoding(r.Header))
	}
	got, err := verify(&sigv4.Verifier{}, r)
	if err == nil && got != body {
		t.Errorf("got %d bytes of %d", len(got), len(body))
	}
	return err
}

// BenchmarkVerify is what a request of AWS's client costs before it does anything.
func BenchmarkVerify(b *testing.B) {
	now := time.Now()
	r := signed(b, request("GET", "/storage/v1/s3/bucket/a/b.png?x-id=GetObject", "", "Accept-Encoding: identity", "Amz-Sdk-Request: attempt=1; max=3"), emptyHash, now)
	v := &sigv4.Verifier{Now: func() time.Time { return now }}
	for b.Loop() {
		if _, err := verify(v, r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWrongSecret is what a bad signature costs when a proxy leaves much open.
func BenchmarkWrongSecret(b *testing.B) {
	now := time.Now()
	r := signed(b, request("GET", "/storage/v1/s3/bucket/a/b.png", "", "Accept-Encoding: identity"), emptyHash, now)
	v := &sigv4.Verifier{
		Now:   func() time.Time { return now },
		Hosts: func(*http.Request) []string { return []string{"a", "b", "c", "d", "e", "f"} },
		Paths: func(*http.Request) []string { return []string{"/g/s3/b", "/s3/b", "/b", "/h/b", "/i/b", "/j/b"} },
	}
	s, err := sigv4.Parse(r)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := v.Verify(r, s, "another"); err == nil {
			b.Fatal("passes")
		}
	}
}
