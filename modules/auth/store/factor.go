package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/modules/auth/token"
	"github.com/madbase/madbase/platform/db"
)

// What a second factor may be: the labels of auth.factor_type.
const (
	FactorTOTP     = "totp"
	FactorPhone    = "phone"
	FactorWebAuthn = "webauthn"
)

// Factor is a row of auth.mfa_factors, a second way of proving who one is. Its
// JSON is the API's.
type Factor struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	// Status is unverified until the factor was used for the first time, then verified.
	Status           string     `json:"status"`
	FriendlyName     string     `json:"friendly_name,omitempty"`
	Type             string     `json:"factor_type"`
	Phone            string     `json:"phone"`
	LastChallengedAt *time.Time `json:"last_challenged_at"`
	AAGUID           string     `json:"web_authn_aaguid,omitempty"`
	// LastChallenge tells of a WebAuthn factor's last use, in GoTrue's form.
	LastChallenge json.RawMessage `json:"last_webauthn_challenge_data,omitempty"`
}

// Verified reports whether the factor was used once, and so counts.
func (f Factor) Verified() bool { return f.Status == "verified" }

func (f *Factor) utc() {
	f.CreatedAt, f.UpdatedAt = f.CreatedAt.UTC(), f.UpdatedAt.UTC()
	if f.LastChallengedAt != nil {
		*f.LastChallengedAt = f.LastChallengedAt.UTC()
	}
}

// factorJSON is a Factor of the row f, for json.Unmarshal.
const factorJSON = `json_strip_nulls(json_build_object('id', f.id, 'created_at', f.created_at, 'updated_at', f.updated_at, 'status', f.status,
	'friendly_name', f.friendly_name, 'factor_type', f.factor_type, 'phone', f.phone, 'last_challenged_at', f.last_challenged_at,
	'web_authn_aaguid', f.web_authn_aaguid, 'last_webauthn_challenge_data', f.last_webauthn_challenge_data))`

// NewFactor is a factor to be enrolled; what is empty is stored as NULL but the name.
type NewFactor struct {
	ID, UserID, Type, FriendlyName string
	// Secret is a TOTP factor's shared key in base32, which may be encrypted.
	Secret string
	// Phone is a phone factor's number.
	Phone string
}

// InsertFactor adds an unverified factor and returns it.
func InsertFactor(ctx context.Context, q db.Queryer, n NewFactor) (*Factor, error) {
	f, err := oneFactor(ctx, q, `INSERT INTO auth.mfa_factors AS f (id, user_id, friendly_name, factor_type, status, created_at, updated_at, secret, phone)
		VALUES ($1, $2, $3, $4, 'unverified', now(), now(), nullif($5, ''), nullif($6, '')) RETURNING `+factorJSON,
		n.ID, n.UserID, n.FriendlyName, n.Type, n.Secret, n.Phone)
	if err != nil {
		return nil, fmt.Errorf("store: insert factor: %w", err)
	}
	return f, nil
}

func oneFactor(ctx context.Context, q db.Queryer, sql string, args ...any) (*Factor, error) {
	f := &Factor{}
	if err := q.QueryRow(ctx, sql, args...).Scan(f); err != nil {
		return nil, err
	}
	f.utc()
	return f, nil
}

// FactorSecret returns a TOTP factor's shared key, empty when there is none.
func FactorSecret(ctx context.Context, q db.Queryer, factorID string) (secret string, err error) {
	err = q.QueryRow(ctx, `SELECT coalesce(secret, '') FROM auth.mfa_factors WHERE id = $1`, factorID).Scan(&secret)
	if err != nil {
		return "", fmt.Errorf("store: factor secret: %w", err)
	}
	return secret, nil
}

// UpdateFactor sets what is not empty and returns the factor.
func UpdateFactor(ctx context.Context, q db.Queryer, factorID, friendlyName, phone string) (*Factor, error) {
	f, err := oneFactor(ctx, q, `UPDATE auth.mfa_factors f SET friendly_name = coalesce(nullif($2, ''), f.friendly_name),
		phone = coalesce(nullif($3, ''), f.phone), updated_at = now() WHERE f.id = $1 RETURNING `+factorJSON, factorID, friendlyName, phone)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("store: update factor: %w", err)
	}
	return f, nil
}

