package auth

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"
)

// ssoMetadata answers GET /sso/saml/metadata: what identity providers are to know
// of this server.
func (m *Module) ssoMetadata(c echo.Context) error {
	download := c.QueryParam("download") == "true"
	text, err := m.samlService(projectOf(c)).Metadata(download, m.now())
	if err != nil {
		return fmt.Errorf("auth: sso metadata: %w", err)
	}
	h := c.Response().Header()
	h.Set("Cache-Control", "public, max-age=600")
	if m.sso.next != nil { // the next key has to be known everywhere before it is used
		h.Set("Cache-Control", "public, max-age=60")
	}
	if download {
		h.Set("Content-Disposition", `attachment; filename="metadata.xml"`)
	}
	return c.Blob(http.StatusOK, "application/xml", text)
}
