package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/provider"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/egress"
	"github.com/madbase/madbase/platform/httpx"
)

// customPrefix begins the names of services that administrators describe.
const customPrefix = "custom:"

// customRequest is what an administrator says of a service; what is not there stays
// as it is, or gets its default.
type customRequest struct {
	Type          string         `json:"provider_type"`
	Identifier    string         `json:"identifier"`
	Name          string         `json:"name"`
	ClientID      string         `json:"client_id"`
	ClientSecret  string         `json:"client_secret"`
	Clients       []string       `json:"acceptable_client_ids"`
	Scopes        []string       `json:"scopes"`
	PKCE          *bool          `json:"pkce_enabled"`
	Mapping       map[string]any `json:"attribute_mapping"`
	Kept          []string       `json:"custom_claims_allowlist"`
	Params        map[string]any `json:"authorization_params"`
	Enabled       *bool          `json:"enabled"`
	EmailOptional *bool          `json:"email_optional"`

	Issuer         string `json:"issuer"`
	DiscoveryURL   string `json:"discovery_url"`
	SkipNonceCheck *bool  `json:"skip_nonce_check"`

	AuthorizationURL string `json:"authorization_url"`
	TokenURL         string `json:"token_url"`
	UserinfoURL      string `json:"userinfo_url"`
	JWKSURI          string `json:"jwks_uri"`
}

// asCustomAdmin makes a route one for administrators where such services are on.
func (m *Module) asCustomAdmin(h func(echo.Context, admin) error) echo.HandlerFunc {
	return m.asAdmin(func(c echo.Context, a admin) error {
		if !m.cfg.External.CustomEnabled {
			return apierr.New(http.StatusNotFound, codeFeatureDisabled, "Custom OAuth providers are disabled")
		}
		return h(c, a)
	})
}

// customList answers GET /admin/custom-providers.
func (m *Module) customList(c echo.Context, _ admin) error {
	kind := c.QueryParam("type")
	if kind != "" && kind != store.CustomOAuth2 && kind != store.CustomOIDC {
		return invalid("type must be either 'oauth2' or 'oidc'")
	}
	all, err := store.CustomProviders(c.Request().Context(), projectOf(c).DB.Auth, kind)
	if err != nil {
		return databaseError("Error retrieving custom OAuth providers", err)
	}
	if all == nil {
		all = []*store.CustomProvider{}
	}
	return httpx.JSON(c, http.StatusOK, map[string]any{"providers": all})
}

// customGet answers GET /admin/custom-providers/{identifier}.
func (m *Module) customGet(c echo.Context, _ admin) error {
	p, err := customNamed(c.Request().Context(), projectOf(c).DB.Auth, c.Param("identifier"))
	if err != nil {
		return err
	}
	return httpx.JSON(c, http.StatusOK, p)
}

func customNamed(ctx context.Context, q db.Queryer, identifier string) (*store.CustomProvider, error) {
	if !strings.HasPrefix(identifier, customPrefix) {
		return nil, notCustom(identifier)
	}
	p, err := store.CustomProviderByName(ctx, q, identifier)
	if errors.Is(err, store.ErrNotFound) {
		return nil, noCustom()
	}
	if err != nil {
		return nil, databaseError("Error retrieving custom OAuth provider", err)
	}
	return p, nil
}

func notCustom(identifier string) error {
	return invalid(fmt.Sprintf("identifier must start with 'custom:' prefix, e.g. 'custom:%s'", identifier))
}

func noCustom() error {
	return apierr.New(http.StatusNotFound, codeCustomNotFound, "Custom OAuth provider not found")
}

