package storage

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/blob"
)

// statsAtOnce bounds the requests to the store for rows.
const statsAtOnce = 16

// rows goes through the objects and asks the store for the bytes of each.
func (w *orphanWalk) rows(ctx context.Context) error {
	buckets := []string{w.Bucket}
	if w.Bucket == "" {
		var err error
		if buckets, err = store.BucketIDs(ctx, w.p.DB.Storage); err != nil {
			return err
		}
	}
	for _, bucket := range buckets {
		for after, more := "", true; more; {
			batch, err := store.OlderVersions(ctx, w.p.DB.Storage, store.Older{Bucket: bucket, After: after, Before: w.Before, Limit: orphanBatch})
			if err != nil {
				return err
			}
			if more = len(batch) == orphanBatch; len(batch) > 0 {
				after = batch[len(batch)-1].Name
			}
			orphans, err := w.withoutBytes(ctx, batch)
			if err == nil {
				err = w.found(orphans)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// withoutBytes returns the objects whose bytes are not there. One that was replaced
// or removed while it was looked at is none of them.
func (w *orphanWalk) withoutBytes(ctx context.Context, batch []store.Version) ([]Orphan, error) {
	var (
		group   errgroup.Group
		mu      sync.Mutex
		orphans []Orphan
	)
	group.SetLimit(statsAtOnce)
	for _, v := range batch {
		group.Go(func() error {
			gone, err := w.bytesGone(ctx, v)
			if err == nil && gone && v.Version != "" {
				gone, err = store.HasVersion(ctx, w.p.DB.Storage, v.Bucket, v.Name, v.Version)
			}
			if err != nil || !gone {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			orphans = append(orphans, Orphan{Kind: OrphanRow, Bucket: v.Bucket, Name: v.Name, Version: v.Version})
			return nil
		})
	}
	return orphans, group.Wait()
}

func (w *orphanWalk) bytesGone(ctx context.Context, v store.Version) (bool, error) {
	key, err := blobKey(w.p.StoragePrefix, v.Bucket, v.Name, v.Version)
	if err != nil {
		return true, nil // no key, no bytes
	}
	_, err = w.blobs.Stat(ctx, key)
	if errors.Is(err, blob.ErrNotFound) {
		return true, nil
	}
	return false, err
}
