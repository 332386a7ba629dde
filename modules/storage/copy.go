package storage

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/google/uuid"

	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/rls"
)

// transfer is from where to where an object goes.
type transfer struct {
	fromBucket, from string
	toBucket, to     string
}

// readTransfer reads the members that move and copy share.
func readTransfer(f *fields) (transfer, error) {
	f.require("bucketId", "sourceKey", "destinationKey")
	t := transfer{f.text("bucketId"), f.text("sourceKey"), f.text("destinationBucket"), f.text("destinationKey")}
	if err := f.fails(); err != nil {
		return t, err
	}
	if t.toBucket == "" {
		t.toBucket = t.fromBucket
	}
	if !validBucket(t.fromBucket) || !validBucket(t.toBucket) {
		return t, errBucketName()
	}
	if !validKey(t.to) {
		return t, errKey(t.to)
	}
	return t, nil
}

// moveObject renames an object. Its bytes go along, since their key has the name in it.
func (m *Module) moveObject(rq *call) error {
	f, err := rq.body()
	if err != nil {
		return err
	}
	t, err := readTransfer(f)
	if err != nil {
		return err
	}
	to := store.NewObject{Bucket: t.toBucket, Name: t.to, Version: uuid.NewString(), Owner: rq.owner()}
	err = rq.do(func(ctx context.Context, q db.Queryer) error {
		if _, err := store.FindObject(ctx, q, t.fromBucket, t.from); err != nil {
			return err
		}
		if _, err := store.RenameObject(ctx, q, t.fromBucket, t.from, to); err != nil {
			return err
		}
		return rls.ErrRollback
	})
	if err != nil {
		return err
	}
	if t.fromBucket != t.toBucket || t.from != t.to {
		if err := m.move(rq, t, to); err != nil {
			return err
		}
	}
	return httpx.JSON(rq, http.StatusOK, message{"Successfully moved"})
}

func (m *Module) move(rq *call, t transfer, to store.NewObject) error {
	source, err := store.FindObject(rq.ctx(), rq.project.DB.Storage, t.fromBucket, t.from)
	if err != nil {
		return err
	}
	info, err := m.copyBytes(rq, source, to)
	if err != nil {
		return err
	}
	to.Metadata = changedMetadata(source.Metadata, map[string]any{"lastModified": info.Modified.UTC().Format(isoTime)})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(rq.ctx()), finishTime)
	defer cancel()
	committing := false
	err = rq.asService(ctx, func(ctx context.Context, q db.Queryer) error {
		if err := store.LockObject(ctx, q, t.toBucket, t.to); err != nil {
			return err
		}
		current, err := store.ForUpdate(ctx, q, t.fromBucket, t.from)
		if err != nil {
			return err
		}
		if deref(current.Version) != deref(source.Version) { // overwritten while its bytes were copied
			return errLocked()
		}
		if _, err = store.RenameObject(ctx, q, t.fromBucket, t.from, to); err != nil {
			return err
		}
		err = store.PutNews(ctx, q, m.moved(rq, current, to))
		committing = err == nil
		return err
	})
	if err != nil {
		if !committing || notCommitted(err) {
			m.removeBytes(rq, []store.Object{{BucketID: to.Bucket, Name: to.Name, Version: &to.Version}})
		}
		return lockTimeout(err)
	}
	m.outbox.Wake()
	m.removeBytes(rq, []store.Object{source})
	return nil
}

// copyBytes copies the bytes of source to the key of to.
func (m *Module) copyBytes(rq *call, source store.Object, to store.NewObject) (blob.Info, error) {
	from, err := blobKey(rq.project.StoragePrefix, source.BucketID, source.Name, deref(source.Version))
	if err != nil {
		return blob.Info{}, errNoBytes(err)
	}
	key, err := blobKey(rq.project.StoragePrefix, to.Bucket, to.Name, to.Version)
	if err != nil {
		return blob.Info{}, errKey(to.Name).Because(err)
	}
	info, err := m.blobs.Copy(rq.ctx(), from, key)
	if errors.Is(err, blob.ErrNotFound) {
		return info, errNoBytes(err)
	}
	return info, err
}

// changedMetadata is an object's metadata with some members replaced.
func changedMetadata(old json.RawMessage, change map[string]any) []byte {
	all := map[string]any{}
	if json.Unmarshal(old, &all) != nil || all == nil {
		all = map[string]any{}
	}
	for name, value := range change {
		all[name] = value
	}
	text, _ := json.Marshal(all) // came from JSON and strings
	return text
}

// copied is the answer to a copy: the new row, and its id and path once more as older clients read them.
type copied struct {
	ID  string `json:"Id"`
	Key string `json:"Key"`
	objectView
}

func (m *Module) copyObject(rq *call) error {
	f, err := rq.body()
	if err != nil {
		return err
	}
	t, err := readTransfer(f)
	if err != nil {
		return err
	}
	keep := f.boolean("copyMetadata", true)
	change := map[string]any{}
	if given := f.object("metadata"); given != nil && !keep {
		for _, name := range []string{"cacheControl", "mimetype"} {
			if given.has(name) {
				change[name] = given.text(name)
			}
		}
		f.join(given)
	}
	if err := f.fails(); err != nil {
		return err
	}
	source, err := store.FindObjectOnce(rq.ctx(), rq.as(rq.own), t.fromBucket, t.from)
	if err != nil {
		return err
	}
	header := rq.Request().Header
	to := store.NewObject{Bucket: t.toBucket, Name: t.to, Owner: rq.owner(), Metadata: changedMetadata(source.Metadata, change), UserMetadata: source.UserMetadata}
	if !keep {
		to.UserMetadata = headerMetadata(header.Get("X-Metadata"))
	}
	row, err := m.copyTo(rq, source, to, uploadAs{upsert: header.Get("X-Upsert") == "true", rights: rq.own})
	if err != nil {
		return err
	}
	return httpx.JSON(rq, http.StatusOK, copied{row.ID, to.Bucket + "/" + to.Name, viewObject(row)})
}

// copyTo asks policies, copies the bytes of source, and then writes the row.
func (m *Module) copyTo(rq *call, source store.Object, to store.NewObject, as uploadAs) (store.Object, error) {
	if err := tryWrite(rq, as, to); err != nil {
		return store.Object{}, err
	}
	to.Version = uuid.NewString()
	info, err := m.copyBytes(rq, source, to)
	if err != nil {
		return store.Object{}, err
	}
	to.Metadata = changedMetadata(to.Metadata, map[string]any{"lastModified": info.Modified.UTC().Format(isoTime)})
	if to.UserMetadata == nil {
		to.UserMetadata = []byte("{}")
	}
	to.News = m.written(rq, to, store.CreatedCopy)
	return m.record(rq, to, as)
}
