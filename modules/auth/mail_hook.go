package auth

import (
	"context"

	"github.com/madbase/madbase/modules/auth/hook"
	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/platform/db"
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
// it. The hook runs inside the transaction: what it refuses leaves nothing behind,
// and a function of the database sees the user's row. A function that is slow
// holds up its own request alone; a hook over HTTP has five seconds.
func (m *Module) hookMail(ctx context.Context, tx db.Queryer, msg mail.Message) error {
	ip := ""
	if r := slipOf(ctx).request; r != nil {
		ip = m.client(r).ip
	}
	user := *msg.User
	if msg.NewEmail != "" {
		user.NewEmail = msg.NewEmail
	}
	input := sendEmailInput{Metadata: hook.About(hook.SendEmail, ip), User: &user, Data: m.emailData(ctx, msg)}
	return m.hooks.Call(ctx, tx, hook.SendEmail, input, nil)
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
