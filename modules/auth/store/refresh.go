package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// Refresh asks for the exchange of a refresh token.
type Refresh struct {
	Token string
	// OAuthClientID is the app whose session it is, empty for none.
	OAuthClientID string
	// Next is the token that takes its place.
	Next string
	// UserAgent and IP say who refreshes; either may be empty.
	UserAgent, IP string
	// Timebox and Inactivity bound the session's life; zero means they do not.
	Timebox, Inactivity time.Duration
	// Audit says whether to write audit entries.
	Audit bool
}

// Rotate exchanges a refresh token in one statement, when nothing stands against
// it: it is the active one of a live session of a user who is not banned. It
// returns ErrNotFound in all other cases, for InspectRefresh to say which.
//
// The session's row is locked before the token's, in the order in which deleting
// a session goes, so that the two cannot wait for each other.
func Rotate(ctx context.Context, q db.Queryer, r Refresh) (*User, *Session, error) {
	s := &Session{}
	rows, err := q.Query(ctx, `WITH live AS (
			SELECT s.id FROM auth.refresh_tokens t JOIN auth.sessions s ON s.id = t.session_id JOIN auth.users u ON u.id = s.user_id
			WHERE t.token = $1 AND t.revoked IS NOT TRUE AND s.oauth_client_id IS NOT DISTINCT FROM nullif($9, '')::uuid
				AND (u.banned_until IS NULL OR u.banned_until <= now())
				AND (s.not_after IS NULL OR s.not_after >= now())
				AND ($6::interval IS NULL OR s.created_at + $6 >= now())
				AND ($7::interval IS NULL OR coalesce(s.refreshed_at AT TIME ZONE 'utc', greatest(s.created_at, t.updated_at)) + $7 >= now())
			FOR NO KEY UPDATE OF s
		), old AS (
			UPDATE auth.refresh_tokens t SET revoked = true, updated_at = now() FROM live
			WHERE t.token = $1 AND t.session_id = live.id AND t.revoked IS NOT TRUE
			RETURNING t.session_id, t.user_id
		), new AS (
			INSERT INTO auth.refresh_tokens (instance_id, token, user_id, revoked, parent, created_at, updated_at, session_id)
			SELECT $2::uuid, $3, old.user_id, false, $1, now(), now(), old.session_id FROM old
		), s AS (
			UPDATE auth.sessions s SET refreshed_at = now() AT TIME ZONE 'utc', user_agent = nullif($4, ''), ip = nullif($5, '')::inet, updated_at = now()
			FROM old WHERE s.id = old.session_id RETURNING s.*
		), log AS (
			INSERT INTO auth.audit_log_entries (instance_id, id, payload, created_at, ip_address)
			SELECT $2::uuid, gen_random_uuid(), `+auditPayload("v.action", "'token'")+`, now(), ''
			FROM s JOIN auth.users u ON u.id = s.user_id CROSS JOIN (VALUES ('token_refreshed'), ('token_revoked')) AS v (action) WHERE $8
		)
		SELECT `+userColumns+`, `+identityColumns+`, `+sessionColumns+`, `+methodsColumn+`
		FROM s JOIN auth.users u ON u.id = s.user_id LEFT JOIN auth.identities i ON i.user_id = u.id ORDER BY i.created_at, i.id`,
		r.Token, noInstance, r.Next, r.UserAgent, r.IP, interval(r.Timebox), interval(r.Inactivity), r.Audit, r.OAuthClientID)
	if err != nil {
		return nil, nil, fmt.Errorf("store: rotate refresh token: %w", err)
	}
	u, err := scanUser(rows, append(s.into(), &s.methods)...)
	if err != nil {
		if !errors.Is(err, ErrNotFound) {
			err = fmt.Errorf("store: rotate refresh token: %w", err)
		}
		return nil, nil, err
	}
	return u, s, s.decode()
}

// interval is d as a parameter, NULL for none.
func interval(d time.Duration) *time.Duration {
	if d <= 0 {
		return nil
	}
	return &d
}

func (s *Session) decode() error {
	if len(s.methods) == 0 {
		return nil
	}
	if err := json.Unmarshal(s.methods, &s.Methods); err != nil {
		return fmt.Errorf("store: methods of session: %w", err)
	}
	return nil
}

