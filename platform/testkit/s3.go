package testkit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/madbase/madbase/platform/testkit/container"
	"github.com/madbase/madbase/platform/testkit/leash"
)

// S3Info is what a client of the S3 server needs. Addressing is path-style.
type S3Info struct {
	// Endpoint is a base URL such as http://127.0.0.1:40000.
	Endpoint             string
	AccessKey, SecretKey string
	Region               string
	// Bucket is a new, empty bucket.
	Bucket string
}

// S3Region is the region of private servers.
const S3Region = "us-east-1"

var sharedS3 = sync.OnceValues(func() (*Service, error) { return StartS3(context.Background()) })

// S3 returns an S3 server with a bucket for this test, which is emptied and removed when the test ends.
func S3(t testing.TB) S3Info {
	t.Helper()
	s, err := sharedS3()
	need(t, "S3", s, err)
	info, err := parseS3(s.URL)
	if err != nil {
		t.Fatalf("testkit: S3: %v", err)
	}
	info.Bucket = "test-" + strings.ToLower(rand.Text()[:16])
	client := info.Client()
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &info.Bucket}); err != nil {
		t.Fatalf("testkit: S3: create bucket: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := removeBucket(ctx, client, info.Bucket); err != nil {
			t.Logf("testkit: S3: remove bucket: %v", err)
		}
	})
	return info
}

// Client is a plain client of the server, for checks beside the code under test.
func (i S3Info) Client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(i.Endpoint),
		Region:       i.Region,
		Credentials:  credentials.NewStaticCredentialsProvider(i.AccessKey, i.SecretKey, ""),
		UsePathStyle: true,
	})
}

// url is the form of S3Variable.
func (i S3Info) url() string {
	u := url.URL{
		Scheme: "http", User: url.UserPassword(i.AccessKey, i.SecretKey), Host: strings.TrimPrefix(i.Endpoint, "http://"),
		Path: "/", RawQuery: "region=" + url.QueryEscape(i.Region),
	}
	return u.String()
}

// parseS3 reads the form of S3Variable.
func parseS3(text string) (S3Info, error) {
	u, err := url.Parse(text)
	if err != nil {
		return S3Info{}, err
	}
	secret, ok := u.User.Password()
	if !ok || u.Host == "" {
		return S3Info{}, fmt.Errorf("%s: want http://ACCESSKEY:SECRETKEY@HOST:PORT/?region=REGION", S3Variable)
	}
	info := S3Info{Endpoint: u.Scheme + "://" + u.Host, AccessKey: u.User.Username(), SecretKey: secret, Region: u.Query().Get("region")}
	if info.Region == "" {
		info.Region = S3Region
	}
	return info, nil
}

// StartS3 returns the S3 server to use, starting one where no environment variable names it.
func StartS3(ctx context.Context) (*Service, error) {
	if u := os.Getenv(S3Variable); u != "" {
		info, err := parseS3(u)
		if err != nil {
			return nil, err
		}
		return &Service{URL: u, Origin: S3Variable}, s3Answers(ctx, info)
	}
	s, localErr := localS3(ctx)
	if localErr == nil {
		return s, nil
	}
	info := S3Info{AccessKey: "madbase", SecretKey: rand.Text(), Region: S3Region}
	_, stop, dockerErr := container.Run(ctx, container.Spec{
		Image: "minio/minio", Tag: "RELEASE.2024-06-13T22-53-53Z", Port: "9000", Cmd: []string{"server", "/data"},
		Env: []string{"MINIO_ROOT_USER=" + info.AccessKey, "MINIO_ROOT_PASSWORD=" + info.SecretKey},
	}, func(addr string) error {
		info.Endpoint = "http://" + addr
		return s3Answers(ctx, info)
	})
	if dockerErr != nil {
		return nil, errors.Join(localErr, dockerErr)
	}
	return &Service{URL: info.url(), Origin: "a container of MinIO", stop: stop}, nil
}

// localS3 starts the versitygw server of s3server/, building it the first time.
func localS3(ctx context.Context) (*Service, error) {
	program, err := buildS3(ctx)
	if err != nil {
		return nil, err
	}
	addr, _, err := freeAddr()
	if err != nil {
		return nil, fmt.Errorf("testkit: %w", err)
	}
	info := S3Info{Endpoint: "http://" + addr, AccessKey: "madbase", SecretKey: rand.Text(), Region: S3Region}
	p, err := leash.Start(program, "--listen", addr, "--dir", "{dir}/objects", "--access", info.AccessKey, "--secret", info.SecretKey)
	if err != nil {
		return nil, fmt.Errorf("testkit: %w", err)
	}
	if err := await(ctx, func() error { return s3Answers(ctx, info) }); err != nil {
		err = fmt.Errorf("testkit: S3 server: %w: %s", err, p.Output())
		return nil, errors.Join(err, p.Stop())
	}
	return &Service{URL: info.url(), Origin: "versitygw", stop: p.Stop}, nil
}

func s3Answers(ctx context.Context, info S3Info) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := info.Client().ListBuckets(ctx, &s3.ListBucketsInput{}, func(o *s3.Options) { o.RetryMaxAttempts = 1 })
	return err
}

// removeBucket deletes a bucket with what is in it, unfinished uploads too.
func removeBucket(ctx context.Context, client *s3.Client, bucket string) error {
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, o := range page.Contents {
			if _, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: o.Key}); err != nil {
				return err
			}
		}
	}
	uploads, err := client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &bucket})
	if err != nil {
		return err
	}
	for _, u := range uploads.Uploads {
		if _, err := client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &bucket, Key: u.Key, UploadId: u.UploadId}); err != nil {
			return err
		}
	}
	_, err = client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket})
	return err
}
