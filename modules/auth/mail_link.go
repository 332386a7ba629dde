package auth

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/platform/project"
)

// linkTypes are what the links of the kinds say that they verify; a kind that is
// not here has no link.
var linkTypes = map[mail.Kind]string{
	mail.Confirmation: "signup", mail.Invite: "invite", mail.Recovery: "recovery", mail.MagicLink: "magiclink", mail.EmailChange: "email_change",
}

// mailLink is the link that a mail of kind carries (its ConfirmationURL): it
// checks the token and goes on to redirectTo. It is empty for a kind without one.
func (m *Module) mailLink(ctx context.Context, kind mail.Kind, tokenHash, redirectTo string) string {
	linkType := linkTypes[kind]
	if linkType == "" {
		return ""
	}
	if strings.ContainsAny(redirectTo, "&=#") { // without them it is taken as the caller encoded it, as in GoTrue
		redirectTo = url.QueryEscape(redirectTo)
	}
	link := m.linkTarget(ctx, kind)
	link.RawQuery = "token=" + url.QueryEscape(tokenHash) + "&type=" + linkType + "&redirect_to=" + redirectTo
	return link.String()
}

// linkTarget is where links of kind lead: the setting's path or URL, or else auth's own route.
func (m *Module) linkTarget(ctx context.Context, kind mail.Kind) *url.URL {
	if kind == mail.MagicLink {
		kind = mail.Recovery
	}
	base := &url.URL{}
	if parsed, err := url.Parse(m.linkBase(ctx)); err == nil {
		base = parsed
	}
	if own, err := url.Parse(m.cfg.Mail.URLPaths[string(kind)]); err == nil && own.String() != "" {
		return base.ResolveReference(own)
	}
	return base.JoinPath("verify")
}

// linkBase is the surface's address that links begin with: at the request's own
// host, where it is one of GOTRUE_MAILER_EXTERNAL_HOSTS, or else at the project's
// public URL.
func (m *Module) linkBase(ctx context.Context) string {
	if r := slipOf(ctx).request; r != nil {
		if base := m.externalHost(r); base != "" {
			return m.surfaceAt(base)
		}
	}
	if p := project.From(ctx); p != nil {
		return m.apiURL(p)
	}
	return m.surfaceAt("")
}

// externalHost is the address of the allowed host that r came to, or nothing. The
// header is anybody's to send, which is why there is a list. Plain HTTP is for localhost.
func (m *Module) externalHost(r *http.Request) string {
	if len(m.cfg.Mail.ExternalHosts) == 0 {
		return ""
	}
	host := r.Header.Get("X-Forwarded-Host")
	if host == "" {
		host = r.URL.Hostname()
	}
	if host == "" || !slices.Contains(m.cfg.Mail.ExternalHosts, host) {
		return ""
	}
	if host == "localhost" && (r.Header.Get("X-Forwarded-Proto") == "http" || r.URL.Scheme == "http") {
		return "http://" + host
	}
	return "https://" + host
}
