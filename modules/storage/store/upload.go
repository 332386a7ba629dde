package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// ErrTaken means that another request writes to the upload now.
var ErrTaken = errors.New("store: another request has taken the upload")

// The states of an upload: open for bytes; Whole once all are stored and the object
// is to be made of them; Done once it was made.
const (
	UploadOpen  = "open"
	UploadWhole = "whole"
	UploadDone  = "done"
)

// Upload is a resumable upload: a row of madbase.storage_uploads.
type Upload struct {
	ID     string `json:"id"`
	Bucket string `json:"bucket_id"`
	Name   string `json:"name"`
	// Said is the header Upload-Metadata as the client sent it.
	Said string `json:"said"`
	// Length is the number of bytes to come in all; nil until the client says so.
	Length *int64 `json:"length"`
	// Received is how many bytes were acknowledged.
	Received int64 `json:"received"`
	// Tail is the blob key of the last TailSize bytes received, which are too few for a part.
	Tail     *string `json:"tail"`
	TailSize int64   `json:"tail_size"`
	// Version is the version that the object is to have. BlobUpload is the blob
	// store's upload; nil for one whose bytes were stored at once, and then ETag is theirs.
	Version    *string `json:"version"`
	BlobUpload *string `json:"blob_upload"`
	ETag       *string `json:"etag"`
	// NextPart is the number that the holder's next part has: nobody else ever uses it.
	NextPart  int    `json:"next_part"`
	State     string `json:"state"`
	ExpiresAt Time   `json:"expires_at"`
}

// Part is a stored part of an upload.
type Part struct {
	Number int
	Size   int64
	ETag   string
}

// InsertUpload begins an upload that lives for life after its last sign of life,
// and returns when that is.
func InsertUpload(ctx context.Context, q db.Queryer, up Upload, life time.Duration) (time.Time, error) {
	var expires time.Time
	err := q.QueryRow(ctx, `
		INSERT INTO madbase.storage_uploads (id, bucket_id, name, said, length, expires_at)
		VALUES ($1, $2, $3, $4, $5, now() + $6::interval) RETURNING expires_at`,
		up.ID, up.Bucket, up.Name, up.Said, up.Length, life).Scan(&expires)
	if err != nil {
		return expires, fmt.Errorf("store: begin upload: %w", err)
	}
	return expires, nil
}

const findUpload = "SELECT row_to_json(u) FROM madbase.storage_uploads u WHERE u.id = $1"

// FindUpload returns an upload, or ErrNotFound.
func FindUpload(ctx context.Context, q db.Queryer, id string) (Upload, error) {
	var up Upload
	if err := oneJSON(ctx, q, &up, findUpload, id); err != nil {
		return up, fmt.Errorf("store: find upload: %w", err)
	}
	return up, nil
}

// Taking is who wants to write to which upload, from which offset on, and how long
// the upload lives from now on.
type Taking struct {
	ID, Holder string
	Offset     int64
	Life       time.Duration
}

// TakeUpload makes the holder the one who may write to an upload, in place of who
// was, and puts off its end; unless it is not open or has not received just as many
// bytes as the offset says, which the caller sees from what it returns. ErrNotFound.
func TakeUpload(ctx context.Context, pool *db.Pool, t Taking) (up Upload, err error) {
	err = WithUpload(ctx, pool, t.ID, func(q db.Queryer, found Upload) error {
		if up = found; found.State != UploadOpen || found.Received != t.Offset {
			return nil
		}
		// A holder that was displaced may still store the part whose number it has.
		return oneJSON(ctx, q, &up, `
			UPDATE madbase.storage_uploads u SET
				holder = $2, next_part = next_part + CASE WHEN holder IS NULL THEN 0 ELSE 1 END,
				expires_at = greatest(expires_at, now() + $3::interval)
			WHERE id = $1 RETURNING row_to_json(u)`, t.ID, t.Holder, t.Life)
	})
	return up, err
}

// LeaveUpload ends what TakeUpload began, where holder still has it.
func LeaveUpload(ctx context.Context, q db.Queryer, id, holder string) error {
	_, err := q.Exec(ctx, "UPDATE madbase.storage_uploads SET holder = NULL WHERE id = $1 AND holder = $2", id, holder)
	if err != nil {
		return fmt.Errorf("store: leave upload: %w", err)
	}
	return nil
}

// Progress is what a holder has stored. Fields that are nil leave what was, but
// for Tail: after it the upload has this tail or none.
type Progress struct {
	Received   int64
	State      string
	Tail       *string
	TailSize   int64
	Part       *Part
	Length     *int64
	Version    *string
	BlobUpload *string
	ETag       *string
}

