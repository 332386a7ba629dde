package auth

import (
	"context"
	"errors"
	"net/http"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
)

// oauthDetails is what the consent page shows.
type oauthDetails struct {
	ID          string                `json:"authorization_id"`
	RedirectURI string                `json:"redirect_uri,omitempty"`
	Client      store.OAuthClientFace `json:"client"`
	User        oauthDetailsUser      `json:"user"`
	Scope       string                `json:"scope,omitempty"`
}

type oauthDetailsUser struct {
	ID    string `json:"id"`
	Email string `json:"email,omitempty"`
}

// oauthDecision is where the consent page sends the user.
type oauthDecision struct {
	RedirectURL string `json:"redirect_url"`
}

// asConsenter makes a route of one for the user in person, on the site's own
// pages: not for apps, which could else grant themselves more, and not for other
// sites' pages. Requests without Origin are no browser's on another site.
func (m *Module) asConsenter(h func(echo.Context, signedIn) error) echo.HandlerFunc {
	return m.asPerson(func(c echo.Context, who signedIn) error {
		if origin := c.Request().Header.Get(echo.HeaderOrigin); origin != "" && !m.redirectAllowed(c.Request(), origin) {
			return invalid("unauthorized request origin")
		}
		return h(c, who)
	})
}

// asPerson is asUser that does not take an app's token.
func (m *Module) asPerson(h func(echo.Context, signedIn) error) echo.HandlerFunc {
	return m.asUser(func(c echo.Context, who signedIn) error {
		if err := who.inPerson(); err != nil {
			return err
		}
		return h(c, who)
	})
}

// inPerson refuses an app's token: the user let the app act for them, not become them.
func (who signedIn) inPerson() error {
	if who.session.OAuthClientID != "" {
		return forbidden(codeBadJWT, "This endpoint is not for tokens of OAuth clients")
	}
	return nil
}

// oauthDetails answers GET /oauth/authorizations/{authorization_id}: what the app
// asks for, or, when the user granted it all before, where to go with the code.
func (m *Module) oauthDetails(c echo.Context, who signedIn) error {
	ctx := c.Request().Context()
	a, err := m.decide(c, func(tx pgx.Tx, a *store.OAuthAuthorization) error {
		switch {
		case a.Status != store.OAuthPending:
			return invalid("authorization request cannot be processed")
		case a.UserID == who.user.ID:
			return nil
		case a.UserID != "":
			return m.foreignAuthorization(ctx, a, who)
		}
		a.UserID = who.user.ID
		granted, err := store.OAuthConsentScopes(ctx, tx, a.UserID, a.ClientID)
		if err != nil {
			return err
		}
		if covers(granted, a.Scope) {
			approve(a)
		}
		return store.UpdateOAuthAuthorization(ctx, tx, a)
	})
	if err != nil {
		return err
	}
	noStore(c)
	if a.Status == store.OAuthApproved {
		return httpx.JSON(c, http.StatusOK, oauthDecision{codeRedirect(a)})
	}
	client, err := store.OAuthClientByID(ctx, projectOf(c).DB.Auth, a.ClientID)
	if errors.Is(err, store.ErrNotFound) {
		return noAuthorization()
	}
	if err != nil {
		return databaseError("error finding client", err)
	}
	return httpx.JSON(c, http.StatusOK, oauthDetails{
		ID: a.ID, RedirectURI: a.RedirectURI, Client: client.Face(), User: oauthDetailsUser{who.user.ID, who.user.Email}, Scope: a.Scope,
	})
}

// oauthConsent answers POST /oauth/authorizations/{authorization_id}/consent with
// where to go. The user must have been shown the request: GET notes whom it asks.
func (m *Module) oauthConsent(c echo.Context, who signedIn) error {
	var req struct {
		Action string `json:"action"`
	}
	if err := readBody(c, &req); err != nil {
		return err
	}
	if req.Action != "approve" && req.Action != "deny" {
		return invalid("action must be 'approve' or 'deny'")
	}
	ctx := c.Request().Context()
	a, err := m.decide(c, func(tx pgx.Tx, a *store.OAuthAuthorization) error {
		switch {
		case a.Status != store.OAuthPending:
			return invalid("authorization request is no longer pending")
		case a.UserID != who.user.ID:
			return m.foreignAuthorization(ctx, a, who)
		}
		a.Status = store.OAuthDenied
		if req.Action == "approve" {
			approve(a)
			if err := store.UpsertOAuthConsent(ctx, tx, who.user.ID, a.ClientID, a.Scope); err != nil {
				return err
			}
		}
		return store.UpdateOAuthAuthorization(ctx, tx, a)
	})
	if err != nil {
		return err
	}
	noStore(c)
	if a.Status == store.OAuthApproved {
		return httpx.JSON(c, http.StatusOK, oauthDecision{codeRedirect(a)})
	}
	return httpx.JSON(c, http.StatusOK, oauthDecision{errorRedirect(a.RedirectURI, oauthAccessDenied, "User denied the request", a.State)})
}

// decide runs change on the authorization request that the path names, whose row
// is locked. One whose time is over is as good as none.
func (m *Module) decide(c echo.Context, change func(pgx.Tx, *store.OAuthAuthorization) error) (a *store.OAuthAuthorization, err error) {
	var late error // what the transaction still has to commit
	ctx := c.Request().Context()
	err = pgx.BeginFunc(ctx, projectOf(c).DB.Auth, func(tx pgx.Tx) (err error) {
		a, err = store.LockOAuthAuthorization(ctx, tx, c.Param("authorization_id"))
		switch {
		case errors.Is(err, store.ErrNotFound):
			return noAuthorization()
		case err != nil:
			return err
		case a.Late:
			late = noAuthorization()
			if a.Status != store.OAuthPending {
				return nil
			}
			a.Status = store.OAuthExpired
			return store.UpdateOAuthAuthorization(ctx, tx, a)
		}
		return change(tx, a)
	})
	if err == nil {
		err = late
	}
	if err != nil {
		return nil, databaseError("error processing authorization", err)
	}
	return a, nil
}

// approve gives the request its code.
func approve(a *store.OAuthAuthorization) {
	a.Status, a.Code = store.OAuthApproved, uuid.NewString()
}

// covers reports whether all scopes that are asked for were granted.
func covers(granted []string, asked string) bool {
	has := map[string]bool{}
	for _, scope := range granted {
		has[scope] = true
	}
	scopes, err := parseScopes(asked)
	for _, scope := range scopes {
		if !has[scope] {
			return false
		}
	}
	return err == nil
}

func (m *Module) foreignAuthorization(ctx context.Context, a *store.OAuthAuthorization, who signedIn) error {
	m.deps.Log.WarnContext(ctx, "authorization belongs to another user", "authorization_id", a.ID, "user_id", who.user.ID)
	return noAuthorization()
}

func noAuthorization() error {
	return apierr.New(http.StatusNotFound, codeNoOAuthRequest, "authorization not found")
}
