package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// OAuthConsent is what a user lets an app do: a row of auth.oauth_consents with
// its app. Its JSON is the API's grant object.
type OAuthConsent struct {
	Client    OAuthClientFace `json:"client"`
	Scopes    []string        `json:"scopes"`
	GrantedAt time.Time       `json:"granted_at"`
}

// OAuthClientFace is what a user is shown of an app.
type OAuthClientFace struct {
	ID      string `json:"id"`
	Name    string `json:"name,omitempty"`
	URI     string `json:"uri,omitempty"`
	LogoURI string `json:"logo_uri,omitempty"`
}

// Face is what a user is shown of the app.
func (c *OAuthClient) Face() OAuthClientFace {
	return OAuthClientFace{ID: c.ID, Name: c.Name, URI: c.URI, LogoURI: c.LogoURI}
}

// maxConsents bounds a user's list of grants.
const maxConsents = 1000

// UpsertOAuthConsent notes that the user grants the app the scopes, in the place
// of what was granted or revoked before.
func UpsertOAuthConsent(ctx context.Context, q db.Queryer, userID, clientID, scopes string) error {
	return exec(ctx, q, "upsert OAuth consent", `INSERT INTO auth.oauth_consents (id, user_id, client_id, scopes, granted_at)
		VALUES (gen_random_uuid(), $1, $2, $3, now())
		ON CONFLICT (user_id, client_id) DO UPDATE SET scopes = excluded.scopes, granted_at = now(), revoked_at = NULL`, userID, clientID, scopes)
}

// OAuthConsentScopes are the scopes that the user grants the app; none when nothing is granted.
func OAuthConsentScopes(ctx context.Context, q db.Queryer, userID, clientID string) ([]string, error) {
	var scopes string
	err := q.QueryRow(ctx, `SELECT scopes FROM auth.oauth_consents WHERE user_id = $1 AND client_id = $2 AND revoked_at IS NULL`, userID, clientID).Scan(&scopes)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("store: find OAuth consent: %w", err)
	}
	return strings.Fields(scopes), nil
}

// ListOAuthConsents returns what the user grants to apps that are there, newest first.
func ListOAuthConsents(ctx context.Context, q db.Queryer, userID string) ([]OAuthConsent, error) {
	rows, err := q.Query(ctx, `SELECT c.id, coalesce(c.client_name, ''), coalesce(c.client_uri, ''), coalesce(c.logo_uri, ''), o.scopes, o.granted_at
		FROM auth.oauth_consents o JOIN auth.oauth_clients c ON c.id = o.client_id
		WHERE o.user_id = $1 AND o.revoked_at IS NULL AND c.deleted_at IS NULL ORDER BY o.granted_at DESC LIMIT $2`, userID, maxConsents)
	if err != nil {
		return nil, fmt.Errorf("store: list OAuth consents: %w", err)
	}
	consents, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (o OAuthConsent, err error) {
		var scopes string
		err = row.Scan(&o.Client.ID, &o.Client.Name, &o.Client.URI, &o.Client.LogoURI, &scopes, &o.GrantedAt)
		o.Scopes, o.GrantedAt = strings.Fields(scopes), o.GrantedAt.UTC()
		return o, err
	})
	if err != nil {
		return nil, fmt.Errorf("store: list OAuth consents: %w", err)
	}
	return consents, nil
}

// RevokeOAuthConsent takes back what the user grants the app, and ends the app's
// sessions of the user and the codes that it has not exchanged yet. ErrNotFound
// says that nothing was granted.
func RevokeOAuthConsent(ctx context.Context, q db.Queryer, userID, clientID string) error {
	tag, err := q.Exec(ctx, `WITH o AS (
			UPDATE auth.oauth_consents SET revoked_at = now() WHERE user_id = $1 AND client_id = $2 AND revoked_at IS NULL RETURNING id
		), a AS (
			UPDATE auth.oauth_authorizations SET status = 'expired' FROM o WHERE user_id = $1 AND client_id = $2 AND status IN ('pending', 'approved')
		), s AS (
			DELETE FROM auth.sessions USING o WHERE user_id = $1 AND oauth_client_id = $2
		)
		SELECT FROM o`, userID, clientID)
	if err != nil {
		return fmt.Errorf("store: revoke OAuth consent: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrNotFound
	}
	return nil
}
