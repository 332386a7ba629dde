package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/saml"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/egress"
	"github.com/madbase/madbase/platform/httpx"
)

// adminSSOList answers GET /admin/sso/providers, whole or by ?resource_id or ?resource_id_prefix.
func (m *Module) adminSSOList(c echo.Context, _ admin) error {
	all, err := store.ListSSOProviders(c.Request().Context(), projectOf(c).DB.Auth, c.QueryParam("resource_id"), c.QueryParam("resource_id_prefix"))
	if err != nil {
		return databaseError("Database error listing SSO Identity Providers", err)
	}
	return httpx.JSON(c, http.StatusOK, map[string]any{"items": all})
}

// ssoProviderRequest is a new provider, or what is to change of one: absent members stay.
type ssoProviderRequest struct {
	Type             string       `json:"type"`
	MetadataURL      string       `json:"metadata_url"`
	MetadataXML      string       `json:"metadata_xml"`
	Domains          []string     `json:"domains"`
	AttributeMapping saml.Mapping `json:"attribute_mapping"`
	// NameIDFormat does not stay when it is absent, as in GoTrue.
	NameIDFormat string  `json:"name_id_format"`
	ResourceID   *string `json:"resource_id"`
	Disabled     *bool   `json:"disabled"`
}

// check refuses what no provider can be; update is set for changes.
func (r *ssoProviderRequest) check(update bool) error {
	switch {
	case !update && r.Type != "saml":
		return invalid("Only 'saml' supported for SSO provider type")
	case r.MetadataURL != "" && r.MetadataXML != "":
		return invalid("Only one of metadata_xml or metadata_url needs to be set")
	case !update && r.MetadataURL == "" && r.MetadataXML == "":
		return invalid("Either metadata_xml or metadata_url must be set")
	}
	if u, err := url.ParseRequestURI(r.MetadataURL); r.MetadataURL != "" && (err != nil || u.Host == "") {
		return invalid("metadata_url is not a valid URL")
	} else if r.MetadataURL != "" && u.Scheme != "https" {
		return invalid("metadata_url is not a HTTPS URL")
	}
	if formats := saml.NameIDFormats(); r.NameIDFormat != "" && !slices.Contains(formats, r.NameIDFormat) {
		return invalid("name_id_format must be unspecified or one of " + strings.Join(formats, ", "))
	}
	for i, domain := range r.Domains {
		if domain == "" || len(domain) > maxDomain {
			return invalid(fmt.Sprintf("domains[%d] is not a domain", i))
		}
	}
	slices.SortFunc(r.Domains, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	r.Domains = slices.CompactFunc(r.Domains, strings.EqualFold)
	return nil
}

// maxDomain is the greatest length of a domain's name in bytes (RFC 1035).
const maxDomain = 253

// samlMetadata is the provider's metadata that the request has or says where to fetch;
// the parsed one is nil when it says neither.
func (m *Module) samlMetadata(ctx context.Context, r ssoProviderRequest) (text string, idp *saml.IdentityProvider, err error) {
	text = r.MetadataXML
	if r.MetadataURL != "" {
		if text, err = m.fetchMetadata(ctx, r.MetadataURL); err != nil {
			return "", nil, err
		}
	}
	if text == "" {
		return "", nil, nil
	}
	idp, err = saml.ParseMetadata([]byte(text))
	if err != nil {
		return "", nil, invalid(err.Error()).Because(err)
	}
	return text, idp, nil
}

// fetchMetadata says no more of a failure than whoever named the address needs.
func (m *Module) fetchMetadata(ctx context.Context, address string) (string, error) {
	text, err := egress.Get(ctx, m.deps.Outside, address, "application/samlmetadata+xml, application/xml;charset=UTF-8", saml.MaxMetadata)
	if status, ok := errors.AsType[egress.StatusError](err); ok {
		return "", badRequest(codeSAMLMetadataFetch, fmt.Sprintf("HTTP %d error fetching SAML Metadata from URL '%s'", int(status), address)).Because(err)
	}
	why := "it could not be reached"
	switch {
	case err == nil:
		return string(text), nil
	case errors.Is(err, egress.ErrPrivate):
		why = "it is not a public address"
	case errors.Is(err, egress.ErrTooLarge):
		why = "the answer is too long"
	}
	return "", badRequest(codeSAMLMetadataFetch, fmt.Sprintf("Error fetching SAML Metadata from URL '%s': %s", address, why)).Because(err)
}

// adminSSOCreate answers POST /admin/sso/providers.
func (m *Module) adminSSOCreate(c echo.Context, _ admin) error {
	var req ssoProviderRequest
	if err := readBody(c, &req); err != nil {
		return err
	}
	if err := req.check(false); err != nil {
		return err
	}
	ctx, q := c.Request().Context(), projectOf(c).DB.Auth
	text, idp, err := m.samlMetadata(ctx, req)
	if err != nil {
		return err
	}
	if _, err := store.SSOProviderByEntity(ctx, q, idp.EntityID()); err == nil {
		return idpExists(idp.EntityID())
	} else if !errors.Is(err, store.ErrNotFound) {
		return databaseError("Database error finding SSO Identity Provider", err)
	}
	provider := &store.SSOProvider{ID: uuid.NewString(), Disabled: req.Disabled}
	provider.SAML.EntityID, provider.SAML.MetadataXML = idp.EntityID(), text
	if err := m.applySSO(ctx, q, provider, req); err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, q, func(tx pgx.Tx) error {
		if err := store.InsertSSOProvider(ctx, tx, provider); err != nil {
			return err
		}
		provider, err = store.SSOProviderByID(ctx, tx, provider.ID)
		return err
	})
	if err != nil {
		return ssoConflict(err, "Creating SSO provider failed, likely due to a conflict. Try again?", provider)
	}
	return httpx.JSON(c, http.StatusCreated, provider)
}

