package storage_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/madbase/madbase/modules/storage"
	"github.com/madbase/madbase/modules/storage/accesskey"
	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/blob/s3"
	"github.com/madbase/madbase/platform/secret"
	"github.com/madbase/madbase/platform/testkit"
)

func s3On(c *storage.Config) {
	c.FileSizeLimit = 64 << 20
	c.S3 = storage.S3Config{Enabled: true, Region: "us-east-1", Key: accesskey.Config{AccessKey: "key", SecretKey: "secret"}}
}

// s3Client returns AWS's own client for the bench, who signs as given; without a
// secret as the service.
func (b *bench) s3Client(id, key, token string) *awss3.Client {
	if key == "" {
		id, key = "key", "secret"
	}
	return awss3.New(awss3.Options{
		BaseEndpoint: aws.String(b.url + "/s3"), Region: "us-east-1", UsePathStyle: true, HTTPClient: b.http,
		Credentials: credentials.NewStaticCredentialsProvider(id, key, token), RetryMaxAttempts: 1,
	})
}

// s3Caller is a test's client.
type s3Caller struct {
	*awss3.Client
	t   testing.TB
	ctx context.Context
}

func (b *bench) s3() s3Caller {
	return s3Caller{b.s3Client("", "", ""), b.t, b.t.Context()}
}

// s3User is the client of a signed-in user.
func (b *bench) s3User(token string) s3Caller {
	return s3Caller{b.s3Client("default", b.anon, token), b.t, b.t.Context()}
}

func (c s3Caller) put(bucket, key, body string, change ...func(*awss3.PutObjectInput)) *awss3.PutObjectOutput {
	c.t.Helper()
	in := &awss3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(body)}
	for _, f := range change {
		f(in)
	}
	out, err := c.PutObject(c.ctx, in)
	if err != nil {
		c.t.Fatalf("put %s: %v", key, err)
	}
	return out
}

// get returns the object's bytes.
func (c s3Caller) get(bucket, key string) string {
	c.t.Helper()
	out, err := c.GetObject(c.ctx, &awss3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		c.t.Fatalf("get %s: %v", key, err)
	}
	return c.read(out.Body)
}

func (c s3Caller) read(body io.ReadCloser) string {
	c.t.Helper()
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(text)
}

// refused checks the status and code of an error.
func refused(t testing.TB, err error, status int, code string) {
	t.Helper()
	var answer *smithyhttp.ResponseError
	var api smithy.APIError
	if !errors.As(err, &answer) || !errors.As(err, &api) || answer.HTTPStatusCode() != status || api.ErrorCode() != code {
		t.Errorf("got %v, want %d %s", err, status, code)
	}
}

