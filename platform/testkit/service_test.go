package testkit_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/redis/rueidis"

	"github.com/madbase/madbase/platform/testkit"
)

// Every test gets a Redis database of its own: the same key does not meet.
func TestRedisDatabasesAreSeparate(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"a", "b", "c"} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			opt, err := rueidis.ParseURL(testkit.Redis(t))
			if err != nil {
				t.Fatal(err)
			}
			client, err := rueidis.NewClient(opt)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			cmd := client.B().Set().Key("k").Value(value).Nx().Build()
			if err := client.Do(t.Context(), cmd).Error(); err != nil {
				t.Errorf("set where absent: %v", err)
			}
			if got, err := client.Do(t.Context(), client.B().Get().Key("k").Build()).ToString(); got != value || err != nil {
				t.Errorf("get = %q, %v; want %q", got, err, value)
			}
		})
	}
}

func TestS3StoresAndSigns(t *testing.T) {
	t.Parallel()
	info := testkit.S3(t)
	client := info.Client()
	key, body := "folder/name with blank", []byte("content")
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &info.Bucket, Key: &key, Body: bytes.NewReader(body)}); err != nil {
		t.Fatal(err)
	}
	signed, err := s3.NewPresignClient(client).PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: &info.Bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]int{
		signed.URL: http.StatusOK,
		strings.Replace(signed.URL, "X-Amz-Signature=", "X-Amz-Signature=0", 1): http.StatusForbidden,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := (&http.Client{}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != want {
			t.Errorf("status %d, %v; want %d: %s", res.StatusCode, err, want, got)
		}
		if want == http.StatusOK && !bytes.Equal(got, body) {
			t.Errorf("got %q", got)
		}
	}
}
