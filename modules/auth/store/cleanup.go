package store

import (
	"context"
	"fmt"
	"time"

	"github.com/madbase/madbase/platform/db"
)

// Cleanup says what is old, beyond what is so by itself.
type Cleanup struct {
	// AnonymousAge is when anonymous users go; Timebox and Inactivity are when
	// sessions do, a day after them. Zero keeps them.
	AnonymousAge, Timebox, Inactivity time.Duration
}

// stale are the statements of a clean-up. Each takes few rows, and none that
// another transaction holds. $1 to $3 are Cleanup's times, NULL for none.
var stale = []string{
	`DELETE FROM auth.refresh_tokens WHERE id IN (SELECT id FROM auth.refresh_tokens
		WHERE revoked AND updated_at < now() - interval '24 hours' LIMIT 100 FOR UPDATE SKIP LOCKED)`,
	`DELETE FROM auth.sessions WHERE id IN (SELECT id FROM auth.sessions WHERE not_after < now() - interval '72 hours' LIMIT 10 FOR UPDATE SKIP LOCKED)`,
	`DELETE FROM auth.saml_relay_states WHERE id IN (SELECT id FROM auth.saml_relay_states
		WHERE created_at < now() - interval '24 hours' LIMIT 100 FOR UPDATE SKIP LOCKED)`,
	`DELETE FROM auth.flow_state WHERE id IN (SELECT id FROM auth.flow_state WHERE created_at < now() - interval '24 hours' LIMIT 100 FOR UPDATE SKIP LOCKED)`,
	`DELETE FROM auth.oauth_client_states WHERE id IN (SELECT id FROM auth.oauth_client_states
		WHERE created_at < now() - interval '24 hours' LIMIT 100 FOR UPDATE SKIP LOCKED)`,
	`DELETE FROM auth.oauth_authorizations WHERE id IN (SELECT id FROM auth.oauth_authorizations
		WHERE expires_at < now() - interval '24 hours' LIMIT 100 FOR UPDATE SKIP LOCKED)`,
	`DELETE FROM auth.mfa_challenges WHERE id IN (SELECT id FROM auth.mfa_challenges
		WHERE created_at < now() - interval '24 hours' LIMIT 100 FOR UPDATE SKIP LOCKED)`,
	`DELETE FROM auth.mfa_factors WHERE id IN (SELECT id FROM auth.mfa_factors
		WHERE created_at < now() - interval '24 hours' AND status = 'unverified' LIMIT 100 FOR UPDATE SKIP LOCKED)`,
	`DELETE FROM auth.webauthn_challenges WHERE id IN (SELECT id FROM auth.webauthn_challenges WHERE expires_at < now() LIMIT 100 FOR UPDATE SKIP LOCKED)`,
}

// staleBy are those that one of Cleanup's times asks for.
var staleBy = []struct {
	age func(Cleanup) time.Duration
	sql string
}{
	{func(c Cleanup) time.Duration { return c.AnonymousAge }, `DELETE FROM auth.users WHERE id IN (SELECT id FROM auth.users
		WHERE created_at < now() - $1::interval AND is_anonymous LIMIT 100 FOR UPDATE SKIP LOCKED)`},
	{func(c Cleanup) time.Duration { return c.Timebox }, `DELETE FROM auth.sessions WHERE id IN (SELECT id FROM auth.sessions
		WHERE created_at < now() - $1::interval - interval '24 hours' LIMIT 100 FOR UPDATE SKIP LOCKED)`},
	{func(c Cleanup) time.Duration { return c.Inactivity }, `DELETE FROM auth.sessions WHERE id IN (SELECT id FROM auth.sessions
		WHERE coalesce(refreshed_at AT TIME ZONE 'utc', created_at) < now() - $1::interval - interval '24 hours' LIMIT 100 FOR UPDATE SKIP LOCKED)`},
}

// CleanUp deletes some of what is of no use any more, and returns how many rows.
func CleanUp(ctx context.Context, q db.Queryer, c Cleanup) (rows int64, err error) {
	run := func(sql string, args ...any) {
		if err != nil {
			return
		}
		tag, failed := q.Exec(ctx, sql, args...)
		if failed != nil {
			err = fmt.Errorf("store: clean up: %w", failed)
			return
		}
		rows += tag.RowsAffected()
	}
	for _, sql := range stale {
		run(sql)
	}
	for _, s := range staleBy {
		if age := s.age(c); age > 0 {
			run(s.sql, age)
		}
	}
	return rows, err
}
