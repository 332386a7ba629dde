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

// SSOProvider is a company's identity provider with its domains. Its JSON is the API's.
type SSOProvider struct {
	ID         string       `json:"id"`
	ResourceID *string      `json:"resource_id,omitempty"`
	Disabled   *bool        `json:"disabled"`
	SAML       SAMLProvider `json:"saml"`
	Domains    []SSODomain  `json:"domains"`
	CreatedAt  time.Time    `json:"created_at"`
	UpdatedAt  time.Time    `json:"updated_at"`
}

// SAMLProvider is how a provider speaks SAML 2.0.
type SAMLProvider struct {
	EntityID    string `json:"entity_id"`
	MetadataXML string `json:"metadata_xml,omitempty"`
	// MetadataURL is where the metadata comes from; nil when it was given as it is.
	MetadataURL      *string         `json:"metadata_url,omitempty"`
	AttributeMapping json.RawMessage `json:"attribute_mapping"`
	NameIDFormat     *string         `json:"name_id_format,omitempty"`
	// FetchedAt is when the metadata was last set.
	FetchedAt time.Time `json:"-"`
}

// SSODomain is a mail domain whose people sign in with a provider.
type SSODomain struct {
	Domain string `json:"domain"`
}

// Enabled reports whether people may sign in with the provider.
func (p *SSOProvider) Enabled() bool { return p.Disabled == nil || !*p.Disabled }

const ssoColumns = `p.id::text, p.resource_id, p.disabled, s.entity_id, s.metadata_xml, s.metadata_url, coalesce(s.attribute_mapping, '{}'), s.name_id_format,
	coalesce(s.updated_at, s.created_at, to_timestamp(0)),
	coalesce((SELECT json_agg(json_build_object('domain', d.domain) ORDER BY d.created_at, d.domain) FROM auth.sso_domains d WHERE d.sso_provider_id = p.id), '[]'),
	coalesce(p.created_at, to_timestamp(0)), coalesce(p.updated_at, p.created_at, to_timestamp(0))`

const ssoTables = ` FROM auth.sso_providers p JOIN auth.saml_providers s ON s.sso_provider_id = p.id `

func scanSSO(row pgx.CollectableRow) (*SSOProvider, error) {
	p := &SSOProvider{}
	err := row.Scan(&p.ID, &p.ResourceID, &p.Disabled, &p.SAML.EntityID, &p.SAML.MetadataXML, &p.SAML.MetadataURL, &p.SAML.AttributeMapping,
		&p.SAML.NameIDFormat, &p.SAML.FetchedAt, &p.Domains, &p.CreatedAt, &p.UpdatedAt)
	p.CreatedAt, p.UpdatedAt = p.CreatedAt.UTC(), p.UpdatedAt.UTC()
	return p, err
}

func findSSO(ctx context.Context, q db.Queryer, where string, args ...any) (*SSOProvider, error) {
	rows, err := q.Query(ctx, `SELECT `+ssoColumns+ssoTables+where, args...)
	if err != nil {
		return nil, fmt.Errorf("store: find sso provider: %w", err)
	}
	p, err := pgx.CollectOneRow(rows, scanSSO)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("store: find sso provider: %w", err)
	}
	return p, nil
}

// SSOProviderByID returns a provider, or ErrNotFound.
func SSOProviderByID(ctx context.Context, q db.Queryer, id string) (*SSOProvider, error) {
	return findSSO(ctx, q, `WHERE p.id::text = lower($1)`, id)
}

// SSOProviderByResourceID returns the provider that an administrator named so, or ErrNotFound.
func SSOProviderByResourceID(ctx context.Context, q db.Queryer, id string) (*SSOProvider, error) {
	return findSSO(ctx, q, `WHERE p.resource_id = $1`, id)
}

// SSOProviderByDomain returns the provider of a mail domain, or ErrNotFound.
func SSOProviderByDomain(ctx context.Context, q db.Queryer, domain string) (*SSOProvider, error) {
	return findSSO(ctx, q, `WHERE p.id = (SELECT d.sso_provider_id FROM auth.sso_domains d WHERE lower(d.domain) = lower($1))`, domain)
}

// SSOProviderByEntity returns the provider that calls itself so, or ErrNotFound.
func SSOProviderByEntity(ctx context.Context, q db.Queryer, entityID string) (*SSOProvider, error) {
	return findSSO(ctx, q, `WHERE s.entity_id = $1`, entityID)
}

// ListSSOProviders returns the providers of a resource id, or whose resource id
// begins with a prefix, or all where both are empty; without their metadata.
func ListSSOProviders(ctx context.Context, q db.Queryer, resourceID, prefix string) ([]*SSOProvider, error) {
	rows, err := q.Query(ctx, `SELECT `+ssoColumns+ssoTables+`WHERE ($1 = '' OR p.resource_id = $1) AND ($1 <> '' OR $2 = '' OR starts_with(p.resource_id, $2))
		ORDER BY p.created_at, p.id`, resourceID, prefix)
	if err != nil {
		return nil, fmt.Errorf("store: list sso providers: %w", err)
	}
	all, err := pgx.CollectRows(rows, scanSSO)
	if err != nil {
		return nil, fmt.Errorf("store: list sso providers: %w", err)
	}
	for _, p := range all {
		p.SAML.MetadataXML = ""
	}
	return all, nil
}

