package storage_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
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

func TestS3SubresourcesTouchNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, s3On)
	b.bucket("docs", nil)
	c := b.s3()
	c.put("docs", "one", "as it was")
	bucket, key := aws.String("docs"), aws.String("one")
	tags, err := c.GetObjectTagging(c.ctx, &awss3.GetObjectTaggingInput{Bucket: bucket, Key: key})
	if err != nil || len(tags.TagSet) != 0 {
		t.Errorf("%+v %v", tags, err)
	}
	_, err = c.GetObjectTagging(c.ctx, &awss3.GetObjectTaggingInput{Bucket: bucket, Key: aws.String("none")})
	refused(t, err, 404, "NoSuchKey")
	var errs []error
	try := func(_ any, err error) { errs = append(errs, err) }
	try(c.PutObjectTagging(c.ctx, &awss3.PutObjectTaggingInput{Bucket: bucket, Key: key, Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}}))
	try(c.DeleteObjectTagging(c.ctx, &awss3.DeleteObjectTaggingInput{Bucket: bucket, Key: key}))
	try(c.GetBucketAcl(c.ctx, &awss3.GetBucketAclInput{Bucket: bucket}))
	try(c.GetBucketPolicy(c.ctx, &awss3.GetBucketPolicyInput{Bucket: bucket}))
	try(c.GetBucketLifecycleConfiguration(c.ctx, &awss3.GetBucketLifecycleConfigurationInput{Bucket: bucket}))
	try(c.GetObjectAcl(c.ctx, &awss3.GetObjectAclInput{Bucket: bucket, Key: key}))
	try(c.PutObjectAcl(c.ctx, &awss3.PutObjectAclInput{Bucket: bucket, Key: key, ACL: types.ObjectCannedACLPrivate}))
	try(c.GetObjectAttributes(c.ctx, &awss3.GetObjectAttributesInput{Bucket: bucket, Key: key, ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesEtag}}))
	try(c.DeleteBucketPolicy(c.ctx, &awss3.DeleteBucketPolicyInput{Bucket: bucket}))
	try(c.DeleteBucketTagging(c.ctx, &awss3.DeleteBucketTaggingInput{Bucket: bucket}))
	try(c.PutBucketVersioning(c.ctx, &awss3.PutBucketVersioningInput{Bucket: bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}))
	try(c.RestoreObject(c.ctx, &awss3.RestoreObjectInput{Bucket: bucket, Key: key}))
	for _, err := range errs {
		refused(t, err, 501, "NotImplemented")
	}
	_, err = c.DeleteObject(c.ctx, &awss3.DeleteObjectInput{Bucket: bucket, Key: key, VersionId: aws.String("other")})
	refused(t, err, 404, "NoSuchVersion")
	if c.get("docs", "one") != "as it was" || b.rows() != 1 || b.stored() != 1 {
		t.Errorf("%d rows, %d blobs", b.rows(), b.stored())
	}
}

