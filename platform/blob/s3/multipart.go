package s3

import (
	"context"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/madbase/madbase/platform/blob"
)

// CreateMultipart implements blob.Multipart.
func (s *Store) CreateMultipart(ctx context.Context, key string, opts blob.PutOptions) (blob.Upload, error) {
	if err := blob.CheckKey(key); err != nil {
		return blob.Upload{}, err
	}
	out, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: s.bucket, Key: &key, ContentType: typeOf(opts),
	})
	if err != nil {
		return blob.Upload{}, fault(ctx, "create upload", err)
	}
	return blob.Upload{Key: key, ID: aws.ToString(out.UploadId)}, nil
}

// UploadPart implements blob.Multipart. A part beyond UnsizedPart is passed
// through without a hash of its body in the signature, which could only be
// known at its end; S3's own MD5 of it comes back as the ETag.
func (s *Store) UploadPart(ctx context.Context, up blob.Upload, number int, r io.Reader, size int64) (blob.Part, error) {
	if err := blob.CheckKey(up.Key); err != nil {
		return blob.Part{}, err
	}
	if number < 1 || number > maxParts {
		return blob.Part{}, blob.ErrPart
	}
	part := blob.Part{Number: number, Size: size}
	if data, ok := r.(inMemory); ok {
		return s.partInMemory(ctx, up, part, data)
	}
	r = blob.Checked(ctx, r, size)
	if size > partSize {
		return s.passPart(ctx, up, part, r)
	}
	if size < 0 {
		size = partSize
	}
	all := s.memory.Buffer(size + 1) // so that filling it meets the end
	defer all.Free()
	end, err := all.Fill(ctx, r)
	if err == nil && !end {
		err = blob.ErrPart
	}
	if err != nil {
		return blob.Part{}, fmt.Errorf("blob: upload part: %w", err)
	}
	part.Size = all.Len()
	part.ETag, err = s.sendPart(ctx, up, number, all.Reader())
	return part, err
}

// partInMemory sends a part that needs no buffer.
func (s *Store) partInMemory(ctx context.Context, up blob.Upload, part blob.Part, data inMemory) (blob.Part, error) {
	size := int64(data.Len())
	switch {
	case part.Size >= 0 && part.Size != size:
		return blob.Part{}, fmt.Errorf("blob: upload part: %w", blob.ErrSize)
	case part.Size < 0 && size > partSize:
		return blob.Part{}, fmt.Errorf("blob: upload part: %w", blob.ErrPart)
	}
	etag, err := s.sendPart(ctx, up, part.Number, data)
	return blob.Part{Number: part.Number, Size: size, ETag: etag}, err
}

func (s *Store) sendPart(ctx context.Context, up blob.Upload, number int, data inMemory) (etag string, err error) {
	out, err := s.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: s.bucket, Key: &up.Key, UploadId: &up.ID, PartNumber: aws.Int32(int32(number)),
		Body: data, ContentLength: aws.Int64(int64(data.Len())),
	})
	if err != nil {
		return "", fault(ctx, "upload part", err)
	}
	return bare(out.ETag), nil
}

func (s *Store) passPart(ctx context.Context, up blob.Upload, part blob.Part, r io.Reader) (blob.Part, error) {
	remembered := &remember{r: r}
	out, err := s.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: s.bucket, Key: &up.Key, UploadId: &up.ID, PartNumber: aws.Int32(int32(part.Number)),
		Body: remembered, ContentLength: &part.Size,
	}, s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware))
	if remembered.err != nil {
		return blob.Part{}, fmt.Errorf("blob: upload part: %w", remembered.err)
	}
	if err != nil {
		return blob.Part{}, fault(ctx, "upload part", err)
	}
	part.ETag = bare(out.ETag)
	return part, nil
}

// remember keeps the error of a reader, which the HTTP client replaces by its own.
type remember struct {
	r   io.Reader
	err error
}

