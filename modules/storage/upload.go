package storage

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/rls"
)

// metadata is the column of that name, which lists show as it is.
type metadata struct {
	ETag           string `json:"eTag"`
	Size           int64  `json:"size"`
	MIMEType       string `json:"mimetype"`
	CacheControl   string `json:"cacheControl"`
	LastModified   string `json:"lastModified"`
	ContentLength  int64  `json:"contentLength"`
	HTTPStatusCode int    `json:"httpStatusCode"`
	XRobotsTag     string `json:"xRobotsTag,omitempty"`
}

// isoTime is how metadata has times.
const isoTime = "2006-01-02T15:04:05.000Z"

// uploaded is the answer to an upload.
type uploaded struct {
	ID  string `json:"Id,omitempty"`
	Key string `json:"Key"`
}

func (m *Module) createObject(rq *call) error {
	return m.upload(rq, uploadAs{owner: rq.owner(), upsert: rq.Request().Header.Get("X-Upsert") == "true", rights: rq.own})
}

func (m *Module) updateObject(rq *call) error {
	return m.upload(rq, uploadAs{owner: rq.owner(), upsert: true, rights: rq.own})
}

// uploadSigned takes an upload whose token was given out to someone who may upload.
func (m *Module) uploadSigned(rq *call) error {
	token, err := rq.verifyURL("upload")
	if err != nil {
		return err
	}
	return m.upload(rq, rq.signedUpload(token))
}

// signedUpload is the upload that a token allows.
func (rq *call) signedUpload(token urlToken) uploadAs {
	as := uploadAs{upsert: token.Upsert, signed: true, rights: rq.admin}
	if token.Owner != "" {
		as.owner = &token.Owner
	}
	return as
}

// uploadAs is with whose rights an upload happens.
type uploadAs struct {
	owner  *string
	upsert bool
	signed bool
	// rights decide whether it may be written.
	rights rls.Settings
	// replaces is the one version that may be overwritten; empty for any.
	replaces string
	// conditional is set where it is a condition of the request that nothing, or that version, is there.
	conditional bool
}

// upload takes the object that the request brings.
func (m *Module) upload(rq *call, as uploadAs) error {
	bucket, err := store.FindBucket(rq.ctx(), rq.project.DB.Storage, rq.bucket)
	if err != nil {
		return noBucket(err)
	}
	in, err := readUpload(rq.Request())
	if err != nil {
		return err
	}
	row, err := m.take(rq, as, bucket, in)
	if err != nil {
		return err
	}
	answer := uploaded{ID: row.ID, Key: rq.bucket + "/" + rq.key}
	if as.signed {
		answer.ID = ""
	}
	return httpx.JSON(rq, http.StatusOK, answer)
}

// take asks policies, streams the bytes to the store, and then writes the row.
func (m *Module) take(rq *call, as uploadAs, bucket store.Bucket, in *incoming) (store.Object, error) {
	limit, err := m.admit(rq.key, bucket, in)
	if err != nil {
		return store.Object{}, err
	}
	object := rq.newObject(as, in)
	if err := mayWrite(rq, as, object, in.mimeType, in.declared); err != nil {
		return store.Object{}, err
	}
	object.Version = uuid.NewString()
	key, err := blobKey(rq.project.StoragePrefix, rq.bucket, rq.key, object.Version)
	if err != nil {
		return store.Object{}, errKey(rq.key).Because(err)
	}
	info, err := m.blobs.Put(rq.ctx(), key, &limitedReader{r: in.body, left: limit}, blob.PutOptions{Size: in.size, ContentType: in.mimeType})
	if err != nil {
		return store.Object{}, putError(err)
	}
	object.Metadata = in.metadata(info)
	if object.UserMetadata == nil {
		object.UserMetadata = []byte("{}")
	}
	return m.record(rq, object, as)
}

// admit checks what can be told before the bytes and returns how many there may be.
func (m *Module) admit(key string, bucket store.Bucket, in *incoming) (limit int64, err error) {
	if strings.HasSuffix(key, emptyFolder) {
		if in.size > 0 {
			return 0, errTooLarge("object")
		}
		return 0, nil
	}
	if len(bucket.AllowedMIMETypes) > 0 && !allowedMIME(in.mimeType, bucket.AllowedMIMETypes) {
		return 0, errMIMEType(in.mimeType)
	}
	limit = m.sizeLimitOf(bucket)
	if m.cfg.StandardLimit > 0 {
		limit = min(limit, m.cfg.StandardLimit)
	}
	if in.size > limit {
		return 0, errTooLarge("object")
	}
	return limit, nil
}

// sizeLimitOf is the most bytes that an object in the bucket may have.
func (m *Module) sizeLimitOf(bucket store.Bucket) int64 {
	if bucket.FileSizeLimit != nil {
		return min(m.cfg.FileSizeLimit, *bucket.FileSizeLimit)
	}
	return m.cfg.FileSizeLimit
}

