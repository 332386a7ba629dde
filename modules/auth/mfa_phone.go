package auth

import (
	"cmp"
	"context"
	"crypto/subtle"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/sms"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/db"
)

// textFactor is what a phone factor's code is for.
const textFactor textPurpose = "MFA"

// hookFactor is how the hook that sends messages knows a factor's code.
const hookFactor = "mfa"

// challengePhone sends a code to the factor's number. The challenge is stored
// before the provider is asked, and deleted when the message does not leave.
func (m *Module) challengePhone(c echo.Context, who signedIn, factor *store.Factor) error {
	var req struct {
		Channel string `json:"channel"`
	}
	if err := readOptionalBody(c, &req); err != nil {
		return err
	}
	channel, err := m.parseChannel(req.Channel)
	if err != nil {
		return err
	}
	template, err := m.cfg.MFA.phoneTemplate()
	if err != nil {
		return err
	}
	code, test := m.sms.TestCode(factor.Phone, m.now())
	if !test {
		code = newCode(m.cfg.MFA.phoneDigits())
	}
	ctx := c.Request().Context()
	var challenge *store.Challenge
	err = pgx.BeginFunc(ctx, projectOf(c).DB.Auth, func(tx pgx.Tx) error {
		user, now, err := reloadFactor(ctx, tx, who.user.ID, factor.ID)
		if err != nil {
			return err
		}
		if wait := m.phoneWait(now); wait > 0 {
			return tooSoon(wait, codeOverSMSRate)
		}
		if !test {
			if err := m.takeText(ctx, now.Phone); err != nil {
				return err
			}
		}
		factor = now
		challenge, err = m.newChallenge(ctx, tx, user, now, store.NewChallenge{IP: m.factorAddress(c.Request()), Code: hashCode(now.Phone, code)})
		return err
	})
	if err == nil && !test {
		err = m.sendFactorCode(c, who.user, sms.Message{Phone: factor.Phone, Channel: channel, Text: template.Text(code), Code: code})
		if err != nil {
			m.undoChallenge(c, factor, challenge)
		}
	}
	return m.answerChallenge(c, factor, challenge, nil, err)
}

// phoneWait is how long it is until a phone factor may get another code.
func (m *Module) phoneWait(factor *store.Factor) time.Duration {
	if factor.LastChallengedAt == nil {
		return 0
	}
	return factor.LastChallengedAt.Add(m.cfg.MFA.phoneFrequency()).Sub(m.now())
}

// sendFactorCode sends a challenge's code. It goes on when the caller hangs up:
// what a provider did then nobody would know.
func (m *Module) sendFactorCode(c echo.Context, user *store.User, msg sms.Message) error {
	ctx := context.WithoutCancel(c.Request().Context())
	if _, err := m.sendSMS(ctx, user, msg, hookFactor, m.client(c.Request())); err != nil {
		return m.textError(ctx, err, textFactor)
	}
	return nil
}

// undoChallenge takes back a challenge whose code did not leave, so that another
// may be asked for at once.
func (m *Module) undoChallenge(c echo.Context, factor *store.Factor, challenge *store.Challenge) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), undoTime)
	defer cancel()
	if err := store.UndoChallenge(ctx, projectOf(c).DB.Auth, factor, challenge.ID); err != nil {
		m.deps.Log.ErrorContext(ctx, "a challenge whose code did not leave stays", "factor_id", factor.ID, "error", err)
	}
}

// provePhone checks the code that was sent for the challenge.
func (m *Module) provePhone(ctx context.Context, try *attempt) (proof, error) {
	taken, err := m.takenElsewhere(ctx, try.factor.Phone, try.req.Code)
	if err != nil {
		return nil, err
	}
	hash := hashCode(try.factor.Phone, try.req.Code)
	if !taken && subtle.ConstantTimeCompare([]byte(try.challenge.Code), []byte(hash)) != 1 {
		return nil, unprocessable(codeMFAFailed, "Invalid MFA Phone code entered")
	}
	return func(ctx context.Context, tx db.Queryer) error {
		return answerOnce(store.AnswerChallenge(ctx, tx, try.factor.ID, try.challenge.ID, 0))
	}, nil
}

// phoneDigits is the length of a code, GoTrue's where the setting is out of its bounds.
func (c MFAConfig) phoneDigits() int {
	if c.PhoneOTPLength < 6 || c.PhoneOTPLength > 10 {
		return 6
	}
	return c.PhoneOTPLength
}

// phoneFrequency is the least time between two codes, GoTrue's where there is none.
func (c MFAConfig) phoneFrequency() time.Duration { return cmp.Or(c.PhoneMaxFrequency, time.Minute) }

// phoneTemplate makes the message with a code.
func (c MFAConfig) phoneTemplate() (*sms.Template, error) {
	t, err := sms.ParseTemplate(cmp.Or(c.PhoneTemplate, "Your code is {{ .Code }}"))
	if err != nil {
		return nil, fmt.Errorf("GOTRUE_MFA_PHONE_TEMPLATE %w", err)
	}
	return t, nil
}
