package auth

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/httpx"
)

// health answers GET /health. Clients look for the name.
func (m *Module) health(c echo.Context) error {
	return httpx.JSON(c, http.StatusOK, map[string]string{
		"version": m.deps.Version, "name": "GoTrue", "description": "GoTrue is a user registration and authentication API",
	})
}
