package s3_test

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // an ETag, not a signature
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

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

// gate is a reader that tells when it is first read, and then waits to be opened.
type gate struct{ reached, opened chan struct{} }

func newGate() *gate { return &gate{make(chan struct{}), make(chan struct{})} }

func (g *gate) Read([]byte) (int, error) {
	close(g.reached)
	<-g.opened
	return 0, io.EOF
}

func TestUploadsBeyondTheirMemoryWait(t *testing.T) {
	t.Parallel()
	cfg := config(testkit.S3(t))
	cfg.UploadMemory = 32 << 20
	s, err := s3.Open(t.Context(), cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	slow := []*gate{newGate(), newGate()}
	done := make(chan error)
	for i, g := range slow {
		go func() {
			_, err := s.Put(t.Context(), "slow"+string(rune('a'+i)), g, blob.PutOptions{Size: -1})
			done <- err
		}()
		<-g.reached
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	third := newGate()
	if _, err := s.Put(ctx, "third", third, blob.PutOptions{Size: -1}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a third upload ended with %v", err)
	}
	select {
	case <-third.reached:
		t.Error("a third upload was read from")
	default:
	}
	go func() {
		_, err := s.Put(t.Context(), "third", strings.NewReader("x"), blob.PutOptions{Size: -1})
		done <- err
	}()
	for _, g := range slow {
		close(g.opened)
	}
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
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
