package storage_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/madbase/madbase/modules/storage"
	"github.com/madbase/madbase/platform/project"
)

// Whatever breaks off an upload, what was acknowledged stays and nothing else does.
func TestS3UploadsBreakOff(t *testing.T) {
	onBackends(t, func(t *testing.T, b *bench) {
		b.bucket("docs", nil)
		c := b.s3()
		signer := awss3.NewPresignClient(c.Client)
		c.put("docs", "one", "before")
		id, parts := c.multipart("docs", "two", "first")
		put, err := signer.PresignPutObject(c.ctx, &awss3.PutObjectInput{Bucket: aws.String("docs"), Key: aws.String("one")})
		if err != nil {
			t.Fatal(err)
		}
		part, err := signer.PresignUploadPart(c.ctx, &awss3.UploadPartInput{Bucket: aws.String("docs"), Key: aws.String("two"), UploadId: &id, PartNumber: aws.Int32(1)})
		if err != nil {
			t.Fatal(err)
		}
		for _, url := range []string{put.URL, part.URL} {
			ctx, leave := context.WithCancel(c.ctx)
			body := &breaking{r: strings.NewReader(strings.Repeat("x", 6<<20)), then: leave}
			request, _ := http.NewRequestWithContext(ctx, "PUT", url, body)
			request.ContentLength = 7 << 20
			if response, err := b.http.Do(request); err == nil {
				t.Error(response.Status)
				_ = response.Body.Close()
			}
		}
		b.waitFor("SELECT count(*) FROM storage.s3_multipart_uploads WHERE in_progress_size = length('first')") // the part that broke off does not count
		if c.get("docs", "one") != "before" || b.stored() != 1 {
			t.Errorf("%d blobs", b.stored())
		}
		if _, err := c.complete("docs", "two", id, parts); err != nil || c.get("docs", "two") != "first" {
			t.Error(err)
		}
	})
}

// breaking is a body whose end makes the client leave.
type breaking struct {
	r    *strings.Reader
	then func()
}

func (b *breaking) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil {
		b.then()
		return n, context.Canceled
	}
	return n, nil
}

