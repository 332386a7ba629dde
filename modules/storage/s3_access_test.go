package storage_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

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
	b.bucket("drop", nil) // where users may leave things, and see nothing
	b.p.Exec(t, `CREATE POLICY leave ON storage.objects FOR INSERT TO authenticated WITH CHECK (bucket_id = 'drop')`)
	_, err = user.PutObject(user.ctx, &awss3.PutObjectInput{Bucket: aws.String("drop"), Key: aws.String("x"), Body: strings.NewReader("x")})
	refused(t, err, 403, "AccessDenied")
	user.put("drop", "x", "x", func(in *awss3.PutObjectInput) { in.IfNoneMatch = aws.String("*") })
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
