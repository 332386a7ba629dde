package e2e_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/madbase/madbase/platform/testkit"
)

// s3Keys let AWS's client in; it sends no API key.
var s3Keys = []string{"S3_PROTOCOL_ACCESS_KEY_ID=access", "S3_PROTOCOL_ACCESS_KEY_SECRET=secret"}

func (s *shape) s3(id, key, token string) *awss3.Client {
	return awss3.New(awss3.Options{
		BaseEndpoint: aws.String(s.url + "/storage/v1/s3"), Region: "us-east-1", UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(id, key, token),
	})
}

// TestS3ThroughTheFront lets AWS's own client do what signatures would not survive if
// a proxy changed anything that was signed.
func TestS3ThroughTheFront(t *testing.T) {
	t.Parallel()
	env := append([]string{"UPLOAD_FILE_SIZE_LIMIT=20971520"}, s3Keys...)
	for name, start := range map[string]func(*testing.T) *shape{
		"alone in a folder": func(t *testing.T) *shape { return alone(t, testkit.DataDir(t), env...) },
		"cluster on S3":     func(t *testing.T) *shape { return cluster(t, env...) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			c, bucket := s.s3("access", "secret", ""), aws.String("docs")
			if _, err := c.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: bucket}); err != nil {
				t.Fatal(err)
			}
			key := aws.String("a b+c/é (1)'@&=;,!$*.txt")
			body := make([]byte, 3<<20)
			_, _ = rand.Read(body)
			if _, err := c.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: bucket, Key: key, Body: bytes.NewReader(body), Metadata: map[string]string{"a": "  spaces   inside "}}); err != nil {
				t.Fatal(err)
			}
			for range 3 { // on any worker
				out, err := c.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: bucket, Key: key})
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(out.Body)
				if err != nil || !bytes.Equal(got, body) {
					t.Fatalf("%d bytes, %v", len(got), err)
				}
			}
			list, err := c.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: bucket, Prefix: aws.String("a b+"), Delimiter: aws.String("/"), EncodingType: types.EncodingTypeUrl})
			if err != nil || len(list.CommonPrefixes) != 1 {
				t.Errorf("%+v %v", list, err)
			}
			s.s3Presigned(t, c, key, len(body))
			s.s3Refused(t, c)
			s.s3Parts(t, c, body)
			user := s.s3("default", s.keys.Anon.Reveal(), s.keys.Anon.Reveal())
			if out, err := user.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: bucket}); err != nil || len(out.Contents) != 0 {
				t.Errorf("%+v %v", out, err)
			}
		})
	}
}

// s3Presigned fetches by a URL, with an API key beside it as clients of a gateway send it.
func (s *shape) s3Presigned(t *testing.T, c *awss3.Client, key *string, size int) {
	t.Helper()
	get, err := awss3.NewPresignClient(c).PresignGetObject(t.Context(), &awss3.GetObjectInput{Bucket: aws.String("docs"), Key: key, ResponseContentType: aws.String("a/b")})
	if err != nil {
		t.Fatal(err)
	}
	for _, apikey := range []string{"", s.keys.Anon.Reveal()} {
		header := []string{}
		if apikey != "" {
			header = append(header, "apikey", apikey)
		}
		if status, body := testkit.Get(t, get.URL, header...); status != http.StatusOK || len(body) != size {
			t.Errorf("%d, %d bytes", status, len(body))
		}
	}
	if status, body := testkit.Get(t, strings.Replace(get.URL, "a%2Fb", "a%2Fc", 1)); status != http.StatusForbidden || !strings.Contains(body, "<Code>SignatureDoesNotMatch</Code>") {
		t.Errorf("%d %s", status, body)
	}
}

// s3Refused sends what is too large: the client must read why before it has sent all.
func (s *shape) s3Refused(t *testing.T, c *awss3.Client) {
	t.Helper()
	for range 5 {
		_, err := c.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String("docs"), Key: aws.String("large"), Body: bytes.NewReader(make([]byte, 24<<20))})
		var answer *smithyhttp.ResponseError
		if !errors.As(err, &answer) || answer.HTTPStatusCode() != http.StatusRequestEntityTooLarge {
			t.Errorf("%v", err)
		}
	}
}

func (s *shape) s3Parts(t *testing.T, c *awss3.Client, end []byte) {
	t.Helper()
	bucket, key := aws.String("docs"), aws.String("parts")
	begun, err := c.CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	bodies := [][]byte{make([]byte, 5<<20), make([]byte, 6<<20), end}
	parts := make([]types.CompletedPart, len(bodies))
	results := make(chan error)
	for i := range bodies { // at once, and in any order
		go func() {
			number := aws.Int32(int32(i + 1))
			out, err := c.UploadPart(t.Context(), &awss3.UploadPartInput{Bucket: bucket, Key: key, UploadId: begun.UploadId, PartNumber: number, Body: bytes.NewReader(bodies[i])})
			if err == nil {
				parts[i] = types.CompletedPart{PartNumber: number, ETag: out.ETag}
			}
			results <- err
		}()
	}
	for range bodies {
		if err := <-results; err != nil {
			t.Fatal(err)
		}
	}
	_, err = c.CompleteMultipartUpload(t.Context(), &awss3.CompleteMultipartUploadInput{
		Bucket: bucket, Key: key, UploadId: begun.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	if err != nil {
		t.Fatal(err)
	}
	head, err := c.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: bucket, Key: key})
	if err != nil || *head.ContentLength != int64(11<<20+len(end)) {
		t.Errorf("%+v %v", head, err)
	}
}

