package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// Version names bytes: of a version of an object, in a bucket.
type Version struct {
	Bucket, Name, Version string
}

// UnnamedVersions returns the indexes of those versions that no row names: neither
// an object's nor that of an upload under way. q must be past policies.
func UnnamedVersions(ctx context.Context, q db.Queryer, versions []Version) ([]int, error) {
	buckets, names, ids := make([]string, len(versions)), make([]string, len(versions)), make([]string, len(versions))
	for i, v := range versions {
		buckets[i], names[i], ids[i] = v.Bucket, v.Name, v.Version
	}
	// An object without a version, as old projects have them, has its bytes under its name alone.
	rows, err := q.Query(ctx, `
		SELECT k.n - 1 FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS k (bucket, name, version, n)
		WHERE NOT EXISTS (SELECT FROM storage.objects o WHERE o.bucket_id = k.bucket AND o.name = k.name AND o.version = k.version)
			AND NOT EXISTS (SELECT FROM storage.objects o WHERE o.bucket_id = k.bucket AND o.name = k.name || '/' || k.version AND coalesce(o.version, '') = '')
			AND NOT EXISTS (SELECT FROM madbase.storage_uploads u WHERE u.bucket_id = k.bucket AND u.name = k.name AND u.version = k.version AND u.state <> 'done')
			AND NOT EXISTS (SELECT FROM storage.s3_multipart_uploads u WHERE u.bucket_id = k.bucket AND u.key = k.name AND u.version = k.version)
		ORDER BY k.n`, buckets, names, ids)
	return indexes(rows, err)
}

// UnnamedUploads returns the indexes of those ids, all UUIDs, that no resumable upload has.
func UnnamedUploads(ctx context.Context, q db.Queryer, ids []string) ([]int, error) {
	rows, err := q.Query(ctx, `
		SELECT k.n - 1 FROM unnest($1::uuid[]) WITH ORDINALITY AS k (id, n)
		WHERE NOT EXISTS (SELECT FROM madbase.storage_uploads u WHERE u.id = k.id) ORDER BY k.n`, ids)
	return indexes(rows, err)
}

func indexes(rows pgx.Rows, err error) ([]int, error) {
	if err == nil {
		var list []int
		if list, err = pgx.CollectRows(rows, pgx.RowTo[int]); err == nil {
			return list, nil
		}
	}
	return nil, fmt.Errorf("store: unnamed bytes: %w", err)
}

// Older asks for up to Limit objects of a bucket that were written before a time,
// from the one after the name After on.
type Older struct {
	Bucket, After string
	Before        time.Time
	Limit         int
}

// OlderVersions returns them in the order of their names.
func OlderVersions(ctx context.Context, q db.Queryer, ask Older) ([]Version, error) {
	rows, err := q.Query(ctx, `
		SELECT o.bucket_id, o.name, coalesce(o.version, '') FROM storage.objects o
		WHERE o.bucket_id = $1 AND o.name COLLATE "C" > $2 AND o.updated_at < $3 AND NOT o.is_delete_marker
		ORDER BY o.name COLLATE "C" LIMIT $4`, ask.Bucket, ask.After, ask.Before, ask.Limit)
	if err == nil {
		var list []Version
		if list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Version]); err == nil {
			return list, nil
		}
	}
	return nil, fmt.Errorf("store: versions: %w", err)
}

// BucketIDs lists all buckets. q must be past policies.
func BucketIDs(ctx context.Context, q db.Queryer) ([]string, error) {
	rows, err := q.Query(ctx, "SELECT id FROM storage.buckets ORDER BY id")
	if err == nil {
		var ids []string
		if ids, err = pgx.CollectRows(rows, pgx.RowTo[string]); err == nil {
			return ids, nil
		}
	}
	return nil, fmt.Errorf("store: buckets: %w", err)
}