// customCreate answers POST /admin/custom-providers. An OpenID service must
// answer at once: a mistake is found here and not when somebody signs in.
func (m *Module) customCreate(c echo.Context, a admin) error {
	var req customRequest
	if err := readBody(c, &req); err != nil {
		return err
	}
	if err := req.checkNew(); err != nil {
		return err
	}
	ctx, pool := c.Request().Context(), projectOf(c).DB.Auth
	p := &store.CustomProvider{
		ID: uuid.NewString(), Type: req.Type, Identifier: req.Identifier, PKCE: true, Enabled: true,
		Clients: []string{}, Scopes: []string{}, Kept: []string{}, Mapping: map[string]any{}, Params: map[string]string{},
	}
	if _, err := store.CustomProviderByName(ctx, pool, p.Identifier); !errors.Is(err, store.ErrNotFound) {
		if err != nil {
			return databaseError("Error checking for existing provider", err)
		}
		return customExists()
	}
	if err := m.describe(ctx, p, req); err != nil {
		return err
	}
	err := store.PutCustomProvider(ctx, pool, p, m.cfg.External.CustomMax)
	switch {
	case errors.Is(err, store.ErrFull):
		return badRequest(codeOverCustomQuota, "Maximum number of custom OAuth/OIDC providers reached")
	case store.Violates(err, "custom_oauth_providers_identifier_key"):
		return customExists()
	case err != nil:
		return customDatabaseError("Error creating custom OAuth provider", err)
	}
	if err := m.auditAdmin(ctx, pool, a, actionCustomCreated, map[string]any{"identifier": p.Identifier}); err != nil {
		return fmt.Errorf("auth: custom provider: %w", err)
	}
	return httpx.JSON(c, http.StatusCreated, p)
}

func customExists() error {
	return badRequest(codeConflict, "A custom OAuth provider with this identifier already exists")
}

// customDatabaseError tells of a name or an address that the table does not take.
func customDatabaseError(doing string, err error) error {
	if name := store.Refused(err); name != "" {
		return invalid("The provider breaks the rule " + name).Because(err)
	}
	return databaseError(doing, err)
}

// customUpdate answers PUT /admin/custom-providers/{identifier}.
func (m *Module) customUpdate(c echo.Context, a admin) error {
	ctx, pool := c.Request().Context(), projectOf(c).DB.Auth
	if !strings.HasPrefix(c.Param("identifier"), customPrefix) {
		return notCustom(c.Param("identifier"))
	}
	var req customRequest
	if err := readBody(c, &req); err != nil {
		return err
	}
	if err := req.check(); err != nil {
		return err
	}
	p, err := customNamed(ctx, pool, c.Param("identifier"))
	if err != nil {
		return err
	}
	before := p.Issuer
	if err := m.describe(ctx, p, req); err != nil {
		return err
	}
	if err := store.PutCustomProvider(ctx, pool, p, 0); err != nil {
		return customDatabaseError("Error updating custom OAuth provider", err)
	}
	for _, issuer := range []*string{before, p.Issuer} {
		if issuer != nil {
			m.custom.Forget(*issuer)
		}
	}
	if err := m.auditAdmin(ctx, pool, a, actionCustomUpdated, map[string]any{"identifier": p.Identifier}); err != nil {
		return fmt.Errorf("auth: custom provider: %w", err)
	}
	return httpx.JSON(c, http.StatusOK, p)
}

// customDelete answers DELETE /admin/custom-providers/{identifier}.
func (m *Module) customDelete(c echo.Context, a admin) error {
	ctx, pool := c.Request().Context(), projectOf(c).DB.Auth
	p, err := customNamed(ctx, pool, c.Param("identifier"))
	if err != nil {
		return err
	}
	err = store.DeleteCustomProvider(ctx, pool, p.Identifier)
	if errors.Is(err, store.ErrNotFound) {
		return noCustom()
	}
	if err != nil {
		return databaseError("Error deleting custom OAuth provider", err)
	}
	if p.Issuer != nil {
		m.custom.Forget(*p.Issuer)
	}
	if err := m.auditAdmin(ctx, pool, a, actionCustomDeleted, map[string]any{"identifier": p.Identifier}); err != nil {
		return fmt.Errorf("auth: custom provider: %w", err)
	}
	return c.NoContent(http.StatusNoContent)
}

