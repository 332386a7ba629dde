package storage

import (
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/storage/s3api"
	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/db"
)

// overwriting is how the protocol writes unless it is told otherwise: in place of anything.
func (rq *s3Call) overwriting() uploadAs {
	return uploadAs{owner: rq.owner(), upsert: true, rights: rq.own}
}

// newUpload says in place of what a request writes its object, by If-None-Match and If-Match.
func (rq *s3Call) newUpload() (uploadAs, error) {
	as, h := rq.overwriting(), rq.Request().Header
	if none := h.Get("If-None-Match"); none != "" {
		if none != "*" {
			return as, s3api.ErrNotImplemented()
		}
		as.upsert, as.conditional = false, true
	}
	if h.Get("If-Match") == "" {
		return as, nil
	}
	var o store.Object
	err := rq.do(func(ctx context.Context, q db.Queryer) (err error) {
		o, err = store.FindObject(ctx, q, rq.bucket, rq.key)
		return err
	})
	if err != nil {
		return as, err
	}
	meta := s3Metadata(o)
	if !as.upsert || (s3api.Conditions{Match: h.Get("If-Match")}).Check(meta.ETag, meta.modified()) != 0 {
		return as, errPrecondition()
	}
	as.replaces, as.conditional = deref(o.Version), true
	return as, nil
}

// s3PutObject takes an object.
func (m *Module) s3PutObject(rq *s3Call) error {
	h := rq.Request().Header
	in := &incoming{body: requestBody{rq.body}, size: rq.body.Size(), declared: rq.body.Size(), userMetadata: metaColumn(s3api.UserMetadata(h))}
	in.describe(h.Get("Content-Type"), h.Get("Cache-Control"))
	etag, err := m.s3Take(rq, in)
	if err != nil {
		return err
	}
	rq.Response().Header().Set("ETag", etag)
	return rq.NoContent(http.StatusOK)
}

// s3Take takes what comes in, and returns its tag. What has no bytes and a name that
// ends with a slash keeps a folder alive.
func (m *Module) s3Take(rq *s3Call, in *incoming) (etag string, err error) {
	if strings.HasSuffix(rq.key, "/") && in.size == 0 {
		rq.key += emptyFolder
	}
	if !validKey(rq.key) {
		return "", errKey(rq.key)
	}
	bucket, err := rq.anyBucket()
	if err != nil {
		return "", err
	}
	as, err := rq.newUpload()
	if err != nil {
		return "", err
	}
	row, err := m.take(rq.call, as, bucket, in)
	return parseMetadata(row.Metadata).ETag, err
}

// metaColumn is user metadata as its column has it.
func metaColumn(metadata map[string]string) []byte {
	text, _ := json.Marshal(metadata) // strings always marshal
	return text
}

// s3Post takes an object by an HTML form, whose fields say what headers say elsewhere.
func (m *Module) s3Post(c echo.Context, target s3api.Target) error {
	caller, form, file, err := m.s3AuthenticatePost(c, target.Bucket)
	if err != nil {
		return err
	}
	return m.asCaller(c, caller, "storage.s3.upload", func(rq *call) error {
		rq.bucket, rq.key = target.Bucket, form.Key()
		metadata := map[string]string{}
		for name, value := range form.Fields {
			if key, found := strings.CutPrefix(name, "x-amz-meta-"); found {
				metadata[key] = value
			}
		}
		in := &incoming{body: requestBody{file}, size: file.Size(), declared: -1, userMetadata: metaColumn(metadata)}
		in.describe(form.Fields["content-type"], form.Fields["cache-control"])
		if !validHeader(in.mimeType) || !validHeader(in.cacheControl) {
			return errInvalidRequest("Invalid character in content-type or cache-control")
		}
		etag, err := m.s3Take(&s3Call{call: rq, body: file}, in)
		if err != nil {
			return err
		}
		rq.Response().Header().Set("ETag", etag)
		switch form.Fields["success_action_status"] {
		case "201":
			location := rq.bucket + "/" + rq.key
			return s3api.Write(rq.Response(), http.StatusCreated, s3api.Posted{Location: location, Bucket: rq.bucket, Key: rq.key, ETag: etag})
		case "204":
			return rq.NoContent(http.StatusNoContent)
		}
		return rq.NoContent(http.StatusOK)
	})
}

// isForm reports whether a request is an upload by an HTML form, which has no signature of its own.
func isForm(r *http.Request, level s3api.Level) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return r.Method == http.MethodPost && level == s3api.Bucket && err == nil && kind == "multipart/form-data" && r.URL.RawQuery == ""
}