func idpExists(entityID string) error {
	return unprocessable(codeSAMLIdPExists, fmt.Sprintf("SAML Identity Provider with this EntityID (%s) already exists", entityID))
}

// ssoConflict gives what another provider already has its public face.
func ssoConflict(err error, message string, p *store.SSOProvider) error {
	switch {
	case store.Violates(err, "saml_providers_entity_id_key"):
		return idpExists(p.SAML.EntityID)
	case store.Violates(err, "sso_domains_domain_idx"), store.Violates(err, "sso_providers_resource_id_idx"):
		return unprocessable(codeConflict, message).Because(err)
	}
	return databaseError(message, err)
}

// applySSO sets what the request says of a provider, beside its metadata.
func (m *Module) applySSO(ctx context.Context, q db.Queryer, p *store.SSOProvider, req ssoProviderRequest) error {
	for _, domain := range req.Domains {
		other, err := store.SSOProviderByDomain(ctx, q, domain)
		switch {
		case err == nil && other.ID != p.ID:
			message := "SSO Domain '%s' is already assigned to an SSO identity provider (%s)"
			if !p.CreatedAt.IsZero() {
				message = "SSO domain '%s' already assigned to another provider (%s)"
			}
			return badRequest(codeSSODomainExists, fmt.Sprintf(message, domain, other.ID))
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return databaseError("Database error finding SSO Identity Provider", err)
		}
	}
	if req.Domains != nil {
		p.Domains = []store.SSODomain{}
		for _, domain := range req.Domains {
			p.Domains = append(p.Domains, store.SSODomain{Domain: domain})
		}
	}
	if req.MetadataURL != "" {
		p.SAML.MetadataURL = &req.MetadataURL
	}
	p.SAML.NameIDFormat = nil
	if req.NameIDFormat != "" {
		p.SAML.NameIDFormat = &req.NameIDFormat
	}
	if req.Disabled != nil {
		p.Disabled = req.Disabled
	}
	if req.ResourceID != nil {
		p.ResourceID = req.ResourceID
		if *req.ResourceID == "" {
			p.ResourceID = nil
		}
	}
	if p.SAML.AttributeMapping != nil && req.AttributeMapping.Keys == nil {
		return nil
	}
	var err error
	if p.SAML.AttributeMapping, err = json.Marshal(req.AttributeMapping); err != nil {
		return fmt.Errorf("auth: sso: attribute mapping: %w", err)
	}
	return nil
}

// withProvider makes a route one of a provider, which the path names by id or, as
// resource_<id>, by the administrator's own name for it.
func (m *Module) withProvider(h func(echo.Context, *store.SSOProvider) error) echo.HandlerFunc {
	return m.asAdmin(func(c echo.Context, _ admin) error {
		ctx, q, name := c.Request().Context(), projectOf(c).DB.Auth, c.Param("idp_id")
		find := store.SSOProviderByID
		if resource, ok := strings.CutPrefix(name, "resource_"); ok {
			name, find = resource, store.SSOProviderByResourceID
		}
		provider, err := find(ctx, q, name)
		if errors.Is(err, store.ErrNotFound) {
			return apierr.New(http.StatusNotFound, codeSSOProviderNotFound, "SSO Identity Provider not found")
		}
		if err != nil {
			return databaseError("Database error finding SSO Identity Provider", err)
		}
		return h(c, provider)
	})
}

// adminSSOGet answers GET /admin/sso/providers/{id}.
func (m *Module) adminSSOGet(c echo.Context, provider *store.SSOProvider) error {
	return httpx.JSON(c, http.StatusOK, provider)
}

// adminSSOUpdate answers PUT /admin/sso/providers/{id}. The metadata may change,
// but not to that of another provider.
func (m *Module) adminSSOUpdate(c echo.Context, provider *store.SSOProvider) error {
	var req ssoProviderRequest
	if err := readBody(c, &req); err != nil {
		return err
	}
	if err := req.check(true); err != nil {
		return err
	}
	ctx, q := c.Request().Context(), projectOf(c).DB.Auth
	text, idp, err := m.samlMetadata(ctx, req)
	if err != nil {
		return err
	}
	if idp != nil && idp.EntityID() != provider.SAML.EntityID {
		return badRequest(codeSAMLEntityMismatch, fmt.Sprintf(
			"SAML Metadata can be updated only if the EntityID matches for the provider; expected '%s' but got '%s'", provider.SAML.EntityID, idp.EntityID()))
	}
	if idp != nil {
		provider.SAML.MetadataXML, provider.SAML.FetchedAt = text, m.now()
	}
	if err := m.applySSO(ctx, q, provider, req); err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, q, func(tx pgx.Tx) error {
		if err := store.UpdateSSOProvider(ctx, tx, provider); err != nil {
			return err
		}
		provider, err = store.SSOProviderByID(ctx, tx, provider.ID)
		return err
	})
	if err != nil {
		return ssoConflict(err, "Updating SSO provider failed, likely due to a conflict. Try again?", provider)
	}
	return httpx.JSON(c, http.StatusOK, provider)
}

// adminSSODelete answers DELETE /admin/sso/providers/{id}. The people stay, but
// cannot sign in.
func (m *Module) adminSSODelete(c echo.Context, provider *store.SSOProvider) error {
	if err := store.DeleteSSOProvider(c.Request().Context(), projectOf(c).DB.Auth, provider.ID); err != nil {
		return databaseError("Database error deleting SSO Identity Provider", err)
	}
	return httpx.JSON(c, http.StatusOK, provider)
}
