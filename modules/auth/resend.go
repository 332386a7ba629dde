package auth

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/platform/db"
)

type resendRequest struct {
	Type  string `json:"type"`
	Email string `json:"email"`
	Phone string `json:"phone"`
	pkce
}

// Types of POST /verify and POST /resend.
const (
	typeEmail       = "email"
	typeEmailChange = "email_change"
	typeInvite      = "invite"
	typeMagicLink   = "magiclink"
	typePhoneChange = "phone_change"
	typeRecovery    = "recovery"
	typeSignup      = "signup"
	typeSMS         = "sms"
)

// check refuses what says neither what to send again nor to whom.
func (r *resendRequest) check(cfg Config) (err error) {
	switch r.Type {
	case typeSignup, typeEmailChange:
		if err := r.pkce.check(); err != nil {
			return err
		}
	case typeSMS, typePhoneChange:
	default:
		return invalid("Missing one of these types: signup, email_change, sms, phone_change")
	}
	switch {
	case r.Email == "" && r.Type == typeSignup:
		return invalid("Type provided requires an email address")
	case r.Phone == "" && r.Type == typeSMS:
		return invalid("Type provided requires a phone number")
	case r.Email != "" && r.Phone != "":
		return invalid("Only an email address or phone number should be provided.")
	case r.Email != "" && !cfg.EmailEnabled:
		return badRequest(codeEmailDisabled, "Email logins are disabled")
	case r.Email != "":
		r.Email, err = parseEmail(r.Email)
		return err
	case r.Phone != "" && !cfg.PhoneEnabled:
		return badRequest(codePhoneDisabled, "Phone logins are disabled")
	case r.Phone != "":
		r.Phone, err = parsePhone(r.Phone)
		return err
	}
	return invalid("Missing email address or phone number")
}

// resend answers POST /resend: the last mail or text again, with a new code. Where
// there is nothing to send the answer is the same, and as late.
func (m *Module) resend(c echo.Context) error {
	if err := m.allowOTP(c, "resend"); err != nil {
		return err
	}
	var req resendRequest
	if err := readBody(c, &req); err != nil {
		return err
	}
	if err := req.check(m.cfg); err != nil {
		return err
	}
	if req.Phone != "" || req.Type == typeSMS || req.Type == typePhoneChange {
		return m.resendPhone(c, req)
	}
	if err := m.quietly(c.Request().Context(), func() error { return m.resendMail(c, req) }); err != nil {
		return err
	}
	return nothing(c)
}

func (m *Module) resendMail(c echo.Context, req resendRequest) error {
	ctx := c.Request().Context()
	kind := mail.Confirmation
	if req.Type == typeEmailChange {
		kind = mail.EmailChange
	}
	user, err := m.mailUser(c, req.Email)
	if err != nil {
		return err
	}
	waits := user != nil && (kind == mail.Confirmation && user.EmailConfirmedAt == nil || kind == mail.EmailChange && user.NewEmail != "")
	if !waits {
		return m.mailNothing(ctx, kind, req.Email)
	}
	err = m.transact(ctx, func(tx pgx.Tx) error {
		return m.mailAgain(ctx, tx, mail.Message{Kind: kind, User: user, NewEmail: user.NewEmail, RedirectTo: m.redirectTo(c.Request())}, req.pkce)
	})
	if err != nil {
		return databaseError("Error sending confirmation email", err)
	}
	return nil
}

func (m *Module) mailAgain(ctx context.Context, tx db.Queryer, msg mail.Message, p pkce) error {
	if msg.Kind == mail.EmailChange {
		return m.mailEmailChange(ctx, tx, msg, p)
	}
	if err := m.audit(ctx, tx, msg.User, actionConfirmation, nil); err != nil {
		return err
	}
	return m.mailCode(ctx, tx, msg, p)
}