// mayWrite tries the write that policies are about and undoes it. They see the
// version "1" and, of the metadata, only what is known before the bytes are.
func mayWrite(rq *call, as uploadAs, o store.NewObject, mimeType string, length int64) error {
	known := map[string]any{"mimetype": mimeType}
	if length >= 0 {
		known["contentLength"] = length
	}
	o.Metadata, _ = json.Marshal(known) // strings and numbers always marshal
	return tryWrite(rq, as, o)
}

func tryWrite(rq *call, as uploadAs, o store.NewObject) error {
	o.Version = "1"
	err := store.TryObject(rq.ctx(), rq.as(as.rights), o, as.upsert)
	if !as.upsert && isUnique(err) {
		return as.exists().Because(err)
	}
	return err
}

// metadata is what the row says of the bytes once they are stored.
func (in *incoming) metadata(info blob.Info) []byte {
	text, _ := json.Marshal(metadata{ // strings and numbers always marshal
		ETag: `"` + info.ETag + `"`, Size: info.Size, MIMEType: in.mimeType, CacheControl: in.cacheControl,
		LastModified: info.Modified.UTC().Format(isoTime), ContentLength: info.Size, HTTPStatusCode: http.StatusOK, XRobotsTag: in.robots,
	})
	return text
}

// errLimit is the reader's end when more bytes come than may.
var errLimit = errors.New("storage: upload exceeds its limit")

// limitedReader passes on bytes until there are more than left.
type limitedReader struct {
	r    io.Reader
	left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, errLimit
	}
	return n, err
}

// putError says whose fault it is that the bytes were not stored.
func putError(err error) error {
	if _, ok := errors.AsType[*apierr.Error](err); ok { // of a body that verifies itself
		return err
	}
	if errors.Is(err, errLimit) {
		return errTooLarge("object").Because(err)
	}
	if _, ok := errors.AsType[*bodyError](err); ok || errors.Is(err, blob.ErrSize) {
		return errBody(err)
	}
	if errors.Is(err, context.Canceled) {
		return errAborted().Because(err)
	}
	return err
}

// record is write for bytes that have come with this request: they go when the row was refused.
func (m *Module) record(rq *call, o store.NewObject, as uploadAs) (store.Object, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(rq.ctx()), finishTime)
	defer cancel()
	row, err := m.write(ctx, rq, o, as)
	if err != nil && notCommitted(err) {
		m.removeBytes(rq, []store.Object{{BucketID: o.Bucket, Name: o.Name, Version: &o.Version}})
	}
	return row, as.refusal(err)
}

// write writes the row of bytes that are stored. Writers of one name take turns: of
// two that want to create it, one does. The bytes of the version before are deleted
// once the new row is committed.
func (m *Module) write(ctx context.Context, rq *call, o store.NewObject, as uploadAs) (store.Object, error) {
	if o.News == nil {
		o.News = m.written(rq, o, "")
	}
	row, replaced, err := store.WriteObject(ctx, rq.as(rq.admin), o, as.overwriting())
	if err != nil {
		return row, err
	}
	m.outbox.Wake()
	if replaced != nil && *replaced != o.Version {
		m.removeBytes(rq, []store.Object{{BucketID: o.Bucket, Name: o.Name, Version: replaced}})
	}
	return row, nil
}

// overwriting is which objects of the name the upload may replace.
func (as uploadAs) overwriting() store.Overwrite {
	switch {
	case as.replaces != "":
		return store.Overwrite{Version: as.replaces}
	case as.upsert:
		return store.Overwrite{Any: true}
	}
	return store.Overwrite{}
}

// refusal names the failure of writing the row.
func (as uploadAs) refusal(err error) error {
	switch {
	case as.replaces != "" && errors.Is(err, store.ErrNotFound):
		return errPrecondition().Because(err)
	case !as.upsert && isUnique(err):
		return as.exists().Because(err)
	}
	return lockTimeout(err)
}

// exists tells that there is an object which may not be overwritten.
func (as uploadAs) exists() *apierr.Error {
	if as.conditional {
		return errPrecondition()
	}
	return errObjectExists()
}

// notCommitted reports whether a failed transaction surely changed nothing: the
// database refused a statement, or was never reached. When the connection fails
// in the commit itself, only the database knows.
func notCommitted(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.SeverityUnlocalized == "ERROR"
	}
	_, unreached := errors.AsType[*pgconn.ConnectError](err)
	return unreached || errors.Is(err, rls.ErrBusy) || errors.Is(err, store.ErrNotFound)
}

// lockTimeout names the failure of waiting for another writer.
func lockTimeout(err error) error {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "55P03" {
		return fail(http.StatusServiceUnavailable, "acquiring_lock_timeout", "LockTimeout", "acquiring lock timeout").Because(err)
	}
	return err
}
