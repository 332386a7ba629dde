package auth

import (
	"net/http"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/platform/httpx"
)

// nothing is the answer of routes that have sent something, or not.
func nothing(c echo.Context) error { return httpx.JSON(c, http.StatusOK, struct{}{}) }

// recover answers POST /recover: a mail whose code or link signs the user in, to
// set a new password. Addresses without an account get the same answer at the same time.
func (m *Module) recover(c echo.Context) error {
	if err := m.allowOTP(c, "recover"); err != nil {
		return err
	}
	var req struct {
		Email string `json:"email"`
		pkce
	}
	if !m.cfg.EmailEnabled {
		return badRequest(codeEmailDisabled, "Email logins are disabled")
	}
	if err := readBody(c, &req); err != nil {
		return err
	}
	if req.Email == "" {
		return invalid("Password recovery requires an email")
	}
	email, err := parseEmail(req.Email)
	if err != nil {
		return err
	}
	if err := req.check(); err != nil {
		return err
	}
	if err := m.quietly(c.Request().Context(), func() error { return m.recoverAddress(c, email, req.pkce) }); err != nil {
		return err
	}
	return nothing(c)
}

func (m *Module) recoverAddress(c echo.Context, email string, p pkce) error {
	ctx := c.Request().Context()
	user, err := m.mailUser(c, email)
	if err != nil {
		return err
	}
	if user == nil {
		return m.mailNothing(ctx, mail.Recovery, email)
	}
	err = m.transact(ctx, func(tx pgx.Tx) error {
		if err := m.audit(ctx, tx, user, actionRecovery, nil); err != nil {
			return err
		}
		return m.mailCode(ctx, tx, mail.Message{Kind: mail.Recovery, User: user, RedirectTo: m.redirectTo(c.Request())}, p)
	})
	if err != nil {
		return databaseError("Error sending recovery email", err)
	}
	return nil
}
