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

// Kinds of OAuth clients (RFC 6749, section 2.1).
const (
	OAuthPublic       = "public"
	OAuthConfidential = "confidential"
)

// OAuthClient is an app that signs its users in here: a row of auth.oauth_clients.
// Its JSON is the API's client object.
type OAuthClient struct {
	ID string `json:"client_id"`
	// Secret is there in the answer that tells it, and never again: the row has its hash.
	Secret        string    `json:"client_secret,omitempty"`
	Type          string    `json:"client_type"`
	RedirectURIs  []string  `json:"redirect_uris,omitempty"`
	AuthMethod    string    `json:"token_endpoint_auth_method,omitempty"`
	GrantTypes    []string  `json:"grant_types,omitempty"`
	ResponseTypes []string  `json:"response_types,omitempty"`
	Name          string    `json:"client_name,omitempty"`
	URI           string    `json:"client_uri,omitempty"`
	LogoURI       string    `json:"logo_uri,omitempty"`
	Registration  string    `json:"registration_type,omitempty"`
	CreatedAt     time.Time `json:"created_at"`
	UpdatedAt     time.Time `json:"updated_at"`

	SecretHash string `json:"-"`
}

// Lists are stored as GoTrue stores them: one text, parted by commas.
const oauthClientColumns = `c.id, coalesce(c.client_secret_hash, ''), c.client_type, c.redirect_uris, c.token_endpoint_auth_method, c.grant_types,
	coalesce(c.client_name, ''), coalesce(c.client_uri, ''), coalesce(c.logo_uri, ''), c.registration_type, c.created_at, c.updated_at`

func scanOAuthClient(row pgx.Row) (*OAuthClient, error) {
	c := &OAuthClient{ResponseTypes: []string{"code"}}
	var uris, grants string
	err := row.Scan(&c.ID, &c.SecretHash, &c.Type, &uris, &c.AuthMethod, &grants,
		&c.Name, &c.URI, &c.LogoURI, &c.Registration, &c.CreatedAt, &c.UpdatedAt)
	if err != nil {
		return nil, err
	}
	c.RedirectURIs, c.GrantTypes = parts(uris), parts(grants)
	c.CreatedAt, c.UpdatedAt = c.CreatedAt.UTC(), c.UpdatedAt.UTC()
	return c, nil
}

// parts are the members of a list that is stored as one text.
func parts(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// InsertOAuthClient adds an app and returns it as it is stored.
func InsertOAuthClient(ctx context.Context, q db.Queryer, c *OAuthClient) (*OAuthClient, error) {
	made, err := scanOAuthClient(q.QueryRow(ctx, `INSERT INTO auth.oauth_clients AS c (id, client_secret_hash, client_type, redirect_uris,
			token_endpoint_auth_method, grant_types, client_name, client_uri, logo_uri, registration_type, created_at, updated_at)
		VALUES ($1, nullif($2, ''), $3, $4, $5, $6, nullif($7, ''), nullif($8, ''), nullif($9, ''), $10, now(), now()) RETURNING `+oauthClientColumns,
		c.ID, c.SecretHash, c.Type, strings.Join(c.RedirectURIs, ","), c.AuthMethod, strings.Join(c.GrantTypes, ","),
		c.Name, c.URI, c.LogoURI, c.Registration))
	if err != nil {
		return nil, fmt.Errorf("store: insert OAuth client: %w", err)
	}
	return made, nil
}

// OAuthClientByID returns an app that is not deleted, or ErrNotFound.
func OAuthClientByID(ctx context.Context, q db.Queryer, id string) (*OAuthClient, error) {
	return findOAuthClient(ctx, q, `SELECT `+oauthClientColumns+` FROM auth.oauth_clients c WHERE c.id = $1 AND c.deleted_at IS NULL`, id)
}

// LockOAuthClient is OAuthClientByID that keeps the row from others until the transaction ends.
func LockOAuthClient(ctx context.Context, q db.Queryer, id string) (*OAuthClient, error) {
	return findOAuthClient(ctx, q, `SELECT `+oauthClientColumns+` FROM auth.oauth_clients c WHERE c.id = $1 AND c.deleted_at IS NULL FOR UPDATE`, id)
}

func findOAuthClient(ctx context.Context, q db.Queryer, sql, id string) (*OAuthClient, error) {
	c, err := scanOAuthClient(q.QueryRow(ctx, sql, id))
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("store: find OAuth client: %w", err)
	}
	return c, nil
}

// UpdateOAuthClient writes what may change of an app and returns it as it is stored.
func UpdateOAuthClient(ctx context.Context, q db.Queryer, c *OAuthClient) (*OAuthClient, error) {
	updated, err := scanOAuthClient(q.QueryRow(ctx, `UPDATE auth.oauth_clients AS c SET client_secret_hash = nullif($2, ''), redirect_uris = $3,
			token_endpoint_auth_method = $4, grant_types = $5, client_name = nullif($6, ''), client_uri = nullif($7, ''), logo_uri = nullif($8, ''),
			updated_at = now()
		WHERE c.id = $1 RETURNING `+oauthClientColumns,
		c.ID, c.SecretHash, strings.Join(c.RedirectURIs, ","), c.AuthMethod, strings.Join(c.GrantTypes, ","), c.Name, c.URI, c.LogoURI))
	if err != nil {
		return nil, fmt.Errorf("store: update OAuth client: %w", err)
	}
	return updated, nil
}

// DeleteOAuthClient marks an app as deleted and ends its users' sessions and what
// they were about to grant. The row stays, for what refers to it.
func DeleteOAuthClient(ctx context.Context, q db.Queryer, id string) error {
	return exec(ctx, q, "delete OAuth client", `WITH s AS (DELETE FROM auth.sessions WHERE oauth_client_id = $1),
		a AS (DELETE FROM auth.oauth_authorizations WHERE client_id = $1)
		UPDATE auth.oauth_clients SET deleted_at = now(), updated_at = now() WHERE id = $1`, id)
}

// ListOAuthClients returns a page of the apps, newest first, and how many there are.
func ListOAuthClients(ctx context.Context, q db.Queryer, limit, offset int) (clients []*OAuthClient, total int, err error) {
	if err := q.QueryRow(ctx, `SELECT count(*) FROM auth.oauth_clients WHERE deleted_at IS NULL`).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("store: count OAuth clients: %w", err)
	}
	rows, err := q.Query(ctx, `SELECT `+oauthClientColumns+` FROM auth.oauth_clients c WHERE c.deleted_at IS NULL
		ORDER BY c.created_at DESC, c.id LIMIT $1 OFFSET $2`, limit, offset)
	if err != nil {
		return nil, 0, fmt.Errorf("store: list OAuth clients: %w", err)
	}
	clients, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*OAuthClient, error) { return scanOAuthClient(row) })
	if err != nil {
		return nil, 0, fmt.Errorf("store: list OAuth clients: %w", err)
	}
	return clients, total, nil
}
