package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/hook"
	"github.com/madbase/madbase/modules/auth/sms"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/ratelimit"
)

// textPurpose is what a code by text message is for.
type textPurpose string

// The purposes, as GoTrue's errors call them.
const (
	textConfirmation     textPurpose = "confirmation"
	textPhoneChange      textPurpose = "phone_change"
	textReauthentication textPurpose = "reauthentication"
	// textSignIn confirms the number of a user who was signed up with a password
	// and never confirmed, and makes the password void: whoever set it need not
	// be who has the phone. GoTrue leaves the password to them.
	textSignIn textPurpose = "sign-in"
)

// storedText is where a purpose's code is, and the clock of its frequency.
type storedText struct {
	kind  store.OneTime
	clock store.Clock
}

var storedTexts = map[textPurpose]storedText{
	textConfirmation:     {store.ConfirmationToken, store.ClockConfirmation},
	textPhoneChange:      {store.PhoneChangeToken, store.ClockPhoneChange},
	textReauthentication: {store.ReauthenticationToken, store.ClockReauthentication},
	textSignIn:           {store.RecoveryToken, store.ClockRecovery},
}

// text is a code to be made for a user's number and sent to it.
type text struct {
	user    *store.User
	purpose textPurpose
	// phone and channel are checked already.
	phone, channel string
	// who asks for it, for the hook.
	who client
	// newUser says that the user was made for this code, and goes if it does not leave.
	newUser bool
}

// madeText is a text whose code is stored and which is to be sent.
type madeText struct {
	text
	code, hash string
	// test says that the number has a fixed code and gets no message.
	test bool
	at   time.Time
	// before and wanted are the code and the change that this one has replaced.
	before store.Pending
	wanted string
}

// idOfTest is what GoTrue answers as the id of a message that is not sent.
const idOfTest = "test-otp"

// textCode makes a code and sends it: what with does, such as a note in the audit
// log, and the code are one transaction; the provider is asked after it, so that
// none is open while it takes its time. What could not be sent is undone.
func (m *Module) textCode(ctx context.Context, t text, with func(context.Context, pgx.Tx) error) (messageID string, err error) {
	var made *madeText
	err = pgx.BeginFunc(ctx, project.From(ctx).DB.Auth, func(tx pgx.Tx) (err error) {
		if err := with(ctx, tx); err != nil {
			return err
		}
		made, err = m.makeText(ctx, tx, t)
		return err
	})
	if err != nil {
		return "", err
	}
	return m.sendText(ctx, made)
}

// makeText stores a new code in tx, the first half of textCode: sendText is to
// follow once tx has committed. It asks whether the user's last code is long
// enough ago and whether the server has a message left (429
// over_sms_send_rate_limit, both).
func (m *Module) makeText(ctx context.Context, tx db.Queryer, t text) (*madeText, error) {
	tokens, err := store.LockOneTimes(ctx, tx, t.user.ID)
	if err != nil {
		return nil, fmt.Errorf("auth: text: %w", err)
	}
	made := &madeText{text: t, before: tokens.Of(storedTexts[t.purpose].kind), wanted: t.user.NewPhone}
	at, wait, err := store.TakeClock(ctx, tx, t.user.ID, storedTexts[t.purpose].clock, m.cfg.SMS.Frequency())
	if err != nil {
		return nil, fmt.Errorf("auth: text: %w", err)
	}
	if wait > 0 {
		return nil, tooSoon(wait, codeOverSMSRate)
	}
	made.at = at
	if made.code, made.test = m.sms.TestCode(t.phone, m.now()); !made.test {
		if err := m.takeText(ctx, t.phone); err != nil {
			return nil, err
		}
		made.code = newCode(m.cfg.SMS.OTPLength)
	}
	made.hash = hashCode(t.phone, made.code)
	if t.purpose == textPhoneChange {
		if err := store.SetPhoneChange(ctx, tx, t.user.ID, t.phone); err != nil {
			return nil, err
		}
		t.user.NewPhone = t.phone
	}
	return made, store.PutOneTime(ctx, tx, store.NewOneTime{UserID: t.user.ID, Kind: storedTexts[t.purpose].kind, RelatesTo: t.phone, Hash: made.hash})
}

// sendText sends what makeText has stored, and answers the provider's id of the
// message. The user then shows when it was sent. It goes on when the caller hangs
// up: what a provider did then nobody would know.
func (m *Module) sendText(ctx context.Context, t *madeText) (string, error) {
	ctx = context.WithoutCancel(ctx)
	id, err := idOfTest, error(nil)
	if !t.test {
		id, err = m.sendSMS(ctx, t.user, sms.Message{Phone: t.phone, Channel: t.channel, Text: m.sms.Text(t.code), Code: t.code}, "", t.who)
	}
	if err != nil {
		m.undoText(ctx, t)
		return "", m.textError(ctx, err, t.purpose)
	}
	switch t.purpose {
	case textPhoneChange:
		t.user.PhoneChangeSentAt = &t.at
	case textReauthentication:
		t.user.ReauthenticationSentAt = &t.at
	case textSignIn:
		t.user.RecoverySentAt = &t.at
	default:
		t.user.ConfirmationSentAt = &t.at
	}
	return id, nil
}

// smsHook is the payload of the hook send_sms, as GoTrue has it.
type smsHook struct {
	Metadata hook.Metadata `json:"metadata"`
	User     *store.User   `json:"user"`
	SMS      struct {
		OTP   string `json:"otp"`
		Type  string `json:"sms_type,omitempty"`
		Phone string `json:"phone"`
	} `json:"sms"`
}

