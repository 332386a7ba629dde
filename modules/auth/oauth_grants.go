package auth

import (
	"errors"
	"net/http"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
)

// oauthGrants answers GET /user/oauth/grants: the apps that the user lets in.
func (m *Module) oauthGrants(c echo.Context, who signedIn) error {
	consents, err := store.ListOAuthConsents(c.Request().Context(), projectOf(c).DB.Auth, who.user.ID)
	if err != nil {
		return databaseError("Error fetching OAuth grants", err)
	}
	return httpx.JSON(c, http.StatusOK, consents)
}

// oauthRevoke answers DELETE /user/oauth/grants?client_id=: the app's sessions of
// the user end.
func (m *Module) oauthRevoke(c echo.Context, who signedIn) error {
	if c.QueryParam("client_id") == "" {
		return invalid("client_id query parameter is required")
	}
	id, err := clientID(c.QueryParam("client_id"))
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	err = pgx.BeginFunc(ctx, projectOf(c).DB.Auth, func(tx pgx.Tx) error {
		if err := store.RevokeOAuthConsent(ctx, tx, who.user.ID, id); err != nil {
			return err
		}
		return m.audit(ctx, tx, who.user, actionTokenRevoked, map[string]any{"oauth_client_id": id, "action": "revoke_oauth_grant"})
	})
	if errors.Is(err, store.ErrNotFound) {
		return apierr.New(http.StatusNotFound, codeNoOAuthConsent, "No active grant found for this client")
	}
	if err != nil {
		return databaseError("Error revoking grant", err)
	}
	return c.NoContent(http.StatusNoContent)
}
