package auth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/password"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/httpx"
	"github.com/madbase/madbase/platform/ratelimit"
)

// signupPhone answers POST /signup with a number: a code goes to it, or, under
// autoconfirm, the user is signed in at once.
func (m *Module) signupPhone(c echo.Context, req signupRequest) error {
	user, err := m.phoneUser(c, req.Phone, m.cfg.JWTAudience)
	switch {
	case err != nil:
		return err
	case user != nil && (user.PhoneConfirmedAt != nil || m.cfg.SMS.Autoconfirm):
		return m.signupPhoneAgain(c, user, req)
	}
	fresh := m.newPhoneUser(req)
	if user == nil {
		if fresh.PasswordHash, err = m.hasher.Hash(c.Request().Context(), req.Password); err != nil {
			return passwordError(err)
		}
	}
	if fresh.PhoneConfirmed {
		return m.signupConfirmed(c, req, fresh)
	}
	user, _, err = m.textNewcomer(c, req, fresh, text{user: user, purpose: textConfirmation})
	if err != nil {
		return err
	}
	if user.InvitedAt != nil { // an administrator's, whose data is not for whoever knows the number
		user.UserMetadata, user.Identities = []byte(`{}`), []store.Identity{}
	}
	return httpx.JSON(c, http.StatusOK, user)
}

// checkSignupPhone checks what is only a number's, and brings it into its stored form.
func (m *Module) checkSignupPhone(req *signupRequest) (err error) {
	if req.Channel, err = m.parseChannel(req.Channel); err != nil {
		return err
	}
	if req.CodeChallenge != "" {
		return invalid("PKCE not supported for phone signups")
	}
	if !m.cfg.PhoneEnabled {
		return badRequest(codePhoneDisabled, "Phone signups are disabled")
	}
	req.Phone, err = parsePhone(req.Phone)
	return err
}

// newPhoneUser is the user that a request asks for, with their identity's data,
// which has no number in it, as GoTrue's has none.
func (m *Module) newPhoneUser(req signupRequest) store.NewUser {
	id, data := uuid.NewString(), maps.Clone(req.Data)
	if data == nil {
		data = map[string]any{}
	}
	maps.Copy(data, map[string]any{"sub": id, "email_verified": false, "phone_verified": false})
	return store.NewUser{
		ID: id, Audience: m.cfg.JWTAudience, Role: m.cfg.JWTDefaultGroupName, Phone: req.Phone, PhoneConfirmed: m.cfg.SMS.Autoconfirm,
		AppMetadata: providers(store.ProviderPhone), UserMetadata: data,
	}
}

// textNewcomer sends a code to a number that nobody has confirmed: of t's user,
// whose password and data stay since nobody knows who asks now, or of the new
// one, fresh.
func (m *Module) textNewcomer(c echo.Context, req signupRequest, fresh store.NewUser, t text) (user *store.User, messageID string, err error) {
	made := t.user == nil
	if made {
		if err := m.beforeUser(c, fresh); err != nil {
			return nil, "", err
		}
	}
	t.phone, t.channel, t.who = req.Phone, req.Channel, m.client(c.Request())
	var stored *madeText
	ctx := c.Request().Context()
	err = pgx.BeginFunc(ctx, projectOf(c).DB.Auth, func(tx pgx.Tx) (err error) {
		if made {
			t.newUser = !fresh.PhoneConfirmed
			t.user, err = m.insertPhoneUser(ctx, tx, fresh, req.Channel)
		} else {
			err = m.audit(ctx, tx, t.user, actionConfirmation, map[string]any{"provider": store.ProviderPhone})
		}
		if err != nil {
			return err
		}
		stored, err = m.makeText(ctx, tx, t)
		return err
	})
	if store.Violates(err, "users_phone_key") { // the same came twice at once: the other one sends
		return nil, "", tooSoon(m.cfg.SMS.Frequency(), codeOverSMSRate)
	}
	if err != nil {
		return nil, "", databaseError("Database error saving new user", err)
	}
	messageID, err = m.sendText(ctx, stored)
	if err == nil && made {
		err = m.afterUser(c, stored.user)
	}
	return stored.user, messageID, err
}

