package auth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/password"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/httpx"
)

type passwordRequest struct {
	Email    string `json:"email"`
	Phone    string `json:"phone"`
	Password string `json:"password"`
}

// grantPassword signs in by address and password. Who has no account and who has
// another password get the same answer after the same time.
func (m *Module) grantPassword(c echo.Context) error {
	var req passwordRequest
	if err := readBody(c, &req); err != nil {
		return err
	}
	if err := m.checkPasswordGrant(req); err != nil {
		return err
	}
	ctx, pool := c.Request().Context(), projectOf(c).DB.Auth
	user, err := store.UserByEmail(ctx, pool, strings.ToLower(req.Email), m.audience(c.Request()))
	if errors.Is(err, store.ErrNotFound) {
		user, err = &store.User{}, nil
	}
	if err != nil {
		return databaseError("Database error querying schema", fmt.Errorf("auth: sign in: %w", err))
	}
	err = m.hasher.Compare(ctx, user.PasswordHash, req.Password)
	if errors.Is(err, password.ErrMismatch) {
		return badRequest(codeInvalidCredentials, "Invalid login credentials")
	}
	if err != nil {
		return passwordError(err)
	}
	if user.Banned(m.now()) {
		return badRequest(codeUserBanned, "User is banned")
	}
	if user.EmailConfirmedAt == nil {
		return badRequest(codeEmailNotConfirmed, "Email not confirmed")
	}
	var in *issued
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) (err error) {
		in, err = m.signIn(ctx, tx, user, m.client(c.Request()))
		return err
	})
	if store.Violates(err, "sessions_user_id_fkey") { // the user was deleted in the meantime
		return badRequest(codeInvalidCredentials, "Invalid login credentials")
	}
	if err != nil {
		return databaseError("Database error granting user", err)
	}
	return httpx.JSON(c, http.StatusOK, passwordSessionBody{m.answer(c, in), m.policy.Check(req.Password)})
}

func (m *Module) checkPasswordGrant(req passwordRequest) error {
	switch {
	case req.Email != "" && req.Phone != "":
		return invalid("Only an email address or phone number should be provided on login.")
	case req.Email == "" && req.Phone == "":
		return invalid("missing email or phone")
	case req.Phone != "":
		return unprocessable(codePhoneDisabled, "Phone logins are disabled")
	case !m.cfg.EmailEnabled:
		return unprocessable(codeEmailDisabled, "Email logins are disabled")
	}
	return nil
}
