package storage

import (
	"net/http"

	"github.com/madbase/madbase/modules/storage/outbox"
	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/httpx"
)

// purgeCache has the CDN forget all that the path names, or what was made of its images only.
func (m *Module) purgeCache(rq *call) error {
	q := rq.query()
	transforms := q.boolean("transformations", false)
	if err := q.fails(); err != nil {
		return err
	}
	if !m.outbox.CDN() {
		return fail(http.StatusBadRequest, "MissingParameter", "MissingParameter", "Missing Required Parameter CDN_PURGE_ENDPOINT_URL is not set")
	}
	purge := rq.purge()
	if transforms {
		purge.Type += "-transforms"
	}
	if err := m.outbox.Purge(rq.ctx(), purge); err != nil {
		return fail(http.StatusInternalServerError, "InternalError", "InternalError", "Error purging cache").Because(err)
	}
	return httpx.JSON(rq, http.StatusOK, purged{"success", "200"})
}

// purged is the answer to a purge.
type purged struct {
	Message    string `json:"message"`
	StatusCode string `json:"statusCode"`
}

// purge names what the path does: an object, a bucket or the project.
func (rq *call) purge() outbox.Purge {
	p := outbox.Purge{Type: "tenant", Bucket: rq.bucket, Object: rq.key}
	p.Tenant.Ref = rq.project.Ref
	switch {
	case rq.key != "":
		p.Type = "object"
	case rq.bucket != "":
		p.Type = "bucket"
	}
	return p
}

// unpublished is the news, for the CDN, of a bucket that the public may no longer read.
func (m *Module) unpublished(rq *call) []store.News {
	if !m.outbox.CDN() {
		return nil
	}
	return []store.News{rq.purge().News()}
}
