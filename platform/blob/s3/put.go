package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/blob/buffer"
)

// partSize is how much of a stream is sent at once.
const partSize = blob.UnsizedPart

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, key string, r io.Reader, opts blob.PutOptions) (blob.Info, error) {
	if err := blob.CheckKey(key); err != nil {
		return blob.Info{}, err
	}
	if data, ok := r.(inMemory); ok && data.Len() < partSize {
		if opts.Size >= 0 && opts.Size != int64(data.Len()) {
			return blob.Info{}, fmt.Errorf("blob: put: %w", blob.ErrSize)
		}
		return s.putWhole(ctx, key, data, opts)
	}
	r = blob.Checked(ctx, r, opts.Size)
	first := s.memory.Buffer(bufferSize(opts.Size))
	end, err := first.Fill(ctx, r)
	if err != nil {
		first.Free()
		return blob.Info{}, fmt.Errorf("blob: put: %w", err)
	}
	if !end {
		return s.putParts(ctx, key, stream{r: r, first: first, opts: opts})
	}
	defer first.Free()
	return s.putWhole(ctx, key, first.Reader(), opts)
}

// inMemory is a reader whose bytes are in memory already.
type inMemory interface {
	io.ReadSeeker
	Len() int // bytes that are still to be read
}

// putWhole stores an object by one request.
func (s *Store) putWhole(ctx context.Context, key string, data inMemory, opts blob.PutOptions) (blob.Info, error) {
	size := int64(data.Len())
	out, err := s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: s.bucket, Key: &key, Body: data, ContentLength: &size, ContentType: typeOf(opts),
	})
	if err != nil {
		return blob.Info{}, fault(ctx, "put", err)
	}
	return blob.Info{Key: key, Size: size, ETag: bare(out.ETag), Modified: time.Now()}, nil
}

func typeOf(opts blob.PutOptions) *string {
	if opts.ContentType == "" {
		return nil
	}
	return &opts.ContentType
}

// bufferSize is one byte more than an object has that is less than a part, so that
// filling it meets the end; for all others at least partSize, and so much that an
// object of the size fits into S3's number of parts.
func bufferSize(size int64) int64 {
	if size < 0 || size >= partSize {
		return max(partSize, size/maxParts+1)
	}
	return size + 1
}

// stream is a reader whose beginning lies in a full buffer.
type stream struct {
	r     io.Reader
	first *buffer.Buffer
	opts  blob.PutOptions
}

// putParts sends a stream as a multipart upload, which it aborts on an error.
func (s *Store) putParts(ctx context.Context, key string, st stream) (blob.Info, error) {
	up, err := s.CreateMultipart(ctx, key, st.opts)
	if err != nil {
		st.first.Free()
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

// sendParts fills one buffer while the one before is on its way.
func (s *Store) sendParts(ctx context.Context, up blob.Upload, st stream) (size int64, parts []blob.Part, err error) {
	group, sending := errgroup.WithContext(ctx)
	group.SetLimit(1)
	var sent []*blob.Part // filled in as the parts arrive
	for filled, end := st.first, false; ; {
		part := &blob.Part{Number: len(sent) + 1, Size: filled.Len()}
		sent = append(sent, part)
		size += part.Size
		body := filled
		group.Go(func() (err error) { // waits until the part before is sent
			defer body.Free()
			part.ETag, err = s.sendPart(sending, up, part.Number, body.Reader())
			return err
		})
		if end || sending.Err() != nil {
			break
		}
		if len(sent) == maxParts {
			err = errors.New("the stream has more bytes than S3 takes in parts of this size")
			break
		}
		filled = s.memory.Buffer(bufferSize(max(st.opts.Size, partSize)))
		if end, err = filled.Fill(ctx, st.r); err != nil || filled.Len() == 0 {
			filled.Free()
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
