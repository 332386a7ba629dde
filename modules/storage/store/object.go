package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/rls"
)

// Object is a row of storage.objects.
type Object struct {
	ID             string          `json:"id"`
	BucketID       string          `json:"bucket_id"`
	Name           string          `json:"name"`
	Version        *string         `json:"version"`
	Owner          *string         `json:"owner"`
	OwnerID        *string         `json:"owner_id"`
	Metadata       json.RawMessage `json:"metadata"`
	UserMetadata   json.RawMessage `json:"user_metadata"`
	CreatedAt      *Time           `json:"created_at"`
	UpdatedAt      *Time           `json:"updated_at"`
	LastAccessedAt *Time           `json:"last_accessed_at"`
}

const findObject = "SELECT row_to_json(o) FROM storage.objects o WHERE o.bucket_id = $1 AND o.name = $2"

// FindObject returns an object or ErrNotFound.
func FindObject(ctx context.Context, q db.Queryer, bucket, name string) (Object, error) {
	var o Object
	if err := oneJSON(ctx, q, &o, findObject, bucket, name); err != nil {
		return o, fmt.Errorf("store: find object: %w", err)
	}
	return o, nil
}

// FindObjectOnce is FindObject in a transaction of its own, in a single round trip.
func FindObjectOnce(ctx context.Context, tx *rls.Tx, bucket, name string) (Object, error) {
	var o Object
	result, err := tx.Once(ctx, rls.Statement{SQL: findObject, Args: [][]byte{[]byte(bucket), []byte(name)}})
	if err == nil && len(result.Rows) == 0 {
		err = ErrNotFound
	}
	if err == nil {
		err = json.Unmarshal(result.Rows[0][0], &o)
	}
	if err != nil {
		return o, fmt.Errorf("store: find object: %w", err)
	}
	return o, nil
}

// Target is a bucket and the object in it that a download asks for.
type Target struct {
	// Public is the bucket's flag.
	Public bool
	// Object is nil when the bucket has none of that name.
	Object *Object
}

// FindTarget looks at bucket and object at once, past all policies. ErrNotFound means that there is no such bucket.
func FindTarget(ctx context.Context, q db.Queryer, bucket, name string) (Target, error) {
	var (
		t   Target
		raw []byte
	)
	err := q.QueryRow(ctx, `
		SELECT coalesce(b.public, false), row_to_json(o)
		FROM storage.buckets b LEFT JOIN storage.objects o ON o.bucket_id = b.id AND o.name = $2
		WHERE b.id = $1`, bucket, name).Scan(&t.Public, &raw)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err == nil && raw != nil {
		err = json.Unmarshal(raw, &t.Object)
	}
	if err != nil {
		return t, fmt.Errorf("store: find target: %w", err)
	}
	return t, nil
}

// NewObject is what an upload writes.
type NewObject struct {
	Bucket, Name, Version string
	// Owner is a user's id; nil for none, and then an existing object keeps its own.
	Owner *string
	// Metadata and UserMetadata are JSON; nil leaves those of an existing object.
	Metadata, UserMetadata []byte
	// News goes out when the object is written; nil for nobody to hear of it.
	News *News
}

// values are o's columns in the order of the statements below. The old column owner takes UUIDs only.
func (o NewObject) values() []any {
	return []any{o.Bucket, o.Name, OwnerUUID(o.Owner), o.Owner, o.Version, o.Metadata, o.UserMetadata}
}

// statement is sql with o's columns as its parameters.
func (o NewObject) statement(sql string) rls.Statement {
	text := func(s *string) []byte {
		if s == nil {
			return nil
		}
		return []byte(*s)
	}
	return rls.Statement{SQL: sql, Args: [][]byte{
		[]byte(o.Bucket), []byte(o.Name), text(OwnerUUID(o.Owner)), text(o.Owner), []byte(o.Version), o.Metadata, o.UserMetadata,
	}}
}

