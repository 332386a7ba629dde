package s3

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/madbase/madbase/platform/blob"
)

// fault wraps what a request ended with; nil stays nil. The end of ctx comes
// before what it made of the request.
func fault(ctx context.Context, action string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return fmt.Errorf("blob: %s: %w", action, translate(err))
}

// translate returns the sentinel error that S3's error code stands for, or err.
func translate(err error) error {
	var coded smithy.APIError
	if !errors.As(err, &coded) {
		return err
	}
	switch coded.ErrorCode() {
	case "NoSuchKey", "NotFound", "NoSuchUpload":
		return blob.ErrNotFound
	case "InvalidRange":
		return blob.ErrRange
	case "InvalidPart", "InvalidPartOrder", "EntityTooSmall":
		return blob.ErrPart
	}
	return err
}

// rangeHeader is rng as the Range header of HTTP (RFC 9110, 14.2).
func rangeHeader(rng blob.Range) string {
	switch {
	case rng.Offset < 0:
		return fmt.Sprintf("bytes=%d", rng.Offset)
	case rng.Length == 0:
		return fmt.Sprintf("bytes=%d-", rng.Offset)
	}
	return fmt.Sprintf("bytes=%d-%d", rng.Offset, rng.Offset+rng.Length-1)
}

// totalOf returns the size of the whole object from a Content-Range header.
func totalOf(header string) (int64, error) {
	_, total, _ := strings.Cut(header, "/")
	n, err := strconv.ParseInt(total, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("blob: get: Content-Range %q", header)
	}
	return n, nil
}
