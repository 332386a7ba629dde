package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// ErrOverLimit means that an upload would become larger than it may.
var ErrOverLimit = errors.New("store: upload exceeds its limit")

// Multipart is an upload of the S3 protocol: a row of storage.s3_multipart_uploads.
type Multipart struct {
	// ID is the blob store's upload, too.
	ID     string `json:"id"`
	Bucket string `json:"bucket_id"`
	Name   string `json:"key"`
	// Version is the version that the object is to have.
	Version string  `json:"version"`
	OwnerID *string `json:"owner_id"`
	// Metadata has the members of an object's metadata that are known at the beginning.
	Metadata     json.RawMessage `json:"metadata"`
	UserMetadata json.RawMessage `json:"user_metadata"`
}

// MultipartPart is a stored part: a row of storage.s3_multipart_uploads_parts.
type MultipartPart struct {
	Number    int    `json:"part_number"`
	Size      int64  `json:"size"`
	ETag      string `json:"etag"`
	CreatedAt *Time  `json:"created_at"`
}

// InsertMultipart begins an upload. The real service seals its progress in the
// column upload_signature; here none but the service can write the table.
func InsertMultipart(ctx context.Context, q db.Queryer, up Multipart) error {
	_, err := q.Exec(ctx, `
		INSERT INTO storage.s3_multipart_uploads (id, bucket_id, key, version, owner_id, metadata, user_metadata, upload_signature)
		VALUES ($1, $2, $3, $4, $5, $6, $7, '')`,
		up.ID, up.Bucket, up.Name, up.Version, up.OwnerID, []byte(up.Metadata), []byte(up.UserMetadata))
	if err != nil {
		return fmt.Errorf("store: begin multipart upload: %w", err)
	}
	return nil
}

const findMultipart = "SELECT row_to_json(u) FROM storage.s3_multipart_uploads u WHERE u.id = $1 AND u.bucket_id = $2 AND u.key = $3"

// FindMultipart returns the upload id of an object, or ErrNotFound.
func FindMultipart(ctx context.Context, q db.Queryer, id, bucket, name string) (Multipart, error) {
	var up Multipart
	if err := oneJSON(ctx, q, &up, findMultipart, id, bucket, name); err != nil {
		return up, fmt.Errorf("store: find multipart upload: %w", err)
	}
	return up, nil
}

// WithMultipart runs fn in a transaction that has locked the upload up, as it is
// then. ErrNotFound; a lock that others hold for LockWait fails with SQLSTATE 55P03.
func WithMultipart(ctx context.Context, pool *db.Pool, up Multipart, fn func(q db.Queryer, up Multipart) error) error {
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT set_config('lock_timeout', $1, true)", LockWait); err != nil {
			return err
		}
		if err := oneJSON(ctx, tx, &up, findMultipart+" FOR UPDATE", up.ID, up.Bucket, up.Name); err != nil {
			return err
		}
		return fn(tx, up)
	})
	if err != nil {
		return fmt.Errorf("store: in multipart upload: %w", err)
	}
	return nil
}

// WithForgottenMultipart is WithMultipart for any upload that nobody has locked and
// to which nothing came for life: now one, now another. ErrNotFound when there is none.
func WithForgottenMultipart(ctx context.Context, pool *db.Pool, life time.Duration, fn func(q db.Queryer, up Multipart) error) error {
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var up Multipart
		err := oneJSON(ctx, tx, &up, `
			SELECT row_to_json(u) FROM storage.s3_multipart_uploads u
			WHERE u.created_at < now() - $1::interval AND NOT EXISTS (
				SELECT FROM storage.s3_multipart_uploads_parts p WHERE p.upload_id = u.id AND p.created_at >= now() - $1::interval)
			ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED`, life)
		if err != nil {
			return err
		}
		return fn(tx, up)
	})
	if err != nil {
		return fmt.Errorf("store: in forgotten multipart upload: %w", err)
	}
	return nil
}

// otherParts is the size of an upload's parts but the one of number $3.
const otherParts = "(SELECT coalesce(sum(p.size), 0) FROM storage.s3_multipart_uploads_parts p WHERE p.upload_id = $1 AND p.part_number <> $3)"

// ReservePart notes that bytes are to come as a part, in place of those that it has.
// ErrOverLimit when the upload would then have more than limit, or when as much
// again is on its way: what a process that died had noted counts for ever, and must
// not keep the part from coming anew.
func ReservePart(ctx context.Context, q db.Queryer, up Multipart, part MultipartPart, limit int64) error {
	tag, err := q.Exec(ctx, `
		UPDATE storage.s3_multipart_uploads u SET in_progress_size = u.in_progress_size + $2
		WHERE u.id = $1 AND `+otherParts+` + $2 <= $4 AND u.in_progress_size + $2 <= 2 * $4::numeric`,
		up.ID, part.Size, part.Number, limit)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrOverLimit
	}
	if err != nil {
		return fmt.Errorf("store: reserve part: %w", err)
	}
	return nil
}