// An upload whose object got no row, as after a crash, is completed once more, or leaves nothing.
func TestS3CompletesOnceMore(t *testing.T) {
	onBackends(t, func(t *testing.T, b *bench) {
		b.bucket("docs", nil)
		c := b.s3()
		b.p.Exec(t, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.version <> ''1'' THEN RAISE EXCEPTION ''no''; END IF; RETURN NEW; END'`)
		const refuse, allow = "CREATE TRIGGER refuse BEFORE INSERT ON storage.objects FOR EACH ROW EXECUTE FUNCTION refuse()", "DROP TRIGGER refuse ON storage.objects"
		for _, end := range []string{"completed", "aborted"} {
			id, parts := c.multipart("docs", end, "bytes")
			b.p.Exec(t, refuse)
			_, err := c.complete("docs", end, id, parts)
			refused(t, err, 500, "InternalError")
			b.p.Exec(t, allow)
			if b.rows() > 1 {
				t.Errorf("%d rows", b.rows())
			}
			if end == "aborted" {
				if _, err := c.AbortMultipartUpload(c.ctx, &awss3.AbortMultipartUploadInput{Bucket: aws.String("docs"), Key: &end, UploadId: &id}); err != nil {
					t.Error(err)
				}
				continue
			}
			out, err := c.complete("docs", end, id, parts)
			if err != nil || !strings.HasSuffix(*out.ETag, `-1"`) || c.get("docs", end) != "bytes" {
				t.Errorf("%+v %v", out, err)
			}
		}
		if b.rows() != 1 || b.stored() != 1 || b.count("storage.s3_multipart_uploads") != 0 {
			t.Errorf("%d rows, %d blobs", b.rows(), b.stored())
		}
	})
}

// Of many that complete an upload at once, with other parts each, one decides what the object is.
func TestS3CompletesAtOnce(t *testing.T) {
	onBackends(t, func(t *testing.T, b *bench) {
		b.bucket("docs", nil)
		c := b.s3()
		large := strings.Repeat("x", 5<<20)
		id, parts := c.multipart("docs", "one", large, "end")
		results := make(chan error)
		for i := range 6 {
			go func() {
				_, err := c.complete("docs", "one", id, parts[:1+i%2])
				results <- err
			}()
		}
		won := 0
		for range 6 {
			if err := <-results; err == nil {
				won++
			} else {
				refused(t, err, 404, "NoSuchUpload")
			}
		}
		head, err := c.HeadObject(c.ctx, &awss3.HeadObjectInput{Bucket: aws.String("docs"), Key: aws.String("one")})
		if err != nil || won != 1 || int64(len(c.get("docs", "one"))) != *head.ContentLength || b.stored() != 1 {
			t.Errorf("%d won, %+v, %v, %d blobs", won, head, err, b.stored())
		}
	})
}

func TestS3MetadataOfOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t, s3On)
	b.bucket("docs", nil)
	c := b.s3()
	c.put("docs", "one", "1")
	b.p.Exec(t, `UPDATE storage.objects SET user_metadata = '{"plain":"yes","Größe":"x","text":"ü","number":1,"list":[]}'`)
	head, err := c.HeadObject(c.ctx, &awss3.HeadObjectInput{Bucket: aws.String("docs"), Key: aws.String("one")})
	if err != nil || len(head.Metadata) != 1 || head.Metadata["plain"] != "yes" || *head.MissingMeta != 4 {
		t.Errorf("%+v %v", head, err)
	}
	b.p.Exec(t, `UPDATE storage.objects SET user_metadata = NULL, metadata = '[]'`)
	if got := c.get("docs", "one"); got != "1" {
		t.Error(got)
	}
	_, err = c.PutObject(c.ctx, &awss3.PutObjectInput{Bucket: aws.String("docs"), Key: aws.String("two"), Body: strings.NewReader("x"), SSECustomerAlgorithm: aws.String("AES256")})
	refused(t, err, 501, "NotImplemented")
	_, err = c.CreateBucket(c.ctx, &awss3.CreateBucketInput{Bucket: aws.String("locked"), ObjectLockEnabledForBucket: aws.Bool(true)})
	refused(t, err, 501, "NotImplemented")
	_, err = c.PutObject(c.ctx, &awss3.PutObjectInput{Bucket: aws.String("docs"), Key: aws.String("two"), Body: strings.NewReader("x"), ObjectLockMode: types.ObjectLockModeCompliance})
	refused(t, err, 501, "NotImplemented")
}

// An upload that nobody goes on with for a week is removed with what it brought.
func TestS3ForgottenUploads(t *testing.T) {
	onBackends(t, func(t *testing.T, b *bench) {
		b.bucket("docs", nil)
		c := b.s3()
		gone, _ := c.multipart("docs", "gone", "bytes")
		kept, parts := c.multipart("docs", "kept", "bytes")
		empty, _ := c.multipart("docs", "empty")
		b.p.Exec(t, "UPDATE storage.s3_multipart_uploads SET created_at = now() - interval '8 days'")
		b.p.Exec(t, "UPDATE storage.s3_multipart_uploads_parts SET created_at = now() - interval '8 days' WHERE upload_id = $1", gone)
		b.again(b.blobs, func(cfg *storage.Config, deps *storage.Deps) {
			cfg.ResumableLife, deps.Projects = 1000, project.NewDirectory(b.p.Project)
		})
		b.waitFor("SELECT count(*) FROM storage.s3_multipart_uploads")
		for _, id := range []string{gone, empty} {
			_, err := c.ListParts(c.ctx, &awss3.ListPartsInput{Bucket: aws.String("docs"), Key: aws.String("gone"), UploadId: &id})
			refused(t, err, 404, "NoSuchUpload")
		}
		if _, err := c.complete("docs", "kept", kept, parts); err != nil || b.stored() != 1 {
			t.Errorf("%v, %d blobs", err, b.stored())
		}
	})
}
