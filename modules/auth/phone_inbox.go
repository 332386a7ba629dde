package auth

import (
	"context"
	"fmt"
	"html"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/modules/auth/hook"
	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/modules/auth/sms"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/project"
)

// kindText is how the dev inbox calls a text message.
const kindText mail.Kind = "sms"

// hasInbox reports whether messages that nobody sends land in the dev inbox.
func (m *Module) hasInbox() bool { return m.mailer.inboxURL != "" && !m.mailer.dropIn }

// showText shows a text message in the dev inbox, among the mails, and answers its id there.
func (m *Module) showText(ctx context.Context, msg sms.Message) (id string, err error) {
	id = uuid.NewString()
	sealed, err := m.mailer.sealer.Seal(id, mail.Letter{
		Kind: kindText, To: "+" + msg.Phone, Subject: msg.Text, HTML: "<p>" + html.EscapeString(msg.Text) + "</p>", Token: msg.Code,
	})
	if err != nil {
		return "", fmt.Errorf("auth: dev inbox: %w", err)
	}
	err = pgx.BeginFunc(ctx, project.From(ctx).DB.Auth, func(tx pgx.Tx) error {
		if err := store.InsertOutgoing(ctx, tx, store.Outgoing{ID: id, Kind: string(kindText), Sealed: sealed}); err != nil {
			return err
		}
		return store.KeepOutgoing(ctx, tx, id, sealed, inboxSize)
	})
	if err != nil {
		return "", fmt.Errorf("auth: dev inbox: %w", err)
	}
	m.deps.Log.InfoContext(ctx, "a text message is in the dev inbox", "open", m.mailer.inboxURL)
	return id, nil
}

// warnOfTexts says at the start that numbers are on and nothing reaches them.
func (m *Module) warnOfTexts(ctx context.Context) {
	c := m.cfg.SMS
	if m.cfg.PhoneEnabled && c.Provider == "" && c.TestOTP == "" && !m.hooks.Enabled(hook.SendSMS) && !m.hasInbox() {
		m.deps.Log.WarnContext(ctx, "GOTRUE_EXTERNAL_PHONE_ENABLED is on, and GOTRUE_SMS_PROVIDER is not set: no text message will leave")
	}
}
