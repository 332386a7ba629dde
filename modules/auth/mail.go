package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/modules/auth/hook"
	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/ratelimit"
)

// sendMail has a mail leave once tx has committed, and not at all if it does not;
// or it calls the send_email hook, where that is on.
// Call it in the transaction that makes the message's tokens, which must be one of transact's. It asks in this
// order, as GoTrue does: is the user's last one of the kind long enough ago
// (429 over_email_send_rate_limit), may the address get mails at all (400
// email_address_not_authorized), and has the server one left (429).
//
// It sets the user's confirmation_sent_at, recovery_sent_at, email_change_sent_at
// or reauthentication_sent_at, in the row and in msg.User; what the caller's own
// transaction wrote there before does not count as a mail.
func (m *Module) sendMail(ctx context.Context, tx db.Queryer, msg mail.Message) error {
	if err := m.trySendMail(ctx, tx, msg); err != nil {
		return mailError(msg.Kind, err)
	}
	return nil
}

// mailError is what the caller hears of a mail that is not sent.
func mailError(kind mail.Kind, err error) error {
	if _, public := errors.AsType[*apierr.Error](err); public || errors.Is(err, errRehearsed) {
		return err
	}
	name := strings.ReplaceAll(strings.Replace(string(kind), "mfa_", "MFA_", 1), "_", " ")
	return apierr.New(http.StatusInternalServerError, codeUnexpected, "Error sending "+name+" email").Because(err)
}

func (m *Module) trySendMail(ctx context.Context, tx db.Queryer, msg mail.Message) error {
	if r := slipOf(ctx).rehearsal; r != nil && r.mailed == msg.Kind {
		sentAt, err := m.takeMailClock(ctx, tx, msg)
		if err == nil {
			noteSent(msg.User, msg.Kind, sentAt)
		}
		return err
	}
	if err := m.awaitTurn(ctx, msg); err != nil {
		return err
	}
	sentAt, err := m.takeMailClock(ctx, tx, msg)
	if err != nil {
		return err
	}
	for _, address := range m.recipients(msg) {
		if err := m.checkAuthorized(address); err != nil {
			return err
		}
	}
	if !slipOf(ctx).again("mail " + string(msg.Kind)) {
		if err := m.takeMail(ctx); err != nil {
			return err
		}
	}
	if m.hooks.Enabled(hook.SendEmail) {
		err = m.hookMail(ctx, tx, msg)
	} else {
		err = m.postMail(ctx, tx, msg)
	}
	if err == nil {
		noteSent(msg.User, msg.Kind, sentAt)
	}
	return err
}

// notify tells a user of a change of their account, when the setting asks for it
// and there is an address. Call it in the transaction of the change, which does
// not fail with it: a mail that may not be sent now, or that the app's hook
// refuses, is only logged.
func (m *Module) notify(ctx context.Context, tx db.Queryer, msg mail.Message) error {
	if !m.cfg.Mail.Notifies(msg.Kind) || msg.Recipient() == "" {
		return nil
	}
	outer, ok := tx.(interface {
		Begin(ctx context.Context) (pgx.Tx, error)
	})
	if !ok {
		return fmt.Errorf("auth: notify: %T is no transaction", tx)
	}
	err := pgx.BeginFunc(ctx, outer, func(tx pgx.Tx) error { return m.sendMail(ctx, tx, msg) }) // a savepoint
	if err != nil {
		m.deps.Log.WarnContext(ctx, "a user could not be told of a change", "kind", msg.Kind, "user", msg.User.ID, "error", err)
	}
	return nil
}

// mailClock is what a kind's frequency goes by. Invitations have no least time
// between two, but count for confirmations; notifications have none.
func mailClock(k mail.Kind, every time.Duration) (clock store.Clock, least time.Duration, found bool) {
	switch k {
	case mail.Confirmation:
		return store.ClockConfirmation, every, true
	case mail.Invite:
		return store.ClockConfirmation, 0, true
	case mail.Recovery, mail.MagicLink:
		return store.ClockRecovery, every, true
	case mail.EmailChange:
		return store.ClockEmailChange, every, true
	case mail.Reauthentication:
		return store.ClockReauthentication, every, true
	}
	return 0, 0, false
}

func (m *Module) takeMailClock(ctx context.Context, tx db.Queryer, msg mail.Message) (at time.Time, err error) {
	clock, every, found := mailClock(msg.Kind, m.cfg.Mail.Frequency())
	if !found {
		return at, nil
	}
	at, wait, err := store.TakeClock(ctx, tx, msg.User.ID, clock, every)
	if err != nil {
		return at, fmt.Errorf("auth: send mail: %w", err)
	}
	if wait > 0 {
		return at, tooSoon(wait, codeOverEmailRate)
	}
	return at, nil
}

// noteSent sets the user's clock as its row has it now.
func noteSent(u *store.User, kind mail.Kind, at time.Time) {
	clock, _, found := mailClock(kind, 0)
	if !found {
		return
	}
	switch clock {
	case store.ClockConfirmation:
		u.ConfirmationSentAt = &at
	case store.ClockRecovery:
		u.RecoverySentAt = &at
	case store.ClockEmailChange:
		u.EmailChangeSentAt = &at
	case store.ClockReauthentication:
		u.ReauthenticationSentAt = &at
	}
}

// tooSoon refuses another mail or text to one user.
func tooSoon(wait time.Duration, code string) *apierr.Error {
	return later(wait, code, fmt.Sprintf("For security purposes, you can only request this after %d seconds.", wait/time.Second))
}

// recipients are the addresses that a message goes to.
func (m *Module) recipients(msg mail.Message) []string {
	if msg.Kind != mail.EmailChange {
		return []string{msg.Recipient()}
	}
	if msg.Token == "" {
		return []string{msg.NewEmail}
	}
	return []string{msg.NewEmail, msg.Recipient()}
}

// addressLabel is the part of name+label@host that authorisation leaves out.
var addressLabel = regexp.MustCompile("[+][^@]+@")

// checkAuthorized refuses an address that may get no mails.
func (m *Module) checkAuthorized(address string) error {
	allowed := m.cfg.Mail.Authorized
	plain := addressLabel.ReplaceAllString(address, "@")
	if len(allowed) == 0 || slices.ContainsFunc(allowed, func(a string) bool { return strings.EqualFold(a, plain) }) {
		return nil
	}
	return badRequest(codeEmailUnauthorized, fmt.Sprintf("Email address %q cannot be used as it is not authorized", address))
}

// takeMail counts a mail against the limit of the whole server, which is one for
// all its processes. Autoconfirm lifts it, as in GoTrue, but for a limit of 0; so
// does the dev inbox, where mails reach nobody.
func (m *Module) takeMail(ctx context.Context) error {
	const message = "email rate limit exceeded"
	if m.cfg.Mail.RateLimit == mail.NoMails {
		return later(time.Hour, codeOverEmailRate, message)
	}
	if m.cfg.Autoconfirm || m.mailer.toInbox() || m.cfg.Mail.RateLimit == "" {
		return nil
	}
	limit, err := ratelimit.Parse(m.cfg.Mail.RateLimit)
	if err != nil {
		return fmt.Errorf("auth: GOTRUE_RATE_LIMIT_EMAIL_SENT: %w", err)
	}
	return m.take(ctx, "sent/email/"+project.From(ctx).Ref, limit, func(after time.Duration) *apierr.Error {
		return later(after, codeOverEmailRate, message)
	})
}
