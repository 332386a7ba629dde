package storage

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/httpx"
)

// infoView is what the API tells of an object without its bytes.
type infoView struct {
	ID           string          `json:"id"`
	Name         string          `json:"name"`
	Version      string          `json:"version"`
	BucketID     string          `json:"bucket_id"`
	Size         *int64          `json:"size"`
	ContentType  *string         `json:"content_type"`
	CacheControl *string         `json:"cache_control"`
	ETag         *string         `json:"etag"`
	Metadata     json.RawMessage `json:"metadata"`
	LastModified *store.Time     `json:"last_modified"`
	CreatedAt    *store.Time     `json:"created_at"`
}

func (m *Module) headPublic(rq *call) error  { return m.head(rq, findPublic, time.Time{}) }
func (m *Module) headVisible(rq *call) error { return m.head(rq, findVisible, time.Time{}) }
func (m *Module) infoPublic(rq *call) error  { return m.info(rq, findPublic) }
func (m *Module) infoVisible(rq *call) error { return m.info(rq, findVisible) }

func (m *Module) headSigned(rq *call) error {
	token, err := rq.verifyDownload()
	if err != nil {
		return err
	}
	return m.head(rq, findSigned, time.Unix(token.Expires, 0))
}

// head answers from the row alone, with the headers of a download.
func (m *Module) head(rq *call, find finder, expires time.Time) error {
	o, err := find(rq)
	if err != nil {
		return err
	}
	meta := parseMetadata(o.Metadata)
	m.assetHeaders(rq, meta, meta.Size)
	m.cacheHeaders(rq, meta, expires, "must-revalidate")
	return rq.NoContent(http.StatusOK)
}

// info answers with the row's description.
func (m *Module) info(rq *call, find finder) error {
	o, err := find(rq)
	if err != nil {
		return err
	}
	meta := parseMetadata(o.Metadata)
	m.cacheHeaders(rq, meta, time.Time{}, "must-revalidate")
	view := infoView{
		ID: o.ID, Name: o.Name, Version: deref(o.Version), BucketID: o.BucketID,
		ContentType: optionalText(meta.MIMEType), CacheControl: optionalText(meta.CacheControl), ETag: optionalText(meta.ETag),
		Metadata: o.UserMetadata, LastModified: o.UpdatedAt, CreatedAt: o.CreatedAt,
	}
	if len(o.Metadata) > 0 {
		view.Size = &meta.Size
	}
	return httpx.JSON(rq, http.StatusOK, view)
}

func optionalText(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
