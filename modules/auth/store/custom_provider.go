package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/madbase/madbase/platform/db"
)

// The types of custom providers.
const (
	CustomOAuth2 = "oauth2"
	CustomOIDC   = "oidc"
)

// CustomProvider is a row of auth.custom_oauth_providers: a service that an
// administrator has described. Its JSON is the API's object, without the secret.
type CustomProvider struct {
	ID                string            `json:"id"`
	Type              string            `json:"provider_type"`
	Identifier        string            `json:"identifier"`
	Name              string            `json:"name"`
	ClientID          string            `json:"client_id"`
	ClientSecret      string            `json:"-"`
	Clients           []string          `json:"acceptable_client_ids"`
	Scopes            []string          `json:"scopes"`
	PKCE              bool              `json:"pkce_enabled"`
	Mapping           map[string]any    `json:"attribute_mapping"`
	Kept              []string          `json:"custom_claims_allowlist"`
	Params            map[string]string `json:"authorization_params"`
	Enabled           bool              `json:"enabled"`
	EmailOptional     bool              `json:"email_optional"`
	Issuer            *string           `json:"issuer,omitempty"`
	DiscoveryURL      *string           `json:"discovery_url,omitempty"`
	SkipNonceCheck    bool              `json:"skip_nonce_check"`
	CachedDiscovery   json.RawMessage   `json:"discovery_document,omitempty"`
	DiscoveryCachedAt *time.Time        `json:"-"`
	AuthorizationURL  *string           `json:"authorization_url,omitempty"`
	TokenURL          *string           `json:"token_url,omitempty"`
	UserinfoURL       *string           `json:"userinfo_url,omitempty"`
	JWKSURI           *string           `json:"jwks_uri,omitempty"`
	CreatedAt         time.Time         `json:"created_at"`
	UpdatedAt         time.Time         `json:"updated_at"`
}

// Discovery is where an OpenID service describes itself.
func (p *CustomProvider) Discovery() string {
	switch {
	case p.DiscoveryURL != nil && *p.DiscoveryURL != "":
		return *p.DiscoveryURL
	case p.Issuer != nil:
		return strings.TrimRight(*p.Issuer, "/") + "/.well-known/openid-configuration"
	}
	return ""
}

const customColumns = `id::text, provider_type, identifier, name, client_id, client_secret, acceptable_client_ids, scopes, pkce_enabled,
	attribute_mapping, custom_claims_allowlist, authorization_params, enabled, email_optional, issuer, discovery_url, skip_nonce_check,
	cached_discovery, discovery_cached_at, authorization_url, token_url, userinfo_url, jwks_uri, created_at, updated_at`

func (p *CustomProvider) into() []any {
	return []any{
		&p.ID, &p.Type, &p.Identifier, &p.Name, &p.ClientID, &p.ClientSecret, &p.Clients, &p.Scopes, &p.PKCE,
		&p.Mapping, &p.Kept, &p.Params, &p.Enabled, &p.EmailOptional, &p.Issuer, &p.DiscoveryURL, &p.SkipNonceCheck,
		&p.CachedDiscovery, &p.DiscoveryCachedAt, &p.AuthorizationURL, &p.TokenURL, &p.UserinfoURL, &p.JWKSURI, &p.CreatedAt, &p.UpdatedAt,
	}
}

func scanCustom(r pgx.CollectableRow) (*CustomProvider, error) {
	p := &CustomProvider{}
	if err := r.Scan(p.into()...); err != nil {
		return nil, err
	}
	p.CreatedAt, p.UpdatedAt = p.CreatedAt.UTC(), p.UpdatedAt.UTC()
	return p, nil
}

// CustomProviders returns those of a type, or all when it is empty, newest first.
func CustomProviders(ctx context.Context, q db.Queryer, kind string) ([]*CustomProvider, error) {
	rows, err := q.Query(ctx, `SELECT `+customColumns+` FROM auth.custom_oauth_providers
		WHERE $1 = '' OR provider_type = $1 ORDER BY created_at DESC, id`, kind)
	if err != nil {
		return nil, fmt.Errorf("store: custom providers: %w", err)
	}
	all, err := pgx.CollectRows(rows, scanCustom)
	if err != nil {
		return nil, fmt.Errorf("store: custom providers: %w", err)
	}
	return all, nil
}

