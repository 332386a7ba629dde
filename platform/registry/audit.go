package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// Entry is a line of the audit log: who did what to which project.
type Entry struct {
	// Actor is who did it: "admin", or "madbase" for what a process does by itself.
	Actor string
	// Address is the client's, where there is one.
	Address string
	Project string
	// Action is what was done: "project.create".
	Action string
	// Detail becomes JSON. It must hold no secret.
	Detail any
}

func record(ctx context.Context, q db.Queryer, e Entry) error {
	detail := []byte("{}")
	if e.Detail != nil {
		var err error
		if detail, err = json.Marshal(e.Detail); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	_, err := q.Exec(ctx, `INSERT INTO madbase.audit_log (actor, address, project, action, detail) VALUES ($1, $2, $3, $4, $5)`,
		e.Actor, e.Address, e.Project, e.Action, string(detail))
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// Record writes down what is about to be done elsewhere than in the registry.
func (r *Registry) Record(ctx context.Context, e Entry) error {
	if err := record(ctx, r.pool, e); err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	return nil
}

// Recorded is an Entry as it stands in the audit log.
type Recorded struct {
	// ID grows with time.
	ID int64
	At time.Time
	// Entry's Detail is JSON.
	Entry
}

// AuditQuery says which entries are wanted.
type AuditQuery struct {
	// Project and Action are empty for all; an Action that ends in a dot is a beginning.
	Project, Action string
	// Before is the ID of an entry: only older ones are wanted. 0: the newest.
	Before int64
	Limit  int
}

// Audit returns entries of the audit log, the newest first.
func (r *Registry) Audit(ctx context.Context, q AuditQuery) ([]Recorded, error) {
	rows, err := r.pool.Query(ctx, `
		SELECT id, at, actor, address, coalesce(project, ''), action, detail::text FROM madbase.audit_log
		WHERE ($1 = '' OR project = $1) AND ($2 = '' OR action = $2 OR right($2, 1) = '.' AND starts_with(action, $2)) AND ($3 = 0 OR id < $3)
		ORDER BY id DESC LIMIT $4`, q.Project, q.Action, q.Before, q.Limit)
	if err != nil {
		return nil, fmt.Errorf("registry: audit log: %w", err)
	}
	entries := []Recorded{}
	var e Recorded
	var detail string
	_, err = pgx.ForEachRow(rows, []any{&e.ID, &e.At, &e.Actor, &e.Address, &e.Project, &e.Action, &detail}, func() error {
		e.Detail = json.RawMessage(detail)
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("registry: audit log: %w", err)
	}
	return entries, nil
}
