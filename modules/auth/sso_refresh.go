package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/madbase/madbase/modules/auth/saml"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/ratelimit"
)

// metadataWarning is how long before its end the log tells of metadata that
// nobody but an administrator can renew.
const metadataWarning = 30 * 24 * time.Hour

// metadataRetry is how long an address is left alone that was asked for metadata.
const metadataRetry = 5 * time.Minute

// currentMetadata is the provider's metadata: that which is kept, or what its
// address has by now when it is stale. While that cannot be had the kept one goes on.
func (m *Module) currentMetadata(ctx context.Context, q db.Queryer, p *store.SSOProvider) (*saml.IdentityProvider, error) {
	kept, err := saml.ParseMetadata([]byte(p.SAML.MetadataXML))
	if err != nil {
		return nil, fmt.Errorf("auth: sso: metadata of %s: %w", p.ID, err)
	}
	log := m.deps.Log.With("sso_provider_id", p.ID, "entity_id", p.SAML.EntityID, "valid_until", kept.ValidUntil())
	if p.SAML.MetadataURL == nil || *p.SAML.MetadataURL == "" {
		if end := kept.ValidUntil(); !end.IsZero() && end.Sub(m.now()) < metadataWarning {
			log.WarnContext(ctx, "the identity provider's metadata ends soon: set its metadata_xml anew")
		}
		return kept, nil
	}
	if !kept.Stale(p.SAML.FetchedAt, m.now()) {
		return kept, nil
	}
	turn, err := m.sso.fetches.Allow(ctx, p.ID, ratelimit.Limit{Rate: 1, Period: metadataRetry})
	if err != nil || !turn.Allowed {
		return kept, err
	}
	fresh, err := m.refreshMetadata(ctx, q, p)
	if err != nil {
		log.WarnContext(ctx, "the identity provider's metadata could not be fetched anew", "error", err)
		return kept, nil
	}
	return fresh, nil
}

func (m *Module) refreshMetadata(ctx context.Context, q db.Queryer, p *store.SSOProvider) (*saml.IdentityProvider, error) {
	text, err := m.fetchMetadata(ctx, *p.SAML.MetadataURL)
	if err != nil {
		return nil, err
	}
	idp, err := saml.ParseMetadata([]byte(text))
	if err != nil {
		return nil, err
	}
	if idp.EntityID() != p.SAML.EntityID {
		return nil, errors.New("auth: sso: the metadata is of another provider")
	}
	return idp, store.RefreshSAMLMetadata(ctx, q, p.ID, text)
}
