package auth

import (
	"context"
	"errors"
	"strings"

	"github.com/madbase/madbase/modules/auth/hook"
	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/project"
)

// sendEmailInput is the payload of the send_email hook.
type sendEmailInput struct {
	Metadata hook.Metadata `json:"metadata"`
	User     any           `json:"user"`
	Data     emailData     `json:"email_data"`
}

// emailData is what the app's own sender makes its mail of; all members are there
// always, as GoTrue has them.
type emailData struct {
	Token        string `json:"token"`
	TokenHash    string `json:"token_hash"`
	RedirectTo   string `json:"redirect_to"`
	Action       string `json:"email_action_type"`
	SiteURL      string `json:"site_url"`
	TokenNew     string `json:"token_new"`
	TokenHashNew string `json:"token_hash_new"`
	OldEmail     string `json:"old_email"`
	OldPhone     string `json:"old_phone"`
	Provider     string `json:"provider"`
	FactorType   string `json:"factor_type"`
}

// hookMail hands the mail over to the app's send_email hook, in place of sending
// it: to a function of the database now, in the transaction, whose rows it sees;
// over HTTP between two runs of transact, or, what only tells of a change, once
// that has committed.
func (m *Module) hookMail(ctx context.Context, tx db.Queryer, msg mail.Message) error {
	input, slip := m.emailInput(ctx, msg), slipOf(ctx)
	_, _, asks := mailClock(msg.Kind, 0)
	switch {
	case !m.hooks.Remote(hook.SendEmail):
		return m.hooks.Call(ctx, tx, hook.SendEmail, input, nil)
	case !asks:
		transaction, err := store.CurrentTransaction(ctx, tx)
		slip.notices = append(slip.notices, postedNotice{transaction, input, msg.Kind})
		return err
	case slip.rehearsal == nil || slip.rehearsal.mailed != "":
		return errors.New("auth: send mail: the transaction is none of transact's, or this is its second mail")
	}
	slip.rehearsal.ask = func(ctx context.Context) error {
		slip.rehearsal.mailed = msg.Kind
		if err := m.callHook(ctx, hook.SendEmail, input, nil); err != nil {
			return mailError(msg.Kind, err)
		}
		return nil
	}
	return errRehearsed
}

// awaitTurn has one mail of a kind at a time for an addressee go to the app's
// hook over HTTP: until the transaction of the first has committed, no clock
// keeps the second from leaving.
func (m *Module) awaitTurn(ctx context.Context, msg mail.Message) error {
	slip := slipOf(ctx)
	clock, _, found := mailClock(msg.Kind, 0)
	if !m.hooks.Remote(hook.SendEmail) || slip.rehearsal == nil || slip.rehearsal.addressee != "" || !found {
		return nil
	}
	addressee := strings.Join([]string{project.From(ctx).Ref, string(rune('0' + clock)), msg.Recipient()}, "/")
	if msg.Kind == mail.EmailChange { // an address need not be there
		addressee += msg.User.ID
	}
	if _, busy := m.hooked.LoadOrStore(addressee, true); busy {
		return tooSoon(m.cfg.Mail.Frequency(), codeOverEmailRate)
	}
	slip.rehearsal.addressee = addressee
	return nil
}

// emailInput is what the hook is told of a mail.
func (m *Module) emailInput(ctx context.Context, msg mail.Message) *sendEmailInput {
	ip := ""
	if r := slipOf(ctx).request; r != nil {
		ip = m.client(r).ip
	}
	user := *msg.User
	if msg.NewEmail != "" {
		user.NewEmail = msg.NewEmail
	}
	return &sendEmailInput{Metadata: hook.About(hook.SendEmail, ip), User: &user, Data: m.emailData(ctx, msg)}
}

// emailData crosses the two pairs of an email change, as GoTrue does and as apps
// have come to rely on: token is the current address's and token_hash the new
// one's. Where only the new address is asked, both are its own.
func (m *Module) emailData(ctx context.Context, msg mail.Message) emailData {
	d := emailData{
		Token: msg.Token, TokenHash: msg.TokenHash, RedirectTo: msg.RedirectTo, Action: msg.Kind.Action(), SiteURL: m.linkBase(ctx),
		OldEmail: msg.OldEmail, OldPhone: msg.OldPhone, Provider: msg.Provider, FactorType: msg.FactorType,
	}
	if msg.Kind != mail.EmailChange {
		return d
	}
	d.TokenHash = msg.TokenHashNew
	if msg.Token == "" {
		d.Token = msg.TokenNew
		return d
	}
	d.TokenNew, d.TokenHashNew = msg.TokenNew, msg.TokenHash
	return d
}

// postedNotice is what the app's hook is to send once its transaction has committed.
type postedNotice struct {
	transaction string
	input       *sendEmailInput
	kind        mail.Kind
}

// sendNotices has the app's hook tell users of the changes that have committed.
// Nothing is undone when it fails.
func (m *Module) sendNotices(ctx context.Context) {
	slip := slipOf(ctx)
	ctx = context.WithoutCancel(ctx)
	for _, n := range slip.notices {
		committed, err := store.Committed(ctx, project.From(ctx).DB.Auth, n.transaction)
		if err == nil && committed {
			err = m.callHook(ctx, hook.SendEmail, n.input, nil)
		}
		if err != nil {
			m.deps.Log.WarnContext(ctx, "a user could not be told of a change", "kind", n.kind, "error", err)
		}
	}
	slip.notices = nil
}
