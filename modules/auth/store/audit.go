package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// auditPayload is SQL for the payload of an entry whose actor is the user u;
// action and logType are SQL expressions.
func auditPayload(action, logType string) string {
	return `(jsonb_build_object('action', ` + action + `, 'log_type', ` + logType + `, 'actor_id', u.id, 'actor_via_sso', u.is_sso_user,
		'actor_username', coalesce(nullif(u.phone, ''), u.email, ''))
		|| CASE WHEN u.raw_user_meta_data ? 'full_name' THEN jsonb_build_object('actor_name', u.raw_user_meta_data -> 'full_name') ELSE '{}' END)::json`
}

// InsertAudit adds an entry to the audit log; ip is the caller's address, or empty.
func InsertAudit(ctx context.Context, q db.Queryer, payload map[string]any, ip string) error {
	text, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("store: encode audit entry: %w", err)
	}
	return exec(ctx, q, "insert audit entry", `INSERT INTO auth.audit_log_entries (instance_id, id, payload, created_at, ip_address)
		VALUES ($1, $2, $3, now(), $4)`, noInstance, uuid.NewString(), text, ip)
}

// AuditEntry is an entry of the audit log, as the API shows it.
type AuditEntry struct {
	ID        string          `json:"id"`
	Payload   json.RawMessage `json:"payload"`
	CreatedAt time.Time       `json:"created_at"`
	IP        string          `json:"ip_address"`
}

// AuditPage asks for some entries.
type AuditPage struct {
	// Members are those of the payload of which one must contain Text, in any case; none takes all.
	Members       []string
	Text          string
	Limit, Offset int
}

// ListAudit returns a page of the audit log, newest first, and how many entries all pages have.
func ListAudit(ctx context.Context, q db.Queryer, p AuditPage) (entries []AuditEntry, total int, err error) {
	const which = ` FROM auth.audit_log_entries a WHERE a.instance_id = $1
		AND ($3 = '' OR EXISTS (SELECT FROM unnest($2::text[]) AS m (name) WHERE a.payload ->> m.name ILIKE '%' || $3 || '%'))`
	if err := q.QueryRow(ctx, `SELECT count(*)`+which, noInstance, p.Members, p.Text).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("store: count audit log: %w", err)
	}
	rows, err := q.Query(ctx, `SELECT a.id::text, coalesce(a.payload, 'null'), coalesce(a.created_at, to_timestamp(0)), a.ip_address`+which+`
		ORDER BY a.created_at DESC, a.id LIMIT $4 OFFSET $5`, noInstance, p.Members, p.Text, p.Limit, p.Offset)
	if err == nil {
		entries, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e AuditEntry, err error) {
			err = row.Scan(&e.ID, &e.Payload, &e.CreatedAt, &e.IP)
			e.CreatedAt = e.CreatedAt.UTC()
			return e, err
		})
	}
	if err != nil {
		return nil, 0, fmt.Errorf("store: list audit log: %w", err)
	}
	return entries, total, nil
}