// VerifyFactor marks a factor as one that counts.
func VerifyFactor(ctx context.Context, q db.Queryer, factorID string) error {
	return exec(ctx, q, "verify factor", `UPDATE auth.mfa_factors SET status = 'verified', updated_at = now() WHERE id = $1 AND status <> 'verified'`, factorID)
}

// DeleteFactor removes a factor with its challenges, and lowers the sessions that
// it had raised to AAL1: they lose every second factor, so that amr and aal agree.
func DeleteFactor(ctx context.Context, q db.Queryer, userID, factorID string) error {
	return exec(ctx, q, "delete factor", `WITH f AS (
			DELETE FROM auth.mfa_factors WHERE id = $2 AND user_id = $1
		), s AS (
			UPDATE auth.sessions SET aal = 'aal1', factor_id = NULL, updated_at = now() WHERE user_id = $1 AND factor_id = $2 RETURNING id
		)
		DELETE FROM auth.mfa_amr_claims m USING s WHERE m.session_id = s.id AND m.authentication_method = ANY ($3)`,
		userID, factorID, token.SecondFactors)
}

// DeleteUnverifiedFactors removes a user's factors of a type that were never used.
func DeleteUnverifiedFactors(ctx context.Context, q db.Queryer, userID, factorType string) error {
	return exec(ctx, q, "delete unverified factors", `DELETE FROM auth.mfa_factors WHERE user_id = $1 AND factor_type = $2::auth.factor_type
		AND status = 'unverified'`, userID, factorType)
}

// DeleteStaleFactors removes a user's factors that were enrolled longer than life
// ago and not even challenged since, and those of a phone number that were not verified.
func DeleteStaleFactors(ctx context.Context, q db.Queryer, userID, phone string, life time.Duration) error {
	return exec(ctx, q, "delete stale factors", `DELETE FROM auth.mfa_factors f WHERE f.user_id = $1 AND f.status = 'unverified' AND (
			f.phone = nullif($2, '') OR f.created_at + $3::interval < now() AND NOT EXISTS (SELECT FROM auth.mfa_challenges c WHERE c.factor_id = f.id))`,
		userID, phone, life)
}

// Factors returns a user's factors, oldest first.
func Factors(ctx context.Context, q db.Queryer, userID string) ([]Factor, error) {
	rows, err := q.Query(ctx, `SELECT `+factorJSON+` FROM auth.mfa_factors f WHERE f.user_id = $1 ORDER BY f.created_at`, userID)
	if err != nil {
		return nil, fmt.Errorf("store: factors: %w", err)
	}
	factors, err := pgx.CollectRows(rows, pgx.RowTo[Factor])
	if err != nil {
		return nil, fmt.Errorf("store: factors: %w", err)
	}
	for i := range factors {
		factors[i].utc()
	}
	return factors, nil
}

// Raise is what a session becomes when a second factor was proven.
type Raise struct {
	SessionID, UserID string
	// Method is the factor's name in the claim amr, FactorID the factor.
	Method, FactorID string
	// RefreshToken is the session's only one from then on.
	RefreshToken string
}

