package auth

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
)

// scimOff answers GET /scim/v2/*: GoTrue has but a skeleton of it, behind a flag
// that is off.
func scimOff(echo.Context) error {
	return apierr.New(http.StatusNotFound, codeFeatureDisabled, "SCIM server is disabled")
}
