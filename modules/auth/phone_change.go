package auth

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/db"
)

// movesPhone reports whether the request asks for another number.
func (r userUpdateRequest) movesPhone(user *store.User) bool {
	return r.Phone != "" && r.Phone != user.Phone
}

// checkPhoneChange refuses a number that cannot become the user's.
func (m *Module) checkPhoneChange(ctx context.Context, q db.Queryer, user *store.User, req userUpdateRequest) error {
	if !req.movesPhone(user) {
		return nil
	}
	if !m.cfg.PhoneEnabled {
		return badRequest(codePhoneDisabled, "Phone logins are disabled")
	}
	taken, err := store.PhoneTaken(ctx, q, req.Phone, user.ID)
	if err != nil {
		return fmt.Errorf("auth: update user: %w", err)
	}
	if taken {
		return phoneExists()
	}
	return nil
}

// textPhoneChange sends a code to the number that the user wants, before anything
// else of the request is done: when it does not leave, nothing is. It is nil when
// the number stays, or holds at once under autoconfirm.
func (m *Module) textPhoneChange(c echo.Context, user *store.User, req userUpdateRequest) (made *madeText, err error) {
	if !req.movesPhone(user) || m.cfg.SMS.Autoconfirm {
		return nil, nil
	}
	ctx := c.Request().Context()
	t := text{user: user, purpose: textPhoneChange, phone: req.Phone, channel: req.Channel, who: m.client(c.Request())}
	err = pgx.BeginFunc(ctx, projectOf(c).DB.Auth, func(tx pgx.Tx) (err error) {
		made, err = m.makeText(ctx, tx, t)
		return err
	})
	if err == nil {
		_, err = m.sendText(ctx, made)
	}
	if err != nil {
		return nil, databaseError("Error updating user", err)
	}
	return made, nil
}

// keepText stores a code again that has been sent: a new password in the same
// request makes all codes void, but not the one that came with it.
func (m *Module) keepText(ctx context.Context, q db.Queryer, made *madeText) error {
	if made == nil {
		return nil
	}
	return store.PutOneTime(ctx, q, store.NewOneTime{
		UserID: made.user.ID, Kind: storedTexts[made.purpose].kind, RelatesTo: made.phone, Hash: made.hash,
	})
}
