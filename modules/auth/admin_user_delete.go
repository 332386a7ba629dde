package auth

import (
	"errors"
	"net/http"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/httpx"
)

// adminUserDelete answers DELETE /admin/users/{user_id}. A soft deletion keeps
// the id, for rows that refer to it, and nothing else.
func (m *Module) adminUserDelete(c echo.Context, by admin) error {
	user, err := m.namedUser(c)
	if err != nil {
		return err
	}
	var req struct {
		Soft bool `json:"should_soft_delete"`
	}
	if err := readOptionalBody(c, &req); err != nil {
		return err
	}
	ctx := c.Request().Context()
	err = pgx.BeginFunc(ctx, projectOf(c).DB.Auth, func(tx pgx.Tx) (err error) {
		if user, err = store.LockUser(ctx, tx, user.ID); err != nil {
			return err
		}
		if err := m.auditAdmin(ctx, tx, by, actionUserDeleted, about(user)); err != nil {
			return err
		}
		switch {
		case !req.Soft:
			return store.DeleteUser(ctx, tx, user.ID)
		case user.DeletedAt != nil:
			return nil
		}
		return store.SoftDelete(ctx, tx, user)
	})
	if errors.Is(err, store.ErrNotFound) {
		return noUser()
	}
	if err != nil {
		return databaseError("Database error deleting user", err)
	}
	return httpx.JSON(c, http.StatusOK, struct{}{})
}