const (
	insertObject = `
		INSERT INTO storage.objects AS o (bucket_id, name, owner, owner_id, version, metadata, user_metadata)
		VALUES ($1, $2, $3::uuid, $4, $5, $6::jsonb, $7::jsonb)`
	upsertObject = insertObject + `
		ON CONFLICT (bucket_id, name) DO UPDATE SET
			version = excluded.version,
			metadata = coalesce(excluded.metadata, o.metadata),
			user_metadata = coalesce(excluded.user_metadata, o.user_metadata),
			owner = CASE WHEN excluded.owner_id IS NULL THEN o.owner ELSE excluded.owner END,
			owner_id = coalesce(excluded.owner_id, o.owner_id)
		RETURNING row_to_json(o)`
	// The subquery sees the row as it was when the statement began, which is after the lock.
	upsertReturning = upsertObject + ` AS row,
		(SELECT before.version FROM storage.objects before WHERE before.bucket_id = $1 AND before.name = $2) AS replaced,
		EXISTS (SELECT FROM storage.objects before WHERE before.bucket_id = $1 AND before.name = $2) AS existed`
	insertReturning  = insertObject + ` RETURNING row_to_json(o) AS row, NULL AS replaced, false AS existed`
	replaceReturning = `
		UPDATE storage.objects AS o SET
			version = $5, metadata = $6::jsonb, user_metadata = $7::jsonb,
			owner = CASE WHEN $4::text IS NULL THEN o.owner ELSE $3::uuid END,
			owner_id = coalesce($4::text, o.owner_id)
		WHERE o.bucket_id = $1 AND o.name = $2 AND o.version = $8
		RETURNING row_to_json(o) AS row, $8 AS replaced, true AS existed`
	lockObject = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
)

// writing is the statement that writes o, and puts down its news.
func (o NewObject) writing(may Overwrite) rls.Statement {
	write := o.statement(insertReturning)
	switch {
	case may.Any:
		write = o.statement(upsertReturning)
	case may.Version != "":
		write = o.statement(replaceReturning)
		write.Args = append(write.Args, []byte(may.Version))
	}
	if o.News == nil {
		return write
	}
	kind, payload := "$"+strconv.Itoa(len(write.Args)+1), "$"+strconv.Itoa(len(write.Args)+2)
	write.Args = append(write.Args, []byte(o.News.Kind), o.News.Payload)
	write.SQL = "WITH written AS (" + write.SQL + `), news AS (
			INSERT INTO madbase.storage_outbox (kind, payload)
			SELECT coalesce(nullif(` + kind + `::text, ''), CASE WHEN existed THEN '` + CreatedPut + `' ELSE '` + CreatedPost + `' END), ` + payload + `::json FROM written
		)
		SELECT row, replaced FROM written`
	return write
}

// TryObject asks whether policies let o be written, and writes nothing. To insert
// needs the right to insert and no other; to overwrite needs those to see and to update too.
func TryObject(ctx context.Context, tx *rls.Tx, o NewObject, overwrite bool) error {
	sql := insertObject
	if overwrite {
		sql = upsertObject
	}
	if err := tx.Try(ctx, o.statement(sql)); err != nil {
		return fmt.Errorf("store: try object: %w", err)
	}
	return nil
}

// Overwrite says which object of a name may be replaced; the zero value none.
type Overwrite struct {
	// Any replaces whatever is there, or nothing.
	Any bool
	// Version replaces this version alone.
	Version string
}

// WriteObject inserts o, or overwrites the object of that name where it may, and
// returns the row and the version that it replaced, nil for none. Writers of one
// name take turns. It is one round trip and a transaction of its own, with o's news
// in it. ErrNotFound when the one version that may be overwritten is not there any more.
func WriteObject(ctx context.Context, tx *rls.Tx, o NewObject, may Overwrite) (row Object, replaced *string, err error) {
	lock := rls.Statement{SQL: lockObject, Args: [][]byte{[]byte(lockName(o.Bucket, o.Name))}}
	result, err := tx.Together(ctx, lock, o.writing(may))
	if err == nil && len(result.Rows) == 0 { // or a trigger of the project keeps it out
		err = ErrNotFound
	}
	if err == nil {
		err = json.Unmarshal(result.Rows[0][0], &row)
	}
	if err != nil {
		return row, nil, fmt.Errorf("store: write object: %w", err)
	}
	if before := result.Rows[0][1]; before != nil {
		version := string(before)
		replaced = &version
	}
	return row, replaced, nil
}

