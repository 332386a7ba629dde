package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/modules/auth/token"
	"github.com/madbase/madbase/platform/db"
)

// Session is a row of auth.sessions with how it was signed in to.
type Session struct {
	// ID is empty when there is no such session.
	ID        string
	CreatedAt time.Time
	// RefreshedAt is when the session was last refreshed, or else created.
	RefreshedAt time.Time
	NotAfter    *time.Time
	AAL         string
	Methods     []token.Method
	// OAuthClientID and Scopes are those of an app's session.
	OAuthClientID, Scopes string
	// FactorID is the second factor that was used last, Tag the kind of client, as a trigger of the
	// app's has written it; either may be empty.
	FactorID, Tag string

	methods json.RawMessage
}

// sessionColumns are what Session.into scans; s may be a left join's side.
const sessionColumns = `coalesce(s.id::text, ''), coalesce(s.created_at, to_timestamp(0)),
	coalesce(s.refreshed_at AT TIME ZONE 'utc', s.created_at, to_timestamp(0)), s.not_after, coalesce(s.aal::text, 'aal1'),
	coalesce(s.oauth_client_id::text, ''), coalesce(s.scopes, ''), coalesce(s.factor_id::text, ''), coalesce(s.tag, '')`

// methodsColumn is the session's claim amr, newest first.
const methodsColumn = `(SELECT json_agg(json_build_object('method', m.authentication_method, 'timestamp', floor(extract(epoch FROM m.updated_at))::bigint)
	ORDER BY m.updated_at DESC) FROM auth.mfa_amr_claims m WHERE m.session_id = s.id)`

func (s *Session) into() []any {
	return []any{&s.ID, &s.CreatedAt, &s.RefreshedAt, &s.NotAfter, &s.AAL, &s.OAuthClientID, &s.Scopes, &s.FactorID, &s.Tag}
}

// NewSession is what a session begins with. What is empty is stored as NULL.
type NewSession struct {
	// ID is chosen when it is empty.
	ID                                string
	UserID, Method, AAL, RefreshToken string
	FactorID, OAuthClientID, Scopes   string
	NotAfter                          *time.Time
	// Key is that of the session's counted refresh tokens, for which RefreshToken is empty.
	Key string
	// UserAgent and IP say who signed in.
	UserAgent, IP string
}

// InsertSession adds a session with its first refresh token and its method,
// notes the sign-in at the user, and returns the session.
func InsertSession(ctx context.Context, q db.Queryer, n NewSession) (*Session, error) {
	s := &Session{
		ID: n.ID, NotAfter: n.NotAfter, AAL: n.AAL, OAuthClientID: n.OAuthClientID, Scopes: n.Scopes, FactorID: n.FactorID,
	}
	if s.ID == "" {
		s.ID = uuid.NewString()
	}
	err := q.QueryRow(ctx, `WITH s AS (
			INSERT INTO auth.sessions (id, user_id, created_at, updated_at, aal, user_agent, ip, factor_id, not_after, oauth_client_id, scopes,
				refresh_token_hmac_key, refresh_token_counter)
			VALUES ($1, $2, now(), now(), $8, nullif($3, ''), nullif($4, '')::inet, nullif($9, '')::uuid, $10, nullif($11, '')::uuid,
				nullif($12, ''), nullif($13, ''), CASE WHEN $13 <> '' THEN 0 END) RETURNING id, user_id
		), t AS (
			INSERT INTO auth.refresh_tokens (instance_id, token, user_id, revoked, created_at, updated_at, session_id)
			SELECT $5::uuid, $6, s.user_id::text, false, now(), now(), s.id FROM s WHERE $13 = ''
		), m AS (
			INSERT INTO auth.mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method)
			SELECT gen_random_uuid(), s.id, now(), now(), $7 FROM s
		)
		UPDATE auth.users u SET last_sign_in_at = now(), updated_at = now() FROM s WHERE u.id = s.user_id RETURNING now()`,
		s.ID, n.UserID, n.UserAgent, n.IP, noInstance, n.RefreshToken, n.Method, n.AAL, n.FactorID, n.NotAfter, n.OAuthClientID, n.Scopes, n.Key).Scan(&s.CreatedAt)
	if err != nil {
		return nil, fmt.Errorf("store: insert session: %w", err)
	}
	s.CreatedAt = s.CreatedAt.UTC()
	s.RefreshedAt = s.CreatedAt
	s.Methods = []token.Method{{Method: n.Method, Timestamp: s.CreatedAt.Unix()}}
	return s, nil
}