func TestS3Copies(t *testing.T) {
	onBackends(t, func(t *testing.T, b *bench) {
		b.bucket("docs", nil)
		b.bucket("small", map[string]any{"file_size_limit": 4, "allowed_mime_types": []string{"text/plain"}})
		c := b.s3()
		from := c.put("docs", "a b+c/one.txt", "hello", func(in *awss3.PutObjectInput) {
			in.ContentType, in.CacheControl, in.Metadata = aws.String("text/plain"), aws.String("max-age=7"), map[string]string{"kept": "yes"}
		})
		copyTo := func(bucket, key string, change func(*awss3.CopyObjectInput)) error {
			in := &awss3.CopyObjectInput{Bucket: &bucket, Key: &key, CopySource: aws.String("/docs/a%20b%2Bc/one.txt")}
			change(in)
			out, err := c.CopyObject(c.ctx, in)
			if err == nil && (*out.CopyObjectResult.ETag != *from.ETag || time.Since(*out.CopyObjectResult.LastModified) > time.Minute) {
				t.Errorf("%+v", out.CopyObjectResult)
			}
			return err
		}
		if err := copyTo("docs", "two", func(in *awss3.CopyObjectInput) { in.ContentType = aws.String("is/ignored") }); err != nil {
			t.Fatal(err)
		}
		head, err := c.HeadObject(c.ctx, &awss3.HeadObjectInput{Bucket: aws.String("docs"), Key: aws.String("two")})
		if err != nil || *head.ContentType != "text/plain" || *head.CacheControl != "max-age=7" || head.Metadata["kept"] != "yes" || c.get("docs", "two") != "hello" {
			t.Errorf("%+v %v", head, err)
		}
		err = copyTo("docs", "a b+c/one.txt", func(in *awss3.CopyObjectInput) { // onto itself
			in.MetadataDirective, in.ContentType, in.Metadata = types.MetadataDirectiveReplace, aws.String("application/json"), map[string]string{"new": "too"}
		})
		if err != nil {
			t.Fatal(err)
		}
		head, err = c.HeadObject(c.ctx, &awss3.HeadObjectInput{Bucket: aws.String("docs"), Key: aws.String("a b+c/one.txt")})
		if err != nil || *head.ContentType != "application/json" || *head.CacheControl != "no-cache" || head.Metadata["kept"] != "" || head.Metadata["new"] != "too" {
			t.Errorf("%+v %v", head, err)
		}
		refused(t, copyTo("docs", "x", func(in *awss3.CopyObjectInput) { in.CopySourceIfMatch = aws.String("other") }), 412, "PreconditionFailed")
		refused(t, copyTo("docs", "x", func(in *awss3.CopyObjectInput) { in.CopySourceIfNoneMatch = from.ETag }), 412, "PreconditionFailed")
		refused(t, copyTo("docs", "x", func(in *awss3.CopyObjectInput) { in.CopySourceIfModifiedSince = aws.Time(time.Now().Add(time.Hour)) }), 412, "PreconditionFailed")
		refused(t, copyTo("docs", "x", func(in *awss3.CopyObjectInput) { in.CopySource = aws.String("docs/none") }), 404, "NoSuchKey")
		refused(t, copyTo("docs", "x", func(in *awss3.CopyObjectInput) { in.CopySource = aws.String("docs/two?versionId=1") }), 404, "NoSuchVersion")
		refused(t, copyTo("none", "x", func(*awss3.CopyObjectInput) {}), 404, "NoSuchBucket")
		refused(t, copyTo("small", "x", func(in *awss3.CopyObjectInput) { in.CopySource = aws.String("docs/two") }), 413, "EntityTooLarge")
		c.put("docs", "tiny", "{}")
		refused(t, copyTo("small", "x", func(in *awss3.CopyObjectInput) { in.CopySource = aws.String("docs/tiny") }), 415, "InvalidMimeType")
		if b.rows() != 3 || b.stored() != 3 {
			t.Errorf("%d rows, %d blobs", b.rows(), b.stored())
		}
	})
}

