package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/db"
)

// otpRequest is the body of POST /otp and, as far as it is about mail, of POST /magiclink.
type otpRequest struct {
	Email      string         `json:"email"`
	Phone      string         `json:"phone"`
	CreateUser *bool          `json:"create_user"`
	Data       map[string]any `json:"data"`
	Channel    string         `json:"channel"`
	pkce
}

// creates reports whether an address or number without an account gets one.
func (r otpRequest) creates() bool { return r.CreateUser == nil || *r.CreateUser }

// otp answers POST /otp: a code by mail, with a link, or by text message.
func (m *Module) otp(c echo.Context) error {
	if err := m.allowOTP(c, "otp"); err != nil {
		return err
	}
	var req otpRequest
	if err := readBody(c, &req); err != nil {
		return err
	}
	switch {
	case req.Email != "" && req.Phone != "":
		return invalid("Only an email address or phone number should be provided")
	case req.Email != "" && req.Channel != "":
		return invalid("Channel should only be specified with Phone OTP")
	}
	if err := req.check(); err != nil {
		return err
	}
	switch {
	case req.Email != "":
		return m.sendMagicLink(c, req)
	case req.Phone != "":
		return m.otpPhone(c, req)
	}
	return invalid("One of email or phone must be set")
}

// magiclink answers POST /magiclink, the older name of POST /otp for addresses.
func (m *Module) magiclink(c echo.Context) error {
	if err := m.allowOTP(c, "magiclink"); err != nil {
		return err
	}
	var req otpRequest
	if err := readBody(c, &req); err != nil {
		return err
	}
	req.CreateUser = nil
	if req.Email == "" && m.cfg.EmailEnabled && m.cfg.Flow.MagicLinkEnabled {
		return unprocessable(codeValidation, "Password recovery requires an email")
	}
	if err := req.check(); err != nil {
		return err
	}
	return m.sendMagicLink(c, req)
}

// sendMagicLink mails a code and a link that sign in. Who has no account gets one
// by the same mail, unless the request says not to.
func (m *Module) sendMagicLink(c echo.Context, req otpRequest) error {
	email, err := parseEmail(req.Email)
	if err != nil {
		return err
	}
	ctx, pool := c.Request().Context(), projectOf(c).DB.Auth
	user, err := m.mailUser(c, email)
	if err != nil {
		return err
	}
	known := user != nil
	switch {
	case !known && !req.creates():
		return unprocessable(codeOTPDisabled, "Signups not allowed for otp")
	case !m.cfg.EmailEnabled:
		return unprocessable(codeEmailDisabled, "Email logins are disabled")
	case !m.cfg.Flow.MagicLinkEnabled:
		return unprocessable(codeEmailDisabled, "Login with magic link is disabled")
	case m.cfg.DisableSignup && (!known || user.EmailConfirmedAt == nil):
		return unprocessable(codeSignupDisabled, "Signups not allowed for this instance")
	}
	if !known {
		_, err := store.UserByAnyEmail(ctx, pool, email, m.audience(c.Request()), "")
		if err == nil { // the address of another user's identity: as in GoTrue, nobody is told
			if err := m.mailNothing(ctx, mail.Confirmation, email); err != nil {
				return err
			}
			return nothing(c)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("auth: magic link: %w", err)
		}
	}
	fresh := signupRequest{Email: email, Data: req.Data}
	if !known {
		if err := m.beforeSignup(c, &fresh); err != nil {
			return err
		}
	}
	err = m.transact(ctx, func(tx pgx.Tx) (err error) {
		if !known {
			if user, err = m.insertByLink(ctx, tx, fresh); err != nil {
				return err
			}
		}
		return m.mailMagicLink(ctx, tx, mail.Message{User: user, RedirectTo: m.redirectTo(c.Request())}, req.pkce)
	})
	if store.Violates(err, "users_email_partial_key") { // the same request came twice at once: the other one sends
		return nothing(c)
	}
	if err != nil {
		return databaseError("Error sending magic link email", err)
	}
	if !known {
		if err := m.afterUser(c, user); err != nil {
			return err
		}
	}
	return nothing(c)
}

// insertByLink adds a user without a password.
func (m *Module) insertByLink(ctx context.Context, tx db.Queryer, req signupRequest) (*store.User, error) {
	user, err := m.insertSignup(ctx, tx, req, "")
	if err != nil || !m.cfg.Autoconfirm {
		return user, err
	}
	return user, m.audit(ctx, tx, user, actionSignedUp, map[string]any{"provider": store.ProviderEmail})
}

// mailMagicLink sends the mail that fits the user: a new one confirms the
// address with it. One who was signed up in another way, by whomever, gets a
// sign-in instead, which makes that way void (see confirmAddress).
func (m *Module) mailMagicLink(ctx context.Context, tx db.Queryer, msg mail.Message, p pkce) error {
	msg.Kind = mail.MagicLink
	action, traits := actionRecovery, map[string]any(nil)
	if msg.User.EmailConfirmedAt == nil && msg.User.PasswordHash == "" && !slices.ContainsFunc(msg.User.Identities, isForeign) {
		msg.Kind, action, traits = mail.Confirmation, actionConfirmation, map[string]any{"provider": store.ProviderEmail}
	}
	if err := m.audit(ctx, tx, msg.User, action, traits); err != nil {
		return err
	}
	return m.mailCode(ctx, tx, msg, p)
}
