package auth

import (
	"time"

	"github.com/labstack/echo/v4"
)

// token answers POST /token, by the grant that the query names.
func (m *Module) token(c echo.Context) error {
	grants := map[string]echo.HandlerFunc{"password": m.grantPassword, "refresh_token": m.grantRefresh}
	grant := grants[c.QueryParam("grant_type")]
	if grant == nil {
		return badRequest(codeInvalidCredentials, "unsupported_grant_type")
	}
	if err := m.allow(c.Request(), "token", m.cfg.RateLimitTokenRefresh, 5*time.Minute); err != nil {
		return err
	}
	return grant(c)
}
