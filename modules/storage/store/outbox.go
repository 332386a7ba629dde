package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// The kinds of news, by supabase/storage's names of events.
const (
	CreatedPut    = "ObjectCreated:Put"
	CreatedPost   = "ObjectCreated:Post"
	CreatedCopy   = "ObjectCreated:Copy"
	CreatedMove   = "ObjectCreated:Move"
	RemovedDelete = "ObjectRemoved:Delete"
	RemovedMove   = "ObjectRemoved:Move"
	// PurgeCache is no event of an object: it is for the CDN.
	PurgeCache = "cdn:purge-cache"
)

// News is what a change of an object or a bucket leaves in madbase.storage_outbox.
type News struct {
	// Kind is one of the constants; empty for an object that was written:
	// CreatedPut where it replaced one, else CreatedPost.
	Kind string
	// Payload is JSON.
	Payload []byte
}

// Outgoing is a row of the outbox.
type Outgoing struct {
	ID      int64
	Kind    string
	Payload json.RawMessage
	// Attempts counts the present one.
	Attempts  int
	CreatedAt time.Time
	// Age is how long it has waited.
	Age time.Duration
}

// PutNews puts news down in the transaction of q, whoever's it is: who may change an
// object need not have a right to the outbox, so the rows are written as the service.
func PutNews(ctx context.Context, q db.Queryer, news []News) error {
	if len(news) == 0 {
		return nil
	}
	kinds, payloads := make([]string, len(news)), make([]string, len(news))
	for i, n := range news {
		kinds[i], payloads[i] = n.Kind, string(n.Payload)
	}
	var role, taken string
	err := q.QueryRow(ctx, "SELECT current_setting('role'), set_config('role', 'service_role', true)").Scan(&role, &taken)
	if err == nil {
		_, err = q.Exec(ctx, "INSERT INTO madbase.storage_outbox (kind, payload) SELECT * FROM unnest($1::text[], $2::json[])", kinds, payloads)
	}
	if err == nil && role != taken { // what the transaction does at its end must have the caller's rights
		_, err = q.Exec(ctx, "SELECT set_config('role', $1, true)", role)
	}
	if err != nil {
		return fmt.Errorf("store: put news: %w", err)
	}
	return nil
}

// ClaimNews takes up to limit rows that are due, the longest waiting first. For
// lease nobody else gets them, then they are due again.
func ClaimNews(ctx context.Context, q db.Queryer, limit int, lease time.Duration) ([]Outgoing, error) {
	rows, err := q.Query(ctx, `
		UPDATE madbase.storage_outbox o SET due_at = now() + $2::interval, attempts = attempts + 1
		WHERE id IN (SELECT id FROM madbase.storage_outbox WHERE due_at <= now() ORDER BY due_at, id LIMIT $1 FOR UPDATE SKIP LOCKED)
		RETURNING id, kind, payload, attempts, created_at, now() - created_at`, limit, lease)
	if err != nil {
		return nil, fmt.Errorf("store: claim news: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Outgoing])
	if err != nil {
		return nil, fmt.Errorf("store: claim news: %w", err)
	}
	return list, nil
}

// DeleteNews removes rows that were delivered, or never will be.
func DeleteNews(ctx context.Context, q db.Queryer, ids []int64) error {
	if _, err := q.Exec(ctx, "DELETE FROM madbase.storage_outbox WHERE id = ANY ($1)", ids); err != nil {
		return fmt.Errorf("store: delete news: %w", err)
	}
	return nil
}

// PostponeNews makes a row due again after a while.
func PostponeNews(ctx context.Context, q db.Queryer, id int64, after time.Duration) error {
	if _, err := q.Exec(ctx, "UPDATE madbase.storage_outbox SET due_at = now() + $2::interval WHERE id = $1", id, after); err != nil {
		return fmt.Errorf("store: postpone news: %w", err)
	}
	return nil
}

// NewsWait reports whether news are still to be brought.
func NewsWait(ctx context.Context, q db.Queryer) (wait bool, err error) {
	err = q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM madbase.storage_outbox)`).Scan(&wait)
	if err != nil {
		return false, fmt.Errorf("store: look for news: %w", err)
	}
	return wait, nil
}
