package s3_test

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // an ETag, not a signature
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/blob/blobtest"
	"github.com/madbase/madbase/platform/blob/s3"
	"github.com/madbase/madbase/platform/secret"
	"github.com/madbase/madbase/platform/testkit"
)

var quiet = slog.New(slog.DiscardHandler)

func config(server testkit.S3Info) blob.Config {
	return blob.Config{
		Endpoint: server.Endpoint, AccessKey: server.AccessKey, SecretKey: secret.String(server.SecretKey),
		Bucket: server.Bucket, Region: server.Region, PathStyle: true,
	}
}

func open(t *testing.T) *s3.Store {
	t.Helper()
	s, err := s3.Open(t.Context(), config(testkit.S3(t)), quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t) })
}

func TestStreamIsFlatInMemory(t *testing.T) {
	blobtest.Flat(t, open(t))
}

func TestFailedUploadLeavesNoParts(t *testing.T) {
	t.Parallel()
	server := testkit.S3(t)
	s, err := s3.Open(t.Context(), config(server), quiet)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := blobtest.Pattern(20 << 20)
	if _, err := s.Put(t.Context(), "k", r, blob.PutOptions{Size: 30 << 20}); err == nil {
		t.Fatal("a short stream was stored")
	}
	left, err := server.Client().ListMultipartUploads(t.Context(), &sdk.ListMultipartUploadsInput{Bucket: &server.Bucket})
	if err != nil || len(left.Uploads) != 0 {
		t.Errorf("uploads left open: %v, %v", left, err)
	}
}

// stalling is a reader that gives n bytes, tells so, and then waits to be let end.
type stalling struct {
	n             int
	reached, free chan struct{}
}

func newStalling(n int) *stalling { return &stalling{n, make(chan struct{}), make(chan struct{})} }

func (s *stalling) Read(p []byte) (int, error) {
	if s.n > 0 {
		n := min(s.n, len(p))
		s.n -= n
		return n, nil
	}
	close(s.reached)
	<-s.free
	return 0, io.EOF
}

// stall begins n uploads that give size bytes each and no more until they are let end.
func stall(t *testing.T, s *s3.Store, n, size int) (end func()) {
	t.Helper()
	readers, done := make([]*stalling, n), make(chan error)
	for i := range readers {
		readers[i] = newStalling(size)
		go func() {
			_, err := s.Put(t.Context(), fmt.Sprint("slow", i), readers[i], blob.PutOptions{Size: -1})
			done <- err
		}()
		<-readers[i].reached
	}
	return func() {
		for _, r := range readers {
			close(r.free)
		}
		for range readers {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
}

func bounded(t *testing.T) *s3.Store {
	t.Helper()
	cfg := config(testkit.S3(t))
	cfg.UploadMemory = 32 << 20
	s, err := s3.Open(t.Context(), cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestUploadsBeyondTheirMemoryWait(t *testing.T) {
	t.Parallel()
	s := bounded(t)
	end := stall(t, s, 4, 7<<20)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	r, _ := blobtest.Pattern(7 << 20)
	if _, err := s.Put(ctx, "fifth", r, blob.PutOptions{Size: -1}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a fifth upload ended with %v", err)
	}
	done := make(chan error)
	go func() {
		r, _ := blobtest.Pattern(7 << 20)
		_, err := s.Put(t.Context(), "fifth", r, blob.PutOptions{Size: -1})
		done <- err
	}()
	end()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Clients that send a little and then nothing hold that little, not what they might come to send.
func TestTricklingUploadsStallNobody(t *testing.T) {
	t.Parallel()
	s := bounded(t)
	end := stall(t, s, 100, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var group errgroup.Group
	for i := range 4 {
		group.Go(func() error {
			r, _ := blobtest.Pattern(20 << 20)
			_, err := s.Put(ctx, fmt.Sprint("quick", i), r, blob.PutOptions{Size: -1})
			return err
		})
		group.Go(func() error {
			up, err := s.CreateMultipart(ctx, fmt.Sprint("parts", i), blob.PutOptions{})
			if err != nil {
				return err
			}
			r, _ := blobtest.Pattern(6 << 20)
			_, err = s.UploadPart(ctx, up, 1, r, 6<<20)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	end()
}

func TestBrokenOffBodyIsNotStored(t *testing.T) {
	t.Parallel()
	s := open(t)
	// What net/http says when a client goes away in the middle of a body.
	r := io.MultiReader(strings.NewReader("half"), iotestErr{io.ErrUnexpectedEOF})
	if _, err := s.Put(t.Context(), "k", r, blob.PutOptions{Size: -1}); err == nil {
		t.Error("half a body was stored as a whole one")
	}
}

type iotestErr struct{ err error }

func (e iotestErr) Read([]byte) (int, error) { return 0, e.err }

func TestLargePartPassesThrough(t *testing.T) {
	t.Parallel()
	s := open(t)
	const n = blob.UnsizedPart + 5
	up, err := s.CreateMultipart(t.Context(), "k", blob.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, sum := blobtest.Pattern(n)
	p, err := s.UploadPart(t.Context(), up, 1, r, n)
	if err != nil {
		t.Fatal(err)
	}
	if p.ETag != sum() || p.Size != n {
		t.Errorf("%+v", p)
	}
	if _, err := s.UploadPart(t.Context(), up, 2, bytes.NewReader(make([]byte, n)), -1); err == nil {
		t.Error("a part of unknown size was held in memory beyond the limit")
	}
	if info, err := s.CompleteMultipart(t.Context(), up, []blob.Part{p}); err != nil || info.Size != n {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestLargeCopyGoesInParts(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.SetCopyLimits(6<<20, 5<<20)
	const n = 12<<20 + 7
	r, sum := blobtest.Pattern(n)
	if _, err := s.Put(t.Context(), "a b+ü", r, blob.PutOptions{Size: n}); err != nil {
		t.Fatal(err)
	}
	info, err := s.Copy(t.Context(), "a b+ü", "copy")
	if err != nil || info.Size != n || info.Key != "copy" || !strings.HasSuffix(info.ETag, "-3") {
		t.Errorf("%+v, %v", info, err)
	}
	got, _, err := s.Get(t.Context(), "copy", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	hash := md5.New()
	if _, err := io.Copy(hash, got); err != nil || hex.EncodeToString(hash.Sum(nil)) != sum() {
		t.Errorf("other bytes arrived: %v", err)
	}
}

func TestMissingBucket(t *testing.T) {
	t.Parallel()
	cfg := config(testkit.S3(t))
	cfg.Bucket += "-none"
	_, err := s3.Open(t.Context(), cfg, quiet)
	if err == nil || !strings.Contains(err.Error(), "S3_BUCKET") || !strings.Contains(err.Error(), cfg.Bucket) {
		t.Errorf("%v", err)
	}
	cfg.CreateBucket = true
	for range 2 {
		s, err := s3.Open(t.Context(), cfg, quiet)
		if err != nil {
			t.Fatal(err)
		}
		if err := blob.Check(t.Context(), s); err != nil {
			t.Error(err)
		}
	}
}

func TestServiceAwayAtStartIsAWarning(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	cfg := blob.Config{Endpoint: "http://127.0.0.1:1", AccessKey: "a", SecretKey: "hunter2", Bucket: "b", Region: "us-east-1", PathStyle: true}
	s, err := s3.Open(t.Context(), cfg, slog.New(slog.NewTextHandler(&out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "level=WARN") || strings.Contains(out.String(), "hunter2") {
		t.Errorf("log: %s", out.String())
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := blob.Check(ctx, s); err == nil {
		t.Error("nobody is there")
	}
}
