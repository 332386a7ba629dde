package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// Challenge is a row of auth.mfa_challenges: one use of a second factor, asked for
// and answered from one address.
type Challenge struct {
	ID        string
	CreatedAt time.Time
	// Answered says that the challenge was met, which it can be once.
	Answered bool
	IP       string
	// Code is the hash of the code that was sent to a phone.
	Code string
	// Ceremony is what go-webauthn keeps of a WebAuthn challenge.
	Ceremony json.RawMessage
}

// NewChallenge is a challenge to be made; Code and Ceremony may be empty.
type NewChallenge struct {
	FactorID, IP, Code string
	Ceremony           []byte
}

// InsertChallenge adds a challenge of a factor.
func InsertChallenge(ctx context.Context, q db.Queryer, n NewChallenge) (*Challenge, error) {
	c := &Challenge{ID: uuid.NewString(), IP: n.IP, Code: n.Code, Ceremony: n.Ceremony}
	// A factor's time of its last challenge is unique over all factors, so it must be the clock's.
	err := q.QueryRow(ctx, `WITH f AS (
			UPDATE auth.mfa_factors SET last_challenged_at = clock_timestamp() WHERE id = $2
		)
		INSERT INTO auth.mfa_challenges (id, factor_id, created_at, ip_address, otp_code, web_authn_session_data)
		VALUES ($1, $2, now(), $3::inet, nullif($4, ''), $5) RETURNING created_at`,
		c.ID, n.FactorID, n.IP, n.Code, n.Ceremony).Scan(&c.CreatedAt)
	if err != nil {
		return nil, fmt.Errorf("store: insert challenge: %w", err)
	}
	return c, nil
}

// FindChallenge returns a challenge of the factor, or ErrNotFound.
func FindChallenge(ctx context.Context, q db.Queryer, factorID, id string) (*Challenge, error) {
	c := &Challenge{ID: id}
	err := q.QueryRow(ctx, `SELECT created_at, verified_at IS NOT NULL, host(ip_address), coalesce(otp_code, ''), web_authn_session_data
		FROM auth.mfa_challenges WHERE id = $1 AND factor_id = $2`, id, factorID).
		Scan(&c.CreatedAt, &c.Answered, &c.IP, &c.Code, &c.Ceremony)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("store: find challenge: %w", err)
	}
	return c, nil
}

// AnswerChallenge marks a challenge as met. It returns ErrNotFound when it is gone
// or was met before: of two answers at once one gets that. step is the time step
// of a TOTP code (RFC 6238), which is kept at the challenge so that no code of it
// or before can be used again; 0 for challenges of other kinds.
func AnswerChallenge(ctx context.Context, q db.Queryer, factorID, id string, step int64) error {
	tag, err := q.Exec(ctx, `UPDATE auth.mfa_challenges SET verified_at = now(), otp_code = coalesce(nullif($3::bigint, 0)::text, otp_code)
		WHERE id = $1 AND factor_id = $2 AND verified_at IS NULL`, id, factorID, step)
	if err != nil {
		return fmt.Errorf("store: answer challenge: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrNotFound
	}
	return nil
}

// LastStep returns the latest time step of which a factor's code was used within
// the last ten minutes, 0 when there is none. Lock the user before.
func LastStep(ctx context.Context, q db.Queryer, factorID string) (step int64, err error) {
	err = q.QueryRow(ctx, `SELECT coalesce(max(otp_code::bigint) FILTER (WHERE otp_code ~ '^[0-9]{1,15}$'), 0) FROM auth.mfa_challenges
		WHERE factor_id = $1 AND verified_at > now() - interval '10 minutes'`, factorID).Scan(&step)
	if err != nil {
		return 0, fmt.Errorf("store: last step: %w", err)
	}
	return step, nil
}

// DeleteChallenge removes a challenge, and reports whether it was there.
func DeleteChallenge(ctx context.Context, q db.Queryer, id string) (bool, error) {
	tag, err := q.Exec(ctx, `DELETE FROM auth.mfa_challenges WHERE id = $1`, id)
	if err != nil {
		return false, fmt.Errorf("store: delete challenge: %w", err)
	}
	return tag.RowsAffected() > 0, nil
}

// UndoChallenge removes a challenge that could not be put, and gives the factor f
// back the time of the one before it, which f was read with.
func UndoChallenge(ctx context.Context, q db.Queryer, f *Factor, id string) error {
	return exec(ctx, q, "undo challenge", `WITH c AS (DELETE FROM auth.mfa_challenges WHERE id = $1 AND factor_id = $2 RETURNING factor_id)
		UPDATE auth.mfa_factors f SET last_challenged_at = $3 FROM c WHERE f.id = c.factor_id`, id, f.ID, f.LastChallengedAt)
}
