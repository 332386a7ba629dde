package gateway

import (
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/httpx"
)

// admit passes on what the limits and, on a keyed surface, the API keys let
// through. The client's address counts before its key: a stranger may guess keys.
func (m *Module) admit(s surface) echo.HandlerFunc {
	forward := m.forward(s.upstream)
	if s.once {
		forward = m.once(forward)
	}
	return func(c echo.Context) error {
		r := c.Request()
		httpx.TripOf(r.Context()).Class = s.class
		if m.limits.PerIP > 0 {
			if err := m.limits.allowIP(r.Context(), m.proxies.ClientIP(r)); err != nil {
				return err
			}
		}
		if s.keyed {
			key, err := m.authorize(r)
			if err == nil && key != "" && m.limits.PerKey > 0 {
				err = m.limits.allowKey(r.Context(), key)
			}
			if err != nil {
				return err
			}
		}
		leave, err := m.limits.enter(m.project(r), s.sockets && r.Header.Get("Upgrade") != "")
		if err != nil {
			return err
		}
		defer leave()
		end, err := m.limits.limitBody(c, s.body)
		if err != nil {
			return err
		}
		defer end()
		return forward(c)
	}
}
