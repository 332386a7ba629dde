package auth

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// token answers POST /token, by the grant that the query names, or a form; but
// the grants themselves read JSON only.
func (m *Module) token(c echo.Context) error {
	grants := map[string]echo.HandlerFunc{"password": m.grantPassword, "refresh_token": m.grantRefresh, "pkce": m.grantPKCE}
	r := c.Request()
	r.Body = http.MaxBytesReader(c.Response(), r.Body, maxBody)
	grant := grants[r.FormValue("grant_type")]
	if grant == nil {
		return badRequest(codeInvalidCredentials, "unsupported_grant_type")
	}
	if err := m.allow(r, "token", m.cfg.RateLimitTokenRefresh, 5*time.Minute); err != nil {
		return err
	}
	return grant(c)
}
