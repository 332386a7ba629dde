package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/madbase/madbase/platform/db"
)

// auditPayload is SQL for the payload of an entry whose actor is the user u;
// action and logType are SQL expressions.
func auditPayload(action, logType string) string {
	return `(jsonb_build_object('action', ` + action + `, 'log_type', ` + logType + `, 'actor_id', u.id, 'actor_via_sso', u.is_sso_user,
		'actor_username', coalesce(nullif(u.phone, ''), u.email, ''))
		|| CASE WHEN u.raw_user_meta_data ? 'full_name' THEN jsonb_build_object('actor_name', u.raw_user_meta_data -> 'full_name') ELSE '{}' END)::json`
}

// InsertAudit adds an entry to the audit log.
func InsertAudit(ctx context.Context, q db.Queryer, payload map[string]any) error {
	text, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("store: encode audit entry: %w", err)
	}
	return exec(ctx, q, "insert audit entry", `INSERT INTO auth.audit_log_entries (instance_id, id, payload, created_at, ip_address)
		VALUES ($1, $2, $3, now(), '')`, noInstance, uuid.NewString(), text)
}
