package auth

import (
	"context"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
)

func (m *Module) challengePhone(c echo.Context, who signedIn, factor *store.Factor) error {
	return badRequest(codePhoneDisabled, "Phone logins are disabled")
}

func (m *Module) provePhone(ctx context.Context, try *attempt) (proof, error) {
	return nil, unprocessable(codeMFAFailed, "Invalid MFA Phone code entered")
}
