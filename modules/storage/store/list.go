package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/madbase/madbase/platform/db"
)

// Search asks for one level of a folder.
type Search struct {
	Bucket string
	// Folder is empty or ends with a slash; Prefix is how names in it begin.
	Folder, Prefix string
	Limit, Offset  int64
	// SortColumn is name, updated_at, created_at or last_accessed_at.
	SortColumn string
	SortOrder  string
}

// Entry is an object, or a folder when it has no ID.
type Entry struct {
	Key            *string `json:"key"`
	ID             *string `json:"id"`
	Name           string  `json:"name"`
	UpdatedAt      *Time   `json:"updated_at"`
	CreatedAt      *Time   `json:"created_at"`
	LastAccessedAt *Time   `json:"last_accessed_at"`
	Metadata       any     `json:"metadata"`
}

// SearchObjects lists one level of a folder; names are relative to it.
func SearchObjects(ctx context.Context, q db.Queryer, s Search) ([]Entry, error) {
	folder, prefix := s.Folder, s.Prefix
	if s.SortColumn != "name" { // patterns there
		folder, prefix = likeEscaper.Replace(folder), likeEscaper.Replace(prefix)
	}
	levels := strings.Count(folder+prefix, "/") + 1
	entries, err := manyJSON[Entry](ctx, q, "SELECT row_to_json(e) FROM storage.search($1, $2, $3, $4, $5, $6, $7, $8) e",
		folder, s.Bucket, s.Limit, levels, s.Offset, prefix, s.SortColumn, s.SortOrder)
	if err != nil {
		return nil, fmt.Errorf("store: search objects: %w", err)
	}
	return entries, nil
}

// Page asks for a page of a listing that goes on from a cursor.
type Page struct {
	Bucket, Prefix string
	// Folders joins names up to the next slash after Prefix into one entry.
	Folders bool
	Limit   int64
	// After is the last name of the page before, AfterTime its time when the
	// order is by time, in RFC 3339.
	After, AfterTime string
	// SortColumn is name, updated_at or created_at.
	SortColumn string
	SortOrder  string
}

// ListPage returns a page of entries with their full names; those of folders have no final slash.
func ListPage(ctx context.Context, q db.Queryer, p Page) ([]Entry, error) {
	var (
		entries []Entry
		err     error
	)
	if p.Folders {
		entries, err = manyJSON[Entry](ctx, q, "SELECT row_to_json(e) FROM storage.search_v2($1, $2, $3, $4, $5, $6, $7, $8) e",
			p.Prefix, p.Bucket, p.Limit, strings.Count(p.Prefix, "/")+1, p.After, p.SortOrder, p.SortColumn, p.AfterTime)
	} else {
		entries, err = manyJSON[Entry](ctx, q, flatPage(p.SortColumn, p.SortOrder), p.Bucket, p.Prefix, p.Limit, p.After, p.AfterTime)
	}
	if err != nil {
		return nil, fmt.Errorf("store: list objects: %w", err)
	}
	return entries, nil
}

// Keys asks for a page of names in the order of their bytes.
type Keys struct {
	Bucket, Prefix string
	// Delimiter joins names up to the next one after Prefix into one entry; empty for none.
	Delimiter string
	// After is the name where the page before ended; Folder says that it is that of a
	// joined entry, all of which is to be left out.
	After  string
	Folder bool
	Limit  int
}

// Key is a name in a listing: an object's, or a folder's when it has no ID.
type Key struct {
	Name      string          `json:"name"`
	ID        *string         `json:"id"`
	UpdatedAt *Time           `json:"updated_at"`
	Metadata  json.RawMessage `json:"metadata"`
}

// ListKeys returns a page of names. Those of folders end with the delimiter.
func ListKeys(ctx context.Context, q db.Queryer, k Keys) ([]Key, error) {
	sql, args := flatPage("name", "asc"), []any{k.Bucket, k.Prefix, k.Limit, k.After, ""}
	if k.Delimiter != "" {
		after := k.After
		if after != "" && !k.Folder {
			after += "\x01" // which no name has: it is behind this one, and before all that begin with it
		}
		sql, args = `
			SELECT json_build_object('name', CASE WHEN e.id IS NULL THEN e.name || $3 ELSE e.name END, 'id', e.id, 'metadata', e.metadata, 'updated_at', e.updated_at)
			FROM storage.list_objects_with_delimiter($1, $2, $3, $4, $5) e`, []any{k.Bucket, k.Prefix, k.Delimiter, k.Limit, after}
	}
	keys, err := manyJSON[Key](ctx, q, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("store: list keys: %w", err)
	}
	return keys, nil
}

// flatPage is the statement for a listing without folders: one of six fixed texts.
// Times are compared as a cursor keeps them, in milliseconds.
func flatPage(column, order string) string {
	beyond, direction := ">", ""
	if order == "desc" {
		beyond, direction = "<", " DESC"
	}
	const from = `SELECT row_to_json(e) FROM (
		SELECT o.id, o.name, o.metadata, o.updated_at, o.created_at, o.last_accessed_at FROM storage.objects o
		WHERE o.bucket_id = $1 AND o.name COLLATE "C" >= $2 AND o.name COLLATE "C" < $2 || chr(1114111)`
	switch column {
	case "updated_at", "created_at":
		at := "date_trunc('milliseconds', o." + column + ")"
		return from + ` AND ($4 = '' OR (` + at + `, o.name COLLATE "C") ` + beyond + ` (coalesce(nullif($5, '')::timestamptz, 'epoch'), $4 COLLATE "C"))
			ORDER BY ` + at + direction + `, o.name COLLATE "C"` + direction + ` LIMIT $3) e`
	}
	return from + ` AND ($4 = '' OR o.name COLLATE "C" ` + beyond + ` $4) AND $5::text IS NOT NULL
		ORDER BY o.name COLLATE "C"` + direction + ` LIMIT $3) e`
}
