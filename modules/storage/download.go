package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/httpx"
)

// finder looks for the object that a request is about, with the rights its route gives.
type finder func(*call) (store.Object, error)

// findPublic finds what is in a public bucket.
func findPublic(rq *call) (store.Object, error) {
	t, err := store.FindTarget(rq.ctx(), rq.project.DB.Storage, rq.bucket, rq.key)
	if err == nil && !t.Public {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Object{}, noBucket(err)
	}
	return found(t)
}

// findVisible finds what the caller may see: all that is in a public bucket, else
// what policies show. A stranger is not told of a private bucket.
func findVisible(rq *call) (store.Object, error) {
	t, err := store.FindTarget(rq.ctx(), rq.project.DB.Storage, rq.bucket, rq.key)
	if err == nil && rq.who == nil && !t.Public {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Object{}, noBucket(err)
	}
	if t.Public {
		return found(t)
	}
	return store.FindObjectOnce(rq.ctx(), rq.as(rq.own), rq.bucket, rq.key)
}

// findSigned finds what a signed URL opens, past policies.
func findSigned(rq *call) (store.Object, error) {
	t, err := store.FindTarget(rq.ctx(), rq.project.DB.Storage, rq.bucket, rq.key)
	if err != nil {
		return store.Object{}, err
	}
	return found(t)
}

func found(t store.Target) (store.Object, error) {
	if t.Object == nil {
		return store.Object{}, errNoObject()
	}
	return *t.Object, nil
}

func (m *Module) getPublic(rq *call) error  { return m.serve(rq, findPublic, time.Time{}) }
func (m *Module) getVisible(rq *call) error { return m.serve(rq, findVisible, time.Time{}) }

func (m *Module) getSigned(rq *call) error {
	token, err := rq.verifyDownload()
	if err != nil {
		return err
	}
	return m.serve(rq, findSigned, time.Unix(token.Expires, 0))
}

// serve answers with an object's bytes, or says that the client has them.
func (m *Module) serve(rq *call, find finder, expires time.Time) error {
	return withObject(rq, find, func(o store.Object) error { return m.serveObject(rq, o, expires) })
}

// withObject calls use with the object. When its bytes are gone the row is read
// again: they may have been replaced meanwhile.
func withObject(rq *call, find finder, use func(store.Object) error) error {
	const attempts = 20 // each is lost only to one more overwrite
	version := ""
	for attempt := 1; ; attempt++ {
		o, err := find(rq)
		if err != nil {
			return err
		}
		if attempt > 1 && (deref(o.Version) == version || attempt > attempts) {
			return errNoBytes(fmt.Errorf("storage: version %s: %w", version, blob.ErrNotFound))
		}
		version = deref(o.Version)
		err = use(o)
		if !errors.Is(err, blob.ErrNotFound) {
			return err
		}
	}
}

func (m *Module) serveObject(rq *call, o store.Object, expires time.Time) error {
	meta := parseMetadata(o.Metadata)
	request := rq.Request()
	if notModified(request.Header, meta) {
		m.cacheHeaders(rq, meta, expires, "stale-while-revalidate=30")
		return rq.NoContent(http.StatusNotModified)
	}
	part, err := requestedRange(request.Header, meta)
	if err != nil {
		return err
	}
	body, err := m.open(rq, o, part)
	if err != nil {
		return err
	}
	defer body.Close()
	if meta.LastModified == "" {
		meta.LastModified = body.info.Modified.UTC().Format(isoTime)
	}
	m.assetHeaders(rq, meta, body.length)
	m.cacheHeaders(rq, meta, expires, "stale-while-revalidate=30")
	return body.send(rq)
}

// opened is an object's bytes, or the part of them that was asked for.
type opened struct {
	io.ReadCloser
	info   blob.Info
	length int64
	// contentRange is the header of that name; empty for all bytes.
	contentRange string
}

// open opens part of an object, nil for all. blob.ErrNotFound when the version's bytes are gone.
func (m *Module) open(rq *call, o store.Object, part *blob.Range) (*opened, error) {
	key, err := blobKey(rq.project.StoragePrefix, o.BucketID, o.Name, deref(o.Version))
	if err != nil {
		return nil, errNoBytes(err)
	}
	body, info, err := m.blobs.Get(rq.ctx(), key, part)
	if errors.Is(err, blob.ErrRange) {
		return nil, errRange(parseMetadata(o.Metadata).Size)
	}
	if err != nil {
		return nil, err
	}
	b := &opened{ReadCloser: body, info: info, length: info.Size}
	if part == nil {
		return b, nil
	}
	offset, n, err := part.Resolve(info.Size)
	if err != nil {
		return nil, errors.Join(errRange(info.Size), body.Close())
	}
	b.length, b.contentRange = n, fmt.Sprintf("bytes %d-%d/%d", offset, offset+n-1, info.Size)
	return b, nil
}