func TestS3Multipart(t *testing.T) {
	onBackends(t, func(t *testing.T, b *bench) {
		b.bucket("docs", nil)
		c := b.s3()
		part := make([]byte, 5<<20)
		_, _ = rand.Read(part)
		id, parts := c.multipart("docs", "d/large", string(part), string(part), "end")
		list, err := c.ListParts(c.ctx, &awss3.ListPartsInput{Bucket: aws.String("docs"), Key: aws.String("d/large"), UploadId: &id, MaxParts: aws.Int32(2)})
		if err != nil || len(list.Parts) != 2 || *list.Parts[0].Size != 5<<20 || *list.Parts[0].ETag != *parts[0].ETag || !*list.IsTruncated || *list.NextPartNumberMarker != "2" {
			t.Errorf("%+v %v", list, err)
		}
		list, err = c.ListParts(c.ctx, &awss3.ListPartsInput{Bucket: aws.String("docs"), Key: aws.String("d/large"), UploadId: &id, PartNumberMarker: list.NextPartNumberMarker})
		if err != nil || len(list.Parts) != 1 || *list.Parts[0].PartNumber != 3 || *list.IsTruncated {
			t.Errorf("%+v %v", list, err)
		}
		_, err = c.complete("docs", "d/large", id, []types.CompletedPart{parts[1], parts[0]})
		refused(t, err, 400, "InvalidPartOrder")
		_, err = c.complete("docs", "d/large", id, []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: parts[2].ETag}})
		refused(t, err, 400, "InvalidPart")
		_, err = c.complete("docs", "d/large", id, []types.CompletedPart{{PartNumber: aws.Int32(9), ETag: parts[2].ETag}})
		refused(t, err, 400, "InvalidPart")
		_, err = c.complete("docs", "other", id, parts)
		refused(t, err, 404, "NoSuchUpload")
		// A part may come anew, in place of the one before.
		again, err := c.UploadPart(c.ctx, &awss3.UploadPartInput{Bucket: aws.String("docs"), Key: aws.String("d/large"), UploadId: &id, PartNumber: aws.Int32(3), Body: strings.NewReader("the end")})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.complete("docs", "d/large", id, parts)
		refused(t, err, 400, "InvalidPart")
		parts[2].ETag = again.ETag
		out, err := c.complete("docs", "d/large", id, parts)
		if err != nil || !strings.HasSuffix(*out.ETag, `-3"`) {
			t.Fatalf("%+v %v", out, err)
		}
		if c.get("docs", "d/large") != string(part)+string(part)+"the end" {
			t.Error("bytes differ")
		}
		head, err := c.HeadObject(c.ctx, &awss3.HeadObjectInput{Bucket: aws.String("docs"), Key: aws.String("d/large")})
		if err != nil || *head.ContentLength != 10<<20+7 || *head.ETag != *out.ETag || *head.ContentType != "text/x-parts" || *head.CacheControl != "max-age=5" || head.Metadata["made"] != "of parts" {
			t.Errorf("%+v %v", head, err)
		}
		_, err = c.complete("docs", "d/large", id, parts)
		refused(t, err, 404, "NoSuchUpload")
		id, parts = c.multipart("docs", "d/large", "too small", "end")
		_, err = c.complete("docs", "d/large", id, parts)
		refused(t, err, 400, "EntityTooSmall")
		if _, err := c.AbortMultipartUpload(c.ctx, &awss3.AbortMultipartUploadInput{Bucket: aws.String("docs"), Key: aws.String("d/large"), UploadId: &id}); err != nil {
			t.Error(err)
		}
		_, err = c.UploadPart(c.ctx, &awss3.UploadPartInput{Bucket: aws.String("docs"), Key: aws.String("d/large"), UploadId: &id, PartNumber: aws.Int32(1), Body: strings.NewReader("x")})
		refused(t, err, 404, "NoSuchUpload")
		if b.stored() != 1 || b.count("storage.s3_multipart_uploads") != 0 || b.count("storage.s3_multipart_uploads_parts") != 0 {
			t.Errorf("%d blobs", b.stored())
		}
	})
}

// count counts a table's rows.
func (b *bench) count(table string) (n int) {
	b.t.Helper()
	if err := b.p.Owner.QueryRow(context.Background(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		b.t.Fatal(err)
	}
	return n
}

func TestS3CopiedParts(t *testing.T) {
	onBackends(t, func(t *testing.T, b *bench) {
		b.bucket("docs", nil)
		c := b.s3()
		large := strings.Repeat("0123456789abcdef", 6<<20/16)
		c.put("docs", "from", large)
		id, _ := c.multipart("docs", "to")
		var parts []types.CompletedPart
		for i, r := range []*string{nil, aws.String("bytes=1-10")} {
			out, err := c.UploadPartCopy(c.ctx, &awss3.UploadPartCopyInput{
				Bucket: aws.String("docs"), Key: aws.String("to"), UploadId: &id, PartNumber: aws.Int32(int32(i + 1)), CopySource: aws.String("docs/from"), CopySourceRange: r,
			})
			if err != nil || time.Since(*out.CopyPartResult.LastModified) > time.Minute {
				t.Fatalf("%+v %v", out, err)
			}
			parts = append(parts, types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: out.CopyPartResult.ETag})
		}
		for _, r := range []string{"bytes=-5", "bytes=5-", "bytes=0-6291456", "0-5"} {
			_, err := c.UploadPartCopy(c.ctx, &awss3.UploadPartCopyInput{
				Bucket: aws.String("docs"), Key: aws.String("to"), UploadId: &id, PartNumber: aws.Int32(3), CopySource: aws.String("docs/from"), CopySourceRange: &r,
			})
			refused(t, err, 400, "InvalidRange")
		}
		if _, err := c.complete("docs", "to", id, parts); err != nil || c.get("docs", "to") != large+"123456789a" {
			t.Error(err)
		}
	})
}

