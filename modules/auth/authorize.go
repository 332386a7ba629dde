package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/provider"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/project"
)

// authorize answers GET /authorize: the browser goes on to a service, to come back
// to /callback.
func (m *Module) authorize(c echo.Context) error {
	address, err := m.beginAtService(c, "")
	if err != nil {
		return err
	}
	return goTo(c, http.StatusFound, address)
}

// goTo sends the browser on, to an address that may have secrets in it.
func goTo(c echo.Context, status int, address string) error {
	h := c.Response().Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	http.Redirect(c.Response(), c.Request(), address, status)
	return nil
}

// beginAtService begins a sign-in at the service that the query names, or the
// linking of an identity there to the user target, and returns where the browser
// goes. The flow's id is the state that comes back.
func (m *Module) beginAtService(c echo.Context, target string) (string, error) {
	r, ctx, pool := c.Request(), c.Request().Context(), projectOf(c).DB.Auth
	if err := m.allow(r, "authorize", m.cfg.RateLimitTokenRefresh, 5*time.Minute); err != nil {
		return "", err
	}
	q := r.URL.Query()
	name := strings.ToLower(q.Get("provider"))
	at, cfg, err := m.service(ctx, name, q.Get("scopes"))
	if err != nil {
		return "", serviceError(codeValidation, err)
	}
	invite := q.Get("invite_token")
	if invite != "" {
		_, _, err := m.linked(ctx, pool, invite, store.ConfirmationToken)
		if errors.Is(err, store.ErrNotFound) {
			return "", apierr.New(http.StatusNotFound, codeUserNotFound, "User identified by token not found")
		}
		if err != nil {
			return "", fmt.Errorf("auth: authorize: %w", err)
		}
	}
	p := pkceOf(q)
	if err := p.check(); err != nil {
		return "", err
	}
	flow := store.FlowState{
		ID: uuid.NewString(), ProviderType: name, AuthenticationMethod: methodOAuth, InviteToken: invite, Referrer: m.redirectTo(r),
		LinkingTargetID: target, EmailOptional: cfg.EmailOptional,
	}
	address, kept, err := at.Start(ctx, provider.Authorization{State: flow.ID, Params: passedOn(q)})
	if err != nil {
		return "", apierr.New(http.StatusInternalServerError, codeUnexpected, "Error reaching the external provider").Because(err)
	}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if kept != "" {
			flow.OAuthClientStateID = uuid.NewString()
			if err := store.InsertClientState(ctx, tx, store.ClientState{ID: flow.OAuthClientStateID, Provider: name, Kept: kept}, m.flowMemory()); err != nil {
				return err
			}
		}
		_, err := m.newFlow(ctx, tx, flow, p)
		return err
	})
	if err != nil {
		return "", databaseError("Error creating flow state", err)
	}
	m.markBrowser(c, flow.ID, true)
	return address, nil
}

// browserCookie begins the names of cookies that say which sign-ins a browser has begun.
const browserCookie = "madbase-state-"

// markBrowser notes in the browser that it has begun a flow, or ended it, where the
// setting asks for it. A service may come back by a form, which is another site's
// request: such a cookie goes with it over https only.
func (m *Module) markBrowser(c echo.Context, state string, begun bool) {
	if !m.cfg.External.BindBrowser {
		return
	}
	callback, err := url.Parse(m.callbackURL(c.Request().Context(), ""))
	if err != nil {
		return
	}
	cookie := &http.Cookie{
		Name: browserCookie + state, Value: "1", Path: callback.Path, HttpOnly: true, Secure: callback.Scheme == "https", SameSite: http.SameSiteLaxMode,
		MaxAge: int(max(m.cfg.Flow.StateExpiry, minFlowExpiry) / time.Second),
	}
	if cookie.Secure {
		cookie.SameSite = http.SameSiteNoneMode
	}
	if !begun {
		cookie.Value, cookie.MaxAge = "", -1
	}
	c.SetCookie(cookie)
}

// begunHere reports whether the request's browser has begun the flow.
func (m *Module) begunHere(r *http.Request, state string) bool {
	if !m.cfg.External.BindBrowser {
		return true
	}
	_, err := r.Cookie(browserCookie + state)
	return err == nil
}

// ownParams are parameters of /authorize that are not for the service.
var ownParams = []string{"provider", "scopes", "invite_token", "skip_http_redirect"}

// passedOn are the parameters of /authorize that the service gets to see: all but
// ours and, in any case of letters, those that belong to the protocol.
func passedOn(q url.Values) url.Values {
	params := url.Values{}
	for name, values := range q {
		lower := strings.ToLower(name)
		if slices.Contains(ownParams, lower) || lower != "nonce" && slices.Contains(provider.Reserved, lower) {
			continue
		}
		if lower == "workos_provider" {
			name = "provider"
		}
		params[name] = values
	}
	return params
}

// serviceError tells that a service is not to be had. Only reasons that lie in the
// configuration are told.
func serviceError(code string, err error) error {
	reason := "the provider cannot be reached"
	if setup, ok := errors.AsType[provider.SetupError](err); ok {
		reason = setup.Error()
	}
	return badRequest(code, "Unsupported provider: "+reason).Because(err)
}

// service returns the service of a name with its settings.
func (m *Module) service(ctx context.Context, name, scopes string) (provider.Provider, provider.Config, error) {
	if strings.HasPrefix(name, customPrefix) {
		return m.customService(ctx, project.From(ctx).DB.Auth, name, scopes)
	}
	cfg := m.cfg.External.services()[name]
	cfg.RedirectURI = cmp.Or(cfg.RedirectURI, m.callbackURL(ctx, ""))
	at, err := m.services.New(ctx, name, cfg, scopes)
	return at, cfg, err
}

// callbackURL is where services send the browser back: under base or, when that is
// empty, under the public URL.
func (m *Module) callbackURL(ctx context.Context, base string) string {
	if base == "" {
		base = m.apiURL(project.From(ctx))
	}
	return strings.TrimRight(base, "/") + "/callback"
}
