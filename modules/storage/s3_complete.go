package storage

import (
	"context"
	"crypto/md5" //nolint:gosec // an ETag, not a signature
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/madbase/madbase/modules/storage/s3api"
	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/db"
)

// maxCompleteBody is what it takes to name all parts, each with its checksums.
const maxCompleteBody = 8 << 20

// s3CompleteUpload makes the object of an upload's parts: of those that the client
// names or, where it names none, of all.
func (m *Module) s3CompleteUpload(rq *s3Call) error {
	bucket, err := rq.anyBucket()
	if err != nil {
		return err
	}
	up, err := rq.multipart()
	if err != nil {
		return err
	}
	as, err := rq.newUpload()
	if err != nil {
		return err
	}
	if err := rq.mayContinue(as, saidBefore(up)); err != nil {
		return err
	}
	var chosen s3api.Complete
	if rq.body.Size() != 0 {
		if err := s3api.Read(rq.body, maxCompleteBody, &chosen); err != nil {
			return err
		}
	}
	etag, err := m.complete(rq, as, up, completion{chosen.Part, m.sizeLimitOf(bucket)})
	if err != nil {
		return err
	}
	return rq.answer(s3api.Completed{Location: up.Bucket + "/" + up.Name, Bucket: up.Bucket, Key: up.Name, ETag: etag})
}

// completion is what an object is to be made of, and how large it may be.
type completion struct {
	chosen []s3api.ChosenPart
	limit  int64
}

// complete makes the object and returns its tag. It may be called again after any
// failure, by any worker: what was done stays done.
func (m *Module) complete(rq *s3Call, as uploadAs, up store.Multipart, of completion) (etag string, err error) {
	if err := enter(rq.ctx(), m.resumable.finishing); err != nil {
		return "", err
	}
	defer func() { <-m.resumable.finishing }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(rq.ctx()), makeTime)
	defer cancel()
	rq.SetRequest(rq.Request().WithContext(ctx))
	err = rq.locked(ctx, up, func(q db.Queryer, up store.Multipart) (err error) {
		if etag, err = m.completeOnce(rq, as, q, up, of); err != nil {
			return err
		}
		return store.DeleteMultipart(ctx, q, up.ID)
	})
	return etag, err
}

// completeOnce makes the object unless that was done before.
func (m *Module) completeOnce(rq *s3Call, as uploadAs, q db.Queryer, up store.Multipart, of completion) (etag string, err error) {
	switch o, err := store.FindObject(rq.ctx(), q, up.Bucket, up.Name); {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return "", err
	case err == nil && deref(o.Version) == up.Version:
		return parseMetadata(o.Metadata).ETag, nil
	}
	stored, err := store.MultipartParts(rq.ctx(), q, up.ID, 0, maxParts)
	if err != nil {
		return "", err
	}
	parts, size, err := choose(stored, of.chosen)
	if err != nil {
		return "", err
	}
	if size > of.limit {
		return "", errTooLarge("object")
	}
	info, err := m.joinMultipart(rq, up, parts)
	if err != nil {
		return "", err
	}
	if info.Size != size {
		return "", fmt.Errorf("storage: upload %s has %d bytes instead of %d", up.ID, info.Size, size)
	}
	in := saidBefore(up)
	object := rq.newObject(as, in)
	object.Version, object.Metadata = up.Version, in.metadata(info)
	_, err = m.write(rq.ctx(), rq.call, object, as)
	return quoted(info.ETag), as.refusal(err)
}

// choose returns the stored parts that are named, all where none is, and how many bytes they have.
func choose(stored []store.MultipartPart, named []s3api.ChosenPart) (parts []blob.Part, size int64, err error) {
	byNumber := make(map[int]store.MultipartPart, len(stored))
	for _, p := range stored {
		byNumber[p.Number] = p
		if len(named) == 0 {
			parts = append(parts, blob.Part{Number: p.Number, Size: p.Size, ETag: p.ETag})
		}
	}
	for i, n := range named {
		p, found := byNumber[n.PartNumber]
		switch {
		case i > 0 && n.PartNumber <= named[i-1].PartNumber:
			return nil, 0, apierr.New(http.StatusBadRequest, "InvalidPartOrder",
				"The list of parts was not in ascending order. Parts must be ordered by part number.")
		case !found || s3api.Unquote(n.ETag) != p.ETag:
			return nil, 0, errPart()
		}
		parts = append(parts, blob.Part{Number: p.Number, Size: p.Size, ETag: p.ETag})
	}
	if len(parts) == 0 {
		return nil, 0, errPart()
	}
	for i, p := range parts {
		if size += p.Size; p.Size < blob.MinPart && i < len(parts)-1 {
			return nil, 0, apierr.New(http.StatusBadRequest, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
		}
	}
	return parts, size, nil
}

// joinMultipart makes one blob of the parts, unless that was done before.
func (m *Module) joinMultipart(rq *s3Call, up store.Multipart, parts []blob.Part) (blob.Info, error) {
	multipart, target, err := m.blobOf(rq.project.StoragePrefix, up)
	if err != nil {
		return blob.Info{}, err
	}
	info, err := multipart.CompleteMultipart(rq.ctx(), target, parts)
	switch {
	case errors.Is(err, blob.ErrPart):
		return info, errPart().Because(err)
	case errors.Is(err, blob.ErrNotFound):
		if info, err = m.blobs.Stat(rq.ctx(), target.Key); errors.Is(err, blob.ErrNotFound) {
			return info, errNoMultipart().Because(err)
		}
		if info.ETag == "" {
			info.ETag = tagOf(parts)
		}
	}
	return info, err
}

// tagOf is the tag of an object that is made of parts, as S3 forms it.
func tagOf(parts []blob.Part) string {
	sums := md5.New()
	for _, p := range parts {
		sum, err := hex.DecodeString(p.ETag)
		if err != nil { // of a store whose tags are no hashes
			sum = []byte(p.ETag)
		}
		sums.Write(sum)
	}
	return hex.EncodeToString(sums.Sum(nil)) + "-" + strconv.Itoa(len(parts))
}

// s3AbortUpload ends an upload and removes what it brought.
func (m *Module) s3AbortUpload(rq *s3Call) error {
	up, err := rq.multipart()
	if err != nil {
		return err
	}
	if err := rq.mayContinue(rq.overwriting(), saidBefore(up)); err != nil {
		return err
	}
	ctx, cancel := rq.finishing()
	defer cancel()
	err = rq.locked(ctx, up, func(q db.Queryer, up store.Multipart) error {
		return m.discardMultipart(ctx, q, rq.project.StoragePrefix, up)
	})
	if err != nil {
		return err
	}
	return rq.NoContent(http.StatusNoContent)
}

// multipartLife is how long an upload lives after its last part.
const multipartLife = time.Duration(maxResumableLife) * time.Millisecond

// discardMultipart removes an upload: its bytes, unless an object has them, and then its row.
func (m *Module) discardMultipart(ctx context.Context, q db.Queryer, prefix string, up store.Multipart) error {
	parts, target, err := m.blobOf(prefix, up)
	if err != nil {
		return err
	}
	if err := parts.AbortMultipart(ctx, target); err != nil {
		return err
	}
	stands, err := store.HasVersion(ctx, q, up.Bucket, up.Name, up.Version)
	if err == nil && !stands { // bytes that were joined and got no row
		err = m.blobs.Delete(ctx, target.Key)
	}
	if err != nil {
		return err
	}
	return store.DeleteMultipart(ctx, q, up.ID)
}
