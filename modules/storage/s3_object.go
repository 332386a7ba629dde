package storage

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/madbase/madbase/modules/storage/s3api"
	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/apierr"
)

// find looks for the request's object as its caller, also when the bucket is public.
// What keeps an empty folder alive is found by the folder's name, under which clients have put it.
func (rq *s3Call) find(*call) (store.Object, error) {
	o, err := store.FindObjectOnce(rq.ctx(), rq.as(rq.own), rq.bucket, rq.key)
	if errors.Is(err, store.ErrNotFound) && strings.HasSuffix(rq.key, "/") {
		o, err = store.FindObjectOnce(rq.ctx(), rq.as(rq.own), rq.bucket, rq.key+emptyFolder)
	}
	return o, err
}

func (m *Module) s3GetObject(rq *s3Call) error {
	return withObject(rq.call, rq.find, func(o store.Object) error { return m.s3Send(rq, o) })
}

func (m *Module) s3Send(rq *s3Call, o store.Object) error {
	meta, err := rq.describe(o)
	if err != nil {
		return err
	}
	part, err := requestedRange(rq.Request().Header, meta)
	if err != nil {
		return err
	}
	body, err := m.open(rq.call, o, part)
	if err != nil {
		return err
	}
	defer body.Close()
	rq.Response().Header().Set("Content-Length", strconv.FormatInt(body.length, 10))
	return body.send(rq.call)
}

// s3HeadObject asks the database alone.
func (m *Module) s3HeadObject(rq *s3Call) error {
	o, err := rq.find(rq.call)
	if err != nil {
		return err
	}
	meta, err := rq.describe(o)
	if err != nil {
		return err
	}
	rq.Response().Header().Set("Content-Length", strconv.FormatInt(meta.Size, 10))
	rq.Response().WriteHeader(http.StatusOK)
	return nil
}

// describe checks what the request wants of the object's state and sets the headers that describe it.
func (rq *s3Call) describe(o store.Object) (metadata, error) {
	meta := s3Metadata(o)
	if err := rq.checkVersion(); err != nil {
		return meta, err
	}
	if number := rq.query.Get("partNumber"); number != "" && number != "1" { // an object is one part, whatever it was made of
		return meta, apierr.New(http.StatusRequestedRangeNotSatisfiable, "InvalidPartNumber", "The requested partnumber is not satisfiable")
	}
	h := rq.Response().Header()
	setUnlessEmpty(h, "ETag", meta.ETag)
	setUnlessEmpty(h, "Cache-Control", meta.CacheControl)
	h.Set("Last-Modified", meta.modified().Format(http.TimeFormat))
	switch s3api.ReadConditions(rq.Request().Header, "").Check(meta.ETag, meta.modified()) {
	case s3api.Failed:
		return meta, errPrecondition()
	case s3api.NotModified:
		return meta, apierr.New(http.StatusNotModified, "NotModified", "Not Modified")
	}
	h.Set("Accept-Ranges", "bytes")
	setUnlessEmpty(h, "Content-Type", meta.MIMEType)
	var custom map[string]any
	if json.Unmarshal(o.UserMetadata, &custom) == nil { // SQL may have put anything there
		s3api.SetUserMetadata(h, custom)
	}
	if err := rq.overrideHeaders(); err != nil {
		return meta, err
	}
	contain(h)
	return meta, nil
}

// s3Metadata is an object's metadata with the time of change that lists have, too.
func s3Metadata(o store.Object) metadata {
	meta := parseMetadata(o.Metadata)
	if o.UpdatedAt != nil {
		meta.LastModified = o.UpdatedAt.UTC().Format(isoTime)
	}
	if meta.MIMEType == "" {
		meta.MIMEType = "application/octet-stream"
	}
	return meta
}

func setUnlessEmpty(h http.Header, name, value string) {
	if value != "" {
		h.Set(name, value)
	}
}