func (r *remember) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// CompleteMultipart implements blob.Multipart.
func (s *Store) CompleteMultipart(ctx context.Context, up blob.Upload, parts []blob.Part) (blob.Info, error) {
	if err := blob.CheckKey(up.Key); err != nil {
		return blob.Info{}, err
	}
	for i := range parts {
		if i > 0 && parts[i].Number <= parts[i-1].Number {
			return blob.Info{}, blob.ErrPart
		}
	}
	if len(parts) == 0 {
		return blob.Info{}, blob.ErrPart
	}
	return s.complete(ctx, up, parts)
}

func (s *Store) complete(ctx context.Context, up blob.Upload, parts []blob.Part) (blob.Info, error) {
	info := blob.Info{Key: up.Key, Modified: time.Now()}
	done := make([]types.CompletedPart, len(parts))
	for i := range parts {
		done[i] = types.CompletedPart{PartNumber: aws.Int32(int32(parts[i].Number)), ETag: &parts[i].ETag}
		info.Size += parts[i].Size
	}
	out, err := s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: s.bucket, Key: &up.Key, UploadId: &up.ID, MultipartUpload: &types.CompletedMultipartUpload{Parts: done},
	})
	if err != nil {
		return blob.Info{}, fault(ctx, "complete upload", err)
	}
	info.ETag = bare(out.ETag)
	return info, nil
}

// Unfinished implements blob.Multipart.
func (s *Store) Unfinished(ctx context.Context, prefix string) iter.Seq2[blob.Begun, error] {
	return func(yield func(blob.Begun, error) bool) {
		in := &s3.ListMultipartUploadsInput{Bucket: s.bucket, Prefix: &prefix}
		for {
			page, err := s.client.ListMultipartUploads(ctx, in)
			if err != nil {
				yield(blob.Begun{}, fault(ctx, "list uploads", err))
				return
			}
			for _, u := range page.Uploads {
				begun := blob.Begun{Upload: blob.Upload{Key: aws.ToString(u.Key), ID: aws.ToString(u.UploadId)}, Since: aws.ToTime(u.Initiated)}
				if !yield(begun, nil) {
					return
				}
			}
			if !aws.ToBool(page.IsTruncated) || aws.ToString(page.NextKeyMarker) == "" {
				return
			}
			in.KeyMarker, in.UploadIdMarker = page.NextKeyMarker, page.NextUploadIdMarker
		}
	}
}

// AbortMultipart implements blob.Multipart.
func (s *Store) AbortMultipart(ctx context.Context, up blob.Upload) error {
	if err := blob.CheckKey(up.Key); err != nil {
		return err
	}
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: s.bucket, Key: &up.Key, UploadId: &up.ID})
	if translate(err) == blob.ErrNotFound { //nolint:errorlint // translate returns the sentinel itself
		return nil
	}
	return fault(ctx, "abort upload", err)
}

// copyParts copies an object that is too large for one request; info describes
// it under its new key.
func (s *Store) copyParts(ctx context.Context, src string, info blob.Info) (blob.Info, error) {
	up, err := s.CreateMultipart(ctx, info.Key, blob.PutOptions{})
	if err != nil {
		return blob.Info{}, err
	}
	var parts []blob.Part
	for at := int64(0); at < info.Size && err == nil; at += s.copyPart {
		part := blob.Part{Number: len(parts) + 1, Size: min(s.copyPart, info.Size-at)}
		var out *s3.UploadPartCopyOutput
		out, err = s.client.UploadPartCopy(ctx, &s3.UploadPartCopyInput{
			Bucket: s.bucket, Key: &up.Key, UploadId: &up.ID, PartNumber: aws.Int32(int32(part.Number)),
			CopySource: s.source(src), CopySourceRange: aws.String(rangeHeader(blob.Range{Offset: at, Length: part.Size})),
		})
		if err == nil && out.CopyPartResult != nil {
			part.ETag = bare(out.CopyPartResult.ETag)
		}
		parts = append(parts, part)
	}
	if err == nil {
		info, err = s.complete(ctx, up, parts)
	}
	if err != nil {
		s.abandon(ctx, up)
		return blob.Info{}, fault(ctx, "copy", err)
	}
	return info, nil
}