// multipart uploads parts and returns the upload's id and the parts.
func (c s3Caller) multipart(bucket, key string, parts ...string) (id string, done []types.CompletedPart) {
	c.t.Helper()
	begun, err := c.CreateMultipartUpload(c.ctx, &awss3.CreateMultipartUploadInput{
		Bucket: &bucket, Key: &key, ContentType: aws.String("text/x-parts"), CacheControl: aws.String("max-age=5"), Metadata: map[string]string{"made": "of parts"},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	for i, body := range parts {
		out, err := c.UploadPart(c.ctx, &awss3.UploadPartInput{
			Bucket: &bucket, Key: &key, UploadId: begun.UploadId, PartNumber: aws.Int32(int32(i + 1)), Body: strings.NewReader(body),
		})
		if err != nil {
			c.t.Fatal(err)
		}
		done = append(done, types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: out.ETag})
	}
	return *begun.UploadId, done
}

func (c s3Caller) complete(bucket, key, id string, parts []types.CompletedPart) (*awss3.CompleteMultipartUploadOutput, error) {
	return c.CompleteMultipartUpload(c.ctx, &awss3.CompleteMultipartUploadInput{
		Bucket: &bucket, Key: &key, UploadId: &id, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
}

// onBackends runs a test on a folder and on an S3 server.
func onBackends(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Parallel()
	t.Run("folder", func(t *testing.T) {
		t.Parallel()
		test(t, newBench(t, s3On))
	})
	t.Run("S3", func(t *testing.T) {
		if testing.Short() {
			t.Skip("needs an S3 server, which may have to be built")
		}
		t.Parallel()
		server := testkit.S3(t)
		store, err := s3.Open(t.Context(), blob.Config{
			Endpoint: server.Endpoint, AccessKey: server.AccessKey, SecretKey: secret.String(server.SecretKey),
			Bucket: server.Bucket, Region: server.Region, PathStyle: true,
		}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		test(t, newBenchOn(t, store, s3On))
	})
}

func TestS3Buckets(t *testing.T) {
	t.Parallel()
	b := newBench(t, s3On)
	c := b.s3()
	made, err := c.CreateBucket(c.ctx, &awss3.CreateBucketInput{Bucket: aws.String("photos"), ACL: types.BucketCannedACLPublicRead})
	if err != nil || *made.Location != "/photos" {
		t.Fatalf("%+v %v", made, err)
	}
	_, err = c.CreateBucket(c.ctx, &awss3.CreateBucketInput{Bucket: aws.String("photos")})
	refused(t, err, 409, "BucketAlreadyExists")
	_, err = c.CreateBucket(c.ctx, &awss3.CreateBucketInput{Bucket: aws.String("no#name")})
	refused(t, err, 400, "InvalidBucketName")
	list, err := c.ListBuckets(c.ctx, &awss3.ListBucketsInput{})
	if err != nil || len(list.Buckets) != 1 || *list.Buckets[0].Name != "photos" || time.Since(*list.Buckets[0].CreationDate) > time.Minute {
		t.Errorf("%+v %v", list, err)
	}
	head, err := c.HeadBucket(c.ctx, &awss3.HeadBucketInput{Bucket: aws.String("photos")})
	if err != nil || *head.BucketRegion != "us-east-1" {
		t.Errorf("%+v %v", head, err)
	}
	_, err = c.HeadBucket(c.ctx, &awss3.HeadBucketInput{Bucket: aws.String("none")})
	refused(t, err, 404, "NotFound")
	location, err := c.GetBucketLocation(c.ctx, &awss3.GetBucketLocationInput{Bucket: aws.String("photos")})
	if err != nil || location.LocationConstraint != "us-east-1" {
		t.Errorf("%+v %v", location, err)
	}
	versioning, err := c.GetBucketVersioning(c.ctx, &awss3.GetBucketVersioningInput{Bucket: aws.String("photos")})
	if err != nil || versioning.Status != types.BucketVersioningStatusSuspended {
		t.Errorf("%+v %v", versioning, err)
	}
	_, err = c.GetBucketVersioning(c.ctx, &awss3.GetBucketVersioningInput{Bucket: aws.String("none")})
	refused(t, err, 404, "NoSuchBucket")
	c.put("photos", "a", "a")
	if got := b.ok("GET", "/object/public/photos/a", "", nil); got.body != "a" {
		t.Error(got)
	}
	_, err = c.DeleteBucket(c.ctx, &awss3.DeleteBucketInput{Bucket: aws.String("photos")})
	refused(t, err, 409, "ResourceNotEmpty")
	if _, err = c.DeleteObject(c.ctx, &awss3.DeleteObjectInput{Bucket: aws.String("photos"), Key: aws.String("a")}); err != nil {
		t.Error(err)
	}
	if _, err = c.DeleteBucket(c.ctx, &awss3.DeleteBucketInput{Bucket: aws.String("photos")}); err != nil {
		t.Error(err)
	}
}

func TestS3Objects(t *testing.T) {
	onBackends(t, func(t *testing.T, b *bench) {
		b.bucket("docs", nil)
		c := b.s3()
		const key = "a folder/it's (1)+&=@.txt"
		out := c.put("docs", key, "hello world", func(in *awss3.PutObjectInput) {
			in.ContentType, in.CacheControl, in.Metadata = aws.String("text/plain"), aws.String("max-age=7"), map[string]string{"One": "1", "two": "zwei"}
		})
		head, err := c.HeadObject(c.ctx, &awss3.HeadObjectInput{Bucket: aws.String("docs"), Key: aws.String(key)})
		if err != nil || *head.ContentLength != 11 || *head.ContentType != "text/plain" || *head.CacheControl != "max-age=7" ||
			*head.ETag != *out.ETag || head.Metadata["one"] != "1" || head.Metadata["two"] != "zwei" || *head.AcceptRanges != "bytes" {
			t.Fatalf("%+v %v", head, err)
		}
		got, err := c.GetObject(c.ctx, &awss3.GetObjectInput{Bucket: aws.String("docs"), Key: aws.String(key), Range: aws.String("bytes=-5"), IfMatch: out.ETag})
		if err != nil || c.read(got.Body) != "world" || *got.ContentRange != "bytes 6-10/11" || got.Metadata["two"] != "zwei" {
			t.Errorf("%+v %v", got, err)
		}
		if b.ok("GET", "/object/docs/"+"a%20folder/it's%20(1)+&=@.txt", b.service, nil).body != "hello world" {
			t.Error("REST has other bytes")
		}
		objectConditions(t, c, key, head)
		objectOverrides(t, c, key)
		c.put("docs", key, "") // overwrites
		if b.stored() != 1 || c.get("docs", key) != "" {
			t.Errorf("%d blobs", b.stored())
		}
		for range 2 {
			if _, err := c.DeleteObject(c.ctx, &awss3.DeleteObjectInput{Bucket: aws.String("docs"), Key: aws.String(key)}); err != nil {
				t.Error(err)
			}
		}
		_, err = c.DeleteObject(c.ctx, &awss3.DeleteObjectInput{Bucket: aws.String("none"), Key: aws.String(key)})
		refused(t, err, 404, "NoSuchBucket")
		_, err = c.GetObject(c.ctx, &awss3.GetObjectInput{Bucket: aws.String("docs"), Key: aws.String(key)})
		refused(t, err, 404, "NoSuchKey")
		_, err = c.HeadObject(c.ctx, &awss3.HeadObjectInput{Bucket: aws.String("docs"), Key: aws.String("täst")})
		refused(t, err, 404, "NotFound")
		_, err = c.PutObject(c.ctx, &awss3.PutObjectInput{Bucket: aws.String("docs"), Key: aws.String("[]^|"), Body: strings.NewReader("x")})
		refused(t, err, 400, "InvalidKey")
		_, err = c.PutObject(c.ctx, &awss3.PutObjectInput{Bucket: aws.String("none"), Key: aws.String("x"), Body: strings.NewReader("x")})
		refused(t, err, 404, "NoSuchBucket")
		if b.stored() != 0 || b.rows() != 0 {
			t.Errorf("%d blobs, %d rows", b.stored(), b.rows())
		}
	})
}

func objectConditions(t *testing.T, c s3Caller, key string, head *awss3.HeadObjectOutput) {
	t.Helper()
	for name, tt := range map[string]struct {
		in     awss3.GetObjectInput
		status int
		code   string
	}{
		"same tag":          {awss3.GetObjectInput{IfNoneMatch: head.ETag}, 304, "NotModified"},
		"unchanged":         {awss3.GetObjectInput{IfModifiedSince: aws.Time(head.LastModified.Add(time.Second))}, 304, "NotModified"},
		"other tag":         {awss3.GetObjectInput{IfMatch: aws.String(`"other"`)}, 412, "PreconditionFailed"},
		"changed":           {awss3.GetObjectInput{IfUnmodifiedSince: aws.Time(head.LastModified.Add(-time.Minute))}, 412, "PreconditionFailed"},
		"beyond the end":    {awss3.GetObjectInput{Range: aws.String("bytes=11-")}, 416, "InvalidRange"},
		"another version":   {awss3.GetObjectInput{VersionId: aws.String("other")}, 404, "NoSuchVersion"},
		"another part":      {awss3.GetObjectInput{PartNumber: aws.Int32(2)}, 416, "InvalidPartNumber"},
		"no date to expire": {awss3.GetObjectInput{SSECustomerAlgorithm: aws.String("AES256")}, 501, "NotImplemented"},
	} {
		tt.in.Bucket, tt.in.Key = aws.String("docs"), &key
		_, err := c.GetObject(c.ctx, &tt.in)
		var answer *smithyhttp.ResponseError
		if !errors.As(err, &answer) || answer.HTTPStatusCode() != tt.status {
			t.Errorf("%s: %v", name, err)
		}
		if tt.status != 304 {
			refused(t, err, tt.status, tt.code)
		}
	}
	_, err := c.HeadObject(c.ctx, &awss3.HeadObjectInput{Bucket: aws.String("docs"), Key: &key, IfMatch: aws.String(`"other"`)})
	refused(t, err, 412, "PreconditionFailed")
	if out, err := c.GetObject(c.ctx, &awss3.GetObjectInput{Bucket: aws.String("docs"), Key: &key, PartNumber: aws.Int32(1), VersionId: aws.String("null")}); err != nil || c.read(out.Body) != "hello world" {
		t.Error(err)
	}
}

func objectOverrides(t *testing.T, c s3Caller, key string) {
	t.Helper()
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	out, err := c.GetObject(c.ctx, &awss3.GetObjectInput{
		Bucket: aws.String("docs"), Key: &key, ResponseCacheControl: aws.String("no-store"), ResponseContentDisposition: aws.String(`attachment; filename="a"`),
		ResponseContentEncoding: aws.String("identity"), ResponseContentLanguage: aws.String("de"), ResponseContentType: aws.String("text/html"), ResponseExpires: &at,
	})
	if err != nil || *out.CacheControl != "no-store" || *out.ContentDisposition != `attachment; filename="a"` || *out.ContentEncoding != "identity" ||
		*out.ContentLanguage != "de" || *out.ContentType != "text/html" || *out.ExpiresString != "Wed, 02 Jan 2030 03:04:05 GMT" {
		t.Errorf("%+v %v", out, err)
	}
	_ = c.read(out.Body)
}

func TestS3ConditionalWrites(t *testing.T) {
	t.Parallel()
	b := newBench(t, s3On)
	b.bucket("docs", nil)
	c := b.s3()
	anything, other := aws.String("*"), aws.String(`"other"`)
	put := func(change func(*awss3.PutObjectInput)) (*awss3.PutObjectOutput, error) {
		in := &awss3.PutObjectInput{Bucket: aws.String("docs"), Key: aws.String("one"), Body: strings.NewReader("new")}
		change(in)
		return c.PutObject(c.ctx, in)
	}
	_, err := put(func(in *awss3.PutObjectInput) { in.IfMatch = other })
	refused(t, err, 404, "NoSuchKey")
	first, err := put(func(in *awss3.PutObjectInput) { in.IfNoneMatch = anything })
	if err != nil {
		t.Fatal(err)
	}
	_, err = put(func(in *awss3.PutObjectInput) { in.IfNoneMatch, in.Body = anything, strings.NewReader("overwritten") })
	refused(t, err, 412, "PreconditionFailed")
	_, err = put(func(in *awss3.PutObjectInput) { in.IfMatch, in.Body = other, strings.NewReader("overwritten") })
	refused(t, err, 412, "PreconditionFailed")
	if c.get("docs", "one") != "new" || b.stored() != 1 {
		t.Errorf("%d blobs", b.stored())
	}
	_, err = put(func(in *awss3.PutObjectInput) { in.IfMatch, in.Body = first.ETag, strings.NewReader("changed") })
	if err != nil || c.get("docs", "one") != "changed" || b.stored() != 1 {
		t.Errorf("%v, %d blobs", err, b.stored())
	}
	// Of many that know the same version, one wins.
	head, err := c.HeadObject(c.ctx, &awss3.HeadObjectInput{Bucket: aws.String("docs"), Key: aws.String("one")})
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan error)
	for i := range 8 {
		go func() {
			_, err := put(func(in *awss3.PutObjectInput) {
				in.IfMatch, in.Body = head.ETag, strings.NewReader(fmt.Sprint("by ", i))
			})
			results <- err
		}()
	}
	won := 0
	for range 8 {
		if err := <-results; err == nil {
			won++
		} else {
			refused(t, err, 412, "PreconditionFailed")
		}
	}
	if won != 1 || b.stored() != 1 {
		t.Errorf("%d won, %d blobs", won, b.stored())
	}
	_, err = c.CopyObject(c.ctx, &awss3.CopyObjectInput{Bucket: aws.String("docs"), Key: aws.String("one"), CopySource: aws.String("docs/one"), IfNoneMatch: anything})
	refused(t, err, 412, "PreconditionFailed")
	id, parts := c.multipart("docs", "one", "parts")
	_, err = c.CompleteMultipartUpload(c.ctx, &awss3.CompleteMultipartUploadInput{
		Bucket: aws.String("docs"), Key: aws.String("one"), UploadId: &id, IfNoneMatch: anything, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	refused(t, err, 412, "PreconditionFailed")
	if _, err := c.complete("docs", "one", id, parts); err != nil || c.get("docs", "one") != "parts" || b.stored() != 1 {
		t.Errorf("%v, %d blobs", err, b.stored())
	}
}

func TestS3DeletesMany(t *testing.T) {
	t.Parallel()
	b := newBench(t, s3On)
	b.bucket("docs", nil)
	c := b.s3()
	many := func(quiet bool, keys ...string) (*awss3.DeleteObjectsOutput, error) {
		var objects []types.ObjectIdentifier
		for _, key := range keys {
			objects = append(objects, types.ObjectIdentifier{Key: aws.String(key)})
		}
		return c.DeleteObjects(c.ctx, &awss3.DeleteObjectsInput{Bucket: aws.String("docs"), Delete: &types.Delete{Objects: objects, Quiet: &quiet}})
	}
	c.put("docs", "a & <b>"[:3]+"b", "1")
	c.put("docs", "two", "2")
	out, err := many(false, "a &b", "never was")
	if err != nil || len(out.Deleted) != 2 || *out.Deleted[0].Key != "a &b" || len(out.Errors) != 0 || b.stored() != 1 {
		t.Errorf("%+v %v", out, err)
	}
	if out, err = many(true, "two"); err != nil || len(out.Deleted) != 0 || b.rows() != 0 || b.stored() != 0 {
		t.Errorf("%+v %v", out, err)
	}
	_, err = many(false, make([]string, 1001)...)
	refused(t, err, 400, "InvalidRequest")
	_, err = c.DeleteObjects(c.ctx, &awss3.DeleteObjectsInput{Bucket: aws.String("none"), Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("x")}}}})
	refused(t, err, 404, "NoSuchBucket")
}

func TestS3FoldersAreKeptAlive(t *testing.T) {
	t.Parallel()
	b := newBench(t, s3On)
	b.bucket("docs", nil)
	c := b.s3()
	c.put("docs", "empty/", "")
	c.put("docs", "full/", "bytes")
	keys, _, _ := c.walk(&awss3.ListObjectsV2Input{Bucket: aws.String("docs")})
	if !slices.Equal(keys, []string{"empty/.emptyFolderPlaceholder", "full/"}) {
		t.Error(keys)
	}
	head, err := c.HeadObject(c.ctx, &awss3.HeadObjectInput{Bucket: aws.String("docs"), Key: aws.String("empty/")})
	if err != nil || *head.ContentLength != 0 {
		t.Errorf("%+v %v", head, err)
	}
	_, err = c.HeadObject(c.ctx, &awss3.HeadObjectInput{Bucket: aws.String("docs"), Key: aws.String("empty")})
	refused(t, err, 404, "NotFound")
	if c.get("docs", "full/") != "bytes" {
		t.Error("other bytes")
	}
	for _, key := range []string{"empty/", "full/"} {
		if _, err := c.DeleteObject(c.ctx, &awss3.DeleteObjectInput{Bucket: aws.String("docs"), Key: &key}); err != nil {
			t.Error(err)
		}
	}
	if b.rows() != 0 || b.stored() != 0 {
		t.Errorf("%d rows, %d blobs", b.rows(), b.stored())
	}
}
