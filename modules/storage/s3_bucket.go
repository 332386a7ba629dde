package storage

import (
	"context"
	"net/http"

	"github.com/madbase/madbase/modules/storage/s3api"
	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/db"
)

func (m *Module) s3ListBuckets(rq *s3Call) error {
	var buckets []store.Bucket
	err := rq.do(func(ctx context.Context, q db.Queryer) (err error) {
		buckets, err = store.ListBuckets(ctx, q, store.BucketFilter{SortColumn: "name"})
		return err
	})
	if err != nil {
		return err
	}
	var list s3api.BucketList
	for _, b := range buckets {
		list.Buckets.Bucket = append(list.Buckets.Bucket, s3api.BucketEntry{Name: b.Name, CreationDate: s3Time(b.CreatedAt)})
	}
	return rq.answer(list)
}

// s3Time is a row's time in a document; nil for none.
func s3Time(t *store.Time) *s3api.Time {
	if t == nil {
		return nil
	}
	return &s3api.Time{Time: t.Time}
}

func (m *Module) s3HeadBucket(rq *s3Call) error {
	if _, err := rq.visibleBucket(); err != nil {
		return err
	}
	rq.Response().Header().Set("X-Amz-Bucket-Region", m.cfg.S3.Region)
	return rq.NoContent(http.StatusOK)
}

func (m *Module) s3CreateBucket(rq *s3Call) error {
	if !validNewBucket(rq.bucket) {
		return errBucketName()
	}
	public := rq.Request().Header.Get("X-Amz-Acl") == "public-read"
	if err := rq.makeBucket(store.Bucket{ID: rq.bucket, Name: rq.bucket, Public: public}); err != nil {
		return err
	}
	rq.Response().Header().Set("Location", "/"+rq.bucket)
	return rq.NoContent(http.StatusOK)
}

func (m *Module) s3DeleteBucket(rq *s3Call) error {
	if err := m.dropBucket(rq.call); err != nil {
		return err
	}
	return rq.NoContent(http.StatusNoContent)
}

func (m *Module) s3GetLocation(rq *s3Call) error {
	if _, err := rq.visibleBucket(); err != nil {
		return err
	}
	return rq.answer(s3api.Location{Region: m.cfg.S3.Region})
}

func (m *Module) s3GetVersioning(rq *s3Call) error {
	if _, err := rq.visibleBucket(); err != nil {
		return err
	}
	return rq.answer(s3api.Versioning{Status: "Suspended", MFADelete: "Disabled"})
}

// anyBucket finds the request's bucket past policies, for its limits and to tell that it is not there.
func (rq *s3Call) anyBucket() (store.Bucket, error) {
	b, err := store.FindBucket(rq.ctx(), rq.project.DB.Storage, rq.bucket)
	return b, noBucket(err)
}
