package store

import (
	"context"
	"fmt"

	"github.com/madbase/madbase/platform/db"
)

// Bucket is a row of storage.buckets.
type Bucket struct {
	ID               string   `json:"id"`
	Name             string   `json:"name"`
	Owner            *string  `json:"owner"`
	OwnerID          *string  `json:"owner_id"`
	Public           bool     `json:"public"`
	Type             string   `json:"type"`
	FileSizeLimit    *int64   `json:"file_size_limit"`
	AllowedMIMETypes []string `json:"allowed_mime_types"`
	CreatedAt        *Time    `json:"created_at"`
	UpdatedAt        *Time    `json:"updated_at"`
}

// CreateBucket inserts b; its owner is a user's id and counts as owner too where it is a UUID.
func CreateBucket(ctx context.Context, q db.Queryer, b Bucket) error {
	_, err := q.Exec(ctx, `
		INSERT INTO storage.buckets (id, name, owner, owner_id, public, file_size_limit, allowed_mime_types, type)
		VALUES ($1, $2, $3::uuid, $4, $5, $6, $7, 'STANDARD')`,
		b.ID, b.Name, b.Owner, b.OwnerID, b.Public, b.FileSizeLimit, b.AllowedMIMETypes)
	if err != nil {
		return fmt.Errorf("store: create bucket: %w", err)
	}
	return nil
}

// FindBucket returns the bucket id or ErrNotFound.
func FindBucket(ctx context.Context, q db.Queryer, id string) (Bucket, error) {
	var b Bucket
	if err := oneJSON(ctx, q, &b, "SELECT row_to_json(b) FROM storage.buckets b WHERE b.id = $1", id); err != nil {
		return b, fmt.Errorf("store: find bucket: %w", err)
	}
	return b, nil
}

// BucketFilter narrows and orders a list of buckets.
type BucketFilter struct {
	// Search is a part of the name, compared without regard to case.
	Search string
	// SortColumn is id, name, created_at or updated_at; anything else leaves the order open.
	SortColumn string
	Descending bool
	// Limit is nil for all.
	Limit  *int64
	Offset int64
}

// ListBuckets returns the buckets that f asks for.
func ListBuckets(ctx context.Context, q db.Queryer, f BucketFilter) ([]Bucket, error) {
	const sql = `SELECT row_to_json(b) FROM storage.buckets b WHERE $1 = '' OR b.name ILIKE '%' || $1 || '%'`
	order := map[string]string{"id": "b.id", "name": "b.name", "created_at": "b.created_at", "updated_at": "b.updated_at"}[f.SortColumn]
	if order != "" {
		order = " ORDER BY " + order
		if f.Descending {
			order += " DESC"
		}
	}
	buckets, err := manyJSON[Bucket](ctx, q, sql+order+" LIMIT $2 OFFSET $3", likeEscaper.Replace(f.Search), f.Limit, f.Offset)
	if err != nil {
		return nil, fmt.Errorf("store: list buckets: %w", err)
	}
	return buckets, nil
}

// BucketChange is what to change of a bucket; where Set says no, the old value stays.
type BucketChange struct {
	SetPublic, SetFileSizeLimit, SetMIMETypes bool

	Public        bool
	FileSizeLimit *int64
	MIMETypes     []string
}

// UpdateBucket applies c and reports whether the bucket was public before.
// ErrNotFound when there is no such bucket or the caller may not update it.
func UpdateBucket(ctx context.Context, q db.Queryer, id string, c BucketChange) (wasPublic bool, err error) {
	err = oneJSON(ctx, q, &wasPublic, `
		UPDATE storage.buckets SET
			public = CASE WHEN $2 THEN $3 ELSE public END,
			file_size_limit = CASE WHEN $4 THEN $5::bigint ELSE file_size_limit END,
			allowed_mime_types = CASE WHEN $6 THEN $7::text[] ELSE allowed_mime_types END,
			updated_at = now()
		WHERE id = $1 RETURNING to_json(coalesce((SELECT before.public FROM storage.buckets before WHERE before.id = $1), false))`,
		id, c.SetPublic, c.Public, c.SetFileSizeLimit, c.FileSizeLimit, c.SetMIMETypes, c.MIMETypes)
	if err != nil {
		return false, fmt.Errorf("store: update bucket: %w", err)
	}
	return wasPublic, nil
}

// DeleteBucket deletes an empty bucket. ErrNotFound as in UpdateBucket.
func DeleteBucket(ctx context.Context, q db.Queryer, id string) error {
	tag, err := q.Exec(ctx, "DELETE FROM storage.buckets WHERE id = $1", id)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("store: delete bucket: %w", err)
	}
	return nil
}

// CountObjects counts a bucket's objects, but not beyond limit.
func CountObjects(ctx context.Context, q db.Queryer, bucket string, limit int) (int, error) {
	var n int
	err := q.QueryRow(ctx, "SELECT count(*) FROM (SELECT FROM storage.objects WHERE bucket_id = $1 LIMIT $2) AS o", bucket, limit).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("store: count objects: %w", err)
	}
	return n, nil
}
