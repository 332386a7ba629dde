package storage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/db"
)

// makeTime bounds making an object of its parts, which may be thousands.
const makeTime = 5 * time.Minute

// makeObject makes the object of an upload that is whole and returns the upload as
// it is then. It may be called again after any failure, by any worker: what was done stays done.
func (m *Module) makeObject(rq *call, as uploadAs, id string) (done store.Upload, err error) {
	if err := enter(rq.ctx(), m.resumable.finishing); err != nil {
		return done, err
	}
	defer func() { <-m.resumable.finishing }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(rq.ctx()), makeTime)
	defer cancel()
	rq.SetRequest(rq.Request().WithContext(ctx))
	err = store.WithUpload(ctx, rq.project.DB.Storage, id, func(q db.Queryer, up store.Upload) error {
		if up.State == store.UploadWhole {
			if err := m.makeOnce(rq, as, q, up); err != nil {
				return err
			}
			if err := store.FinishUpload(ctx, q, id); err != nil {
				return err
			}
			up.State, up.Received = store.UploadDone, *up.Length
		}
		done = up
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		err = errNoUpload()
	}
	return done, lockTimeout(err)
}

// makeOnce writes the object's row unless that was done before.
func (m *Module) makeOnce(rq *call, as uploadAs, q db.Queryer, up store.Upload) error {
	if stands, err := store.HasVersion(rq.ctx(), q, up.Bucket, up.Name, *up.Version); err != nil || stands {
		return err
	}
	in, err := saidOf(up)
	if err != nil {
		return err
	}
	object := rq.newObject(as, in)
	if err := mayWrite(rq, as, object, in.mimeType, *up.Length); err != nil {
		return err
	}
	info, err := m.joinParts(rq, q, up)
	if err != nil {
		return err
	}
	object.Version, object.Metadata = *up.Version, in.metadata(info)
	if object.UserMetadata == nil {
		object.UserMetadata = []byte("{}")
	}
	_, err = m.write(rq.ctx(), rq, object, as)
	return as.refusal(err)
}

// joinParts makes one blob of the upload's parts, unless that was done before.
func (m *Module) joinParts(rq *call, q db.Queryer, up store.Upload) (blob.Info, error) {
	key, err := m.versionKey(rq, up)
	if err != nil {
		return blob.Info{}, err
	}
	if up.BlobUpload != nil {
		stored, err := store.UploadParts(rq.ctx(), q, up.ID)
		if err != nil {
			return blob.Info{}, err
		}
		parts := make([]blob.Part, len(stored))
		for i := range stored {
			parts[i] = blob.Part(stored[i])
		}
		info, err := m.resumable.parts.CompleteMultipart(rq.ctx(), blob.Upload{Key: key, ID: *up.BlobUpload}, parts)
		if err == nil {
			return checkSize(info, up)
		}
		if !errors.Is(err, blob.ErrNotFound) && !errors.Is(err, blob.ErrPart) {
			return info, err
		}
	}
	info, err := m.blobs.Stat(rq.ctx(), key)
	switch {
	case errors.Is(err, blob.ErrNotFound): // the store or its owner has removed it
		return info, errUploadGone().Because(err)
	case err != nil:
		return info, err
	case up.ETag != nil:
		info.ETag = *up.ETag
	case info.ETag == "":
		info.ETag = *up.Version // changes with the bytes too
	}
	return checkSize(info, up)
}

func checkSize(info blob.Info, up store.Upload) (blob.Info, error) {
	if info.Size != *up.Length {
		return info, fmt.Errorf("storage: upload %s has %d bytes instead of %d", up.ID, info.Size, *up.Length)
	}
	return info, nil
}

// deleteUpload ends an upload that has no object yet and removes what it brought.
func (m *Module) deleteUpload(rq *call, signed bool) error {
	up, as, err := rq.findUpload(signed)
	if err != nil {
		return err
	}
	in, err := saidOf(up)
	if err != nil {
		return err
	}
	if err := mayWrite(rq, as, rq.newObject(as, in), in.mimeType, lengthOf(up.Length)); err != nil && up.State != store.UploadDone {
		return err
	}
	err = store.WithUpload(rq.ctx(), rq.project.DB.Storage, up.ID, func(q db.Queryer, up store.Upload) error {
		if up.State != store.UploadDone {
			return m.discard(rq.ctx(), q, rq.project.StoragePrefix, up)
		}
		return errTUS(http.StatusBadRequest, "Cannot terminate an already completed upload")
	})
	if errors.Is(err, store.ErrNotFound) {
		return errNoUpload()
	}
	if err != nil {
		return lockTimeout(err)
	}
	return rq.NoContent(http.StatusNoContent)
}

// discard removes an upload: its bytes, unless an object has them, and then its row.
func (m *Module) discard(ctx context.Context, q db.Queryer, prefix string, up store.Upload) error {
	if up.State != store.UploadDone {
		if err := m.discardBytes(ctx, q, prefix, up); err != nil {
			return err
		}
	}
	return store.DeleteUpload(ctx, q, up.ID)
}

func (m *Module) discardBytes(ctx context.Context, q db.Queryer, prefix string, up store.Upload) error {
	keys := []string{}
	for info, err := range m.blobs.List(ctx, tailPrefix(prefix, up.ID)) { // one per request that was killed
		if err != nil {
			return err
		}
		keys = append(keys, info.Key)
	}
	if up.Version != nil {
		stands, err := store.HasVersion(ctx, q, up.Bucket, up.Name, *up.Version)
		if err != nil {
			return err
		}
		key, err := blobKey(prefix, up.Bucket, up.Name, *up.Version)
		if err != nil {
			return err
		}
		if up.BlobUpload != nil && m.resumable.parts != nil {
			if err := m.resumable.parts.AbortMultipart(ctx, blob.Upload{Key: key, ID: *up.BlobUpload}); err != nil {
				return err
			}
		}
		if !stands {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return m.blobs.Delete(ctx, keys...)
}
