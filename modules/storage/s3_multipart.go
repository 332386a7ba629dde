package storage

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/google/uuid"

	"github.com/madbase/madbase/modules/storage/s3api"
	"github.com/madbase/madbase/modules/storage/sigv4"
	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/db"
)

// A multipart upload is one of the blob store, under whose id it has a row. Each
// part is stored and then noted. When it is completed, the object is made of the
// parts under the row's lock: first the bytes, then the object's row, and then the
// upload's goes. After a crash in between, to complete it once more goes on, and to
// abort it removes what there is.

func errNoMultipart() *apierr.Error {
	return apierr.New(http.StatusNotFound, "NoSuchUpload", "Upload not found")
}

func errPart() *apierr.Error {
	return apierr.New(http.StatusBadRequest, "InvalidPart",
		"One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.")
}

// initial is what the row of an upload says of the object to be.
type initial struct {
	MIMEType     string `json:"mimetype"`
	CacheControl string `json:"cacheControl,omitempty"`
}

// saidBefore is what the client has said of the object when it began the upload.
func saidBefore(up store.Multipart) *incoming {
	var said initial
	_ = json.Unmarshal(up.Metadata, &said) // the service itself has written it
	in := &incoming{userMetadata: up.UserMetadata}
	in.describe(said.MIMEType, said.CacheControl)
	return in
}

// mayContinue asks policies whether the caller may write the upload's object.
func (rq *s3Call) mayContinue(as uploadAs, in *incoming) error {
	return mayWrite(rq.call, as, rq.newObject(as, in), in.mimeType, -1)
}

// multipart finds the upload that the request names.
func (rq *s3Call) multipart() (store.Multipart, error) {
	up, err := store.FindMultipart(rq.ctx(), rq.project.DB.Storage, rq.query.Get("uploadId"), rq.bucket, rq.key)
	if errors.Is(err, store.ErrNotFound) {
		err = errNoMultipart().Because(err)
	}
	return up, err
}

// blobOf is the upload in the blob store.
func (m *Module) blobOf(prefix string, up store.Multipart) (blob.Multipart, blob.Upload, error) {
	if m.resumable.parts == nil {
		return nil, blob.Upload{}, errors.New("storage: the blob store takes no uploads in parts")
	}
	key, err := blobKey(prefix, up.Bucket, up.Name, up.Version)
	if err != nil {
		return nil, blob.Upload{}, errKey(up.Name).Because(err)
	}
	return m.resumable.parts, blob.Upload{Key: key, ID: up.ID}, nil
}

// finishing is a time for what must be done also when the client has left.
func (rq *s3Call) finishing() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(rq.ctx()), finishTime)
}

// locked runs fn in a transaction that has locked the upload.
func (rq *s3Call) locked(ctx context.Context, up store.Multipart, fn func(q db.Queryer, up store.Multipart) error) error {
	err := store.WithMultipart(ctx, rq.project.DB.Storage, up, fn)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return errNoMultipart().Because(err)
	case errors.Is(err, store.ErrOverLimit):
		return errTooLarge("object").Because(err)
	}
	return lockTimeout(err)
}

// s3CreateUpload begins an upload.
func (m *Module) s3CreateUpload(rq *s3Call) error {
	if !validKey(rq.key) {
		return errKey(rq.key)
	}
	bucket, err := rq.anyBucket()
	if err != nil {
		return err
	}
	h := rq.Request().Header
	in := &incoming{userMetadata: metaColumn(s3api.UserMetadata(h))}
	in.describe(h.Get("Content-Type"), h.Get("Cache-Control"))
	if len(bucket.AllowedMIMETypes) > 0 && !allowedMIME(in.mimeType, bucket.AllowedMIMETypes) {
		return errMIMEType(in.mimeType)
	}
	if err := rq.mayContinue(rq.overwriting(), in); err != nil {
		return err
	}
	up := store.Multipart{Bucket: rq.bucket, Name: rq.key, Version: uuid.NewString(), OwnerID: rq.owner(), UserMetadata: in.userMetadata}
	up.Metadata, _ = json.Marshal(initial{in.mimeType, in.cacheControl}) // strings always marshal
	parts, target, err := m.blobOf(rq.project.StoragePrefix, up)
	if err != nil {
		return err
	}
	ctx, cancel := rq.finishing()
	defer cancel()
	begun, err := parts.CreateMultipart(ctx, target.Key, blob.PutOptions{Size: -1, ContentType: in.mimeType})
	if err != nil {
		return err
	}
	up.ID = begun.ID
	if err := store.InsertMultipart(ctx, rq.project.DB.Storage, up); err != nil {
		return errors.Join(err, parts.AbortMultipart(ctx, begun))
	}
	return rq.answer(s3api.Initiated{Bucket: up.Bucket, Key: up.Name, UploadID: up.ID})
}

// partNumber is that of the query.
func (rq *s3Call) partNumber() (int, error) {
	number, ok := s3api.Number(rq.query.Get("partNumber"))
	if !ok || number < 1 || number > maxParts {
		return 0, s3api.ErrParameter("partNumber")
	}
	return number, nil
}

// maxParts is the greatest number of a part.
const maxParts = 10000

// s3UploadPart takes a part.
func (m *Module) s3UploadPart(rq *s3Call) error {
	number, err := rq.partNumber()
	if err != nil {
		return err
	}
	if rq.body.Size() < 0 {
		return apierr.New(http.StatusBadRequest, "MissingContentLength", "You must provide the Content-Length HTTP header.")
	}
	part, err := m.takePart(rq, number, requestBody{rq.body}, rq.body.Size())
	if err != nil {
		return err
	}
	rq.Response().Header().Set("ETag", quoted(part.ETag))
	return rq.NoContent(http.StatusOK)
}

