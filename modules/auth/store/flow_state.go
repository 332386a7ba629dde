package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// FlowState is a sign-in under way: at a provider, or one that ends in a code for
// whoever began it (PKCE). Texts that are empty are NULL in the row.
type FlowState struct {
	ID string
	// UserID is known from the start, or once the provider has answered.
	UserID string
	// AuthCode is what the app exchanges for a session; with the challenge it is
	// empty in a flow without PKCE. CodeChallengeMethod is s256 or plain.
	AuthCode, CodeChallenge, CodeChallengeMethod string
	// ProviderType says where the sign-in happens (github, magiclink, email), and
	// AuthenticationMethod how, as the claim amr names it.
	ProviderType, AuthenticationMethod        string
	ProviderAccessToken, ProviderRefreshToken string
	InviteToken                               string
	// Referrer is where the flow leads in the end.
	Referrer string
	// OAuthClientStateID names a row of auth.oauth_client_states.
	OAuthClientStateID string
	// LinkingTargetID is the user to whom the identity is to be added.
	LinkingTargetID  string
	EmailOptional    bool
	CreatedAt        time.Time
	AuthCodeIssuedAt *time.Time
}

const flowStateColumns = `id::text, coalesce(user_id::text, ''), coalesce(auth_code, ''), coalesce(code_challenge, ''),
	coalesce(code_challenge_method::text, ''), provider_type, authentication_method, coalesce(provider_access_token, ''),
	coalesce(provider_refresh_token, ''), coalesce(invite_token, ''), coalesce(referrer, ''), coalesce(oauth_client_state_id::text, ''),
	coalesce(linking_target_id::text, ''), email_optional, coalesce(created_at, to_timestamp(0)), auth_code_issued_at`

func (f *FlowState) into() []any {
	return []any{
		&f.ID, &f.UserID, &f.AuthCode, &f.CodeChallenge, &f.CodeChallengeMethod, &f.ProviderType, &f.AuthenticationMethod,
		&f.ProviderAccessToken, &f.ProviderRefreshToken, &f.InviteToken, &f.Referrer, &f.OAuthClientStateID, &f.LinkingTargetID,
		&f.EmailOptional, &f.CreatedAt, &f.AuthCodeIssuedAt,
	}
}

// InsertFlowState adds a flow; the database sets its time. Strangers begin flows and
// leave them: it removes a few of those that are older than memory.
func InsertFlowState(ctx context.Context, q db.Queryer, f *FlowState, memory time.Duration) error {
	return exec(ctx, q, "insert flow state", `WITH old AS (
			DELETE FROM auth.flow_state WHERE id IN (
				SELECT id FROM auth.flow_state WHERE created_at < now() - $15::interval ORDER BY created_at LIMIT 10 FOR UPDATE SKIP LOCKED)
		)
		INSERT INTO auth.flow_state (id, user_id, auth_code, code_challenge, code_challenge_method, provider_type,
			authentication_method, provider_access_token, provider_refresh_token, invite_token, referrer, oauth_client_state_id,
			linking_target_id, email_optional, created_at, updated_at)
		VALUES ($1, nullif($2, '')::uuid, nullif($3, ''), nullif($4, ''), nullif($5, '')::auth.code_challenge_method, $6, $7, $8, $9, nullif($10, ''),
			nullif($11, ''), nullif($12, '')::uuid, nullif($13, '')::uuid, $14, now(), now())`,
		f.ID, f.UserID, f.AuthCode, f.CodeChallenge, f.CodeChallengeMethod, f.ProviderType, f.AuthenticationMethod, f.ProviderAccessToken,
		f.ProviderRefreshToken, f.InviteToken, f.Referrer, f.OAuthClientStateID, f.LinkingTargetID, f.EmailOptional, memory)
}

// FlowStateByID returns the flow of an id, which must be a UUID, or ErrNotFound. In
// a transaction the row is kept from others until its end: of two answers to one
// flow the second waits.
func FlowStateByID(ctx context.Context, q db.Queryer, id string) (*FlowState, error) {
	return findFlowState(ctx, q, `SELECT `+flowStateColumns+` FROM auth.flow_state WHERE id = $1 FOR UPDATE`, id)
}

// FlowStateByCode is FlowStateByID by the code that the app exchanges.
func FlowStateByCode(ctx context.Context, q db.Queryer, code string) (*FlowState, error) {
	return findFlowState(ctx, q, `SELECT `+flowStateColumns+` FROM auth.flow_state WHERE auth_code = $1 FOR UPDATE`, code)
}

// FlowStateOfUser returns the last flow that the user began by the method, or ErrNotFound.
func FlowStateOfUser(ctx context.Context, q db.Queryer, userID, method string) (*FlowState, error) {
	return findFlowState(ctx, q, `SELECT `+flowStateColumns+` FROM auth.flow_state
		WHERE user_id = $1 AND authentication_method = $2 ORDER BY created_at DESC LIMIT 1 FOR UPDATE`, userID, method)
}

func findFlowState(ctx context.Context, q db.Queryer, sql string, args ...any) (*FlowState, error) {
	f := &FlowState{}
	err := q.QueryRow(ctx, sql, args...).Scan(f.into()...)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("store: find flow state: %w", err)
	}
	return f, nil
}

// IssueCode notes that the flow's code was handed out now, for its user, with
// what the provider gave.
func IssueCode(ctx context.Context, q db.Queryer, f *FlowState) error {
	return exec(ctx, q, "issue code", `UPDATE auth.flow_state SET user_id = nullif($2, '')::uuid, provider_access_token = $3,
		provider_refresh_token = $4, auth_code_issued_at = now(), updated_at = now() WHERE id = $1`,
		f.ID, f.UserID, f.ProviderAccessToken, f.ProviderRefreshToken)
}

// DeleteFlowState ends a flow.
func DeleteFlowState(ctx context.Context, q db.Queryer, id string) error {
	return exec(ctx, q, "delete flow state", `DELETE FROM auth.flow_state WHERE id = $1`, id)
}
