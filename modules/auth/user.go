package auth

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/httpx"
)

// userGet answers GET /user.
func (m *Module) userGet(c echo.Context, who signedIn) error {
	if asked := c.Request().Header.Get(headerAudience); asked != "" && asked != who.user.Audience {
		return invalid("Token audience doesn't match request audience")
	}
	return httpx.JSON(c, http.StatusOK, who.user)
}
