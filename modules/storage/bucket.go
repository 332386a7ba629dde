package storage

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/madbase/madbase/modules/storage/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
)

// bucketView is a bucket as the API shows it; Type is left out where it is nil.
type bucketView struct {
	ID               string      `json:"id"`
	Name             string      `json:"name"`
	Owner            string      `json:"owner"`
	Public           bool        `json:"public"`
	Type             *string     `json:"type,omitempty"`
	FileSizeLimit    *int64      `json:"file_size_limit"`
	AllowedMIMETypes []string    `json:"allowed_mime_types"`
	CreatedAt        *store.Time `json:"created_at"`
	UpdatedAt        *store.Time `json:"updated_at"`
}

func viewBucket(b store.Bucket, withType bool) bucketView {
	v := bucketView{b.ID, b.Name, deref(b.Owner), b.Public, nil, b.FileSizeLimit, b.AllowedMIMETypes, b.CreatedAt, b.UpdatedAt}
	if withType {
		v.Type = &b.Type
	}
	return v
}

func deref[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}

func (m *Module) createBucket(rq *call) error {
	f, err := rq.body()
	if err != nil {
		return err
	}
	f.require("name")
	b := store.Bucket{Name: f.text("name"), ID: f.text("id"), Public: f.boolean("public", false)}
	kind := f.oneOf("type", "STANDARD", "STANDARD", "ANALYTICS")
	limit, limitErr := m.sizeLimit(f)
	types := f.texts("allowed_mime_types")
	if err := f.fails(); err != nil {
		return err
	}
	if b.ID == "" {
		b.ID = b.Name
	}
	if !validNewBucket(b.Name) || !validNewBucket(b.ID) {
		return errBucketName()
	}
	if kind == "ANALYTICS" {
		return fail(http.StatusConflict, "FeatureNotEnabled", "FeatureNotEnabled", "The feature Iceberg buckets are not enabled for this tenant is not enabled for this resource")
	}
	if limitErr != nil {
		return limitErr
	}
	b.FileSizeLimit = limit
	if b.AllowedMIMETypes, err = mimeRules(types); err != nil {
		return err
	}
	if err := rq.makeBucket(b); err != nil {
		return err
	}
	return httpx.JSON(rq, http.StatusOK, struct {
		Name string `json:"name"`
	}{b.Name})
}

// makeBucket makes b as the caller, who becomes its owner.
func (rq *call) makeBucket(b store.Bucket) error {
	b.OwnerID = rq.owner()
	b.Owner = store.OwnerUUID(b.OwnerID)
	err := rq.do(func(ctx context.Context, q db.Queryer) error { return store.CreateBucket(ctx, q, b) })
	if isUnique(err) {
		return errBucketExists().Because(err)
	}
	return err
}

// sizeLimit reads file_size_limit: bytes, a text such as 20MB, or null.
func (m *Module) sizeLimit(f *fields) (*int64, error) {
	var limit *int64
	if text, ok := f.values["file_size_limit"].(string); ok {
		n, ok := parseSize(text)
		if !ok {
			return nil, errInvalid(`%s/file_size_limit must match pattern "^[0-9]+(?:\.[0-9]+)?(?:[gG][bB]|[mM][bB]|[kK][bB]|[bB])$"`, f.where)
		}
		limit = &n
	} else {
		limit = f.integer("file_size_limit", 0)
	}
	if limit != nil && *limit > m.cfg.FileSizeLimit {
		return nil, errTooLarge("object")
	}
	return limit, nil
}