// CustomProviderByName returns one by its identifier, "custom:acme", or ErrNotFound.
func CustomProviderByName(ctx context.Context, q db.Queryer, identifier string) (*CustomProvider, error) {
	rows, err := q.Query(ctx, `SELECT `+customColumns+` FROM auth.custom_oauth_providers WHERE identifier = $1`, identifier)
	if err != nil {
		return nil, fmt.Errorf("store: custom provider: %w", err)
	}
	p, err := pgx.CollectExactlyOneRow(rows, scanCustom)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("store: custom provider: %w", err)
	}
	return p, nil
}

// PutCustomProvider adds a provider, or replaces the one of the same id, and sets
// its times. Violates(err, "custom_oauth_providers_identifier_key") when the name
// is taken. most is how many there may be in all, 0 for no limit; ErrFull says
// that there are so many.
func PutCustomProvider(ctx context.Context, q db.Queryer, p *CustomProvider, most int) error {
	err := q.QueryRow(ctx, `INSERT INTO auth.custom_oauth_providers (id, provider_type, identifier, name, client_id, client_secret,
			acceptable_client_ids, scopes, pkce_enabled, attribute_mapping, custom_claims_allowlist, authorization_params, enabled, email_optional,
			issuer, discovery_url, skip_nonce_check, cached_discovery, discovery_cached_at, authorization_url, token_url, userinfo_url, jwks_uri,
			created_at, updated_at)
		SELECT $1::uuid, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, CASE WHEN $18::jsonb IS NOT NULL THEN now() END,
			$19, $20, $21, $22, now(), now()
		WHERE $23 = 0 OR (SELECT count(*) FROM auth.custom_oauth_providers) < $23 OR EXISTS (SELECT FROM auth.custom_oauth_providers WHERE id = $1::uuid)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, client_id = excluded.client_id, client_secret = excluded.client_secret,
			acceptable_client_ids = excluded.acceptable_client_ids, scopes = excluded.scopes, pkce_enabled = excluded.pkce_enabled,
			attribute_mapping = excluded.attribute_mapping, custom_claims_allowlist = excluded.custom_claims_allowlist,
			authorization_params = excluded.authorization_params, enabled = excluded.enabled, email_optional = excluded.email_optional,
			issuer = excluded.issuer, discovery_url = excluded.discovery_url, skip_nonce_check = excluded.skip_nonce_check,
			cached_discovery = excluded.cached_discovery, discovery_cached_at = excluded.discovery_cached_at,
			authorization_url = excluded.authorization_url, token_url = excluded.token_url, userinfo_url = excluded.userinfo_url,
			jwks_uri = excluded.jwks_uri, updated_at = now()
		RETURNING created_at, updated_at`,
		p.ID, p.Type, p.Identifier, p.Name, p.ClientID, p.ClientSecret, p.Clients, p.Scopes, p.PKCE, p.Mapping, p.Kept, p.Params, p.Enabled,
		p.EmailOptional, p.Issuer, p.DiscoveryURL, p.SkipNonceCheck, p.CachedDiscovery, p.AuthorizationURL, p.TokenURL, p.UserinfoURL, p.JWKSURI,
		most).Scan(&p.CreatedAt, &p.UpdatedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrFull
	}
	if err != nil {
		return fmt.Errorf("store: put custom provider: %w", err)
	}
	p.CreatedAt, p.UpdatedAt = p.CreatedAt.UTC(), p.UpdatedAt.UTC()
	return nil
}

// ErrFull says that there are as many of a kind as there may be.
var ErrFull = errors.New("store: full")

// DeleteCustomProvider removes one by its identifier, or says ErrNotFound.
func DeleteCustomProvider(ctx context.Context, q db.Queryer, identifier string) error {
	tag, err := q.Exec(ctx, `DELETE FROM auth.custom_oauth_providers WHERE identifier = $1`, identifier)
	if err != nil {
		return fmt.Errorf("store: delete custom provider: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrNotFound
	}
	return nil
}

// Refused is the name of the table's rule that a row breaks, empty when none does.
func Refused(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "23514" {
		return e.ConstraintName
	}
	return ""
}
