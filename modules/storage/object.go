package storage

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
)

// objectView is an object's row as the API shows it.
type objectView struct {
	Name           string          `json:"name"`
	BucketID       string          `json:"bucket_id"`
	Owner          string          `json:"owner"`
	OwnerID        string          `json:"owner_id"`
	Version        string          `json:"version"`
	ID             string          `json:"id"`
	UpdatedAt      *store.Time     `json:"updated_at"`
	CreatedAt      *store.Time     `json:"created_at"`
	LastAccessedAt *store.Time     `json:"last_accessed_at"`
	Metadata       json.RawMessage `json:"metadata"`
	UserMetadata   json.RawMessage `json:"user_metadata"`
}

func viewObject(o store.Object) objectView {
	return objectView{
		o.Name, o.BucketID, deref(o.Owner), deref(o.OwnerID), deref(o.Version), o.ID,
		o.UpdatedAt, o.CreatedAt, o.LastAccessedAt, o.Metadata, o.UserMetadata,
	}
}

// deleteObject tells a missing object, which anyone may know of, from one that is not the caller's to delete.
func (m *Module) deleteObject(rq *call) error {
	if err := m.deleteName(rq, rq.key); err != nil {
		return err
	}
	return httpx.JSON(rq, http.StatusOK, message{"Successfully deleted"})
}

func (m *Module) deleteName(rq *call, name string) error {
	if _, err := store.FindObject(rq.ctx(), rq.project.DB.Storage, rq.bucket, name); err != nil {
		return err
	}
	gone, err := m.deleteNames(rq, []string{name})
	if err == nil && len(gone) == 0 {
		err = errDenied("Access denied")
	}
	return err
}

// deleteObjects deletes the named objects as far as they are there and the caller's, and answers with those.
func (m *Module) deleteObjects(rq *call) error {
	f, err := rq.body()
	if err != nil {
		return err
	}
	f.require("prefixes")
	names := f.texts("prefixes")
	if len(names) == 0 {
		f.fault("prefixes", "must NOT have fewer than 1 items")
	}
	if err := f.fails(); err != nil {
		return err
	}
	gone, err := m.deleteAll(rq, names)
	if err != nil {
		return err
	}
	views := make([]objectView, len(gone))
	for i := range gone {
		views[i] = viewObject(gone[i])
	}
	return httpx.JSON(rq, http.StatusOK, views)
}

// deleteAll is deleteNames batch by batch.
func (m *Module) deleteAll(rq *call, names []string) ([]store.Object, error) {
	var all []store.Object
	for len(names) > 0 {
		batch := names[:min(deleteBatch, len(names))]
		names = names[len(batch):]
		gone, err := m.deleteNames(rq, batch)
		if err != nil {
			return nil, err
		}
		all = append(all, gone...)
	}
	return all, nil
}

// deleteNames deletes rows as the caller, commits, and then deletes their bytes.
func (m *Module) deleteNames(rq *call, names []string) ([]store.Object, error) {
	var gone []store.Object
	err := rq.do(func(ctx context.Context, q db.Queryer) (err error) {
		if gone, err = store.DeleteObjects(ctx, q, rq.bucket, names); err != nil {
			return err
		}
		return store.PutNews(ctx, q, m.removed(rq, gone))
	})
	if err != nil {
		return nil, err
	}
	m.outbox.Wake()
	m.removeBytes(rq, gone)
	return gone, nil
}
