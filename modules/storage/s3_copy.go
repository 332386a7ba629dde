package storage

import (
	"github.com/madbase/madbase/modules/storage/s3api"
	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/blob"
)

// s3Source finds the object that a request copies from, and checks its state.
func (rq *s3Call) s3Source() (store.Object, error) {
	h := rq.Request().Header
	source, err := s3api.ParseSource(h.Get("X-Amz-Copy-Source"))
	if err != nil {
		return store.Object{}, err
	}
	o, err := store.FindObjectOnce(rq.ctx(), rq.as(rq.own), source.Bucket, source.Key)
	if err != nil {
		return o, err
	}
	meta := s3Metadata(o)
	if s3api.ReadConditions(h, "X-Amz-Copy-Source-").Check(meta.ETag, meta.modified()) != 0 {
		return o, errPrecondition()
	}
	return o, nil
}

// s3CopyObject copies an object with what is said of it, or with what the request says.
func (m *Module) s3CopyObject(rq *s3Call) error {
	if !validKey(rq.key) {
		return errKey(rq.key)
	}
	bucket, err := rq.anyBucket()
	if err != nil {
		return err
	}
	source, err := rq.s3Source()
	if err != nil {
		return err
	}
	as, err := rq.newUpload()
	if err != nil {
		return err
	}
	to := store.NewObject{Bucket: rq.bucket, Name: rq.key, Owner: as.owner, Metadata: source.Metadata, UserMetadata: source.UserMetadata}
	h := rq.Request().Header
	switch h.Get("X-Amz-Metadata-Directive") {
	case "", "COPY":
	case "REPLACE":
		in := &incoming{}
		in.describe(h.Get("Content-Type"), h.Get("Cache-Control"))
		to.Metadata = changedMetadata(source.Metadata, map[string]any{"mimetype": in.mimeType, "cacheControl": in.cacheControl})
		to.UserMetadata = metaColumn(s3api.UserMetadata(h))
	default:
		return s3api.ErrParameter("x-amz-metadata-directive")
	}
	if meta := parseMetadata(to.Metadata); source.BucketID != rq.bucket || meta.MIMEType != parseMetadata(source.Metadata).MIMEType {
		if err := m.admitCopy(bucket, meta); err != nil {
			return err
		}
	}
	row, err := m.copyTo(rq.call, source, to, as)
	if err != nil {
		return err
	}
	return rq.answer(s3api.Copied{ETag: parseMetadata(row.Metadata).ETag, LastModified: s3Time(row.UpdatedAt)})
}

// admitCopy checks the limits of a bucket that an object comes to from another one, or with another type.
func (m *Module) admitCopy(bucket store.Bucket, meta metadata) error {
	if meta.Size > m.sizeLimitOf(bucket) {
		return errTooLarge("object")
	}
	if len(bucket.AllowedMIMETypes) > 0 && !allowedMIME(meta.MIMEType, bucket.AllowedMIMETypes) {
		return errMIMEType(meta.MIMEType)
	}
	return nil
}

// s3CopyPart makes a part of an upload of another object, or of a range of it.
func (m *Module) s3CopyPart(rq *s3Call) error {
	number, err := rq.partNumber()
	if err != nil {
		return err
	}
	var source *opened
	err = withObject(rq.call, func(*call) (store.Object, error) { return rq.s3Source() }, func(o store.Object) (err error) {
		source, err = m.openSource(rq, o)
		return err
	})
	if err != nil {
		return err
	}
	defer source.Close()
	stored, err := m.takePart(rq, number, source, source.length)
	if err != nil {
		return err
	}
	return rq.answer(s3api.CopiedPart{ETag: quoted(stored.ETag), LastModified: s3Time(stored.CreatedAt)})
}

// openSource opens the object, or the range of it that the request names.
func (m *Module) openSource(rq *s3Call, source store.Object) (*opened, error) {
	var part *blob.Range
	if header := rq.Request().Header.Get("X-Amz-Copy-Source-Range"); header != "" {
		offset, length, err := s3api.ParseSourceRange(header, parseMetadata(source.Metadata).Size)
		if err != nil {
			return nil, err
		}
		part = &blob.Range{Offset: offset, Length: length}
	}
	return m.open(rq.call, source, part)
}

func quoted(etag string) string { return `"` + etag + `"` }