// sendSMS has a message sent by the app's hook, where there is one, or else by
// the provider, whose id of it is the answer; without either it lands in the dev
// inbox, where there is one. Call it outside of transactions, and
// takeText before. kind is for the hook: mfa, or nothing.
func (m *Module) sendSMS(ctx context.Context, user *store.User, msg sms.Message, kind string, who client) (messageID string, err error) {
	switch {
	case m.hooks.Enabled(hook.SendSMS):
	case m.cfg.SMS.Provider == "" && m.hasInbox():
		return m.showText(ctx, msg)
	default:
		return m.sms.Send(ctx, msg)
	}
	payload := smsHook{Metadata: hook.About(hook.SendSMS, who.ip), User: user}
	payload.SMS.OTP, payload.SMS.Type, payload.SMS.Phone = msg.Code, kind, msg.Phone
	return "", m.callHook(ctx, hook.SendSMS, payload, nil)
}

// codesElsewhere reports whether the provider makes and checks the codes itself:
// what is stored of them is not what the user gets.
func (m *Module) codesElsewhere() bool { return m.sms.ChecksCodes() && !m.hooks.Enabled(hook.SendSMS) }

// textCodeLife is how long a text's code holds.
func (m *Module) textCodeLife() time.Duration { return time.Duration(m.cfg.SMS.OTPExp) * time.Second }

// takeText counts a message against the limit of the whole server, which is one
// for all its processes, and refuses numbers that are not served. GoTrue has no
// limit under autoconfirm; here it stands, since codes are sent then too.
func (m *Module) takeText(ctx context.Context, phone string) error {
	const message = "SMS rate limit exceeded"
	if !m.sms.Serves(phone) {
		return unprocessable(codeSMSFailed, "Messages to this country are not supported")
	}
	if m.cfg.SMS.RateSent == sms.NoMessages {
		return later(time.Hour, codeOverSMSRate, message)
	}
	limit, err := ratelimit.Parse(m.cfg.SMS.RateSent)
	if err != nil {
		return fmt.Errorf("auth: GOTRUE_RATE_LIMIT_SMS_SENT: %w", err)
	}
	return m.take(ctx, "sent/sms/"+project.From(ctx).Ref, limit, func(after time.Duration) *apierr.Error {
		return later(after, codeOverSMSRate, message)
	})
}

// undoTime bounds the undoing of a code, for which nobody waits.
const undoTime = 5 * time.Second

// undoText takes back what was stored of a code that did not leave: the one
// before it holds again, another may be asked for at once, and a user who was
// made for it is gone.
func (m *Module) undoText(ctx context.Context, t *madeText) {
	ctx, cancel := context.WithTimeout(ctx, undoTime)
	defer cancel()
	pool := project.From(ctx).DB.Auth
	if t.newUser {
		err := store.DeleteUnconfirmed(ctx, pool, t.user.ID, t.hash)
		if err == nil {
			return
		}
		m.deps.Log.WarnContext(ctx, "a user whose code did not leave stays", "user", t.user.ID, "error", err)
	}
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		return store.UndoOneTime(ctx, tx, store.Unsent{
			UserID: t.user.ID, Kind: storedTexts[t.purpose].kind, Hash: t.hash, Before: t.before, PhoneChange: t.wanted,
		})
	})
	if err != nil {
		m.deps.Log.ErrorContext(ctx, "a code that did not leave is not undone", "user", t.user.ID, "error", err)
	}
}

// textError is what the caller hears of a message that did not leave; the
// operator reads the whole of it.
func (m *Module) textError(ctx context.Context, err error, purpose textPurpose) error {
	if public, ok := errors.AsType[*apierr.Error](err); ok {
		return public
	}
	m.deps.Log.ErrorContext(ctx, "a text message was not sent", "purpose", purpose, "error", err)
	if errors.Is(err, sms.ErrNoProvider) {
		return apierr.New(http.StatusInternalServerError, codeUnexpected, "Unable to get SMS provider").Because(err)
	}
	reason := "the provider did not take the message"
	if e, ok := errors.AsType[*sms.Error](err); ok && e.Recipient && e.Words != "" {
		reason = e.Words
	}
	if purpose == textSignIn {
		purpose = textConfirmation
	}
	return unprocessable(codeSMSFailed, fmt.Sprintf("Error sending %s OTP to provider: %s", purpose, reason)).Because(err)
}

// parseChannel checks the channel of a request, sms where it names none.
func (m *Module) parseChannel(channel string) (string, error) {
	if channel == "" {
		return sms.ChannelSMS, nil
	}
	if !m.sms.Takes(channel) && !m.hooks.Enabled(hook.SendSMS) {
		return "", invalid("Invalid channel, supported values are 'sms' or 'whatsapp'. 'whatsapp' is only supported if Twilio or Twilio Verify is used as the provider.")
	}
	return channel, nil
}

// messageBody is the answer of what sends a text.
type messageBody struct {
	MessageID string `json:"message_id,omitempty"`
}

// phoneUser is the user of a number in an audience, nil for none.
func (m *Module) phoneUser(c echo.Context, phone, audience string) (*store.User, error) {
	user, err := store.UserByPhone(c.Request().Context(), projectOf(c).DB.Auth, phone, audience)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	return user, nil
}
