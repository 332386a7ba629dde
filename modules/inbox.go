package modules

import (
	"context"
	"net/netip"
	"net/url"
	"slices"

	"github.com/madbase/madbase/modules/auth"
	"github.com/madbase/madbase/modules/control"
)

// inboxURL is where the dev inbox is shown, which mails of the embedded default go
// to as long as no mail server is named. Empty where there is none: once others
// can reach madbase (the public URL is not this machine's own), codes are not to
// be looked at here.
func (f *foundation) inboxURL() string {
	names, err := chosen(f.cfg)
	if err != nil || !f.cfg.Embedded() || f.cfg.Auth.Mail.Host != "" || !slices.Contains(names, "control") {
		return ""
	}
	public := publicURL(f.cfg)
	u, err := url.Parse(public)
	if err != nil {
		return ""
	}
	if ip, err := netip.ParseAddr(u.Hostname()); u.Hostname() != "localhost" && (err != nil || !ip.IsLoopback()) {
		return ""
	}
	return public + prefixes["control"] + "/inbox"
}

// devInbox gives the control plane auth's mails.
type devInbox struct{ auth func() *auth.Module }

// Mails implements control.Inbox.
func (i devInbox) Mails(ctx context.Context, limit int) ([]control.Mail, error) {
	list, err := i.auth().Inbox(ctx, limit)
	if err != nil {
		return nil, err
	}
	mails := make([]control.Mail, 0, len(list))
	for _, m := range list {
		mails = append(mails, control.Mail{
			ID: m.ID, At: m.At, Kind: string(m.Kind), To: m.To, Subject: m.Subject, Code: m.Token, Link: m.Link, HTML: m.HTML,
		})
	}
	return mails, nil
}

// Empty implements control.Inbox.
func (i devInbox) Empty(ctx context.Context) error { return i.auth().EmptyInbox(ctx) }
