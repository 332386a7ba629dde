package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/provider"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/project"
)

type idTokenRequest struct {
	IDToken      string `json:"id_token"`
	AccessToken  string `json:"access_token"`
	Nonce        string `json:"nonce"`
	Provider     string `json:"provider"`
	ClientID     string `json:"client_id"`
	Issuer       string `json:"issuer"`
	LinkIdentity bool   `json:"link_identity"`
}

// trusted is whose ID tokens are taken, and for which apps.
type trusted struct {
	name, issuer, discovery string
	clients                 []string
	skipNonce               bool
	emailOptional           bool
	services                *provider.Services
}

// grantIDToken signs in by an ID token that the app has from a service itself, or
// adds the identity in it to the caller's account.
func (m *Module) grantIDToken(c echo.Context) error {
	var req idTokenRequest
	if err := readBody(c, &req); err != nil {
		return err
	}
	if err := req.check(); err != nil {
		return err
	}
	r, ctx := c.Request(), c.Request().Context()
	linker := ""
	if req.LinkIdentity {
		who, err := m.linker(c)
		if err != nil {
			return err
		}
		linker = who.user.ID
	}
	from, err := m.trust(ctx, req)
	if err != nil {
		return err
	}
	token, err := from.services.Verify(ctx, from.issuer, from.discovery, req.IDToken, req.AccessToken)
	if errors.Is(err, provider.ErrIDToken) {
		return idTokenError(badRequestName, "Bad ID token").Because(err)
	}
	if err != nil {
		return apierr.New(http.StatusInternalServerError, codeUnexpected, "Error reaching the ID token's issuer").Because(err)
	}
	if err := from.accept(token, req.Nonce); err != nil {
		return err
	}
	who := token.Identity
	who.Provider = from.name
	who.Settle()
	a := arrival{who: who, emailOptional: from.emailOptional, redirectTo: m.redirectTo(r)}
	if linker == "" {
		if err := m.beforeAccount(c, who); err != nil {
			return err
		}
	}
	var in *issued
	var got account
	err = m.transact(ctx, func(tx pgx.Tx) (err error) {
		if got, err = m.admit(r, tx, &store.FlowState{LinkingTargetID: linker}, a); err != nil || got.refused != nil {
			return err
		}
		in, err = m.startSession(ctx, tx, got.user, entry{method: methodOAuth}, m.client(r))
		return err
	})
	if err != nil {
		return databaseError("Database error saving new user", err)
	}
	if err := m.afterAccount(c, got); err != nil {
		return err
	}
	return m.respond(c, in)
}

// badRequestName is GoTrue's name of most faults of an ID token, in OAuth's form of errors.
const badRequestName = "invalid request"

func idTokenError(name, description string) *apierr.Error { return oauthError(name, description) }

func (req idTokenRequest) check() error {
	switch {
	case req.IDToken == "":
		return idTokenError(badRequestName, "id_token required")
	case req.Provider == "" && (req.ClientID == "" || req.Issuer == ""):
		return idTokenError(badRequestName, "provider or client_id and issuer required")
	}
	return nil
}

// linker is the caller, to whose account the identity is added.
func (m *Module) linker(c echo.Context) (signedIn, error) {
	if c.Request().Header.Get(echo.HeaderAuthorization) == "" {
		return signedIn{}, idTokenError(badRequestName, "Linking requires a valid user access token in Authorization")
	}
	caller, err := verify(c)
	if err != nil {
		return signedIn{}, err
	}
	who, err := m.load(c, caller)
	if err != nil {
		return signedIn{}, err
	}
	return who, who.inPerson()
}