// InsertSSOProvider adds a provider with its domains.
func InsertSSOProvider(ctx context.Context, q db.Queryer, p *SSOProvider) error {
	return exec(ctx, q, "insert sso provider", `WITH p AS (
			INSERT INTO auth.sso_providers (id, resource_id, disabled, created_at, updated_at) VALUES ($1, $2, $3, now(), now()) RETURNING id
		), d AS (
			INSERT INTO auth.sso_domains (id, sso_provider_id, domain, created_at, updated_at)
			SELECT gen_random_uuid(), p.id, d.domain, now(), now() FROM p, unnest($4::text[]) d (domain)
		)
		INSERT INTO auth.saml_providers (id, sso_provider_id, entity_id, metadata_xml, metadata_url, attribute_mapping, name_id_format, created_at, updated_at)
		SELECT gen_random_uuid(), p.id, $5, $6, $7, $8, $9, now(), now() FROM p`,
		p.ID, p.ResourceID, p.Disabled, domains(p), p.SAML.EntityID, p.SAML.MetadataXML, p.SAML.MetadataURL, p.SAML.AttributeMapping, p.SAML.NameIDFormat)
}

// UpdateSSOProvider writes all of a provider, and its domains. Call it in a transaction.
func UpdateSSOProvider(ctx context.Context, q db.Queryer, p *SSOProvider) error {
	err := exec(ctx, q, "update sso domains", `DELETE FROM auth.sso_domains WHERE sso_provider_id = $1 AND domain <> ALL ($2::text[])`, p.ID, domains(p))
	if err != nil {
		return err
	}
	return exec(ctx, q, "update sso provider", `WITH p AS (
			UPDATE auth.sso_providers SET resource_id = $2, disabled = $3, updated_at = now() WHERE id = $1
		), new AS (
			INSERT INTO auth.sso_domains (id, sso_provider_id, domain, created_at, updated_at)
			SELECT gen_random_uuid(), $1, d.domain, now(), now() FROM unnest($4::text[]) d (domain)
			WHERE NOT EXISTS (SELECT FROM auth.sso_domains o WHERE o.sso_provider_id = $1 AND o.domain = d.domain)
		)
		UPDATE auth.saml_providers SET metadata_xml = $5, metadata_url = $6, attribute_mapping = $7, name_id_format = $8, updated_at = $9 WHERE sso_provider_id = $1`,
		p.ID, p.ResourceID, p.Disabled, domains(p), p.SAML.MetadataXML, p.SAML.MetadataURL, p.SAML.AttributeMapping, p.SAML.NameIDFormat, p.SAML.FetchedAt)
}

func domains(p *SSOProvider) []string {
	names := make([]string, len(p.Domains))
	for i, d := range p.Domains {
		names[i] = d.Domain
	}
	return names
}

// RefreshSAMLMetadata replaces a provider's metadata by what was fetched now.
func RefreshSAMLMetadata(ctx context.Context, q db.Queryer, providerID, metadata string) error {
	return exec(ctx, q, "refresh metadata", `UPDATE auth.saml_providers SET metadata_xml = $2, updated_at = now() WHERE sso_provider_id = $1`, providerID, metadata)
}

// DeleteSSOProvider removes a provider with its domains and sign-ins under way.
func DeleteSSOProvider(ctx context.Context, q db.Queryer, id string) error {
	return exec(ctx, q, "delete sso provider", `DELETE FROM auth.sso_providers WHERE id = $1`, id)
}

// RelayState is a sign-in that has gone to a provider and not come back.
type RelayState struct {
	ID, ProviderID string
	// RequestID is the SAML request's, to which the response must refer.
	RequestID  string
	RedirectTo string
	// FlowID is the flow's in auth.flow_state; empty for none.
	FlowID    string
	CreatedAt time.Time
}

// InsertRelayState adds a sign-in under way; the database sets its time.
func InsertRelayState(ctx context.Context, q db.Queryer, s *RelayState) error {
	return exec(ctx, q, "insert relay state", `INSERT INTO auth.saml_relay_states (id, sso_provider_id, request_id, redirect_to, flow_state_id, created_at, updated_at)
		VALUES ($1, $2, $3, $4, nullif($5, '')::uuid, now(), now())`, s.ID, s.ProviderID, s.RequestID, s.RedirectTo, s.FlowID)
}

// TakeRelayState removes a sign-in under way and returns it, or ErrNotFound: it
// comes back once.
func TakeRelayState(ctx context.Context, q db.Queryer, id string) (*RelayState, error) {
	s := &RelayState{ID: id}
	err := q.QueryRow(ctx, `DELETE FROM auth.saml_relay_states WHERE id::text = lower($1)
		RETURNING sso_provider_id::text, request_id, coalesce(redirect_to, ''), coalesce(flow_state_id::text, ''), coalesce(created_at, to_timestamp(0))`, id).
		Scan(&s.ProviderID, &s.RequestID, &s.RedirectTo, &s.FlowID, &s.CreatedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("store: take relay state: %w", err)
	}
	return s, nil
}

// RequestPending reports whether one of the requests is of a sign-in under way.
func RequestPending(ctx context.Context, q db.Queryer, requestIDs []string) (pending bool, err error) {
	if len(requestIDs) == 0 {
		return false, nil
	}
	err = q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM auth.saml_relay_states WHERE request_id = ANY ($1))`, requestIDs).Scan(&pending)
	if err != nil {
		return false, fmt.Errorf("store: find request: %w", err)
	}
	return pending, nil
}
