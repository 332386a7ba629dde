package auth

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/httpx"
)

// jwks answers GET /.well-known/jwks.json with the public keys that verify the project's tokens.
func (m *Module) jwks(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "public, max-age=600")
	return c.Blob(http.StatusOK, httpx.JSONType, projectOf(c).Keys.JWKS())
}
