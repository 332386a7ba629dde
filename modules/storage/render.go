package storage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/madbase/madbase/modules/storage/picture"
	"github.com/madbase/madbase/modules/storage/store"
)

// fallbackHeader names the format that was asked for where another one is sent.
const fallbackHeader = "X-Image-Format-Unavailable"

func (m *Module) renderPublic(rq *call) error  { return m.renderQuery(rq, findPublic) }
func (m *Module) renderVisible(rq *call) error { return m.renderQuery(rq, findVisible) }

// renderQuery transforms as the query says.
func (m *Module) renderQuery(rq *call, find finder) error {
	f := rq.query()
	t := readTransform(f)
	if err := f.fails(); err != nil {
		return err
	}
	return m.render(rq, find, t, time.Time{})
}

// renderSigned transforms as the token says; the query has no say in it.
func (m *Module) renderSigned(rq *call) error {
	token, err := rq.verifyURL("download")
	if err != nil {
		return err
	}
	return m.render(rq, findSigned, parseTransform(token.Transformations, token.Format), time.Unix(token.Expires, 0))
}

// render answers with an object transformed, or says that the client has it.
func (m *Module) render(rq *call, find finder, t transform, expires time.Time) error {
	return withObject(rq, find, func(o store.Object) error { return m.renderObject(rq, o, t, expires) })
}

func (m *Module) renderObject(rq *call, o store.Object, t transform, expires time.Time) error {
	meta := parseMetadata(o.Metadata)
	request, header := rq.Request(), rq.Response().Header()
	webp := t.format == "" && m.images.writesWebP()
	if webp {
		header.Add("Vary", "Accept")
	}
	if notModified(request.Header, meta) {
		m.cacheHeaders(rq, meta, expires, "stale-while-revalidate=30")
		return rq.NoContent(http.StatusNotModified)
	}
	key, err := blobKey(rq.project.StoragePrefix, o.BucketID, o.Name, deref(o.Version))
	if err != nil {
		return errNoBytes(err)
	}
	ctx, cancel := context.WithTimeout(rq.ctx(), m.cfg.Images.Timeout)
	defer cancel()
	webp = webp && strings.Contains(request.Header.Get("Accept"), "image/webp")
	made, err := m.images.render(ctx, key, t.options(m.cfg.Images, webp))
	if err != nil {
		return renderError(rq, err)
	}
	meta.MIMEType = made.Format.ContentType()
	m.assetHeaders(rq, meta, int64(len(made.Bytes)))
	m.cacheHeaders(rq, meta, expires, "stale-while-revalidate=30")
	header.Set("Accept-Ranges", "none")
	if words := t.words(m.cfg.Images, false); words != "" {
		header.Set("X-Transformations", words)
	}
	if made.Format != made.Wanted {
		header.Set(fallbackHeader, made.Wanted.ContentType())
	}
	rq.Response().WriteHeader(http.StatusOK)
	if request.Method == http.MethodHead {
		return nil
	}
	if _, err := rq.Response().Write(made.Bytes); err != nil {
		return fmt.Errorf("storage: send image: %w", err)
	}
	return nil
}

// renderError says whose fault it is that there is no image, in the real service's words.
func renderError(rq *call, err error) error {
	switch {
	case rq.ctx().Err() != nil:
		return errAborted().Because(err)
	case errors.Is(err, errBusy):
		return real(fail(http.StatusTooManyRequests, "Too Many Requests", "SlowDown", "Too many requests")).WithHeader("Retry-After", "1").Because(err)
	case errors.Is(err, context.DeadlineExceeded):
		return errImage(http.StatusRequestTimeout, "Image request timed out").Because(err)
	case errors.Is(err, errSourceSize):
		return errImage(http.StatusBadRequest, "The source image file is too large to process").Because(err)
	case errors.Is(err, picture.ErrTooLarge):
		return errImage(http.StatusBadRequest, "The source image resolution is too large to process").Because(err)
	case errors.Is(err, picture.ErrUnsupported):
		return errImage(http.StatusBadRequest, "The source image is invalid or unsupported for rendering").Because(err)
	}
	return err
}
