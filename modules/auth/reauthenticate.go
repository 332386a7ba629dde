package auth

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/db"
)

// reauthenticate answers GET /reauthenticate: a nonce, by mail or text message,
// with which the user may set a new password.
func (m *Module) reauthenticate(c echo.Context, who signedIn) error {
	ctx, user := c.Request().Context(), who.user
	switch {
	case user.Email == "" && user.Phone == "":
		return invalid("Reauthentication requires the user to have an email or a phone number")
	case user.Email == "":
		return m.reauthenticatePhone(c, who)
	case user.EmailConfirmedAt == nil:
		return unprocessable(codeEmailNotConfirmed, "Please verify your email first.")
	}
	err := m.transact(ctx, func(tx pgx.Tx) error {
		if err := m.audit(ctx, tx, user, actionReauthenticate, nil); err != nil {
			return err
		}
		return m.mailCode(ctx, tx, mail.Message{Kind: mail.Reauthentication, User: user}, pkce{})
	})
	if err != nil {
		return databaseError("Error sending reauthentication email", err)
	}
	return nothing(c)
}

// freshSession is how old a session may be for its user to set a password without a nonce.
const freshSession = 24 * time.Hour

// needsNonce reports whether the user must show a nonce to set a password.
func (m *Module) needsNonce(s *store.Session) bool {
	return m.cfg.Flow.RequireReauth && m.now().After(s.CreatedAt.Add(freshSession))
}

// checkNonce refuses any nonce but the user's pending one. It stays pending: what
// it is for ends all pending codes.
func (m *Module) checkNonce(ctx context.Context, q db.Queryer, user *store.User, nonce string) error {
	if nonce == "" {
		return badRequest(codeReauthNeeded, "Password update requires reauthentication")
	}
	addressee := user.Email
	if addressee == "" {
		return m.checkPhoneNonce(ctx, q, user, nonce)
	}
	if err := m.takeCode(ctx, addressee); err != nil {
		return err
	}
	pending, err := store.LockOneTimes(ctx, q, user.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err != nil || !opens(pending.Reauthentication, hashCode(addressee, nonce), m.now(), m.mailCodeLife()) {
		return unprocessable(codeReauthInvalid, "Nonce has expired or is invalid")
	}
	return nil
}