// checkNew refuses a new service of which something is not said.
func (req *customRequest) checkNew() error {
	if req.Type != store.CustomOAuth2 && req.Type != store.CustomOIDC {
		return invalid("provider_type must be either 'oauth2' or 'oidc'")
	}
	if req.Identifier == "" {
		return invalid("identifier is required")
	}
	if !strings.HasPrefix(req.Identifier, customPrefix) {
		return notCustom(req.Identifier)
	}
	required := []struct{ name, value string }{{"name", req.Name}, {"client_id", req.ClientID}, {"client_secret", req.ClientSecret}}
	for _, f := range required {
		if f.value == "" {
			return invalid(f.name + " is required")
		}
	}
	urls, title := []struct{ name, value string }{{"issuer", req.Issuer}}, "OIDC"
	if req.Type == store.CustomOAuth2 {
		urls, title = []struct{ name, value string }{
			{"authorization_url", req.AuthorizationURL}, {"token_url", req.TokenURL}, {"userinfo_url", req.UserinfoURL},
		}, "OAuth2"
	}
	for _, f := range urls {
		if f.value == "" {
			return invalid(f.name + " is required for " + title + " providers")
		}
	}
	return req.check()
}

// check refuses what no service may be: parameters that belong to the protocol,
// and claims that say what a person may do here.
func (req *customRequest) check() error {
	for _, name := range slices.Sorted(maps.Keys(req.Params)) {
		if slices.Contains(provider.Reserved, strings.ToLower(name)) {
			return invalid("Cannot override reserved OAuth parameter: " + name)
		}
		if _, ok := req.Params[name].(string); !ok {
			return invalid(fmt.Sprintf("Authorization parameter %q must be a string", name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(req.Mapping)) {
		if slices.Contains(provider.Protected, name) {
			return invalid("Cannot map to protected system field: " + name)
		}
	}
	for _, name := range req.Kept {
		if strings.TrimSpace(name) == "" {
			return invalid("custom_claims_allowlist entries must be non-empty strings")
		}
	}
	return nil
}

// describe writes to p what req says, having checked its addresses.
func (m *Module) describe(ctx context.Context, p *store.CustomProvider, req customRequest) error {
	setText(&p.Name, req.Name)
	setText(&p.ClientID, req.ClientID)
	if req.ClientSecret != "" {
		sealed, err := m.box.Seal(p.ID, req.ClientSecret)
		if err != nil {
			return fmt.Errorf("auth: custom provider: %w", err)
		}
		p.ClientSecret = sealed
	}
	setTo(&p.PKCE, req.PKCE)
	setTo(&p.Enabled, req.Enabled)
	setTo(&p.EmailOptional, req.EmailOptional)
	if req.Clients != nil {
		p.Clients = req.Clients
	}
	if req.Scopes != nil {
		p.Scopes = req.Scopes
	}
	if req.Kept != nil {
		p.Kept = req.Kept
	}
	if req.Mapping != nil {
		p.Mapping = req.Mapping
	}
	if req.Params != nil {
		p.Params = map[string]string{}
		for name, value := range req.Params {
			p.Params[name], _ = value.(string)
		}
	}
	if p.Type == store.CustomOAuth2 {
		return m.setAddresses(ctx, address{&p.AuthorizationURL, req.AuthorizationURL}, address{&p.TokenURL, req.TokenURL},
			address{&p.UserinfoURL, req.UserinfoURL}, address{&p.JWKSURI, req.JWKSURI})
	}
	setTo(&p.SkipNonceCheck, req.SkipNonceCheck)
	if !slices.Contains(p.Scopes, "openid") {
		p.Scopes = append([]string{"openid"}, p.Scopes...)
	}
	if err := m.setAddresses(ctx, address{&p.Issuer, req.Issuer}, address{&p.DiscoveryURL, req.DiscoveryURL}); err != nil {
		return err
	}
	if req.Issuer == "" && req.DiscoveryURL == "" {
		return nil
	}
	return m.discover(ctx, p)
}

func setText(to *string, value string) {
	if value != "" {
		*to = value
	}
}

func setTo(to, value *bool) {
	if value != nil {
		*to = *value
	}
}

// address is a field of a service's with the value that it is to get, empty for none.
type address struct {
	to    **string
	value string
}

// setAddresses sets those that have a value, unless they lead where they must not.
func (m *Module) setAddresses(ctx context.Context, all ...address) error {
	for _, a := range all {
		if a.value == "" {
			continue
		}
		if err := m.checkAddress(ctx, a.value); err != nil {
			return err
		}
	}
	for _, a := range all {
		if a.value != "" {
			*a.to = &a.value
		}
	}
	return nil
}

// checkAddress refuses an address that is not https or leads into private networks.
func (m *Module) checkAddress(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, outsideTimeout)
	defer cancel()
	err := egress.Check(ctx, m.deps.Resolver, text)
	if err == nil || m.cfg.PrivateNetworks && !errors.Is(err, egress.ErrScheme) && !errors.Is(err, egress.ErrURL) && !errors.Is(err, egress.ErrHost) {
		return nil
	}
	message := []rune(err.Error())
	message[0] = unicode.ToUpper(message[0])
	return invalid(string(message)).Because(err)
}

// discover asks an OpenID service about itself and keeps the answer.
func (m *Module) discover(ctx context.Context, p *store.CustomProvider) error {
	d, err := m.custom.Discover(ctx, *p.Issuer, p.Discovery())
	if err != nil {
		return invalid(fmt.Sprintf("OIDC discovery from %q failed", p.Discovery())).Because(err)
	}
	var missing []string
	for _, f := range []struct{ name, value string }{
		{"authorization_endpoint", d.AuthorizationEndpoint}, {"token_endpoint", d.TokenEndpoint}, {"jwks_uri", d.JWKSURI},
	} {
		if f.value == "" {
			missing = append(missing, f.name)
		}
	}
	if len(missing) > 0 {
		return invalid("OIDC discovery document is missing required fields: " + strings.Join(missing, ", "))
	}
	d.SigningAlgorithms = nil // GoTrue keeps them not
	p.CachedDiscovery, err = json.Marshal(d)
	return err
}

// customService returns a service that an administrator has described.
func (m *Module) customService(ctx context.Context, q db.Queryer, name, scopes string) (provider.Provider, provider.Config, error) {
	if !m.cfg.External.CustomEnabled {
		return nil, provider.Config{}, provider.SetupError("custom OAuth providers are disabled")
	}
	p, err := store.CustomProviderByName(ctx, q, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, provider.Config{}, provider.SetupError("custom provider " + name + " not found")
	case err != nil:
		return nil, provider.Config{}, err
	case !p.Enabled:
		return nil, provider.Config{}, provider.SetupError("custom provider " + name + " is disabled")
	}
	secret, err := m.box.Open(p.ID, p.ClientSecret)
	if err != nil {
		return nil, provider.Config{}, fmt.Errorf("auth: custom provider: %w", err)
	}
	described := provider.Custom{
		Name: name, ClientID: p.ClientID, ClientSecret: secret, RedirectURI: m.callbackURL(ctx, m.cfg.External.CustomExternalURL),
		Clients: p.Clients, Scopes: p.Scopes, PKCE: p.PKCE, Params: p.Params, Mapping: p.Mapping, Kept: p.Kept,
	}
	if asked := strings.Fields(scopes); len(asked) > 0 {
		described.Scopes = asked
	}
	for to, from := range map[*string]*string{
		&described.AuthorizationURL: p.AuthorizationURL, &described.TokenURL: p.TokenURL, &described.UserinfoURL: p.UserinfoURL,
	} {
		if from != nil && p.Type == store.CustomOAuth2 {
			*to = *from
		}
	}
	if p.Type == store.CustomOIDC && p.Issuer != nil {
		described.Issuer, described.DiscoveryURL = *p.Issuer, p.Discovery()
	}
	at, err := m.custom.Custom(ctx, described)
	return at, provider.Config{EmailOptional: p.EmailOptional}, err
}
