package auth

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/httpx"
)

// namedFactor is what an admin route on a factor is about.
type namedFactor struct {
	by     admin
	user   *store.User
	factor *store.Factor
}

// asFactorAdmin makes an admin route of one on a factor of the user in the path.
func (m *Module) asFactorAdmin(h func(echo.Context, namedFactor) error) echo.HandlerFunc {
	return m.asAdmin(func(c echo.Context, by admin) error {
		user, err := m.namedUser(c)
		if err != nil {
			return err
		}
		factor, err := ownFactor(user, c.Param("factor_id"))
		if err != nil {
			return err
		}
		return h(c, namedFactor{by, user, factor})
	})
}

// adminFactors answers GET /admin/users/{user_id}/factors.
func (m *Module) adminFactors(c echo.Context, _ admin) error {
	user, err := m.namedUser(c)
	if err != nil {
		return err
	}
	factors := user.Factors
	if factors == nil {
		factors = []store.Factor{}
	}
	return httpx.JSON(c, http.StatusOK, factors)
}

// adminFactorUpdate answers PUT /admin/users/{user_id}/factors/{factor_id}: a new
// name, and for a phone factor a new number.
func (m *Module) adminFactorUpdate(c echo.Context, n namedFactor) error {
	var req struct {
		FriendlyName string `json:"friendly_name"`
		Phone        string `json:"phone"`
	}
	err := readBody(c, &req)
	switch {
	case err != nil:
	case n.factor.Type != store.FactorPhone:
		req.Phone = ""
	case req.Phone != "":
		req.Phone, err = parsePhone(req.Phone)
	}
	if err != nil {
		return err
	}
	if len(req.FriendlyName) > maxFactorText {
		return invalid("friendly_name is too long")
	}
	err = m.changeFactor(c, n, actionFactorUpdated, func(ctx context.Context, tx pgx.Tx) (err error) {
		n.factor, err = store.UpdateFactor(ctx, tx, n.factor.ID, req.FriendlyName, req.Phone)
		return err
	})
	switch {
	case store.Violates(err, "mfa_factors_user_friendly_name_unique"):
		return nameConflict(req.FriendlyName)
	case store.Violates(err, "unique_phone_factor_per_user"):
		return phoneFactorExists()
	case err != nil:
		return databaseError("Database error updating factor", err)
	}
	return httpx.JSON(c, http.StatusOK, n.factor)
}

// adminFactorDelete answers DELETE /admin/users/{user_id}/factors/{factor_id}.
func (m *Module) adminFactorDelete(c echo.Context, n namedFactor) error {
	err := m.changeFactor(c, n, actionFactorDeleted, func(ctx context.Context, tx pgx.Tx) error {
		return store.DeleteFactor(ctx, tx, n.user.ID, n.factor.ID)
	})
	if err != nil {
		return databaseError("Database error deleting factor", err)
	}
	return httpx.JSON(c, http.StatusOK, n.factor)
}

// changeFactor does what an administrator asks for, and notes it, while the user is locked.
func (m *Module) changeFactor(c echo.Context, n namedFactor, action string, change func(context.Context, pgx.Tx) error) error {
	ctx := c.Request().Context()
	return pgx.BeginFunc(ctx, projectOf(c).DB.Auth, func(tx pgx.Tx) error {
		if _, _, err := reloadFactor(ctx, tx, n.user.ID, n.factor.ID); err != nil {
			return err
		}
		if err := change(ctx, tx); err != nil {
			return err
		}
		return m.auditAdmin(ctx, tx, n.by, action, map[string]any{"user_id": n.user.ID, "factor_id": n.factor.ID, "factor_type": n.factor.Type})
	})
}