// mimeRules checks a list of allowed types; empty ones are dropped.
func mimeRules(types []string) ([]string, error) {
	if types == nil {
		return nil, nil
	}
	rules := make([]string, 0, len(types))
	for _, rule := range types {
		if rule == "" {
			continue
		}
		if !validMIMERule(rule) {
			return nil, errMIMEType(rule)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

func isUnique(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "23505"
}

func (m *Module) listBuckets(rq *call) error {
	q := rq.query()
	filter := store.BucketFilter{
		Search:     q.text("search"),
		SortColumn: q.oneOf("sortColumn", "", "id", "name", "created_at", "updated_at"),
		Descending: q.oneOf("sortOrder", "asc", "asc", "desc") == "desc",
		Limit:      q.integer("limit", 1),
	}
	if offset := q.integer("offset", 0); offset != nil {
		filter.Offset = *offset
	}
	if err := q.fails(); err != nil {
		return err
	}
	var buckets []store.Bucket
	err := rq.do(func(ctx context.Context, q db.Queryer) (err error) {
		buckets, err = store.ListBuckets(ctx, q, filter)
		return err
	})
	if err != nil {
		return err
	}
	withType := !oldPython(rq.Request())
	views := make([]bucketView, 0, len(buckets))
	for _, b := range buckets {
		views = append(views, viewBucket(b, withType))
	}
	return httpx.JSON(rq, http.StatusOK, views)
}

var pythonClients = []struct {
	header  string
	pattern *regexp.Regexp
	since   [3]int
}{
	{"X-Client-Info", regexp.MustCompile(`(?i)supabase-py/(\d+)\.(\d+)\.(\d+)`), [3]int{2, 18, 0}},
	{"User-Agent", regexp.MustCompile(`(?i)supabase-py/storage3 v(\d+)\.(\d+)\.(\d+)`), [3]int{0, 12, 1}},
}

// oldPython reports whether the client is a Python one of before it knew the
// member "type" of a bucket, at which it fails.
func oldPython(r *http.Request) bool {
	for _, client := range pythonClients {
		match := client.pattern.FindStringSubmatch(r.Header.Get(client.header))
		if match == nil {
			continue
		}
		for i, want := range client.since {
			got, err := strconv.Atoi(match[i+1])
			if err != nil || got > want {
				break
			}
			if got < want {
				return true
			}
		}
	}
	return false
}

func (m *Module) getBucket(rq *call) error {
	b, err := rq.visibleBucket()
	if err != nil {
		return err
	}
	return httpx.JSON(rq, http.StatusOK, viewBucket(b, false))
}

// visibleBucket finds the request's bucket as the caller.
func (rq *call) visibleBucket() (b store.Bucket, err error) {
	err = rq.do(func(ctx context.Context, q db.Queryer) (err error) {
		b, err = store.FindBucket(ctx, q, rq.bucket)
		return err
	})
	return b, noBucket(err)
}

// noBucket names what a missing row is.
func noBucket(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return errNoBucket().Because(err)
	}
	return err
}

func (m *Module) updateBucket(rq *call) error {
	f, err := rq.body()
	if err != nil {
		return err
	}
	change := store.BucketChange{
		SetPublic: f.has("public"), SetFileSizeLimit: f.has("file_size_limit"), SetMIMETypes: f.has("allowed_mime_types"),
		Public: f.boolean("public", false),
	}
	if !change.SetPublic && !change.SetFileSizeLimit && !change.SetMIMETypes {
		f.require("public")
	}
	var limitErr error
	change.FileSizeLimit, limitErr = m.sizeLimit(f)
	types := f.texts("allowed_mime_types")
	if err := errors.Join(f.fails(), limitErr); err != nil {
		return apierr.From(err)
	}
	if change.MIMETypes, err = mimeRules(types); err != nil {
		return err
	}
	err = rq.do(func(ctx context.Context, q db.Queryer) error {
		wasPublic, err := store.UpdateBucket(ctx, q, rq.bucket, change)
		if err != nil || !wasPublic || !change.SetPublic || change.Public {
			return err
		}
		return store.PutNews(ctx, q, m.unpublished(rq))
	})
	if err != nil {
		return noBucket(err)
	}
	m.outbox.Wake()
	return httpx.JSON(rq, http.StatusOK, message{"Successfully updated"})
}

func (m *Module) deleteBucket(rq *call) error {
	if err := m.dropBucket(rq); err != nil {
		return err
	}
	return httpx.JSON(rq, http.StatusOK, message{"Successfully deleted"})
}

// dropBucket tells whether a bucket is there and empty before policies say who may delete it, as the real service does.
func (m *Module) dropBucket(rq *call) error {
	ctx := rq.ctx()
	if _, err := store.FindBucket(ctx, rq.project.DB.Storage, rq.bucket); err != nil {
		return noBucket(err)
	}
	n, err := store.CountObjects(ctx, rq.project.DB.Storage, rq.bucket, 1)
	if err != nil {
		return err
	}
	if n > 0 {
		return errBucketNotEmpty()
	}
	err = rq.do(func(ctx context.Context, q db.Queryer) error {
		if err := store.DeleteBucket(ctx, q, rq.bucket); err != nil {
			return err
		}
		return store.PutNews(ctx, q, m.unpublished(rq))
	})
	if err != nil {
		return noBucket(err)
	}
	m.outbox.Wake()
	return nil
}

// deleteBatch is how many objects one transaction deletes.
const deleteBatch = 500

// emptyBucket deletes what is in the bucket now, and nothing that comes meanwhile.
func (m *Module) emptyBucket(rq *call) error {
	ctx := rq.ctx()
	if _, err := store.FindBucket(ctx, rq.project.DB.Storage, rq.bucket); err != nil {
		return noBucket(err)
	}
	n, err := store.CountObjects(ctx, rq.project.DB.Storage, rq.bucket, m.cfg.EmptyBucketMax+1)
	if err != nil {
		return err
	}
	if n > m.cfg.EmptyBucketMax {
		return fail(http.StatusConflict, "InvalidRequest", "InvalidRequest", "Unable to empty the bucket because it contains too many objects")
	}
	before, err := store.Now(ctx, rq.project.DB.Storage)
	if err != nil {
		return err
	}
	for {
		deleted, err := m.deleteBefore(rq, before)
		if err != nil {
			return err
		}
		if deleted < deleteBatch {
			return httpx.JSON(rq, http.StatusOK, message{"Empty bucket has been queued. Completion may take up to an hour."})
		}
	}
}

func (m *Module) deleteBefore(rq *call, before time.Time) (int, error) {
	var gone []store.Object
	err := rq.asService(rq.ctx(), func(ctx context.Context, q db.Queryer) (err error) {
		if gone, err = store.DeleteBefore(ctx, q, rq.bucket, before, deleteBatch); err != nil {
			return err
		}
		return store.PutNews(ctx, q, m.removed(rq, gone))
	})
	if err != nil {
		return 0, err
	}
	m.outbox.Wake()
	m.removeBytes(rq, gone)
	return len(gone), nil
}

// removeBytes deletes the bytes of rows that are gone. A failure leaves bytes that
// no row names: that is logged and no error to the caller, for whom the object is gone.
func (m *Module) removeBytes(rq *call, gone []store.Object) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(rq.ctx()), finishTime)
	defer cancel()
	keys := make([]string, 0, len(gone))
	for _, o := range gone {
		if key, err := blobKey(rq.project.StoragePrefix, o.BucketID, o.Name, deref(o.Version)); err == nil {
			keys = append(keys, key)
		}
	}
	var group errgroup.Group
	const chunk = 100
	group.SetLimit(4)
	for len(keys) > 0 {
		part := keys[:min(chunk, len(keys))]
		keys = keys[len(part):]
		group.Go(func() error { return m.blobs.Delete(ctx, part...) })
	}
	if err := group.Wait(); err != nil {
		m.log.WarnContext(ctx, "bytes of deleted objects are left behind", "bucket", rq.bucket, "objects", strconv.Itoa(len(gone)), "error", strings.TrimSpace(err.Error()))
	}
}