// RaiseSession gives a session AAL2 and a new refresh token, and ends the user's
// sessions of less. The session's earlier refresh tokens are deleted, not
// revoked, and so is the key of its counted ones: whoever holds one of before must
// not come by the raised session, not even within the reuse interval. It returns ErrNotFound when the session is gone.
func RaiseSession(ctx context.Context, q db.Queryer, r Raise) (*Session, error) {
	s := &Session{}
	err := q.QueryRow(ctx, `UPDATE auth.sessions AS s SET aal = 'aal2', factor_id = $3, updated_at = now(),
		refresh_token_hmac_key = NULL, refresh_token_counter = NULL WHERE s.id = $1 AND s.user_id = $2 RETURNING `+sessionColumns, r.SessionID, r.UserID, r.FactorID).Scan(s.into()...)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("store: raise session: %w", err)
	}
	err = exec(ctx, q, "swap refresh tokens", `DELETE FROM auth.refresh_tokens WHERE session_id = $1`, r.SessionID)
	if err == nil {
		err = exec(ctx, q, "add refresh token of raised session", `INSERT INTO auth.refresh_tokens
			(instance_id, token, user_id, revoked, created_at, updated_at, session_id) VALUES ($1, $2, $3, false, now(), now(), $4)`,
			noInstance, r.RefreshToken, r.UserID, r.SessionID)
	}
	if err == nil {
		err = exec(ctx, q, "end lower sessions", `DELETE FROM auth.sessions WHERE user_id = $1 AND id <> $2 AND coalesce(aal, 'aal1') < 'aal2'`, r.UserID, r.SessionID)
	}
	if err == nil {
		err = exec(ctx, q, "add method", `INSERT INTO auth.mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method)
			VALUES (gen_random_uuid(), $1, now(), now(), $2) ON CONFLICT (session_id, authentication_method) DO UPDATE SET updated_at = now()`,
			r.SessionID, r.Method)
	}
	if err == nil {
		err = q.QueryRow(ctx, `SELECT `+methodsColumn+` FROM auth.sessions s WHERE s.id = $1`, r.SessionID).Scan(&s.methods)
	}
	if err != nil {
		return nil, fmt.Errorf("store: raise session: %w", err)
	}
	return s, s.decode()
}

// FactorCredentials returns the credentials of a user's verified WebAuthn factors
// by the factors' ids, in the JSON of go-webauthn.
func FactorCredentials(ctx context.Context, q db.Queryer, userID string) (map[string]json.RawMessage, error) {
	rows, err := q.Query(ctx, `SELECT id::text, web_authn_credential FROM auth.mfa_factors
		WHERE user_id = $1 AND factor_type = 'webauthn' AND status = 'verified' AND web_authn_credential IS NOT NULL`, userID)
	if err != nil {
		return nil, fmt.Errorf("store: factor credentials: %w", err)
	}
	all, id, credential := map[string]json.RawMessage{}, "", json.RawMessage{}
	_, err = pgx.ForEachRow(rows, []any{&id, &credential}, func() error {
		all[id] = slices.Clone(credential)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store: factor credentials: %w", err)
	}
	return all, nil
}

// CredentialUse is a use of a WebAuthn factor's credential, which the first time makes it.
type CredentialUse struct {
	FactorID string
	Create   bool
	// Credential is the credential after the use, in the JSON of go-webauthn.
	Credential []byte
	// AAGUID is the authenticator's model, empty when it does not tell.
	AAGUID string
	// Last is what is shown of the use.
	Last []byte
}

// UseCredential stores a credential as it is after a use. It reports false, and
// stores nothing, when the factor has no credential to use, has one already that
// was to be made, or its count of signatures (WebAuthn, section 6.1.1) got past
// this use's in the meantime.
func UseCredential(ctx context.Context, q db.Queryer, u CredentialUse) (bool, error) {
	tag, err := q.Exec(ctx, `UPDATE auth.mfa_factors f SET web_authn_credential = $3, web_authn_aaguid = nullif($4, '')::uuid,
			last_webauthn_challenge_data = $5, updated_at = now()
		WHERE f.id = $1 AND CASE WHEN $2 THEN f.status = 'unverified' ELSE f.status = 'verified' AND (
			coalesce((f.web_authn_credential -> 'authenticator' ->> 'signCount')::bigint, 0) < coalesce(($3::jsonb -> 'authenticator' ->> 'signCount')::bigint, 0)
			OR coalesce((f.web_authn_credential -> 'authenticator' ->> 'signCount')::bigint, 0) = 0
				AND coalesce(($3::jsonb -> 'authenticator' ->> 'signCount')::bigint, 0) = 0) END`,
		u.FactorID, u.Create, u.Credential, u.AAGUID, u.Last)
	if err != nil {
		return false, fmt.Errorf("store: use credential: %w", err)
	}
	return tag.RowsAffected() > 0, nil
}
