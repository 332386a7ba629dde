package auth

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// token answers POST /token, by the grant that the query names, or a form; but
// the grants themselves read JSON only.
func (m *Module) token(c echo.Context) error {
	grants := map[string]echo.HandlerFunc{"password": m.grantPassword, "refresh_token": m.grantRefresh, "pkce": m.grantPKCE, "web3": m.grantWeb3, "id_token": m.grantIDToken}
	r := c.Request()
	r.Body = http.MaxBytesReader(c.Response(), r.Body, maxBody)
	name := r.FormValue("grant_type")
	grant := grants[name]
	if grant == nil {
		return badRequest(codeInvalidCredentials, "unsupported_grant_type")
	}
	limit, rate := "token", m.cfg.RateLimitTokenRefresh
	if name == "web3" {
		limit, rate = name, m.cfg.Web3.RateLimit
	}
	if err := m.allow(r, limit, rate, 5*time.Minute); err != nil {
		return err
	}
	return grant(c)
}
