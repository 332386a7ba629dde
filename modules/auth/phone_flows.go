package auth

import (
	"context"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/db"
)

// otpPhone is POST /otp for a number.
func (m *Module) otpPhone(_ echo.Context, _ otpRequest) error {
	return badRequest(codePhoneDisabled, "Unsupported phone provider")
}

// verifyText is POST /verify for a number.
func (m *Module) verifyText(_ echo.Context, _ verifyRequest) error {
	return otpExpired("Token has expired or is invalid")
}

// resendPhone is POST /resend for a number.
func (m *Module) resendPhone(c echo.Context, _ resendRequest) error { return nothing(c) }

// reauthenticatePhone is GET /reauthenticate for a user without an address.
func (m *Module) reauthenticatePhone(_ echo.Context, _ signedIn) error {
	return badRequest(codePhoneDisabled, "Unsupported phone provider")
}

// checkPhoneNonce is checkNonce for a user without an address.
func (m *Module) checkPhoneNonce(_ context.Context, _ db.Queryer, _ *store.User, _ string) error {
	return unprocessable(codeReauthInvalid, "Nonce has expired or is invalid")
}
