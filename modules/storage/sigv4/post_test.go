package sigv4_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/madbase/madbase/modules/storage/sigv4"
)

// post makes a form's request: pairs of name and value, the file last.
func post(t testing.TB, file string, pairs ...string) *http.Request {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for i := 0; i+1 < len(pairs); i += 2 {
		if err := w.WriteField(pairs[i], pairs[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", "picture.png")
	if err == nil {
		_, err = io.WriteString(part, file)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/bucket", &body)
	r.Header.Set("Content-Type", w.FormDataContentType())
	return r
}

// signPolicy signs as AWS's "Calculating a signature" says, apart from the package.
func signPolicy(policy string) string {
	return hex.EncodeToString(hmacs("AWS4"+secretKey, "20130524", "us-east-1", "s3", "aws4_request", policy))
}

// hmacs signs each text with what signing the one before it came to.
func hmacs(key string, texts ...string) []byte {
	next := []byte(key)
	for _, text := range texts {
		mac := hmac.New(sha256.New, next)
		mac.Write([]byte(text))
		next = mac.Sum(nil)
	}
	return next
}

func verifyPost(v *sigv4.Verifier, r *http.Request) (string, error) {
	f, err := sigv4.ParsePost(r)
	if err != nil {
		return "", err
	}
	payload, err := v.VerifyPost(f, "bucket", secretKey)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(payload)
	return f.Key() + ":" + string(body), err
}

// TestPublishedPolicy verifies the form that Amazon publishes with its signature.
func TestPublishedPolicy(t *testing.T) {
	t.Parallel()
	const policy = "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9"
	r := post(
		t, "image", "key", "user/user1/${filename}", "acl", "public-read",
		"success_action_redirect", "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html",
		"Content-Type", "image/jpeg", "x-amz-meta-uuid", "14365123651274", "x-amz-server-side-encryption", "AES256",
		"X-Amz-Credential", accessKey+"/20151229/us-east-1/s3/aws4_request", "X-Amz-Algorithm", "AWS4-HMAC-SHA256",
		"X-Amz-Date", "20151229T000000Z", "x-amz-meta-tag", "", "Policy", policy,
		"X-Amz-Signature", "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e",
	)
	f, err := sigv4.ParsePost(r)
	if err != nil {
		t.Fatal(err)
	}
	v := &sigv4.Verifier{Now: at(t, "20151229T000000Z")}
	if _, err := v.VerifyPost(f, "sigv4examplebucket", secretKey); err != nil {
		t.Error(err)
	}
	if f.Key() != "user/user1/picture.png" {
		t.Error(f.Key())
	}
	if _, err := v.VerifyPost(f, "another", secretKey); code(t, err) != "AccessDenied" {
		t.Errorf("in another bucket: %v", err)
	}
	if _, err := v.VerifyPost(f, "sigv4examplebucket", "another secret"); code(t, err) != "SignatureDoesNotMatch" {
		t.Errorf("by another secret: %v", err)
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	const bucket = `{"bucket":"bucket"}`
	for name, test := range map[string]struct {
		expires, conditions string
		fields              []string
		want                string
	}{
		"eq":                    {"", bucket + `,["eq","$key","a.png"]`, []string{"key", "a.png"}, ""},
		"eq of another":         {"", bucket + `,["eq","$key","a.png"]`, []string{"key", "b.png"}, "AccessDenied"},
		"name of any case":      {"", bucket + `,["starts-with","$KEY","a"]`, []string{"Key", "a.png"}, ""},
		"starts with another":   {"", bucket + `,["starts-with","$key","x"]`, []string{"key", "a.png"}, "AccessDenied"},
		"field is missing":      {"", bucket + `,{"key":"a"},{"acl":"private"}`, []string{"key", "a"}, "AccessDenied"},
		"number":                {"", bucket + `,{"key":7}`, []string{"key", "7"}, ""},
		"not covered":           {"", bucket + `,{"key":"a"}`, []string{"key", "a", "x-amz-meta-b", "c"}, "AccessDenied"},
		"ignored":               {"", bucket + `,{"key":"a"}`, []string{"key", "a", "x-ignore-b", "c"}, ""},
		"bucket is not covered": {"", `{"key":"a"}`, []string{"key", "a"}, "AccessDenied"},
		"another bucket":        {"", `{"bucket":"other"},{"key":"a"}`, []string{"key", "a"}, "AccessDenied"},
		"size":                  {"", bucket + `,{"key":"a"},["content-length-range",1,5]`, []string{"key", "a"}, ""},
		"too large":             {"", bucket + `,{"key":"a"},["content-length-range",1,4]`, []string{"key", "a"}, "EntityTooLarge"},
		"too small":             {"", bucket + `,{"key":"a"},["content-length-range","6","9"]`, []string{"key", "a"}, "EntityTooSmall"},
		"checksum":              {"", bucket + `,{"key":"a"},["starts-with","$x-amz-checksum-crc32",""]`, []string{"key", "a", "x-amz-checksum-crc32", "AAAAAA=="}, "BadDigest"},
		"expired":               {"2013-05-23T00:00:00Z", bucket + `,{"key":"a"}`, []string{"key", "a"}, "ExpiredToken"},
		"no time":               {"soon", bucket, nil, "InvalidSignature"},
		"two fields in one":     {"", bucket + `,{"key":"a","acl":"b"}`, []string{"key", "a"}, "InvalidSignature"},
		"no such operator":      {"", bucket + `,["ends-with","$key","a"]`, []string{"key", "a"}, "InvalidSignature"},
		"no dollar":             {"", bucket + `,["eq","key","a"]`, []string{"key", "a"}, "InvalidSignature"},
		"no list":               {"", bucket + `,"key"`, []string{"key", "a"}, "InvalidSignature"},
		"broken":                {"", `{`, nil, "InvalidSignature"},
		"field twice":           {"", bucket, []string{"key", "a", "KEY", "b"}, "InvalidSignature"},
		"fields too large":      {"", bucket, []string{"key", strings.Repeat("a", 70000)}, "MaxPostPreDataLengthExceeded"},
		"endless fields":        {"", bucket, []string{"key", strings.Repeat("a", 1<<20)}, "MaxPostPreDataLengthExceeded"},
		"another service":       {"", bucket, []string{"x-amz-credential", accessKey + "/20130524/us-east-1/ec2/aws4_request"}, "InvalidSignature"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expires := test.expires
			if expires == "" {
				expires = "2013-05-25T00:00:00.000Z"
			}
			policy := base64.StdEncoding.EncodeToString([]byte(`{"expiration":"` + expires + `","conditions":[` + test.conditions + `]}`))
			fields := append(
				[]string{
					"X-Amz-Credential", accessKey + "/20130524/us-east-1/s3/aws4_request", "X-Amz-Date", "99991231T235959Z",
					"Policy", policy, "X-Amz-Signature", signPolicy(policy),
				}, test.fields...,
			)
			body, err := verifyPost(&sigv4.Verifier{Now: at(t, published)}, post(t, "image", fields...))
			if got := code(t, err); got != test.want {
				t.Fatalf("got %q (%v), want %q", got, err, test.want)
			}
			if err == nil && !strings.HasSuffix(body, ":image") {
				t.Error(body)
			}
		})
	}
}

func TestPostWithoutFile(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("POST", "/bucket", strings.NewReader("--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\na\r\n--b--\r\n"))
	r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	if _, err := sigv4.ParsePost(r); code(t, err) != "InvalidArgument" {
		t.Error(err)
	}
	r = httptest.NewRequest("POST", "/bucket", strings.NewReader("{}"))
	r.Header.Set("Content-Type", "application/json")
	if _, err := sigv4.ParsePost(r); code(t, err) != "InvalidRequest" {
		t.Error(err)
	}
}

func FuzzParsePost(f *testing.F) {
	f.Add("--b\r\nContent-Disposition: form-data; name=\"policy\"\r\n\r\ne30=\r\n--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n--b--\r\n")
	f.Add("--b")
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest("POST", "/bucket", strings.NewReader(body))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		_, _ = verifyPost(&sigv4.Verifier{Now: at(t, published)}, r)
	})
}

func FuzzPolicy(f *testing.F) {
	for _, policy := range []string{
		`{"expiration":"2013-05-25T00:00:00Z","conditions":[{"bucket":"bucket"},["starts-with","$key",""],["content-length-range",0,9]]}`,
		`{"expiration":"2013-05-25T00:00:00Z","conditions":[[1,2,3],null,{},"x"]}`, `{"conditions":{}}`, `[]`,
	} {
		f.Add(policy)
	}
	f.Fuzz(func(t *testing.T, policy string) {
		encoded := base64.StdEncoding.EncodeToString([]byte(policy))
		r := post(
			t, "image", "key", "a", "X-Amz-Credential", accessKey+"/20130524/us-east-1/s3/aws4_request",
			"X-Amz-Date", published, "Policy", encoded, "X-Amz-Signature", signPolicy(encoded),
		)
		body, err := verifyPost(&sigv4.Verifier{Now: at(t, published)}, r)
		if err == nil && body != "a:image" {
			t.Error(body)
		}
	})
}
