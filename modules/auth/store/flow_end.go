package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// flowEndType marks rows of auth.oauth_client_states that keep when a flow's session ends.
const flowEndType = "session_end"

// SetFlowEnd keeps, with a flow, when the session must end that its code buys.
// A zero end keeps nothing. GoTrue's flow_state has no column for it, so that
// there the session of such a flow has no end.
func SetFlowEnd(ctx context.Context, q db.Queryer, flowID string, end time.Time) error {
	if end.IsZero() {
		return nil
	}
	return exec(ctx, q, "set flow end", `WITH s AS (
			INSERT INTO auth.oauth_client_states (id, provider_type, code_verifier, created_at) VALUES (gen_random_uuid(), $2, $3, now()) RETURNING id
		) UPDATE auth.flow_state f SET oauth_client_state_id = s.id FROM s WHERE f.id = $1`, flowID, flowEndType, end.UTC().Format(time.RFC3339Nano))
}

// FlowEnd takes back what SetFlowEnd keeps; nil when that is nothing.
func FlowEnd(ctx context.Context, q db.Queryer, f *FlowState) (*time.Time, error) {
	if f.OAuthClientStateID == "" {
		return nil, nil
	}
	var text string
	err := q.QueryRow(ctx, `DELETE FROM auth.oauth_client_states WHERE id = $1 AND provider_type = $2 RETURNING code_verifier`, f.OAuthClientStateID, flowEndType).Scan(&text)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: flow end: %w", err)
	}
	end, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return nil, fmt.Errorf("store: flow end: %w", err)
	}
	return &end, nil
}