// ReleasePart undoes ReservePart.
func ReleasePart(ctx context.Context, q db.Queryer, up Multipart, part MultipartPart) error {
	_, err := q.Exec(ctx, "UPDATE storage.s3_multipart_uploads SET in_progress_size = greatest(in_progress_size - $2, 0) WHERE id = $1", up.ID, part.Size)
	if err != nil {
		return fmt.Errorf("store: release part: %w", err)
	}
	return nil
}

// InsertPart notes a stored part, in place of one of the same number, and returns
// when that was. q must be that of WithMultipart. ErrOverLimit when others that came
// meanwhile leave no room for it under limit.
func InsertPart(ctx context.Context, q db.Queryer, up Multipart, part MultipartPart, limit int64) (*Time, error) {
	var at Time
	err := q.QueryRow(ctx, `
		WITH replaced AS (
			DELETE FROM storage.s3_multipart_uploads_parts WHERE upload_id = $1 AND part_number = $3 RETURNING size
		), counted AS (
			UPDATE storage.s3_multipart_uploads SET in_progress_size = in_progress_size - (SELECT sum(size) FROM replaced)
			WHERE id = $1 AND EXISTS (SELECT FROM replaced)
		)
		INSERT INTO storage.s3_multipart_uploads_parts (upload_id, size, part_number, etag, bucket_id, key, version, owner_id)
		SELECT $1, $2::bigint, $3::integer, $4, $5, $6, $7, $8 WHERE `+otherParts+` + $2 <= $9 RETURNING created_at`,
		up.ID, part.Size, part.Number, part.ETag, up.Bucket, up.Name, up.Version, up.OwnerID, limit).Scan(&at.Time)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrOverLimit
	}
	if err != nil {
		return nil, fmt.Errorf("store: insert part: %w", err)
	}
	return &at, nil
}

// MultipartParts returns up to limit parts of an upload whose numbers are above
// after, in their order.
func MultipartParts(ctx context.Context, q db.Queryer, id string, after, limit int) ([]MultipartPart, error) {
	parts, err := manyJSON[MultipartPart](ctx, q, `
		SELECT row_to_json(p) FROM storage.s3_multipart_uploads_parts p
		WHERE p.upload_id = $1 AND p.part_number > $2 ORDER BY p.part_number LIMIT $3`, id, after, limit)
	if err != nil {
		return nil, fmt.Errorf("store: parts of multipart upload: %w", err)
	}
	return parts, nil
}

// DeleteMultipart removes an upload's row and its parts'.
func DeleteMultipart(ctx context.Context, q db.Queryer, id string) error {
	if _, err := q.Exec(ctx, "DELETE FROM storage.s3_multipart_uploads WHERE id = $1", id); err != nil {
		return fmt.Errorf("store: delete multipart upload: %w", err)
	}
	return nil
}

// MultipartEntry is an upload in a listing, or a folder when it has no ID.
type MultipartEntry struct {
	Name      string `json:"name"`
	ID        string `json:"id"`
	CreatedAt *Time  `json:"created_at"`
}

// MultipartPage asks for a page of the uploads of a bucket.
type MultipartPage struct {
	Bucket, Prefix string
	// Delimiter joins names up to the next one after Prefix into one entry; empty for none.
	Delimiter string
	// AfterName and AfterID are the last entry of the page before; without AfterID
	// the page begins at the next name.
	AfterName, AfterID string
	Limit              int
}

// ListMultiparts returns a page of uploads by name and id. Those of folders end with the delimiter.
func ListMultiparts(ctx context.Context, q db.Queryer, p MultipartPage) ([]MultipartEntry, error) {
	entries, err := manyJSON[MultipartEntry](ctx, q, `
		SELECT row_to_json(e) FROM (
			SELECT coalesce(u.folder, u.key) COLLATE "C" AS name, CASE WHEN u.folder IS NULL THEN u.id ELSE '' END COLLATE "C" AS id, min(u.created_at) AS created_at
			FROM (
				SELECT m.*, storage.get_common_prefix(m.key, $2, nullif($3, '')) AS folder FROM storage.s3_multipart_uploads m
				WHERE m.bucket_id = $1 AND starts_with(m.key, $2)
			) u GROUP BY 1, 2
		) e
		WHERE $4 = '' OR e.name > $4 OR $5 <> '' AND e.name = $4 AND e.id > $5
		ORDER BY e.name, e.id LIMIT $6`,
		p.Bucket, p.Prefix, p.Delimiter, p.AfterName, p.AfterID, p.Limit)
	if err != nil {
		return nil, fmt.Errorf("store: list multipart uploads: %w", err)
	}
	return entries, nil
}
