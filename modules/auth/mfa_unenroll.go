package auth

import (
	"net/http"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/modules/auth/token"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
)

// factorUnenroll answers DELETE /factors/{id}. A verified factor goes only by a
// session that has used one.
func (m *Module) factorUnenroll(c echo.Context, who signedIn, factor *store.Factor) error {
	ctx := c.Request().Context()
	err := pgx.BeginFunc(ctx, projectOf(c).DB.Auth, func(tx pgx.Tx) error {
		user, factor, err := reloadFactor(ctx, tx, who.user.ID, factor.ID)
		if err != nil {
			return err
		}
		if factor.Verified() && who.session.AAL != token.AAL2 {
			return unprocessable(codeInsufficientAAL, "AAL2 required to unenroll verified factor")
		}
		if err := store.DeleteFactor(ctx, tx, user.ID, factor.ID); err != nil {
			return err
		}
		err = m.audit(ctx, tx, user, actionFactorUnenrolled, map[string]any{
			"factor_id": factor.ID, "factor_status": factor.Status, "session_id": who.session.ID,
		})
		if err != nil {
			return err
		}
		return m.notify(ctx, tx, mail.Message{Kind: mail.FactorUnenrolled, User: user, FactorType: factor.Type})
	})
	if err != nil {
		return databaseError("Database error unenrolling factor", err)
	}
	return httpx.JSON(c, http.StatusOK, map[string]any{"id": factor.ID})
}

func factorNotFound() error {
	return apierr.New(http.StatusNotFound, codeFactorNotFound, "Factor not found")
}
