package auth

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/sms"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/httpx"
)

// otpPhone is POST /otp for a number. Who has no account, or never confirmed the
// number, is signed up by the code; the answer then has no message_id.
func (m *Module) otpPhone(c echo.Context, req otpRequest) error {
	phone, wrong := parsePhone(req.Phone)
	var user *store.User
	if wrong == nil {
		var err error
		if user, err = m.phoneUser(c, phone, m.audience(c.Request())); err != nil {
			return err
		}
	}
	switch {
	case user == nil && !req.creates():
		return unprocessable(codeOTPDisabled, "Signups not allowed for otp")
	case !m.cfg.PhoneEnabled:
		return badRequest(codePhoneDisabled, "Unsupported phone provider")
	case wrong != nil:
		return wrong
	}
	channel, err := m.parseChannel(req.Channel)
	if err != nil {
		return err
	}
	if user == nil || user.PhoneConfirmedAt == nil {
		return m.otpNewcomer(c, signupRequest{Phone: phone, Channel: channel, Data: req.Data}, user)
	}
	t := text{user: user, purpose: textConfirmation, phone: phone, channel: channel, who: m.client(c.Request())}
	return m.answerText(c, t, actionRecovery, map[string]any{"channel": channel})
}

// otpNewcomer sends the code that makes a number its user's, who may be nil.
func (m *Module) otpNewcomer(c echo.Context, req signupRequest, user *store.User) error {
	if m.cfg.DisableSignup {
		return unprocessable(codeSignupDisabled, "Signups not allowed for this instance")
	}
	t := text{user: user, purpose: textConfirmation}
	if user != nil && user.PasswordHash != "" {
		t.purpose = textSignIn
	}
	_, id, err := m.textNewcomer(c, req, m.newPhoneUser(req), t)
	if err != nil {
		return err
	}
	if !m.cfg.SMS.Autoconfirm {
		id = ""
	}
	return httpx.JSON(c, http.StatusOK, messageBody{id})
}

// answerText sends a code and answers the message's id, with a note of the action.
func (m *Module) answerText(c echo.Context, t text, action string, traits map[string]any) error {
	id, err := m.textCode(c.Request().Context(), t, func(ctx context.Context, tx pgx.Tx) error {
		if action == "" {
			return nil
		}
		return m.audit(ctx, tx, t.user, action, traits)
	})
	if err != nil {
		return databaseError("Database error updating user for phone", err)
	}
	return httpx.JSON(c, http.StatusOK, messageBody{id})
}

// resendPhone is POST /resend for a number. As with GoTrue, the number of a
// phone_change is the one that the user has, or an address.
func (m *Module) resendPhone(c echo.Context, req resendRequest) error {
	user, err := m.resendUser(c, req)
	if err != nil {
		return err
	}
	t := text{user: user, channel: sms.ChannelSMS, who: m.client(c.Request())}
	switch {
	case user == nil:
	case req.Type == typeSMS && user.PhoneConfirmedAt == nil:
		t.purpose, t.phone = textConfirmation, user.Phone
		return m.answerText(c, t, actionRecovery, nil)
	case req.Type == typePhoneChange && user.NewPhone != "":
		t.purpose, t.phone = textPhoneChange, user.NewPhone
		return m.answerText(c, t, "", nil)
	}
	return nothing(c)
}

// reauthenticatePhone is GET /reauthenticate for a user without an address.
func (m *Module) reauthenticatePhone(c echo.Context, who signedIn) error {
	if who.user.PhoneConfirmedAt == nil {
		return unprocessable(codePhoneNotConfirmed, "Please verify your phone first.")
	}
	return m.answerText(c, text{
		user: who.user, purpose: textReauthentication, phone: who.user.Phone, channel: sms.ChannelSMS, who: m.client(c.Request()),
	}, actionReauthenticate, nil)
}

// resendUser is whom a request to send again names, nil for nobody.
func (m *Module) resendUser(c echo.Context, req resendRequest) (*store.User, error) {
	if req.Phone != "" {
		return m.phoneUser(c, req.Phone, m.audience(c.Request()))
	}
	return m.mailUser(c, req.Email)
}
