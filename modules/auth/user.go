package auth

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
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

// mailUser is the user of an address in the request's audience, nil for none.
func (m *Module) mailUser(c echo.Context, email string) (*store.User, error) {
	user, err := store.UserByEmail(c.Request().Context(), projectOf(c).DB.Auth, email, m.audience(c.Request()))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	return user, nil
}
