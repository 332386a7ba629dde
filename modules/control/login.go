package control

import (
	"errors"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
)

// maxLogin is the largest body of a login in bytes.
const maxLogin = 4 << 10

// login exchanges the password for a session: {"password":"..."} as JSON, which
// a form on another site cannot send.
func (m *Module) login(c echo.Context) error {
	r := c.Request()
	if m.cfg.AdminPassword == "" {
		return closed()
	}
	if err := sameOrigin(r); err != nil {
		return err
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return apierr.New(http.StatusUnsupportedMediaType, "not_json", "Content-Type must be application/json")
	}
	var body struct {
		Password string `json:"password"`
	}
	if err := httpx.ReadJSON(c, maxLogin, &body); errors.Is(err, httpx.ErrBadJSON) {
		return apierr.New(http.StatusBadRequest, "bad_json", `The body must be {"password":"..."}`).Because(err)
	} else if err != nil {
		return err
	}
	if err := m.checkPassword(r, body.Password); err != nil {
		return err
	}
	token, expires := m.sessions.issue()
	c.SetCookie(m.cookie(c, token, int(m.cfg.SessionTTL.Seconds())))
	return httpx.JSON(c, http.StatusOK, struct {
		Token     string `json:"token"`
		ExpiresAt string `json:"expires_at"`
	}{token, expires.UTC().Format(time.RFC3339)})
}

// logout takes the cookie away. Tokens are stored nowhere and end by themselves.
func (m *Module) logout(c echo.Context) error {
	if err := sameOrigin(c.Request()); err != nil {
		return err
	}
	c.SetCookie(m.cookie(c, "", -1))
	return c.NoContent(http.StatusNoContent)
}

// cookie is bound to the control plane's own paths, so that no other surface,
// nor code of a project that runs behind one, ever sees it.
func (m *Module) cookie(c echo.Context, value string, maxAge int) *http.Cookie {
	r := c.Request()
	prefix := ""
	if m.deps.Proxies.Trusts(r) {
		prefix = strings.TrimSuffix(r.Header.Get("X-Forwarded-Prefix"), "/")
	}
	path := c.Path()
	return &http.Cookie{
		Name: cookieName, Value: value, MaxAge: maxAge, Path: prefix + path[:strings.LastIndexByte(path, '/')+1],
		HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || m.deps.Proxies.Trusts(r) && r.Header.Get("X-Forwarded-Proto") == "https",
	}
}