// overrideHeaders sets the headers that the query asks for, by who has signed it.
func (rq *s3Call) overrideHeaders() error {
	h := rq.Response().Header()
	for _, name := range [...]string{"Content-Disposition", "Content-Type", "Cache-Control", "Content-Encoding", "Content-Language"} {
		if value := rq.query.Get("response-" + strings.ToLower(name)); validHeader(value) {
			setUnlessEmpty(h, name, value)
		}
	}
	text := rq.query.Get("response-expires")
	if text == "" {
		return nil
	}
	at, err := http.ParseTime(text)
	if err != nil {
		at, err = time.Parse(time.RFC3339, text)
	}
	if err != nil {
		return s3api.ErrParameter("response-expires")
	}
	h.Set("Expires", at.UTC().Format(http.TimeFormat))
	return nil
}

// runs reports whether a browser may run scripts in a document of the given type, also
// because it is none and the browser guesses. One that somebody has uploaded must not
// do so under the API's origin.
func runs(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil || !strings.Contains(kind, "/") || strings.HasSuffix(kind, "xml") {
		return true
	}
	for _, part := range [...]string{"html", "xml-", "xsl", "rdf", "multipart", "unknown", "*"} {
		if strings.Contains(kind, part) {
			return true
		}
	}
	return false
}

// contain keeps scripts in the document that the answer may be from running. What a
// page embeds, such as an image, is not touched by it.
func contain(h http.Header) {
	if runs(h.Get("Content-Type")) {
		h.Set("Content-Security-Policy", "sandbox")
	}
}

// s3GetTagging answers that a visible object has no tags.
func (m *Module) s3GetTagging(rq *s3Call) error {
	if err := rq.checkVersion(); err != nil {
		return err
	}
	if _, err := rq.find(rq.call); err != nil {
		return err
	}
	return rq.answer(s3api.Tagging{})
}

// s3DeleteObject is content when there is nothing to delete.
func (m *Module) s3DeleteObject(rq *s3Call) error {
	if err := rq.checkVersion(); err != nil {
		return err
	}
	err := m.deleteName(rq.call, rq.key)
	if errors.Is(err, store.ErrNotFound) && strings.HasSuffix(rq.key, "/") {
		err = m.deleteName(rq.call, rq.key+emptyFolder)
	}
	if errors.Is(err, store.ErrNotFound) {
		_, err = rq.anyBucket()
	}
	if err != nil {
		return err
	}
	return rq.NoContent(http.StatusNoContent)
}

const (
	// maxDelete is the most objects that one request deletes, and maxDeleteBody what
	// it takes to name them.
	maxDelete     = 1000
	maxDeleteBody = 4 << 20
)

// s3DeleteObjects deletes the named objects as far as they are the caller's, and tells which are still there.
func (m *Module) s3DeleteObjects(rq *s3Call) error {
	if _, err := rq.anyBucket(); err != nil {
		return err
	}
	var request s3api.Delete
	if err := s3api.Read(rq.body, maxDeleteBody, &request); err != nil {
		return err
	}
	if len(request.Object) > maxDelete {
		return errInvalidRequest("Bulk object requests are limited to " + strconv.Itoa(maxDelete) + " objects per request.")
	}
	var names []string
	for _, o := range request.Object {
		if o.VersionID == "" || o.VersionID == s3api.NullVersion {
			names = append(names, o.Key)
		}
	}
	if _, err := m.deleteAll(rq.call, names); err != nil {
		return err
	}
	left, err := store.Existing(rq.ctx(), rq.project.DB.Storage, rq.bucket, names)
	if err != nil {
		return err
	}
	return rq.answer(deletion(request, left))
}

func deletion(request s3api.Delete, left map[string]bool) (answer s3api.Deletion) {
	for _, o := range request.Object {
		switch {
		case o.VersionID != "" && o.VersionID != s3api.NullVersion:
			e := s3api.ErrNoVersion()
			answer.Error = append(answer.Error, s3api.Kept{Key: o.Key, VersionID: o.VersionID, Code: e.Code, Message: e.Message})
		case left[o.Key]:
			answer.Error = append(answer.Error, s3api.Kept{Key: o.Key, Code: "AccessDenied", Message: "Access Denied"})
		case !request.Quiet:
			answer.Deleted = append(answer.Deleted, o)
		}
	}
	return answer
}