// takePart stores a part of size bytes. They count against the limit before they come.
func (m *Module) takePart(rq *s3Call, number int, body io.Reader, size int64) (part store.MultipartPart, err error) {
	if size > sigv4.MaxPayload {
		return part, errTooLarge("object")
	}
	bucket, err := rq.anyBucket()
	if err != nil {
		return part, err
	}
	up, err := rq.multipart()
	if err != nil {
		return part, err
	}
	if err := rq.mayContinue(rq.overwriting(), saidBefore(up)); err != nil {
		return part, err
	}
	part = store.MultipartPart{Number: number, Size: size}
	limit := m.sizeLimitOf(bucket)
	err = rq.locked(rq.ctx(), up, func(q db.Queryer, up store.Multipart) error { return store.ReservePart(rq.ctx(), q, up, part, limit) })
	if err != nil {
		return part, err
	}
	if part.ETag, err = m.storePart(rq, up, part, body); err == nil {
		part.CreatedAt, err = rq.notePart(up, part, limit)
	}
	if err != nil {
		ctx, cancel := rq.finishing()
		defer cancel()
		return part, errors.Join(err, rq.locked(ctx, up, func(q db.Queryer, up store.Multipart) error { return store.ReleasePart(ctx, q, up, part) }))
	}
	return part, nil
}

func (m *Module) storePart(rq *s3Call, up store.Multipart, part store.MultipartPart, body io.Reader) (etag string, err error) {
	parts, target, err := m.blobOf(rq.project.StoragePrefix, up)
	if err != nil {
		return "", err
	}
	stored, err := parts.UploadPart(rq.ctx(), target, part.Number, body, part.Size)
	if errors.Is(err, blob.ErrNotFound) {
		return "", errNoMultipart().Because(err)
	}
	if err != nil {
		return "", putError(err)
	}
	return stored.ETag, nil
}

func (rq *s3Call) notePart(up store.Multipart, part store.MultipartPart, limit int64) (at *store.Time, err error) {
	ctx, cancel := rq.finishing()
	defer cancel()
	err = rq.locked(ctx, up, func(q db.Queryer, up store.Multipart) (err error) {
		at, err = store.InsertPart(ctx, q, up, part, limit)
		return err
	})
	return at, err
}

// s3ListParts lists the parts that the caller may see.
func (m *Module) s3ListParts(rq *s3Call) error {
	up, err := rq.multipart()
	if err != nil {
		return err
	}
	limit, after := s3api.MaxKeys, 0
	for name, into := range map[string]*int{"max-parts": &limit, "part-number-marker": &after} {
		if text := rq.query.Get(name); text != "" {
			var ok bool
			if *into, ok = s3api.Number(text); !ok {
				return s3api.ErrParameter(name)
			}
		}
	}
	limit = min(max(limit, 1), s3api.MaxKeys)
	var parts []store.MultipartPart
	err = rq.do(func(ctx context.Context, q db.Queryer) (err error) {
		parts, err = store.MultipartParts(ctx, q, up.ID, after, limit+1)
		return err
	})
	if err != nil {
		return err
	}
	answer := s3api.PartList{
		Bucket: up.Bucket, Key: up.Name, UploadID: up.ID, StorageClass: "STANDARD", PartNumberMarker: after, MaxParts: limit,
	}
	if len(parts) > limit {
		parts = parts[:limit]
		answer.IsTruncated, answer.NextPartNumberMarker = true, parts[limit-1].Number
	}
	for _, p := range parts {
		answer.Part = append(answer.Part, s3api.PartEntry{PartNumber: p.Number, LastModified: s3Time(p.CreatedAt), ETag: quoted(p.ETag), Size: p.Size})
	}
	return rq.answer(answer)
}

// s3ListUploads lists the uploads that the caller may see.
func (m *Module) s3ListUploads(rq *s3Call) error {
	list, err := s3api.ReadList(rq.query, "max-uploads")
	if err != nil {
		return err
	}
	if list.Limit == 0 {
		return s3api.ErrParameter("MaxUploads")
	}
	if _, err := rq.anyBucket(); err != nil {
		return err
	}
	afterKey, afterID := rq.query.Get("key-marker"), rq.query.Get("upload-id-marker")
	page := store.MultipartPage{
		Bucket: rq.bucket, Prefix: list.Prefix, Delimiter: list.Delimiter, AfterName: afterKey, AfterID: afterID, Limit: list.Limit + 1,
	}
	var entries []store.MultipartEntry
	err = rq.do(func(ctx context.Context, q db.Queryer) (err error) {
		entries, err = store.ListMultiparts(ctx, q, page)
		return err
	})
	if err != nil {
		return err
	}
	answer := s3api.UploadList{
		Bucket: rq.bucket, Prefix: list.Name(list.Prefix), Delimiter: list.Name(list.Delimiter), KeyMarker: list.Name(afterKey),
		UploadIDMarker: afterID, EncodingType: list.Encoding(), MaxUploads: list.Limit,
	}
	if len(entries) > list.Limit {
		entries = entries[:list.Limit]
		last := entries[list.Limit-1]
		answer.IsTruncated, answer.NextKeyMarker, answer.NextUploadIDMarker = true, list.Name(last.Name), last.ID
	}
	for _, e := range entries {
		if e.ID == "" {
			answer.CommonPrefixes = append(answer.CommonPrefixes, s3api.Prefix{Prefix: list.Name(e.Name)})
			continue
		}
		answer.Upload = append(answer.Upload, s3api.UploadEntry{Key: list.Name(e.Name), UploadID: e.ID, StorageClass: "STANDARD", Initiated: s3Time(e.CreatedAt)})
	}
	return rq.answer(answer)
}
