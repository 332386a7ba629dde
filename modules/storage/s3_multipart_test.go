package storage_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/madbase/madbase/platform/blob"
)

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
	// What a process that was killed had begun to take may come anew.
	b.p.Exec(t, "UPDATE storage.s3_multipart_uploads SET in_progress_size = in_progress_size + (1 << 20)")
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

// An upload that is gone is what is not there, and not the object that is copied from.
func TestS3CopiedPartOfAnUploadThatIsGone(t *testing.T) {
	onBackends(t, func(t *testing.T, b *bench) {
		b.bucket("docs", nil)
		c := b.s3()
		c.put("docs", "from", "bytes")
		id, _ := c.multipart("docs", "to")
		copyPart := func() error {
			_, err := c.UploadPartCopy(c.ctx, &awss3.UploadPartCopyInput{
				Bucket: aws.String("docs"), Key: aws.String("to"), UploadId: &id, PartNumber: aws.Int32(1), CopySource: aws.String("docs/from"),
			})
			return err
		}
		parts := b.blobs.(blob.Multipart)
		for begun, err := range parts.Unfinished(t.Context(), "") { // from under its row
			if err == nil {
				err = parts.AbortMultipart(t.Context(), begun.Upload)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		refused(t, copyPart(), 404, "NoSuchUpload")
		if _, err := c.AbortMultipartUpload(c.ctx, &awss3.AbortMultipartUploadInput{Bucket: aws.String("docs"), Key: aws.String("to"), UploadId: &id}); err != nil {
			t.Error(err)
		}
		refused(t, copyPart(), 404, "NoSuchUpload")
	})
}

// Who may not complete an upload is told so before the list of its parts is read.
func TestS3AsksForRightsBeforeItReads(t *testing.T) {
	t.Parallel()
	b := newBench(t, s3On)
	b.bucket("docs", nil)
	b.ownFolder("docs")
	owner, token := b.user()
	_, stranger := b.user()
	id, _ := b.s3User(token).multipart("docs", owner+"/x", "bytes")
	for who, want := range map[string]string{token: "400 MalformedXML", stranger: "403 AccessDenied"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+"/s3/docs/"+owner+"/x?uploadId="+id, strings.NewReader("no XML"))
		if err != nil {
			t.Fatal(err)
		}
		const payload = "UNSIGNED-PAYLOAD"
		r.Header.Set("X-Amz-Content-Sha256", payload)
		credential := aws.Credentials{AccessKeyID: "default", SecretAccessKey: b.anon, SessionToken: who}
		if err := v4.NewSigner().SignHTTP(t.Context(), credential, r, payload, "s3", "us-east-1", time.Now()); err != nil {
			t.Fatal(err)
		}
		res, err := b.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		status, code, _ := strings.Cut(want, " ")
		if err != nil || strconv.Itoa(res.StatusCode) != status || !strings.Contains(string(body), "<Code>"+code+"</Code>") {
			t.Errorf("%d %s %v, want %s", res.StatusCode, body, err, want)
		}
	}
}

// A bucket that is being uploaded to in parts cannot be deleted, in the real service's words; emptying it is no matter.
func TestBucketWithAnUploadUnderWay(t *testing.T) {
	t.Parallel()
	b := newBench(t, s3On)
	b.bucket("docs", nil)
	c := b.s3()
	id, _ := c.multipart("docs", "to", "bytes")
	b.do("DELETE", "/bucket/docs", b.service, nil).fails(t, "409", "ResourceReferenced", "ResourceReferenced",
		"The bucket could not be updated because it is referenced by a pending multipart upload.")
	_, err := c.DeleteBucket(c.ctx, &awss3.DeleteBucketInput{Bucket: aws.String("docs")})
	refused(t, err, 409, "ResourceReferenced")
	b.ok("POST", "/bucket/docs/empty", b.service, nil)
	if _, err := c.AbortMultipartUpload(c.ctx, &awss3.AbortMultipartUploadInput{Bucket: aws.String("docs"), Key: aws.String("to"), UploadId: &id}); err != nil {
		t.Error(err)
	}
	b.ok("DELETE", "/bucket/docs", b.service, nil)
}
