// Package s3 is a blob store in a bucket of S3 or of a service that speaks its
// protocol.
//
// S3 wants the length, and over plain HTTP the hash, of every request body
// before its first byte. Streams are therefore cut into parts of 8 MiB, of
// which an upload holds two in memory at most: one being sent, one being filled. What
// all uploads hold together is bounded, and grows as bytes come; those that want
// more wait.
package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/blob/buffer"
)

// S3's own limits.
const (
	maxParts  = 10_000
	maxDelete = 1000    // keys of one request
	maxCopy   = 5 << 30 // bytes that one request copies
	copyPart  = 1 << 30 // bytes of each part of a greater copy
)

// Store is a blob.Store and blob.Multipart in one bucket.
type Store struct {
	client    *s3.Client
	transport *transport
	bucket    *string
	memory    *buffer.Memory // of what is read to be sent

	maxCopy, copyPart int64 // the constants, but for tests
}

// Open returns the store in cfg's bucket. A bucket that does not exist is
// created where cfg says so, and otherwise an error; a service that does not
// answer, or keeps the answer to itself, is only a warning, because it may be
// there when the first object is asked for.
func Open(ctx context.Context, cfg blob.Config, log *slog.Logger) (*Store, error) {
	transport := newTransport(cmp.Or(cfg.ResponseTimeout, responseTimeout))
	s := &Store{
		client: s3.New(s3.Options{
			BaseEndpoint: aws.String(cfg.Endpoint),
			Region:       cfg.Region,
			Credentials:  credentials.NewStaticCredentialsProvider(cfg.AccessKey, cfg.SecretKey.Reveal(), ""),
			UsePathStyle: cfg.PathStyle,
			HTTPClient:   &http.Client{Transport: transport},
			// Checksums beyond what S3 demands are unknown to older lookalikes.
			RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
			ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		}),
		transport: transport,
		bucket:    aws.String(cfg.Bucket),
		memory:    buffer.NewMemory(cfg.UploadMemory),
		maxCopy:   maxCopy, copyPart: copyPart,
	}
	if err := s.findBucket(ctx, cfg, log); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) findBucket(ctx context.Context, cfg blob.Config, log *slog.Logger) error {
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := s.client.HeadBucket(limited, &s3.HeadBucketInput{Bucket: s.bucket}, func(o *s3.Options) { o.RetryMaxAttempts = 2 })
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("blob: open bucket: %w", ctx.Err())
	case !errors.Is(translate(err), blob.ErrNotFound):
		log.Warn("the S3 bucket cannot be looked at; going on as if it were there",
			"endpoint", cfg.Endpoint, "bucket", cfg.Bucket, "error", err)
		return nil
	case !cfg.CreateBucket:
		return fmt.Errorf("blob: open bucket: S3_BUCKET: there is no bucket %q at %s", cfg.Bucket, cfg.Endpoint)
	}
	in := &s3.CreateBucketInput{Bucket: s.bucket}
	if cfg.Region != "us-east-1" { // which must not be named
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(cfg.Region)}
	}
	if _, err := s.client.CreateBucket(ctx, in); err != nil && !exists(err) {
		return fmt.Errorf("blob: create bucket: %w", err)
	}
	return nil
}

// exists reports whether another process created our bucket first.
func exists(err error) bool {
	var ours *types.BucketAlreadyOwnedByYou
	return errors.As(err, &ours)
}

// Close drops idle connections.
func (s *Store) Close() error {
	s.transport.quick.CloseIdleConnections()
	s.transport.patient.CloseIdleConnections()
	return nil
}

// Get implements blob.Store.
func (s *Store) Get(ctx context.Context, key string, rng *blob.Range) (io.ReadCloser, blob.Info, error) {
	if err := blob.CheckKey(key); err != nil {
		return nil, blob.Info{}, err
	}
	in := &s3.GetObjectInput{Bucket: s.bucket, Key: &key}
	if rng != nil {
		if rng.Length < 0 {
			return nil, blob.Info{}, blob.ErrRange
		}
		in.Range = aws.String(rangeHeader(*rng))
	}
	out, err := s.client.GetObject(ctx, in)
	if err != nil {
		return nil, blob.Info{}, fault(ctx, "get", err)
	}
	size := aws.ToInt64(out.ContentLength)
	if out.ContentRange != nil {
		if size, err = totalOf(*out.ContentRange); err != nil {
			_ = out.Body.Close()
			return nil, blob.Info{}, err
		}
	}
	return out.Body, describe(key, size, out.ETag, out.LastModified), nil
}