// NewerSessions returns the user's sessions that were used later than s, at most limit.
func NewerSessions(ctx context.Context, q db.Queryer, userID string, s *Session, limit int) ([]*Session, error) {
	rows, err := q.Query(ctx, `SELECT `+sessionColumns+` FROM auth.sessions s WHERE s.user_id = $1 AND s.id <> $2
		AND coalesce(s.refreshed_at AT TIME ZONE 'utc', s.created_at) > $3 ORDER BY 3 DESC LIMIT $4`, userID, s.ID, s.RefreshedAt, limit)
	var sessions []*Session
	if err == nil {
		sessions, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Session, error) {
			s := &Session{}
			return s, row.Scan(s.into()...)
		})
	}
	if err != nil {
		return nil, fmt.Errorf("store: newer sessions: %w", err)
	}
	return sessions, nil
}

// DeleteSession ends one session; its refresh tokens go with it.
func DeleteSession(ctx context.Context, q db.Queryer, id string) error {
	return exec(ctx, q, "delete session", `DELETE FROM auth.sessions WHERE id = $1`, id)
}

// DeleteSessions ends all sessions of a user but the one named except, which may be empty.
func DeleteSessions(ctx context.Context, q db.Queryer, userID, except string) error {
	return exec(ctx, q, "delete sessions", `DELETE FROM auth.sessions WHERE user_id = $1 AND id::text <> $2`, userID, except)
}

// SignedInBy reports whether the session was signed in to by one of the methods.
func SignedInBy(ctx context.Context, q db.Queryer, sessionID string, methods ...string) (bool, error) {
	var found bool
	err := q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM auth.mfa_amr_claims WHERE session_id = $1 AND authentication_method = ANY ($2))`,
		sessionID, methods).Scan(&found)
	if err != nil {
		return false, fmt.Errorf("store: signed in by: %w", err)
	}
	return found, nil
}

// SeenSession is a session with where it was used last.
type SeenSession struct {
	Session
	UserAgent, IP string
}

// UserSessions returns the user's sessions, at most limit, the one used last first.
func UserSessions(ctx context.Context, q db.Queryer, userID string, limit int) ([]*SeenSession, error) {
	rows, err := q.Query(ctx, `SELECT `+sessionColumns+`, coalesce(s.user_agent, ''), coalesce(host(s.ip), '') FROM auth.sessions s
		WHERE s.user_id = $1 ORDER BY 3 DESC LIMIT $2`, userID, limit)
	var sessions []*SeenSession
	if err == nil {
		sessions, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*SeenSession, error) {
			s := &SeenSession{}
			return s, row.Scan(append(s.into(), &s.UserAgent, &s.IP)...)
		})
	}
	if err != nil {
		return nil, fmt.Errorf("store: sessions of user: %w", err)
	}
	return sessions, nil
}

// DeleteOwnSession ends a session of the user's; ErrNotFound says that they have no such one.
func DeleteOwnSession(ctx context.Context, q db.Queryer, userID, id string) error {
	tag, err := q.Exec(ctx, `DELETE FROM auth.sessions WHERE id = $1 AND user_id = $2`, id, userID)
	if err != nil {
		return fmt.Errorf("store: delete session of user: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrNotFound
	}
	return nil
}
