package storage

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/blob/buffer"
	"github.com/madbase/madbase/platform/project"
)

// Resumable uploads speak TUS 1.0 (https://tus.io/protocols/resumable-upload). All
// that is known of an upload is in PostgreSQL and in the blob store, so that any
// worker goes on with it:
//
//   - Bytes become parts of a multipart upload of the blob store. What is too
//     little for a part, the tail, is a blob of its own until more comes.
//   - A request that brings bytes takes the upload, in place of who had it: a
//     client that comes again knows better than the server that its connection is
//     gone. Who was displaced can change nothing any more (store.Advance), nor
//     touch what the next one stores: part numbers, tails and versions are used once.
//   - When all bytes are stored the upload is whole. The object is then made of it
//     under the row's lock, by that request or, after a crash, by the next one. The
//     last bytes are acknowledged once the object is there.
const (
	tusVersion    = "1.0.0"
	tusExtensions = "creation,creation-with-upload,creation-defer-length,termination,expiration"
	tusType       = "application/offset+octet-stream"
)

// resumable is what the uploads of one process share.
type resumable struct {
	life time.Duration
	// parts is the blob store's other face; nil for one that has none.
	parts blob.Multipart
	// bodies has what came and is not stored yet.
	bodies *buffer.Memory
	// finishing holds one item for each request that makes an object.
	finishing chan struct{}

	projects *project.Directory
}

// finishers bounds the objects that are made at once: each holds a connection of storage's own.
const finishers = 4

func newResumable(cfg Config, deps Deps) resumable {
	parts, _ := deps.Blobs.(blob.Multipart)
	return resumable{
		life: time.Duration(cfg.ResumableLife) * time.Millisecond, parts: parts, projects: deps.Projects,
		bodies: buffer.NewMemory(int64(cfg.ResumableMax) * blob.UnsizedPart), finishing: make(chan struct{}, finishers),
	}
}

// codeTUS is the code of errors that the protocol has and the rest of the service has not.
const codeTUS = "TusError"

func errTUS(status int, text string) *apierr.Error {
	return fail(status, "tus", codeTUS, text+"\n")
}

func errNoUpload() *apierr.Error {
	return errTUS(http.StatusNotFound, "The file for this url was not found")
}

func errUploadGone() *apierr.Error {
	return errTUS(http.StatusGone, "The file for this url no longer exists")
}

// tus is handle for the protocol's requests: errors are plain text with their real status.
func (m *Module) tus(op string, signed bool, h func(rq *call, signed bool) error) echo.HandlerFunc {
	who := signedIn
	if signed { // by a token in place of the caller's
		who = open
	}
	handler := m.handle(op, who, func(rq *call) error {
		header := rq.Response().Header()
		if version := rq.Request().Header.Get("Tus-Resumable"); version != tusVersion {
			header.Set("Tus-Version", tusVersion)
			return tusText(rq, errTUS(http.StatusPreconditionFailed, "Tus-Resumable Required"))
		}
		return tusText(rq, translate(h(rq, signed)))
	})
	return func(c echo.Context) error {
		c.Response().Header().Set("Tus-Resumable", tusVersion)
		c.Response().Header().Set("Cache-Control", "no-store")
		return handler(c)
	}
}

// tusText writes the errors that are the client's; the rest are the service's.
func tusText(rq *call, err error) error {
	if errors.Is(err, store.ErrTaken) {
		err = errTUS(http.StatusLocked, "Request aborted due to lock acquired").Because(err)
	}
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok || e.Status >= http.StatusInternalServerError && e.Code != codeTUS {
		return err
	}
	return rq.String(e.Status, e.Message)
}

// tusOptions tells what the service can do. It is also the answer to a browser's
// preflight where no gateway gives one.
func (m *Module) tusOptions(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Tus-Resumable", tusVersion)
	h.Set("Tus-Version", tusVersion)
	h.Set("Tus-Extension", tusExtensions)
	h.Set("Tus-Max-Size", strconv.FormatInt(m.cfg.FileSizeLimit, 10))
	return c.NoContent(http.StatusNoContent)
}

// uploadRights says with whose rights the request uploads: its caller's, or those
// of the token in its header. The target must be known.
func (rq *call) uploadRights(signed bool) (uploadAs, error) {
	h := rq.Request().Header
	if !signed {
		return uploadAs{owner: rq.owner(), upsert: h.Get("X-Upsert") == "true", rights: rq.own}, nil
	}
	text := h.Get("X-Signature")
	if text == "" {
		return uploadAs{}, errSignature("Missing x-signature header")
	}
	token, err := rq.verifyToken(text, "upload")
	return rq.signedUpload(token), err
}

// uploadID is the last part of an upload's URL: what it is for and its id, as
// clients of the real service may read it.
func uploadID(bucket, name, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(bucket + "/" + name + "/" + id))
}

// parseUploadID is the reverse of uploadID.
func parseUploadID(text string) (bucket, name, id string, ok bool) {
	plain, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return "", "", "", false
	}
	bucket, rest, _ := strings.Cut(string(plain), "/")
	slash := strings.LastIndexByte(rest, '/')
	if slash < 0 {
		return "", "", "", false
	}
	name, id = rest[:slash], rest[slash+1:]
	parsed, err := uuid.Parse(id)
	return bucket, name, id, err == nil && parsed.String() == id && validBucket(bucket) && validKey(name)
}

// findUpload returns the upload that the request's path names, which becomes its target.
func (rq *call) findUpload(signed bool) (up store.Upload, as uploadAs, err error) {
	path := strings.TrimSuffix(rq.Request().URL.Path, "/")
	bucket, name, id, ok := parseUploadID(path[strings.LastIndexByte(path, '/')+1:])
	if !ok {
		return up, as, errNoUpload()
	}
	rq.bucket, rq.key = bucket, name
	if as, err = rq.uploadRights(signed); err != nil {
		return up, as, err
	}
	up, err = store.FindUpload(rq.ctx(), rq.project.DB.Storage, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && (up.Bucket != bucket || up.Name != name) {
		return up, as, errNoUpload()
	}
	if err == nil && !time.Now().Before(up.ExpiresAt.Time) {
		err = errUploadGone()
	}
	return up, as, err
}

// headUpload tells how far an upload is. Its URL is secret enough for that.
func (m *Module) headUpload(rq *call, signed bool) error {
	up, _, err := rq.findUpload(signed)
	if err != nil {
		return err
	}
	h := rq.Response().Header()
	if up.Length != nil {
		h.Set("Upload-Length", strconv.FormatInt(*up.Length, 10))
	} else {
		h.Set("Upload-Defer-Length", "1")
	}
	h.Set("Upload-Metadata", up.Said)
	rq.reportUpload(up)
	return rq.NoContent(http.StatusOK)
}

// reportUpload sets the headers that say how far an upload is.
func (rq *call) reportUpload(up store.Upload) {
	h := rq.Response().Header()
	h.Set("Upload-Offset", strconv.FormatInt(up.Received, 10))
	if up.State == store.UploadDone {
		h.Set("Tus-Complete", "1")
	} else {
		h.Set("Upload-Expires", up.ExpiresAt.UTC().Format(http.TimeFormat))
	}
}

// overriddenUpload is for clients that cannot send the methods PATCH and DELETE.
func (m *Module) overriddenUpload(rq *call, signed bool) error {
	switch rq.Request().Header.Get("X-HTTP-Method-Override") {
	case http.MethodPatch:
		return m.patchUpload(rq, signed)
	case http.MethodDelete:
		return m.deleteUpload(rq, signed)
	}
	return m.createUpload(rq, signed)
}