// signupConfirmed makes a user with a confirmed number and signs them in.
func (m *Module) signupConfirmed(c echo.Context, req signupRequest, fresh store.NewUser) error {
	if err := m.beforeUser(c, fresh); err != nil {
		return err
	}
	var in *issued
	ctx := c.Request().Context()
	err := m.transact(ctx, func(tx pgx.Tx) error {
		user, err := m.insertPhoneUser(ctx, tx, fresh, req.Channel)
		if err != nil {
			return err
		}
		in, err = m.signIn(ctx, tx, user, store.ProviderPhone, m.client(c.Request()))
		return err
	})
	if store.Violates(err, "users_phone_key") {
		return userExists()
	}
	if err != nil {
		return databaseError("Database error saving new user", err)
	}
	if err := m.afterUser(c, in.user); err != nil {
		return err
	}
	return m.respond(c, in)
}

// insertPhoneUser adds the user u with their identity.
func (m *Module) insertPhoneUser(ctx context.Context, q db.Queryer, u store.NewUser, channel string) (*store.User, error) {
	if err := m.saveUser(ctx, q, u); err != nil {
		return nil, err
	}
	if err := store.InsertIdentity(ctx, q, u.ID, store.ProviderPhone, u.UserMetadata); err != nil {
		return nil, err
	}
	user, err := store.UserByID(ctx, q, u.ID) // as the app's own triggers have left it
	if err != nil {
		return nil, err
	}
	action, traits := actionConfirmation, map[string]any{"provider": store.ProviderPhone}
	if u.PhoneConfirmed {
		action, traits["channel"] = actionSignedUp, channel
	}
	return user, m.audit(ctx, q, user, action, traits)
}

// signupPhoneAgain answers a sign-up with a number that has a user. Where no
// number is confirmed by a code, one who is not confirmed is so by the right
// password: GoTrue does so with any.
func (m *Module) signupPhoneAgain(c echo.Context, user *store.User, req signupRequest) error {
	ctx, pool := c.Request().Context(), projectOf(c).DB.Auth
	err := m.comparePassword(ctx, user, req.Password)
	if err != nil && !errors.Is(err, password.ErrMismatch) {
		return passwordError(err)
	}
	if err == nil && user.PhoneConfirmedAt == nil && !user.Banned(m.now()) {
		return m.confirmByPassword(c, user)
	}
	if err := m.audit(ctx, pool, user, actionRepeatedSignup, map[string]any{"provider": store.ProviderPhone}); err != nil {
		return fmt.Errorf("auth: sign up again: %w", err)
	}
	if m.cfg.Autoconfirm || m.cfg.SMS.Autoconfirm {
		return userExists()
	}
	limit := ratelimit.Limit{Rate: 1, Period: m.cfg.SMS.Frequency()} // as if a message had left
	err = m.take(ctx, "unsent/sms/"+req.Phone, limit, func(after time.Duration) *apierr.Error { return tooSoon(after, codeOverSMSRate) })
	if err != nil {
		return err
	}
	nobody, err := m.nobody(req)
	if err != nil {
		return err
	}
	return httpx.JSON(c, http.StatusOK, nobody)
}

func (m *Module) confirmByPassword(c echo.Context, user *store.User) error {
	var in *issued
	ctx := c.Request().Context()
	err := m.transact(ctx, func(tx pgx.Tx) (err error) {
		confirmed, err := m.confirmPhone(ctx, tx, user, textProof{purpose: textConfirmation, phone: user.Phone})
		if err != nil {
			return err
		}
		in, err = m.signIn(ctx, tx, confirmed, store.ProviderPhone, m.client(c.Request()))
		return err
	})
	if err != nil {
		return databaseError("Database error updating user", err)
	}
	return m.respond(c, in)
}
