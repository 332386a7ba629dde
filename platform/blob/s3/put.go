package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"github.com/madbase/madbase/platform/blob"
)

// partSize is how much of a stream is sent at once; smallSize is up to where an
// object of known size gets a buffer made for it rather than one of partSize.
const (
	partSize  = blob.UnsizedPart
	smallSize = 256 << 10
)

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, key string, r io.Reader, opts blob.PutOptions) (blob.Info, error) {
	if err := blob.CheckKey(key); err != nil {
		return blob.Info{}, err
	}
	give, err := s.memory.take(ctx, buffered(opts.Size))
	if err != nil {
		return blob.Info{}, fmt.Errorf("blob: put: %w", err)
	}
	defer give()
	r = blob.Checked(ctx, r, opts.Size)
	buffer := s.buffer(opts.Size)
	n, end, err := blob.Fill(r, *buffer)
	if err != nil {
		s.release(buffer)
		return blob.Info{}, fmt.Errorf("blob: put: %w", err)
	}
	if !end {
		return s.putParts(ctx, key, stream{r: r, first: buffer, opts: opts})
	}
	defer s.release(buffer)
	out, err := s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: s.bucket, Key: &key, Body: bytes.NewReader((*buffer)[:n]), ContentLength: aws.Int64(int64(n)), ContentType: typeOf(opts),
	})
	if err != nil {
		return blob.Info{}, fault(ctx, "put", err)
	}
	return blob.Info{Key: key, Size: int64(n), ETag: bare(out.ETag), Modified: time.Now()}, nil
}

func typeOf(opts blob.PutOptions) *string {
	if opts.ContentType == "" {
		return nil
	}
	return &opts.ContentType
}

// buffered is how many bytes an upload of size bytes (-1: unknown) holds at most.
func buffered(size int64) int64 {
	n := bufferSize(size)
	if size >= 0 && size < n {
		return n // it fits into one buffer
	}
	return 2 * n
}

// bufferSize is one byte more than a small object has, so that filling it meets
// the end; for all others at least partSize, and so much that an object of the
// size fits into S3's number of parts.
func bufferSize(size int64) int64 {
	if size < 0 || size > smallSize {
		return max(partSize, size/maxParts+1)
	}
	return size + 1
}

func (s *Store) buffer(size int64) *[]byte {
	n := bufferSize(size)
	if n == partSize {
		return s.buffers.Get().(*[]byte)
	}
	b := make([]byte, n)
	return &b
}

func (s *Store) release(buffer *[]byte) {
	if len(*buffer) == partSize {
		s.buffers.Put(buffer)
	}
}

// stream is a reader whose beginning lies in a full buffer.
type stream struct {
	r     io.Reader
	first *[]byte
	opts  blob.PutOptions
}

// putParts sends a stream as a multipart upload, which it aborts on an error.
func (s *Store) putParts(ctx context.Context, key string, st stream) (blob.Info, error) {
	up, err := s.CreateMultipart(ctx, key, st.opts)
	if err != nil {
		s.release(st.first)
		return blob.Info{}, err
	}
	size, parts, err := s.sendParts(ctx, up, st)
	var info blob.Info
	if err == nil {
		info, err = s.complete(ctx, up, parts)
	}
	if err != nil {
		s.abandon(ctx, up)
		return blob.Info{}, fmt.Errorf("blob: put: %w", err)
	}
	info.Size = size
	return info, nil
}

// abandon aborts an upload even when ctx has ended: its parts cost space.
func (s *Store) abandon(ctx context.Context, up blob.Upload) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	_ = s.AbortMultipart(ctx, up) // the error to report is the one that led here
}

// sendParts fills one buffer while the one before is on its way, and takes turns
// between these two.
func (s *Store) sendParts(ctx context.Context, up blob.Upload, st stream) (size int64, parts []blob.Part, err error) {
	group, sending := errgroup.WithContext(ctx)
	group.SetLimit(1)
	free := make(chan *[]byte, 2)
	defer func() {
		close(free)
		for b := range free {
			s.release(b)
		}
	}()
	var sent []*blob.Part // filled in as the parts arrive
	buffer, n, end := st.first, len(*st.first), false
	for {
		part := &blob.Part{Number: len(sent) + 1, Size: int64(n)}
		sent = append(sent, part)
		size += part.Size
		body := buffer
		group.Go(func() (err error) { // waits until the part before is sent
			defer func() { free <- body }()
			part.ETag, err = s.sendPart(sending, up, part.Number, (*body)[:part.Size])
			return err
		})
		if end || sending.Err() != nil {
			break
		}
		if len(sent) == maxParts {
			err = errors.New("the stream has more bytes than S3 takes in parts of this size")
			break
		}
		select {
		case buffer = <-free:
		default:
			buffer = s.buffer(max(st.opts.Size, smallSize+1))
		}
		if n, end, err = blob.Fill(st.r, *buffer); err != nil || n == 0 {
			s.release(buffer)
			break
		}
	}
	if failed := group.Wait(); err == nil {
		err = failed
	}
	for _, p := range sent {
		parts = append(parts, *p)
	}
	return size, parts, err
}