// Presented is what there is to know about a refresh token that was presented.
type Presented struct {
	User    *User
	Session *Session
	// Revoked says that the token was exchanged or its family ended, at RevokedAt.
	Revoked   bool
	RevokedAt time.Time
	// Active is the session's newest token that is not revoked, empty when there is
	// none; ActiveParent is the one that it was given for.
	Active, ActiveParent string
	// Key and Counter are those of the session's counted tokens; a session without has no Key.
	Key     string
	Counter int64
}

// InspectRefresh locks the session of a refresh token until the transaction ends
// and returns the token's state, or ErrNotFound. A token without a session has
// one whose ID is empty.
func InspectRefresh(ctx context.Context, q db.Queryer, refreshToken string) (*Presented, error) {
	// Two statements: what is read must be as it is once the lock was had.
	_, err := q.Exec(ctx, `SELECT FROM auth.sessions s JOIN auth.refresh_tokens t ON t.session_id = s.id WHERE t.token = $1 FOR NO KEY UPDATE OF s`, refreshToken)
	if err != nil {
		return nil, fmt.Errorf("store: lock session of refresh token: %w", err)
	}
	p := &Presented{Session: &Session{}}
	rows, err := q.Query(ctx, `SELECT `+userColumns+`, `+identityColumns+`, `+sessionColumns+`, `+methodsColumn+`,
			t.revoked IS TRUE, coalesce(t.updated_at, to_timestamp(0)), coalesce(active.token, ''), coalesce(active.parent, ''),
			coalesce(s.refresh_token_hmac_key, ''), coalesce(s.refresh_token_counter, 0)
		FROM auth.refresh_tokens t JOIN auth.users u ON u.id = t.user_id::uuid LEFT JOIN auth.identities i ON i.user_id = u.id
			LEFT JOIN auth.sessions s ON s.id = t.session_id
			LEFT JOIN LATERAL (SELECT a.token, a.parent FROM auth.refresh_tokens a WHERE a.session_id = s.id AND a.revoked IS NOT TRUE
				ORDER BY a.id DESC LIMIT 1) active ON true
		WHERE t.token = $1 ORDER BY i.created_at, i.id`, refreshToken)
	if err == nil {
		extra := append(p.Session.into(), &p.Session.methods, &p.Revoked, &p.RevokedAt, &p.Active, &p.ActiveParent, &p.Key, &p.Counter)
		p.User, err = scanUser(rows, extra...)
	}
	if errors.Is(err, ErrNotFound) || errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err == nil {
		err = p.Session.decode()
	}
	if err != nil {
		return nil, fmt.Errorf("store: inspect refresh token: %w", err)
	}
	return p, nil
}

// InsertRefreshToken adds the child of a presented token to its session, and revokes the
// token where it is not revoked yet. The time of an earlier revocation stays, so
// that using a token again does not make it usable for longer.
func InsertRefreshToken(ctx context.Context, q db.Queryer, p *Presented, parent, child string) error {
	return exec(ctx, q, "insert refresh token", `WITH old AS (
			UPDATE auth.refresh_tokens SET revoked = true, updated_at = now() WHERE token = $4 AND revoked IS NOT TRUE
		)
		INSERT INTO auth.refresh_tokens (instance_id, token, user_id, revoked, parent, created_at, updated_at, session_id)
		VALUES ($1, $2, $3, false, $4, now(), now(), $5)`, noInstance, child, p.User.ID, parent, p.Session.ID)
}

// RevokeFamily revokes all refresh tokens of a session.
func RevokeFamily(ctx context.Context, q db.Queryer, sessionID string) error {
	return exec(ctx, q, "revoke token family", `UPDATE auth.refresh_tokens SET revoked = true, updated_at = now()
		WHERE session_id = $1 AND revoked IS NOT TRUE`, sessionID)
}

// TouchSession notes that a session was refreshed, and by whom.
func TouchSession(ctx context.Context, q db.Queryer, id, userAgent, ip string) error {
	return exec(ctx, q, "touch session", `UPDATE auth.sessions SET refreshed_at = now() AT TIME ZONE 'utc', user_agent = nullif($2, ''),
		ip = nullif($3, '')::inet, updated_at = now() WHERE id = $1`, id, userAgent, ip)
}

// DeleteRefreshToken removes a token, of a time before there were sessions.
func DeleteRefreshToken(ctx context.Context, q db.Queryer, refreshToken string) error {
	return exec(ctx, q, "delete refresh token", `DELETE FROM auth.refresh_tokens WHERE token = $1`, refreshToken)
}
