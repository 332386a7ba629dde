package auth

import (
	"context"
	"fmt"
	"net/http"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/db"
)

// logout answers POST /logout: it ends this session, the user's others, or all. An
// app that the user signed in to ends its own session only.
func (m *Module) logout(c echo.Context, who signedIn) error {
	var end func(context.Context, db.Queryer) error
	scope := c.QueryParam("scope")
	if app := who.inPerson(); app != nil {
		switch scope {
		case "others":
			return app
		case "", "global":
			scope = "local"
		}
	}
	switch scope {
	case "", "global":
		end = func(ctx context.Context, q db.Queryer) error { return store.DeleteSessions(ctx, q, who.user.ID, "") }
	case "local":
		end = func(ctx context.Context, q db.Queryer) error { return store.DeleteSession(ctx, q, who.session.ID) }
	case "others":
		end = func(ctx context.Context, q db.Queryer) error {
			return store.DeleteSessions(ctx, q, who.user.ID, who.session.ID)
		}
	default:
		return invalid(fmt.Sprintf("Unsupported logout scope %q", scope))
	}
	ctx := c.Request().Context()
	err := pgx.BeginFunc(ctx, projectOf(c).DB.Auth, func(tx pgx.Tx) error {
		if err := m.audit(ctx, tx, who.user, actionLogout, nil); err != nil {
			return err
		}
		return end(ctx, tx)
	})
	if err != nil {
		return databaseError("Error logging out user", err)
	}
	return c.NoContent(http.StatusNoContent)
}
