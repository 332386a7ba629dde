package topology

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// forgetAfter is when the rows of workers that died without a word are deleted.
const forgetAfter = time.Hour

// writeWorker writes w's row, seen now.
func writeWorker(ctx context.Context, q db.Queryer, w Worker) error {
	const statement = `
		INSERT INTO madbase.workers (id, url, version, role, started_at, draining) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (id) DO UPDATE SET seen_at = now(), draining = excluded.draining`
	if _, err := q.Exec(ctx, statement, w.ID, w.URL, w.Version, w.Role, w.StartedAt, w.Draining); err != nil {
		return fmt.Errorf("topology: write worker: %w", err)
	}
	return nil
}

// deleteWorker deletes a worker's row, and those of workers long dead.
func deleteWorker(ctx context.Context, q db.Queryer, id string) error {
	if _, err := q.Exec(ctx, "DELETE FROM madbase.workers WHERE id = $1 OR seen_at < now() - $2::interval", id, forgetAfter); err != nil {
		return fmt.Errorf("topology: delete worker: %w", err)
	}
	return nil
}

// liveWorkers are the workers seen of late, each URL once: the process that
// started there last.
func liveWorkers(ctx context.Context, q db.Queryer) ([]Worker, error) {
	const statement = `
		SELECT DISTINCT ON (url) id::text, url, version, role, started_at, draining FROM madbase.workers
		WHERE seen_at > now() - $1::interval ORDER BY url, started_at DESC, id`
	rows, err := q.Query(ctx, statement, DeadAfter)
	if err != nil {
		return nil, fmt.Errorf("topology: read workers: %w", err)
	}
	workers, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (w Worker, err error) {
		err = row.Scan(&w.ID, &w.URL, &w.Version, &w.Role, &w.StartedAt, &w.Draining)
		w.StartedAt = w.StartedAt.UTC()
		return w, err
	})
	if err != nil {
		return nil, fmt.Errorf("topology: read workers: %w", err)
	}
	return workers, nil
}