// Advance notes what holder has stored. ErrTaken when the upload is no longer holder's.
func Advance(ctx context.Context, q db.Queryer, id, holder string, p Progress) error {
	var (
		number  *int
		size    *int64
		etag    *string
		changed int
	)
	if p.Part != nil {
		number, size, etag = &p.Part.Number, &p.Part.Size, &p.Part.ETag
	}
	err := q.QueryRow(ctx, `
		WITH u AS (
			UPDATE madbase.storage_uploads SET
				received = $3, state = $4, tail = $5, tail_size = $6,
				next_part = coalesce($7::integer + 1, next_part),
				length = coalesce($10, length), version = coalesce($11, version),
				blob_upload = coalesce($12, blob_upload), etag = coalesce($13, etag)
			WHERE id = $1 AND holder = $2 AND state = 'open' RETURNING id
		), p AS (
			INSERT INTO madbase.storage_upload_parts (upload_id, number, size, etag)
			SELECT id, $7, $8::bigint, $9::text FROM u WHERE $7::integer IS NOT NULL
		)
		SELECT count(*) FROM u`,
		id, holder, p.Received, p.State, p.Tail, p.TailSize, number, size, etag, p.Length, p.Version, p.BlobUpload, p.ETag,
	).Scan(&changed)
	if err == nil && changed == 0 {
		err = ErrTaken
	}
	if err != nil {
		return fmt.Errorf("store: advance upload: %w", err)
	}
	return nil
}

// UploadParts returns the parts of an upload in their order.
func UploadParts(ctx context.Context, q db.Queryer, id string) ([]Part, error) {
	rows, err := q.Query(ctx, "SELECT number, size, etag FROM madbase.storage_upload_parts WHERE upload_id = $1 ORDER BY number", id)
	if err == nil {
		var parts []Part
		if parts, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Part]); err == nil {
			return parts, nil
		}
	}
	return nil, fmt.Errorf("store: parts of upload: %w", err)
}

// WithUpload runs fn in a transaction that has locked the upload id. ErrNotFound;
// a lock that others hold for LockWait fails with SQLSTATE 55P03.
func WithUpload(ctx context.Context, pool *db.Pool, id string, fn func(q db.Queryer, up Upload) error) error {
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT set_config('lock_timeout', $1, true)", LockWait); err != nil {
			return err
		}
		var up Upload
		if err := oneJSON(ctx, tx, &up, findUpload+" FOR UPDATE", id); err != nil {
			return err
		}
		return fn(tx, up)
	})
	if err != nil {
		return fmt.Errorf("store: in upload: %w", err)
	}
	return nil
}

// WithExpiredUpload is WithUpload for any upload whose time is over and that nobody
// has locked: now one, now another, lest one that cannot be removed keeps the rest. ErrNotFound when there is none.
func WithExpiredUpload(ctx context.Context, pool *db.Pool, fn func(q db.Queryer, up Upload) error) error {
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var up Upload
		err := oneJSON(ctx, tx, &up, `
			SELECT row_to_json(u) FROM madbase.storage_uploads u
			WHERE u.expires_at < now() ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED`)
		if err != nil {
			return err
		}
		return fn(tx, up)
	})
	if err != nil {
		return fmt.Errorf("store: in expired upload: %w", err)
	}
	return nil
}

// FinishUpload notes that the object was made. Its row stays until it expires, so
// that a client that did not hear of it can ask.
func FinishUpload(ctx context.Context, q db.Queryer, id string) error {
	_, err := q.Exec(ctx, `
		WITH gone AS (DELETE FROM madbase.storage_upload_parts WHERE upload_id = $1)
		UPDATE madbase.storage_uploads SET state = 'done', received = length WHERE id = $1`, id)
	if err != nil {
		return fmt.Errorf("store: finish upload: %w", err)
	}
	return nil
}

// DeleteUpload removes an upload's row and its parts'.
func DeleteUpload(ctx context.Context, q db.Queryer, id string) error {
	if _, err := q.Exec(ctx, "DELETE FROM madbase.storage_uploads WHERE id = $1", id); err != nil {
		return fmt.Errorf("store: delete upload: %w", err)
	}
	return nil
}

// HasVersion reports whether the object stands in the given version. q must be past policies.
func HasVersion(ctx context.Context, q db.Queryer, bucket, name, version string) (bool, error) {
	var stands bool
	err := q.QueryRow(ctx, "SELECT EXISTS (SELECT FROM storage.objects WHERE bucket_id = $1 AND name = $2 AND version = $3)", bucket, name, version).Scan(&stands)
	if err != nil {
		return false, fmt.Errorf("store: find version: %w", err)
	}
	return stands, nil
}
