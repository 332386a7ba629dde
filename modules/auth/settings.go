package auth

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/httpx"
)

// settings answers GET /settings: what a sign-in page may offer.
func (m *Module) settings(c echo.Context) error {
	external := map[string]bool{"anonymous_users": m.cfg.AnonymousUsersEnabled, "email": m.cfg.EmailEnabled, "phone": m.cfg.PhoneEnabled}
	for name, service := range m.cfg.External.services() {
		if name != "x" && name != "vercel_marketplace" { // which GoTrue leaves out
			external[name] = service.Enabled
		}
	}
	return httpx.JSON(c, http.StatusOK, map[string]any{
		"external": external, "disable_signup": m.cfg.DisableSignup, "mailer_autoconfirm": m.cfg.Autoconfirm, "phone_autoconfirm": m.cfg.SMS.Autoconfirm,
		"sms_provider": m.cfg.SMS.Provider, "saml_enabled": m.cfg.SAML.Enabled,
		"saml_private_key_next_configured": m.sso.next != nil || !m.cfg.SAML.Enabled, // GoTrue says so where SAML is off
		"passkeys_enabled":                 m.cfg.WebAuthn.PasskeysEnabled,
	})
}