// TestS3IsFlatInMemory moves a large object by single requests and by parts.
func TestS3IsFlatInMemory(t *testing.T) {
	t.Parallel()
	env := append([]string{fmt.Sprintf("UPLOAD_FILE_SIZE_LIMIT=%d", transfer)}, s3Keys...)
	s := alone(t, testkit.DataDir(t), env...)
	s.createBucket(t, "big")
	c := s.s3("access", "secret", "")
	sign, bucket := awss3.NewPresignClient(c), aws.String("big")
	before := peak(t, s.proxy, true)
	put, err := sign.PresignPutObject(t.Context(), &awss3.PutObjectInput{Bucket: bucket, Key: aws.String("a")})
	if err != nil {
		t.Fatal(err)
	}
	s.s3Send(t, http.MethodPut, put.URL, transfer)
	begun, err := c.CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{Bucket: bucket, Key: aws.String("b")})
	if err != nil {
		t.Fatal(err)
	}
	for number := range int32(2) {
		part, err := sign.PresignUploadPart(t.Context(), &awss3.UploadPartInput{Bucket: bucket, Key: aws.String("b"), UploadId: begun.UploadId, PartNumber: aws.Int32(number + 1)})
		if err != nil {
			t.Fatal(err)
		}
		s.s3Send(t, http.MethodPut, part.URL, transfer/2)
	}
	if _, err := c.CompleteMultipartUpload(t.Context(), &awss3.CompleteMultipartUploadInput{Bucket: bucket, Key: aws.String("b"), UploadId: begun.UploadId}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "b"} {
		get, err := sign.PresignGetObject(t.Context(), &awss3.GetObjectInput{Bucket: bucket, Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		if n := s.s3Send(t, http.MethodGet, get.URL, 0); n != transfer {
			t.Errorf("%d bytes", n)
		}
	}
	if grown := peak(t, s.proxy, false) - before; grown > mayGrowBy {
		t.Errorf("grew by %d MiB", grown>>20)
	}
}

// s3Send makes a presigned request with a body of zeros, and returns the size of the answer's body.
func (s *shape) s3Send(t *testing.T, method, url string, size int64) int64 {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, io.LimitReader(zeros{}, size))
	if err != nil {
		t.Fatal(err)
	}
	if r.ContentLength = size; size == 0 {
		r.Body = http.NoBody
	}
	client := &http.Client{Timeout: time.Minute}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v", method, response.StatusCode, err)
	}
	return n
}

// TestKillDuringS3Parts kills madbase while a part comes: the parts that were
// acknowledged are there after it, the other one comes anew, and the object is whole.
func TestKillDuringS3Parts(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]func(*testing.T) []string{
		"folder": func(*testing.T) []string { return nil },
		"S3":     s3Settings,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := append(append([]string{fmt.Sprintf("UPLOAD_FILE_SIZE_LIMIT=%d", 5<<20+40<<20)}, s3Keys...), env(t)...)
			dir, bucket, key := testkit.DataDir(t), aws.String("docs"), aws.String("large")
			s := alone(t, dir, settings...)
			s.createBucket(t, "docs")
			c := s.s3("access", "secret", "")
			begun, err := c.CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
			if err != nil {
				t.Fatal(err)
			}
			first := bytes.Repeat([]byte("first"), 1<<20)
			if _, err := c.UploadPart(t.Context(), &awss3.UploadPartInput{Bucket: bucket, Key: key, UploadId: begun.UploadId, PartNumber: aws.Int32(1), Body: bytes.NewReader(first)}); err != nil {
				t.Fatal(err)
			}
			second := func(c *awss3.Client) string {
				r, err := awss3.NewPresignClient(c).PresignUploadPart(t.Context(), &awss3.UploadPartInput{Bucket: bucket, Key: key, UploadId: begun.UploadId, PartNumber: aws.Int32(2)})
				if err != nil {
					t.Fatal(err)
				}
				return r.URL
			}
			over, killed := make(chan int), make(chan struct{})
			body, url := &stalled{left: 30 << 20, reached: make(chan struct{}), end: killed}, second(c)
			go func() {
				status, _ := s.send(t, http.MethodPut, url, body, 40<<20)
				over <- status
			}()
			<-body.reached
			s.proxy.Kill()
			close(killed)
			if status := <-over; status != 0 {
				t.Errorf("a part that was killed was answered with %d", status)
			}

			s = alone(t, dir, settings...)
			c = s.s3("access", "secret", "")
			list, err := c.ListParts(t.Context(), &awss3.ListPartsInput{Bucket: bucket, Key: key, UploadId: begun.UploadId})
			if err != nil || len(list.Parts) != 1 || *list.Parts[0].Size != int64(len(first)) {
				t.Fatalf("%+v %v", list, err)
			}
			s.s3Send(t, http.MethodPut, second(c), 40<<20) // all that the limit leaves
			if _, err := c.CompleteMultipartUpload(t.Context(), &awss3.CompleteMultipartUploadInput{Bucket: bucket, Key: key, UploadId: begun.UploadId}); err != nil {
				t.Fatal(err)
			}
			out, err := c.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: bucket, Key: key})
			if err != nil {
				t.Fatal(err)
			}
			defer out.Body.Close()
			got, err := io.ReadAll(out.Body)
			if err != nil || !bytes.HasPrefix(got, first) || len(got) != len(first)+40<<20 {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}