func TestS3Limits(t *testing.T) {
	t.Parallel()
	b := newBench(t, s3On)
	b.bucket("small", map[string]any{"file_size_limit": 6 << 20, "allowed_mime_types": []string{"text/*"}})
	c := b.s3()
	text := aws.String("text/plain")
	_, err := c.PutObject(c.ctx, &awss3.PutObjectInput{Bucket: aws.String("small"), Key: aws.String("x"), Body: strings.NewReader("x"), ContentType: aws.String("image/png")})
	refused(t, err, 415, "InvalidMimeType")
	_, err = c.PutObject(c.ctx, &awss3.PutObjectInput{Bucket: aws.String("small"), Key: aws.String("x"), Body: bytes.NewReader(make([]byte, 6<<20+1)), ContentType: text})
	refused(t, err, 413, "EntityTooLarge")
	_, err = c.CreateMultipartUpload(c.ctx, &awss3.CreateMultipartUploadInput{Bucket: aws.String("small"), Key: aws.String("x"), ContentType: aws.String("image/png")})
	refused(t, err, 415, "InvalidMimeType")
	id, parts := c.multipart("small", "x", string(make([]byte, 5<<20)))
	part := func(number int32, size int) error {
		out, err := c.UploadPart(c.ctx, &awss3.UploadPartInput{Bucket: aws.String("small"), Key: aws.String("x"), UploadId: &id, PartNumber: &number, Body: bytes.NewReader(make([]byte, size))})
		if err == nil {
			parts = append(parts[:number-1], types.CompletedPart{PartNumber: &number, ETag: out.ETag})
		}
		return err
	}
	refused(t, part(2, 1<<20+1), 413, "EntityTooLarge")
	for range 3 { // in place of itself
		if err := part(2, 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, part(3, 1), 413, "EntityTooLarge")
	if _, err := c.complete("small", "x", id, parts); err != nil {
		t.Error(err)
	}
	if b.stored() != 1 || len(c.get("small", "x")) != 6<<20 {
		t.Errorf("%d blobs", b.stored())
	}
}

func TestS3Lists(t *testing.T) {
	t.Parallel()
	b := newBench(t, s3On)
	b.bucket("docs", nil)
	b.p.Exec(t, `INSERT INTO storage.objects (bucket_id, name, metadata)
		SELECT 'docs', CASE WHEN i <= 1200 THEN 'd' || i % 400 || '/' || i WHEN i <= 1210 THEN 'x y+é/' || i ELSE 'o' || lpad(i::text, 5, '0') END, '{"size":3,"eTag":"\"tag\""}' FROM generate_series(1, 2500) i`)
	c := b.s3()
	keys, prefixes, pages := c.walk(&awss3.ListObjectsV2Input{Bucket: aws.String("docs")})
	if len(keys) != 2500 || len(prefixes) != 0 || pages != 3 || !slices.IsSorted(keys) {
		t.Errorf("%d keys, %d prefixes, %d pages", len(keys), len(prefixes), pages)
	}
	keys, prefixes, pages = c.walk(&awss3.ListObjectsV2Input{Bucket: aws.String("docs"), Delimiter: aws.String("/"), MaxKeys: aws.Int32(300)})
	if len(keys) != 1290 || len(prefixes) != 401 || pages != 6 || !slices.IsSorted(keys) || !slices.IsSorted(prefixes) {
		t.Errorf("%d keys, %d prefixes, %d pages", len(keys), len(prefixes), pages)
	}
	keys, prefixes, _ = c.walk(&awss3.ListObjectsV2Input{Bucket: aws.String("docs"), Delimiter: aws.String("0"), Prefix: aws.String("o"), MaxKeys: aws.Int32(1)})
	if len(keys) != 0 || !slices.Equal(prefixes, []string{"o0"}) {
		t.Errorf("%v %v", keys, prefixes)
	}
	for _, size := range []int32{1, 2, 1000} { // the object called as the prefix is an entry like others
		b.p.Exec(t, `INSERT INTO storage.objects (bucket_id, name) VALUES ('docs', 'd7/'), ('docs', 'd7'), ('docs', 'd7/-/x') ON CONFLICT DO NOTHING`)
		keys, prefixes, _ = c.walk(&awss3.ListObjectsV2Input{Bucket: aws.String("docs"), Prefix: aws.String("d7/"), Delimiter: aws.String("/"), MaxKeys: &size})
		if !slices.Equal(keys, []string{"d7/", "d7/1207", "d7/407", "d7/7", "d7/807"}) && !slices.Equal(keys, []string{"d7/", "d7/407", "d7/7", "d7/807"}) || !slices.Equal(prefixes, []string{"d7/-/"}) {
			t.Errorf("%v %v", keys, prefixes)
		}
	}
	for start, first := range map[string]string{"d7": "d7/", "d7/": "d70/", "d7/9": "d70/", "d7/5": "d7/", "d7/zzz": "d70/"} {
		out, err := c.ListObjectsV2(c.ctx, &awss3.ListObjectsV2Input{Bucket: aws.String("docs"), Delimiter: aws.String("/"), StartAfter: &start, MaxKeys: aws.Int32(1)})
		if err != nil || len(out.CommonPrefixes) != 1 || *out.CommonPrefixes[0].Prefix != first || *out.StartAfter != start {
			t.Errorf("%s: %+v %v", start, out, err)
		}
	}
	out, err := c.ListObjectsV2(c.ctx, &awss3.ListObjectsV2Input{Bucket: aws.String("docs"), Prefix: aws.String("x y"), EncodingType: types.EncodingTypeUrl, MaxKeys: aws.Int32(2)})
	if err != nil || *out.Contents[0].Key != "x%20y%2B%C3%A9/1201" || *out.Contents[0].Size != 3 || *out.Contents[0].ETag != `"tag"` || *out.Prefix != "x%20y" || *out.KeyCount != 2 {
		t.Errorf("%+v %v", out, err)
	}
	empty, err := c.ListObjectsV2(c.ctx, &awss3.ListObjectsV2Input{Bucket: aws.String("docs"), MaxKeys: aws.Int32(0)})
	if err != nil || len(empty.Contents) != 0 || *empty.IsTruncated || *empty.MaxKeys != 0 {
		t.Errorf("%+v %v", empty, err)
	}
	_, err = c.ListObjectsV2(c.ctx, &awss3.ListObjectsV2Input{Bucket: aws.String("none")})
	refused(t, err, 404, "NoSuchBucket")
	_, err = c.ListObjectsV2(c.ctx, &awss3.ListObjectsV2Input{Bucket: aws.String("docs"), ContinuationToken: aws.String("no token")})
	refused(t, err, 400, "InvalidParameter")
	listFirst(t, c)
	versions(t, c)
}

// versions empties the bucket by its versions, as rclone does.
func versions(t *testing.T, c s3Caller) {
	t.Helper()
	gone := 0
	in := &awss3.ListObjectVersionsInput{Bucket: aws.String("docs"), Prefix: aws.String("d")}
	for {
		out, err := c.ListObjectVersions(c.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		var objects []types.ObjectIdentifier
		for _, v := range out.Versions {
			objects = append(objects, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
		}
		deleted, err := c.DeleteObjects(c.ctx, &awss3.DeleteObjectsInput{Bucket: aws.String("docs"), Delete: &types.Delete{Objects: objects}})
		if err != nil || len(deleted.Errors) != 0 {
			t.Fatalf("%+v %v", deleted, err)
		}
		gone += len(deleted.Deleted)
		if !*out.IsTruncated {
			break
		}
		in.KeyMarker, in.VersionIdMarker = out.NextKeyMarker, out.NextVersionIdMarker
	}
	if keys, _, _ := c.walk(&awss3.ListObjectsV2Input{Bucket: aws.String("docs"), Prefix: aws.String("d")}); gone != 1200+3 || len(keys) != 0 {
		t.Errorf("%d deleted, %d left", gone, len(keys))
	}
}

// listFirst walks by ListObjects, as older clients do.
func listFirst(t *testing.T, c s3Caller) {
	t.Helper()
	var names []string
	in := &awss3.ListObjectsInput{Bucket: aws.String("docs"), Delimiter: aws.String("/"), MaxKeys: aws.Int32(400)}
	for {
		out, err := c.ListObjects(c.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range out.CommonPrefixes {
			names = append(names, *p.Prefix)
		}
		for _, o := range out.Contents {
			names = append(names, *o.Key)
		}
		if !*out.IsTruncated {
			break
		}
		in.Marker = out.NextMarker
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != len(names) || len(names) != 1290+401+1 {
		t.Errorf("%d names", len(names))
	}
}

// walk reads a listing to its end.
func (c s3Caller) walk(in *awss3.ListObjectsV2Input) (keys, prefixes []string, pages int) {
	c.t.Helper()
	for {
		out, err := c.ListObjectsV2(c.ctx, in)
		if err != nil {
			c.t.Fatal(err)
		}
		pages++
		for _, o := range out.Contents {
			keys = append(keys, *o.Key)
		}
		for _, p := range out.CommonPrefixes {
			prefixes = append(prefixes, *p.Prefix)
		}
		if int(*out.KeyCount) != len(out.Contents)+len(out.CommonPrefixes) {
			c.t.Errorf("%d keys counted", *out.KeyCount)
		}
		if !*out.IsTruncated {
			return keys, prefixes, pages
		}
		next := *in
		next.ContinuationToken, in = out.NextContinuationToken, &next
	}
}

func TestS3ListUploads(t *testing.T) {
	t.Parallel()
	b := newBench(t, s3On)
	b.bucket("docs", nil)
	c := b.s3()
	for _, key := range []string{"b/1", "b/2", "a", "a", "c"} {
		c.multipart("docs", key)
	}
	var names []string
	in := &awss3.ListMultipartUploadsInput{Bucket: aws.String("docs"), Delimiter: aws.String("/"), MaxUploads: aws.Int32(1)}
	for {
		out, err := c.ListMultipartUploads(c.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range out.Uploads {
			names = append(names, *u.Key)
		}
		for _, p := range out.CommonPrefixes {
			names = append(names, *p.Prefix)
		}
		if !*out.IsTruncated {
			break
		}
		in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
	}
	if !slices.Equal(names, []string{"a", "a", "b/", "c"}) {
		t.Error(names)
	}
	out, err := c.ListMultipartUploads(c.ctx, &awss3.ListMultipartUploadsInput{Bucket: aws.String("docs"), Prefix: aws.String("b/"), KeyMarker: aws.String("b/1")})
	if err != nil || len(out.Uploads) != 1 || *out.Uploads[0].Key != "b/2" || out.Uploads[0].UploadId == nil || time.Since(*out.Uploads[0].Initiated) > time.Minute {
		t.Errorf("%+v %v", out, err)
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

func TestS3ObeysPolicies(t *testing.T) {
	t.Parallel()
	b := newBench(t, s3On)
	b.bucket("docs", nil)
	b.ownFolder("docs")
	id, token := b.user()
	service, user := b.s3(), b.s3User(token)
	service.put("docs", "secret", "of the service")
	mine := id + "/mine"
	user.put("docs", mine, "mine")
	keys, _, _ := user.walk(&awss3.ListObjectsV2Input{Bucket: aws.String("docs")})
	if !slices.Equal(keys, []string{mine}) || user.get("docs", mine) != "mine" {
		t.Error(keys)
	}
	buckets, err := user.ListBuckets(user.ctx, &awss3.ListBucketsInput{})
	if err != nil || len(buckets.Buckets) != 0 {
		t.Errorf("%+v %v", buckets, err)
	}
	_, err = user.GetObject(user.ctx, &awss3.GetObjectInput{Bucket: aws.String("docs"), Key: aws.String("secret")})
	refused(t, err, 404, "NoSuchKey")
	_, err = user.PutObject(user.ctx, &awss3.PutObjectInput{Bucket: aws.String("docs"), Key: aws.String("other/x"), Body: strings.NewReader("x")})
	refused(t, err, 403, "AccessDenied")
	_, err = user.DeleteObject(user.ctx, &awss3.DeleteObjectInput{Bucket: aws.String("docs"), Key: aws.String("secret")})
	refused(t, err, 403, "AccessDenied")
	_, err = user.CopyObject(user.ctx, &awss3.CopyObjectInput{Bucket: aws.String("docs"), Key: &mine, CopySource: aws.String("docs/secret")})
	refused(t, err, 404, "NoSuchKey")
	_, err = user.CopyObject(user.ctx, &awss3.CopyObjectInput{Bucket: aws.String("docs"), Key: aws.String("copied"), CopySource: aws.String("docs/" + mine)})
	refused(t, err, 403, "AccessDenied")
	_, err = user.CreateMultipartUpload(user.ctx, &awss3.CreateMultipartUploadInput{Bucket: aws.String("docs"), Key: aws.String("other")})
	refused(t, err, 403, "AccessDenied")
	_, err = user.CreateBucket(user.ctx, &awss3.CreateBucketInput{Bucket: aws.String("mine")})
	refused(t, err, 403, "AccessDenied")
	upload, parts := user.multipart("docs", mine, "in parts")
	_, stranger := b.user()
	other := b.s3User(stranger)
	_, err = other.UploadPart(user.ctx, &awss3.UploadPartInput{Bucket: aws.String("docs"), Key: &mine, UploadId: &upload, PartNumber: aws.Int32(2), Body: strings.NewReader("x")})
	refused(t, err, 403, "AccessDenied")
	_, err = other.complete("docs", mine, upload, parts)
	refused(t, err, 403, "AccessDenied")
	_, err = other.AbortMultipartUpload(user.ctx, &awss3.AbortMultipartUploadInput{Bucket: aws.String("docs"), Key: &mine, UploadId: &upload})
	refused(t, err, 403, "AccessDenied")
	if _, err = user.complete("docs", mine, upload, parts); err != nil || user.get("docs", mine) != "in parts" {
		t.Error(err)
	}
	many, err := user.DeleteObjects(user.ctx, &awss3.DeleteObjectsInput{Bucket: aws.String("docs"), Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: &mine}, {Key: aws.String("secret")}}}})
	if err != nil || len(many.Deleted) != 1 || len(many.Errors) != 1 || *many.Errors[0].Code != "AccessDenied" {
		t.Errorf("%+v %v", many, err)
	}
	var owner, operation string
	b.p.Exec(t, `CREATE TABLE seen (operation text, owner text); GRANT ALL ON seen TO authenticated, service_role;
		CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN INSERT INTO seen VALUES (storage.operation(), NEW.owner_id); RETURN NEW; END';
		CREATE TRIGGER see BEFORE INSERT ON storage.objects FOR EACH ROW EXECUTE FUNCTION see()`)
	user.put("docs", mine, "again")
	if err := b.p.Owner.QueryRow(t.Context(), "SELECT operation, owner FROM seen").Scan(&operation, &owner); err != nil || operation != "storage.s3.upload" || owner != id {
		t.Errorf("%s %s %v", operation, owner, err)
	}
}

func TestS3PresignedURLs(t *testing.T) {
	t.Parallel()
	b := newBench(t, s3On)
	b.bucket("docs", nil)
	c := b.s3()
	signer := awss3.NewPresignClient(c.Client)
	put, err := signer.PresignPutObject(c.ctx, &awss3.PutObjectInput{Bucket: aws.String("docs"), Key: aws.String("a b/ü"[:4] + "c"), ContentType: aws.String("text/html"), Metadata: map[string]string{"by": "url"}})
	if err != nil {
		t.Fatal(err)
	}
	request, _ := http.NewRequestWithContext(c.ctx, put.Method, put.URL, strings.NewReader("<p>"))
	request.Header = put.SignedHeader
	if got := b.roundTrip(request); got.status != 200 || got.header.Get("ETag") == "" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	get, err := signer.PresignGetObject(c.ctx, &awss3.GetObjectInput{Bucket: aws.String("docs"), Key: aws.String("a b/c"), ResponseContentDisposition: aws.String("inline")})
	if err != nil {
		t.Fatal(err)
	}
	request, _ = http.NewRequestWithContext(c.ctx, get.Method, get.URL, http.NoBody)
	got := b.roundTrip(request)
	if got.body != "<p>" || got.header.Get("Content-Disposition") != "inline" || got.header.Get("Content-Type") != "text/html" ||
		got.header.Get("Content-Security-Policy") != "sandbox" || got.header.Get("X-Amz-Meta-By") != "url" {
		t.Errorf("%d %s %v", got.status, got.body, got.header)
	}
	request, _ = http.NewRequestWithContext(c.ctx, get.Method, strings.Replace(get.URL, "/c?", "/d?", 1), http.NoBody)
	if got := b.roundTrip(request); got.status != 403 || !strings.Contains(got.body, "<Code>SignatureDoesNotMatch</Code>") || !strings.Contains(got.body, "<Resource>/docs/a b/d</Resource>") {
		t.Errorf("%d %s", got.status, got.body)
	}
	request, _ = http.NewRequestWithContext(c.ctx, "GET", b.url+"/s3/docs/x", http.NoBody)
	if got := b.roundTrip(request); got.status != 403 || !strings.Contains(got.body, "<Code>AccessDenied</Code><Message>Missing signature</Message>") || got.header.Get("Content-Type") != "application/xml; charset=utf-8" {
		t.Errorf("%d %s %v", got.status, got.body, got.header)
	}
}

func (b *bench) roundTrip(r *http.Request) reply {
	b.t.Helper()
	response, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, string(body)}
}

func TestS3Forms(t *testing.T) {
	t.Parallel()
	b := newBench(t, s3On)
	b.bucket("docs", map[string]any{"file_size_limit": 20})
	c := b.s3()
	send := func(key, file string) reply {
		post, err := awss3.NewPresignClient(c.Client).PresignPostObject(c.ctx, &awss3.PutObjectInput{Bucket: aws.String("docs"), Key: &key}, func(o *awss3.PresignPostOptions) {
			o.Conditions = []any{map[string]string{"Content-Type": "text/x-form"}, map[string]string{"x-amz-meta-by": "form"}, []any{"content-length-range", 1, 30}, map[string]string{"success_action_status": "201"}}
		})
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		for name, value := range post.Values {
			_ = w.WriteField(name, value)
		}
		for _, f := range [][2]string{{"Content-Type", "text/x-form"}, {"x-amz-meta-by", "form"}, {"success_action_status", "201"}} {
			_ = w.WriteField(f[0], f[1])
		}
		part, _ := w.CreateFormFile("file", "name of it.txt")
		_, _ = part.Write([]byte(file))
		_ = w.Close()
		request, _ := http.NewRequestWithContext(c.ctx, "POST", post.URL, &body)
		request.Header.Set("Content-Type", w.FormDataContentType())
		return b.roundTrip(request)
	}
	if got := send("by/${filename}", "posted"); got.status != 201 || !strings.Contains(got.body, "<Key>by/name of it.txt</Key>") || got.header.Get("ETag") == "" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	head, err := c.HeadObject(c.ctx, &awss3.HeadObjectInput{Bucket: aws.String("docs"), Key: aws.String("by/name of it.txt")})
	if err != nil || *head.ContentType != "text/x-form" || head.Metadata["by"] != "form" || *head.ContentLength != 6 {
		t.Errorf("%+v %v", head, err)
	}
	for file, code := range map[string]string{"": "EntityTooSmall", strings.Repeat("x", 21): "EntityTooLarge", strings.Repeat("x", 31): "EntityTooLarge"} {
		if got := send("other", file); !strings.Contains(got.body, "<Code>"+code+"</Code>") {
			t.Errorf("%d bytes: %d %s", len(file), got.status, got.body)
		}
	}
	if b.rows() != 1 || b.stored() != 1 {
		t.Errorf("%d rows, %d blobs", b.rows(), b.stored())
	}
}
