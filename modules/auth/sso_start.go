package auth

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/saml"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
)

type ssoRequest struct {
	ProviderID       uuid.UUID `json:"provider_id"`
	Domain           string    `json:"domain"`
	RedirectTo       string    `json:"redirect_to"`
	SkipHTTPRedirect bool      `json:"skip_http_redirect"`
	pkce
}

// ssoStart answers POST /sso: it sends the browser to the identity provider that
// the request names by id or mail domain, or tells where that is.
func (m *Module) ssoStart(c echo.Context) error {
	r := c.Request()
	if err := m.allow(r, "sso", m.cfg.SAML.RateLimit, 5*time.Minute); err != nil {
		return err
	}
	var req ssoRequest
	if err := readBody(c, &req); err != nil {
		return err
	}
	provider, err := m.askedProvider(c, req)
	if err != nil {
		return err
	}
	if err := req.pkce.check(); err != nil {
		return err
	}
	idp, err := saml.ParseMetadata([]byte(provider.SAML.MetadataXML))
	if err != nil {
		return fmt.Errorf("auth: sso: metadata of %s: %w", provider.ID, err)
	}
	p, state := projectOf(c), store.RelayState{ID: uuid.NewString(), ProviderID: provider.ID, RedirectTo: req.RedirectTo}
	var format, address string
	if provider.SAML.NameIDFormat != nil {
		format = *provider.SAML.NameIDFormat
	}
	state.RequestID, address, err = m.samlService(p).Request(idp, format, state.ID)
	if errors.Is(err, saml.ErrNoRedirect) {
		return unprocessable(codeValidation, "The SAML identity provider has no endpoint for the HTTP-Redirect binding").Because(err)
	}
	if err != nil {
		return fmt.Errorf("auth: sso: %w", err)
	}
	err = pgx.BeginFunc(r.Context(), p.DB.Auth, func(tx pgx.Tx) error {
		flow, err := m.newFlow(r.Context(), tx, store.FlowState{ProviderType: methodSSO, AuthenticationMethod: methodSSO, Referrer: req.RedirectTo}, req.pkce)
		if err != nil {
			return err
		}
		state.FlowID = flow.ID
		return store.InsertRelayState(r.Context(), tx, &state)
	})
	if err != nil {
		return databaseError("Error creating flow state", err)
	}
	if req.SkipHTTPRedirect {
		return httpx.JSON(c, http.StatusOK, map[string]string{"url": address})
	}
	return c.Redirect(http.StatusSeeOther, address)
}

// askedProvider is the one that the request names.
func (m *Module) askedProvider(c echo.Context, req ssoRequest) (provider *store.SSOProvider, err error) {
	ctx, q, byID := c.Request().Context(), projectOf(c).DB.Auth, req.ProviderID != uuid.Nil
	missing := "No SSO provider assigned for this domain"
	switch {
	case byID && req.Domain != "":
		return nil, invalid("Only one of provider_id or domain supported")
	case byID:
		missing = "No such SSO provider"
		provider, err = store.SSOProviderByID(ctx, q, req.ProviderID.String())
	case req.Domain != "":
		provider, err = store.SSOProviderByDomain(ctx, q, req.Domain)
	default:
		return nil, invalid("A provider_id or domain needs to be provided")
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, apierr.New(http.StatusNotFound, codeSSOProviderNotFound, missing)
	case err != nil:
		return nil, databaseError("Unable to find SSO provider", err)
	case !provider.Enabled():
		return nil, apierr.New(http.StatusNotFound, codeSSOProviderDisabled, "SSO Provider is currently disabled")
	}
	return provider, nil
}