// RenameObject gives the object from (of bucket fromBucket) the bucket, name, version
// and what else to sets. ErrNotFound when the caller sees or may update none.
func RenameObject(ctx context.Context, q db.Queryer, fromBucket, from string, to NewObject) (Object, error) {
	var row Object
	args := append([]any{fromBucket, from}, to.values()...)
	err := oneJSON(ctx, q, &row, `
		UPDATE storage.objects AS o SET
			bucket_id = $3, name = $4, version = $7,
			owner = CASE WHEN $6::text IS NULL THEN o.owner ELSE $5::uuid END,
			owner_id = coalesce($6::text, o.owner_id),
			metadata = coalesce($8::jsonb, o.metadata),
			user_metadata = coalesce($9::jsonb, o.user_metadata)
		WHERE o.bucket_id = $1 AND o.name = $2 RETURNING row_to_json(o)`, args...)
	if err != nil {
		return row, fmt.Errorf("store: rename object: %w", err)
	}
	return row, nil
}

// ForUpdate returns the object and locks its row, or ErrNotFound.
func ForUpdate(ctx context.Context, q db.Queryer, bucket, name string) (Object, error) {
	var o Object
	if err := oneJSON(ctx, q, &o, findObject+" FOR UPDATE", bucket, name); err != nil {
		return o, fmt.Errorf("store: lock row: %w", err)
	}
	return o, nil
}

// DeleteObjects deletes the named objects and returns the rows that were
// deleted; what is missing or not the caller's to delete is left out.
func DeleteObjects(ctx context.Context, q db.Queryer, bucket string, names []string) ([]Object, error) {
	rows, err := manyJSON[Object](ctx, q,
		"DELETE FROM storage.objects o WHERE o.bucket_id = $1 AND o.name = ANY ($2::text[]) RETURNING row_to_json(o)", bucket, names)
	if err != nil {
		return nil, fmt.Errorf("store: delete objects: %w", err)
	}
	return rows, nil
}

// DeleteBefore deletes up to limit objects of bucket that are older than before and returns them.
func DeleteBefore(ctx context.Context, q db.Queryer, bucket string, before time.Time, limit int) ([]Object, error) {
	rows, err := manyJSON[Object](ctx, q, `
		DELETE FROM storage.objects o WHERE o.id IN (
			SELECT id FROM storage.objects WHERE bucket_id = $1 AND created_at < $2 LIMIT $3
		) RETURNING row_to_json(o)`, bucket, before, limit)
	if err != nil {
		return nil, fmt.Errorf("store: empty bucket: %w", err)
	}
	return rows, nil
}

// Existing returns which of names the caller sees in bucket.
func Existing(ctx context.Context, q db.Queryer, bucket string, names []string) (map[string]bool, error) {
	found, err := manyJSON[string](ctx, q,
		"SELECT to_json(o.name) FROM storage.objects o WHERE o.bucket_id = $1 AND o.name = ANY ($2::text[])", bucket, names)
	if err != nil {
		return nil, fmt.Errorf("store: existing objects: %w", err)
	}
	set := make(map[string]bool, len(found))
	for _, name := range found {
		set[name] = true
	}
	return set, nil
}

// Now is the database's clock.
func Now(ctx context.Context, q db.Queryer) (time.Time, error) {
	var now time.Time
	if err := q.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&now); err != nil {
		return now, fmt.Errorf("store: clock: %w", err)
	}
	return now, nil
}
