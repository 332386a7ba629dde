package storage

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/apierr"
)

// parseUploadMetadata reads the header Upload-Metadata: pairs of a key and a value
// in base64, which may be missing. No key may come twice.
func parseUploadMetadata(header string) (map[string]string, bool) {
	values := map[string]string{}
	for pair := range strings.SplitSeq(header, ",") {
		key, encoded, _ := strings.Cut(strings.TrimSpace(pair), " ")
		value, err := base64.StdEncoding.DecodeString(encoded)
		if _, twice := values[key]; twice || key == "" || err != nil || !visible(key) {
			return nil, false
		}
		values[key] = string(value)
	}
	return values, true
}

// visible reports whether key is made of visible ASCII characters.
func visible(key string) bool {
	for i := range len(key) {
		if key[i] <= ' ' || key[i] >= 0x7f {
			return false
		}
	}
	return true
}

func errUploadMetadata() *apierr.Error {
	return errTUS(http.StatusBadRequest, "Upload-Metadata is invalid. It MUST consist of one or more comma-separated key-value pairs. "+
		"The key and value MUST be separated by a space. The key MUST NOT contain spaces and commas and MUST NOT be empty. "+
		"The key SHOULD be ASCII encoded and the value MUST be Base64 encoded. All keys MUST be unique")
}

// said is what the client told of the object in Upload-Metadata.
func said(values map[string]string) (*incoming, error) {
	in := &incoming{mimeType: values["contentType"], cacheControl: "no-cache", userMetadata: jsonObject([]byte(values["metadata"]))}
	if in.mimeType == "" {
		in.mimeType = "application/octet-stream"
	}
	if _, err := strconv.ParseInt(values["cacheControl"], 10, 64); err == nil {
		in.cacheControl = "max-age=" + values["cacheControl"]
	}
	if !validHeader(in.mimeType) {
		return nil, errInvalidRequest("Invalid character in contentType")
	}
	return in, nil
}

// saidOf is said of an upload that has begun.
func saidOf(up store.Upload) (*incoming, error) {
	values, ok := parseUploadMetadata(up.Said)
	if !ok {
		return nil, errUploadMetadata()
	}
	return said(values)
}

// announced reads the headers Upload-Length and Upload-Defer-Length, of which one must be there.
func announced(h http.Header) (*int64, error) {
	length, deferred := h.Get("Upload-Length"), h.Get("Upload-Defer-Length")
	if (length == "") == (deferred == "") {
		return nil, errTUS(http.StatusBadRequest, "Upload-Length or Upload-Defer-Length header required")
	}
	if deferred != "" {
		if deferred != "1" {
			return nil, errTUS(http.StatusBadRequest, "Invalid upload-defer-length")
		}
		return nil, nil
	}
	n, ok := parseDigits(length)
	if !ok {
		return nil, errTUS(http.StatusBadRequest, "Invalid upload-length")
	}
	return &n, nil
}

// createUpload begins an upload, which may bring its first bytes along.
func (m *Module) createUpload(rq *call, signed bool) error {
	h := rq.Request().Header
	if h.Get("Upload-Concat") != "" {
		return errTUS(http.StatusNotImplemented, "Concatenation extension is not (yet) supported. Disable parallel uploads in the tus client.")
	}
	length, err := announced(h)
	if err != nil {
		return err
	}
	values, in, err := rq.uploadTarget()
	if err != nil {
		return err
	}
	as, err := rq.uploadRights(signed)
	if err != nil {
		return err
	}
	limit, err := m.mayUpload(rq, as, in, length)
	if err != nil {
		return err
	}
	up := store.Upload{ID: uuid.NewString(), Bucket: rq.bucket, Name: rq.key, Said: values, Length: length, NextPart: 1, State: store.UploadOpen}
	if _, err := blobKey(rq.project.StoragePrefix, up.Bucket, up.Name, up.ID); err != nil {
		return errKey(up.Name).Because(err)
	}
	if up.ExpiresAt.Time, err = store.InsertUpload(rq.ctx(), rq.project.DB.Storage, up, m.resumable.life); err != nil {
		return err
	}
	if brings := h.Get("Content-Type") == tusType; brings || length != nil && *length == 0 {
		if up, err = m.receive(rq, as, up, limit); err != nil {
			return err
		}
		if brings {
			rq.reportUpload(up)
		}
	}
	if up.State != store.UploadDone {
		rq.Response().Header().Set("Upload-Expires", up.ExpiresAt.UTC().Format(http.TimeFormat))
	}
	rq.Response().Header().Set("Location", m.uploadURL(rq, up, signed))
	return rq.NoContent(http.StatusCreated)
}

// uploadTarget reads Upload-Metadata, which names the request's target.
func (rq *call) uploadTarget() (header string, in *incoming, err error) {
	if header = rq.Request().Header.Get("Upload-Metadata"); header == "" {
		return "", nil, fail(http.StatusBadRequest, "MissingParameter", "MissingParameter", "Metadata header is required")
	}
	values, ok := parseUploadMetadata(header)
	if !ok {
		return "", nil, errUploadMetadata()
	}
	rq.bucket, rq.key = values["bucketName"], values["objectName"]
	if !validBucket(rq.bucket) {
		return "", nil, errBucketName()
	}
	if !validKey(rq.key) {
		return "", nil, errKey(rq.key)
	}
	in, err = said(values)
	return header, in, err
}

// mayUpload asks limits and policies and returns the largest size in bytes that the object may have.
func (m *Module) mayUpload(rq *call, as uploadAs, in *incoming, length *int64) (limit int64, err error) {
	bucket, err := store.FindBucket(rq.ctx(), rq.project.DB.Storage, rq.bucket)
	if err != nil {
		return 0, noBucket(err)
	}
	limit = m.sizeLimitOf(bucket)
	size := lengthOf(length)
	if size > limit {
		return 0, errTUS(http.StatusRequestEntityTooLarge, "Maximum size exceeded")
	}
	if len(bucket.AllowedMIMETypes) > 0 && !allowedMIME(in.mimeType, bucket.AllowedMIMETypes) {
		return 0, errMIMEType(in.mimeType)
	}
	return limit, mayWrite(rq, as, rq.newObject(as, in), in.mimeType, size)
}

// lengthOf is -1 for a length that is not known.
func lengthOf(length *int64) int64 {
	if length == nil {
		return -1
	}
	return *length
}

// newObject is the row to be, but for its version and metadata.
func (rq *call) newObject(as uploadAs, in *incoming) store.NewObject {
	return store.NewObject{Bucket: rq.bucket, Name: rq.key, Owner: as.owner, UserMetadata: in.userMetadata}
}

// uploadURL is where clients go on with an upload.
func (m *Module) uploadURL(rq *call, up store.Upload, signed bool) string {
	base := rq.project.PublicURL
	if base == "" { // the port was known only after listening
		base = rq.Scheme() + "://" + rq.Request().Host
	}
	path := "/upload/resumable/"
	if signed {
		path += "sign/"
	}
	return base + m.prefix + path + uploadID(up.Bucket, up.Name, up.ID)
}
