package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/madbase/madbase/platform/db"
)

// InspectSession locks a session until the transaction ends and returns it with
// its user and with what its counted refresh tokens are judged by, or ErrNotFound.
func InspectSession(ctx context.Context, q db.Queryer, sessionID string) (*Presented, error) {
	// Two statements: what is read must be as it is once the lock was had.
	if _, err := q.Exec(ctx, `SELECT FROM auth.sessions WHERE id = $1 FOR NO KEY UPDATE`, sessionID); err != nil {
		return nil, fmt.Errorf("store: lock session: %w", err)
	}
	p := &Presented{Session: &Session{}}
	rows, err := q.Query(ctx, `SELECT `+userColumns+`, `+identityColumns+`, `+sessionColumns+`, `+methodsColumn+`,
			coalesce(s.refresh_token_hmac_key, ''), coalesce(s.refresh_token_counter, 0)
		FROM auth.sessions s JOIN auth.users u ON u.id = s.user_id LEFT JOIN auth.identities i ON i.user_id = u.id
		WHERE s.id = $1 ORDER BY i.created_at, i.id`, sessionID)
	if err == nil {
		p.User, err = scanUser(rows, append(p.Session.into(), &p.Session.methods, &p.Key, &p.Counter)...)
	}
	if errors.Is(err, ErrNotFound) {
		return nil, ErrNotFound
	}
	if err == nil {
		err = p.Session.decode()
	}
	if err != nil {
		return nil, fmt.Errorf("store: inspect session: %w", err)
	}
	return p, nil
}

// SetCounter stores the key and the counter of a session's refresh tokens, and
// revokes those of the first version.
func SetCounter(ctx context.Context, q db.Queryer, sessionID, key string, counter int64) error {
	return exec(ctx, q, "set refresh counter", `WITH old AS (
			UPDATE auth.refresh_tokens SET revoked = true, updated_at = now() WHERE session_id = $1 AND revoked IS NOT TRUE
		)
		UPDATE auth.sessions SET refresh_token_hmac_key = $2, refresh_token_counter = $3 WHERE id = $1`, sessionID, key, counter)
}
