package auth

import (
	"context"
	"embed"
	"errors"
	"html/template"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/db"
)

// link is a mail's link as it is opened.
type link struct {
	Token, Type, RedirectTo string
}

// pkce reports whether its flow ends in a code for who began it.
func (l link) pkce() bool { return strings.HasPrefix(l.Token, pkcePrefix) }

// check refuses a link that names nothing to verify.
func (l link) check() error {
	if l.Type == "" {
		return invalid("Verify requires a verification type")
	}
	if l.Token == "" {
		return invalid("Verify requires a token or a token hash")
	}
	return nil
}

// verifyGet answers GET /verify, the link of a mail: it leads on with the tokens
// of a new session, a code (PKCE), or why there is neither. By setting it only
// asks whether to.
func (m *Module) verifyGet(c echo.Context) error {
	r := c.Request()
	if err := m.allow(r, "verify", m.cfg.Flow.RateLimitVerify, 5*time.Minute); err != nil {
		return err
	}
	q := r.URL.Query()
	l := link{Token: q.Get("token"), Type: q.Get("type"), RedirectTo: m.redirectTo(r)}
	if err := l.check(); err != nil {
		return err
	}
	if m.cfg.Flow.ConfirmPage {
		return askToConfirm(c, l)
	}
	return m.follow(c, l)
}

// pressed answers the button of the page that asks.
func (m *Module) pressed(c echo.Context) error {
	r := c.Request()
	r.Body = http.MaxBytesReader(c.Response(), r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return invalid("Could not parse the form")
	}
	l := link{Token: r.PostForm.Get("token"), Type: r.PostForm.Get("type"), RedirectTo: r.PostForm.Get("redirect_to")}
	if !m.redirectAllowed(r, l.RedirectTo) {
		l.RedirectTo = m.siteURL(r.Context())
	}
	if err := l.check(); err != nil {
		return err
	}
	return m.follow(c, l)
}

// isForm reports whether the body is one of a page's form.
func isForm(r *http.Request) bool {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return kind == "application/x-www-form-urlencoded"
}

//go:embed confirm.html
var pages embed.FS

var confirmPage = template.Must(template.ParseFS(pages, "confirm.html"))

// askToConfirm shows a button that follows the link. It says nothing of whether the link is good.
func askToConfirm(c echo.Context, l link) error {
	h := c.Response().Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'")
	c.Response().WriteHeader(http.StatusOK)
	return confirmPage.Execute(c.Response(), l)
}

// follow does what a link is for and leads on.
func (m *Module) follow(c echo.Context, l link) error {
	ctx := c.Request().Context()
	to, err := url.Parse(l.RedirectTo)
	if err != nil {
		return invalid("redirect_to is not a URL")
	}
	var o *opened
	var in *issued
	var code string
	err = m.transact(ctx, func(tx pgx.Tx) (err error) {
		o, err = m.verify(ctx, tx, verifyRequest{Type: l.Type, TokenHash: l.Token}, "")
		if err != nil || o.half {
			return err
		}
		if l.pkce() {
			code, err = m.issueCode(ctx, tx, o)
			return err
		}
		in, err = m.startSession(ctx, tx, o.user, entry{method: methodOTP}, m.client(c.Request()))
		return err
	})
	h := c.Response().Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	switch {
	case err != nil:
		m.leadError(c, to, verifyError(err), l.pkce())
	case o.half:
		leadMessage(to, halfChanged, l.pkce())
	case l.pkce():
		lead(to, url.Values{"code": {code}})
	default:
		m.answer(c, in) // for its headers
		http.Redirect(c.Response(), c.Request(), m.withTokens(to.String(), in, url.Values{"type": {l.Type}}), http.StatusSeeOther)
		return nil
	}
	http.Redirect(c.Response(), c.Request(), to.String(), http.StatusSeeOther)
	return nil
}

// issueCode is the code of the flow that the opened link belongs to: the user's last of its kind.
func (m *Module) issueCode(ctx context.Context, tx db.Queryer, o *opened) (string, error) {
	method := o.verifies
	if method == typeSignup {
		method = methodSignup
	}
	flow, err := store.FlowStateOfUser(ctx, tx, o.user.ID, method)
	if errors.Is(err, store.ErrNotFound) || err == nil && flow.AuthCode == "" {
		return "", badRequest(codeFlowNotFound, "No associated flow state found. No valid flow state found for user.")
	}
	if err != nil {
		return "", err
	}
	return flow.AuthCode, store.IssueCode(ctx, tx, flow)
}

// lead adds parameters to an address's query.
func lead(to *url.URL, with url.Values) {
	q := to.Query()
	for name, values := range with {
		q[name] = values
	}
	to.RawQuery = q.Encode()
}

// leadFragment sets parameters as an address's fragment.
func leadFragment(to *url.URL, with url.Values) {
	with.Set("sb", "")
	to.RawFragment = with.Encode()
	to.Fragment, _ = url.PathUnescape(to.RawFragment)
}

// leadMessage tells the app something by the address; in a flow with PKCE in the query too.
func leadMessage(to *url.URL, message string, inQuery bool) {
	with := url.Values{"message": {message}}
	if inQuery {
		lead(to, with)
	}
	leadFragment(to, with)
}

// leadError tells the app of an error by the address; in a flow with PKCE in the
// query too. One that is not for strangers is logged and told of without its text.
func (m *Module) leadError(c echo.Context, to *url.URL, err error, inQuery bool) {
	public, ok := errors.AsType[*apierr.Error](err)
	if !ok {
		m.deps.Log.ErrorContext(c.Request().Context(), "a link failed", "error", err)
		public = apierr.New(http.StatusInternalServerError, codeUnexpected, "Unexpected failure, please check server logs for more information")
	}
	with := url.Values{"error_code": {public.Code}, "error_description": {public.Message}}
	if name := oauthNames[public.Status]; name != "" {
		with.Set("error", name)
	}
	if inQuery {
		lead(to, with)
	}
	leadFragment(to, with)
}
