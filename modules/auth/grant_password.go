package auth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/password"
	"github.com/madbase/madbase/modules/auth/sms"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/httpx"
)

type passwordRequest struct {
	Email    string `json:"email"`
	Phone    string `json:"phone"`
	Password string `json:"password"`
}

// provider is what the user is named by.
func (r passwordRequest) provider() string {
	if r.Phone != "" {
		return store.ProviderPhone
	}
	return store.ProviderEmail
}

// grantPassword signs in by address or number and password. Who has no account and who has
// another password get the same answer after the same time.
func (m *Module) grantPassword(c echo.Context) error {
	var req passwordRequest
	if err := readBody(c, &req); err != nil {
		return err
	}
	if err := m.checkPasswordGrant(req); err != nil {
		return err
	}
	ctx := c.Request().Context()
	user, err := m.passwordUser(c, req)
	if err != nil {
		return err
	}
	err = m.comparePassword(ctx, user, req.Password)
	if err != nil && !errors.Is(err, password.ErrMismatch) {
		return passwordError(err)
	}
	if err := m.judgePassword(c, user, err == nil); err != nil {
		return err
	}
	if err != nil {
		return badRequest(codeInvalidCredentials, "Invalid login credentials")
	}
	if user.Banned(m.now()) {
		return badRequest(codeUserBanned, "User is banned")
	}
	if req.Email != "" && user.EmailConfirmedAt == nil {
		return badRequest(codeEmailNotConfirmed, "Email not confirmed")
	}
	if req.Phone != "" && user.PhoneConfirmedAt == nil {
		return badRequest(codePhoneNotConfirmed, "Phone not confirmed")
	}
	var in *issued
	err = m.transact(ctx, func(tx pgx.Tx) (err error) {
		in, err = m.signIn(ctx, tx, user, req.provider(), m.client(c.Request()))
		return err
	})
	if store.Violates(err, "sessions_user_id_fkey") { // the user was deleted in the meantime
		return badRequest(codeInvalidCredentials, "Invalid login credentials")
	}
	if err != nil {
		return databaseError("Database error granting user", err)
	}
	weak, _ := m.weakness(ctx, req.Password) // only told of: that nobody could be asked is no reason to keep the user out
	return httpx.JSON(c, http.StatusOK, passwordSessionBody{m.answer(c, in), weak})
}

// passwordUser is the user that the request names; one without a password, which
// nothing matches, stands for one that is not there.
func (m *Module) passwordUser(c echo.Context, req passwordRequest) (user *store.User, err error) {
	ctx, pool, audience := c.Request().Context(), projectOf(c).DB.Auth, m.audience(c.Request())
	if req.Phone != "" {
		user, err = store.UserByPhone(ctx, pool, sms.Digits(req.Phone), audience)
	} else {
		user, err = store.UserByEmail(ctx, pool, strings.ToLower(req.Email), audience)
	}
	if errors.Is(err, store.ErrNotFound) {
		return &store.User{}, nil
	}
	if err != nil {
		return nil, databaseError("Database error querying schema", fmt.Errorf("auth: sign in: %w", err))
	}
	return user, nil
}

func (m *Module) checkPasswordGrant(req passwordRequest) error {
	switch {
	case req.Email != "" && req.Phone != "":
		return invalid("Only an email address or phone number should be provided on login.")
	case req.Email == "" && req.Phone == "":
		return invalid("missing email or phone")
	case req.Phone != "" && !m.cfg.PhoneEnabled:
		return unprocessable(codePhoneDisabled, "Phone logins are disabled")
	case req.Email != "" && !m.cfg.EmailEnabled:
		return unprocessable(codeEmailDisabled, "Email logins are disabled")
	}
	return nil
}
