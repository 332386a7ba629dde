package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// ClientState is what the server keeps for itself of a sign-in that it has sent to
// a service: PKCE's verifier or OAuth 1's request token. It never leaves the server.
type ClientState struct {
	ID, Provider, Kept string
	CreatedAt          time.Time
}

// InsertClientState adds one; the database sets its time. It removes a few of those
// that are older than memory, at least UseMemory, as InsertFlowState does.
func InsertClientState(ctx context.Context, q db.Queryer, s ClientState, memory time.Duration) error {
	return exec(ctx, q, "insert client state", `WITH old AS (
			DELETE FROM auth.oauth_client_states WHERE id IN (
				SELECT id FROM auth.oauth_client_states WHERE created_at < now() - $4::interval ORDER BY created_at LIMIT 10 FOR UPDATE SKIP LOCKED)
		)
		INSERT INTO auth.oauth_client_states (id, provider_type, code_verifier, created_at) VALUES ($1, $2, $3, now())`,
		s.ID, s.Provider, s.Kept, max(memory, UseMemory))
}

// TakeClientState returns one and removes it: it is used once. ErrNotFound when it is gone.
func TakeClientState(ctx context.Context, q db.Queryer, id string) (*ClientState, error) {
	s := &ClientState{}
	err := q.QueryRow(ctx, `DELETE FROM auth.oauth_client_states WHERE id = $1 RETURNING id::text, provider_type, coalesce(code_verifier, ''), created_at`,
		id).Scan(&s.ID, &s.Provider, &s.Kept, &s.CreatedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("store: take client state: %w", err)
	}
	return s, nil
}

// ClaimFlow takes a sign-in at a service up again, for which its state has come
// back: once only, whatever comes of it. ErrNotFound when it is not there, is no
// such sign-in, or was claimed before.
func ClaimFlow(ctx context.Context, q db.Queryer, id, method string) (*FlowState, error) {
	return findFlowState(ctx, q, `UPDATE auth.flow_state SET auth_code_issued_at = now(), updated_at = now()
		WHERE id = $1 AND authentication_method = $2 AND user_id IS NULL AND auth_code_issued_at IS NULL RETURNING `+flowStateColumns, id, method)
}