// trust decides who vouches for an ID token, by the request's provider or issuer.
func (m *Module) trust(ctx context.Context, req idTokenRequest) (trusted, error) {
	if strings.HasPrefix(req.Provider, customPrefix) {
		return m.trustCustom(ctx, req.Provider)
	}
	external := m.cfg.External
	keycloak := ""
	if external.Keycloak.Enabled || req.Provider == "keycloak" {
		keycloak = strings.TrimSuffix(external.Keycloak.URL, "/")
	}
	at, err := provider.FindDirect(req.Provider, req.Issuer, req.IDToken, keycloak, external.Azure.URL)
	switch {
	case errors.Is(err, provider.ErrUnknownIssuer):
		if req.Issuer == "" || req.ClientID == "" || !slices.Contains(external.AllowedIssuers, req.Issuer) {
			return trusted{}, invalid(fmt.Sprintf("Custom OIDC provider %q not allowed", req.Provider))
		}
		return trusted{name: req.Issuer, issuer: req.Issuer, clients: []string{req.ClientID}, services: m.services}, nil
	case err != nil:
		return trusted{}, invalid(directFault(at.Name, err)).Because(err)
	}
	cfg := external.services()[at.Name]
	if !cfg.Enabled {
		return trusted{}, badRequest(codeProviderDisabled, fmt.Sprintf("Provider (issuer %q) is not enabled", at.Issuer))
	}
	t := trusted{
		name: at.Name, issuer: at.Issuer, clients: slices.Clone(cfg.ClientID), services: m.services, emailOptional: cfg.EmailOptional,
		skipNonce: cfg.SkipNonceCheck || at.Name == "facebook", // Facebook's are not bound to the nonce's hash
	}
	if at.Name == "apple" {
		t.clients = append(t.clients, external.IOSBundleID)
	}
	return t, nil
}

// directFault is what is told of a token whose issuer is not the service's.
func directFault(name string, err error) string {
	title := strings.ToUpper(name[:1]) + name[1:]
	switch {
	case errors.Is(err, provider.ErrForeignIssuer):
		return fmt.Sprintf("Detected ID token issuer is not an %s ID token issuer", title)
	case errors.Is(err, provider.ErrOtherIssuer):
		return "Provided issuer does not match ID token issuer"
	}
	return fmt.Sprintf("Unable to detect issuer in ID token for %s provider", title)
}

// trustCustom is trust for a service that an administrator has described.
func (m *Module) trustCustom(ctx context.Context, name string) (trusted, error) {
	if !m.cfg.External.CustomEnabled {
		return trusted{}, invalid("Custom OAuth providers are disabled")
	}
	p, err := store.CustomProviderByName(ctx, project.From(ctx).DB.Auth, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return trusted{}, invalid(fmt.Sprintf("Custom provider %q not found", name))
	case err != nil:
		return trusted{}, err
	case !p.Enabled:
		return trusted{}, badRequest(codeProviderDisabled, fmt.Sprintf("Custom provider %q is disabled", name))
	case p.Type != store.CustomOIDC || p.Issuer == nil:
		return trusted{}, invalid(fmt.Sprintf("Provider %q is not an OIDC provider", name))
	}
	return trusted{
		name: name, issuer: *p.Issuer, discovery: p.Discovery(), clients: append([]string{p.ClientID}, p.Clients...),
		skipNonce: p.SkipNonceCheck, emailOptional: p.EmailOptional, services: m.custom,
	}, nil
}

// accept refuses a token for another app, and one whose nonce the caller does not
// know: that of a token is the hash of the caller's.
func (t trusted) accept(token *provider.IDToken, nonce string) error {
	if token.Identity.Claims.Subject == "" {
		return idTokenError(badRequestName, "Missing sub claim in id_token")
	}
	if !token.For(t.clients...) {
		return idTokenError(badRequestName, fmt.Sprintf("Unacceptable audience in id_token: %v", token.Audience))
	}
	if t.skipNonce {
		return nil
	}
	if (token.Nonce != "") != (nonce != "") {
		return idTokenError(badRequestName, "Passed nonce and nonce in id_token should either both exist or not.")
	}
	sum := sha256.Sum256([]byte(nonce))
	if token.Nonce != "" && hex.EncodeToString(sum[:]) != token.Nonce {
		return idTokenError("invalid nonce", "Nonces mismatch")
	}
	return nil
}
