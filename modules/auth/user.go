package auth

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/httpx"
)

// notAllowed is the answer to methods that a route of users does not have; as
// with GoTrue, only users get to hear it.
func notAllowed(echo.Context, signedIn) error { return echo.ErrMethodNotAllowed }

// userGet answers GET /user.
func (m *Module) userGet(c echo.Context, who signedIn) error {
	if asked := c.Request().Header.Get(headerAudience); asked != "" && asked != who.user.Audience {
		return foreignAudience()
	}
	return httpx.JSON(c, http.StatusOK, who.user)
}