func describe(key string, size int64, etag *string, modified *time.Time) blob.Info {
	return blob.Info{Key: key, Size: size, ETag: bare(etag), Modified: aws.ToTime(modified)}
}

// bare returns an ETag without its quotes.
func bare(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }

// Stat implements blob.Store.
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	if err := blob.CheckKey(key); err != nil {
		return blob.Info{}, err
	}
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: s.bucket, Key: &key})
	if err != nil {
		return blob.Info{}, fault(ctx, "stat", err)
	}
	return describe(key, aws.ToInt64(out.ContentLength), out.ETag, out.LastModified), nil
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := blob.CheckKey(key); err != nil {
			return err
		}
	}
	if len(keys) == 1 {
		_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: s.bucket, Key: &keys[0]})
		return fault(ctx, "delete", err)
	}
	for len(keys) > 0 {
		n := min(len(keys), maxDelete)
		if err := s.deleteMany(ctx, keys[:n]); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

func (s *Store) deleteMany(ctx context.Context, keys []string) error {
	objects := make([]types.ObjectIdentifier, len(keys))
	for i := range keys {
		objects[i].Key = &keys[i]
	}
	in := &s3.DeleteObjectsInput{Bucket: s.bucket, Delete: &types.Delete{Objects: objects, Quiet: aws.Bool(true)}}
	out, err := s.client.DeleteObjects(ctx, in, func(o *s3.Options) {
		// The SDK sends a CRC32; older lookalikes know Content-MD5 only.
		o.APIOptions = append(o.APIOptions, smithyhttp.AddContentChecksumMiddleware)
	})
	if err != nil {
		return fault(ctx, "delete", err)
	}
	var faults []error
	for _, e := range out.Errors {
		if aws.ToString(e.Code) != "NoSuchKey" {
			faults = append(faults, fmt.Errorf("blob: delete: %s: %s", aws.ToString(e.Code), aws.ToString(e.Message)))
		}
	}
	return errors.Join(faults...)
}

// Copy implements blob.Store. The bytes do not leave the service.
func (s *Store) Copy(ctx context.Context, src, dst string) (blob.Info, error) {
	if err := blob.CheckKey(dst); err != nil {
		return blob.Info{}, err
	}
	info, err := s.Stat(ctx, src)
	if err != nil || src == dst { // which S3 refuses
		return info, err
	}
	info.Key = dst
	if info.Size > s.maxCopy {
		return s.copyParts(ctx, src, info)
	}
	out, err := s.client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: s.bucket, Key: &dst, CopySource: s.source(src)})
	if err != nil {
		return blob.Info{}, fault(ctx, "copy", err)
	}
	if r := out.CopyObjectResult; r != nil {
		info.ETag, info.Modified = bare(r.ETag), aws.ToTime(r.LastModified)
	}
	return info, nil
}

// source names an object to copy from, escaped so that a plus sign and a space
// stay apart.
func (s *Store) source(key string) *string {
	escaped := strings.ReplaceAll(url.QueryEscape(*s.bucket+"/"+key), "+", "%20")
	return aws.String(strings.ReplaceAll(escaped, "%2F", "/"))
}

// List implements blob.Store.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: s.bucket, Prefix: &prefix})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(blob.Info{}, fault(ctx, "list", err))
				return
			}
			for _, o := range page.Contents {
				key := aws.ToString(o.Key)
				if strings.HasSuffix(key, "/") {
					continue // a folder mark of some other tool, no key of ours
				}
				if !yield(describe(key, aws.ToInt64(o.Size), o.ETag, o.LastModified), nil) {
					return
				}
			}
		}
	}
}