// send writes the answer; the headers that describe the object must be set.
func (b *opened) send(rq *call) error {
	status, header := http.StatusOK, rq.Response().Header()
	if b.contentRange != "" {
		status = http.StatusPartialContent
		header.Set("Content-Range", b.contentRange)
	}
	rq.Response().WriteHeader(status)
	if rq.Request().Method == http.MethodHead {
		return nil
	}
	if _, err := httpx.Send(rq.Response(), b.ReadCloser); err != nil {
		return fmt.Errorf("storage: send object: %w", err)
	}
	return nil
}

// requestedRange is the part that the client wants; nil for all.
func requestedRange(h http.Header, meta metadata) (*blob.Range, error) {
	text := h.Get("Range")
	if text == "" || !rangeApplies(h, meta) {
		return nil, nil
	}
	part, ok := parseRange(text)
	if !ok {
		return nil, errRange(meta.Size)
	}
	return part, nil
}

// parseMetadata reads the column leniently: SQL may have put anything there.
func parseMetadata(raw json.RawMessage) metadata {
	var m metadata
	if json.Unmarshal(raw, &m) == nil {
		return m
	}
	var members map[string]any
	_ = json.Unmarshal(raw, &members) // what is no object has no members
	text := func(name string) string { s, _ := members[name].(string); return s }
	m = metadata{
		ETag: text("eTag"), MIMEType: text("mimetype"), CacheControl: text("cacheControl"),
		LastModified: text("lastModified"), XRobotsTag: text("xRobotsTag"),
	}
	if size, ok := members["size"].(float64); ok {
		m.Size = int64(size)
	}
	return m
}

// assetHeaders are those that describe the bytes. HTML is served as plain text, and
// what else may run scripts without them, so that uploads cannot be pages under the
// API's origin.
func (m *Module) assetHeaders(rq *call, meta metadata, length int64) {
	header := rq.Response().Header()
	kind := meta.MIMEType
	switch {
	case kind == "":
		kind = "application/octet-stream"
	case strings.Contains(strings.ToLower(kind), "text/html"):
		kind = "text/plain"
	}
	header.Set("Accept-Ranges", "bytes")
	header.Set("Content-Type", kind)
	contain(header)
	header.Set("Content-Length", strconv.FormatInt(length, 10))
	robots := meta.XRobotsTag
	if robots == "" || !validRobots(robots) {
		robots = "none"
	}
	header.Set("X-Robots-Tag", robots)
	query := rq.Request().URL.Query()
	if query.Has("download") {
		header.Set("Content-Disposition", disposition(query.Get("download")))
	}
}

// disposition makes the client save the answer, under name where it is not empty.
func disposition(name string) string {
	if name == "" {
		return "attachment;"
	}
	encoded := strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
	for _, plain := range []string{"!", "'", "(", ")", "*"} { // which the real service leaves as they are
		encoded = strings.ReplaceAll(encoded, url.QueryEscape(plain), plain)
	}
	return "attachment; filename=" + encoded + "; filename*=UTF-8''" + encoded
}

// cacheHeaders tell caches how long and under which tag they may keep the answer.
// stale is what is added for a client whose version is another one.
func (m *Module) cacheHeaders(rq *call, meta metadata, expires time.Time, stale string) {
	header := rq.Response().Header()
	if meta.ETag != "" {
		header.Set("ETag", meta.ETag)
	}
	if at := meta.modified(); !at.IsZero() {
		header.Set("Last-Modified", at.Format(http.TimeFormat))
	}
	if !expires.IsZero() {
		header.Set("Expires", expires.UTC().Format(http.TimeFormat))
		return
	}
	var control []string
	if meta.CacheControl != "" {
		control = append(control, meta.CacheControl)
	}
	if have := rq.Request().Header.Get("If-None-Match"); have != "" {
		if m.cfg.SharedMaxAge > 0 {
			control = append(control, "s-maxage="+strconv.Itoa(m.cfg.SharedMaxAge))
		}
		if have != meta.ETag {
			control = append(control, stale)
		}
	}
	if len(control) > 0 {
		header.Set("Cache-Control", strings.Join(control, ", "))
	}
}
