package control

import (
	"context"
	_ "embed" // for the page
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/httpx"
)

// Inbox holds the mails of a development machine, where none leaves.
type Inbox interface {
	// Mails are the newest limit ones, newest first.
	Mails(ctx context.Context, limit int) ([]Mail, error)
	// Empty removes all.
	Empty(ctx context.Context) error
}

// Mail is one of the dev inbox.
type Mail struct {
	ID      string    `json:"id"`
	At      time.Time `json:"created_at"`
	Kind    string    `json:"kind"`
	To      string    `json:"to"`
	Subject string    `json:"subject"`
	// Code and Link are what the mail asks its reader to use; empty where it has none.
	Code string `json:"code,omitempty"`
	Link string `json:"link,omitempty"`
	HTML string `json:"html"`
}

// How many mails are listed, unless ?limit= says otherwise.
const (
	usualMails = 50
	mostMails  = 500
)

//go:embed inbox.html
var inboxHTML string

var inboxPage = template.Must(template.New("inbox").Funcs(template.FuncMap{"framed": framed}).Parse(inboxHTML))

// framed is a mail's HTML for a frame of its own, whose links open beside the page.
func framed(html string) string { return `<base target="_blank">` + html }

// inboxPolicy has the page, and the mails in their frames, run no script and be
// in nobody else's frame.
const inboxPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src http: https: data:; form-action 'none'; frame-ancestors 'none'"

// showInbox answers GET /inbox with a page for people.
func (m *Module) showInbox(c echo.Context) error {
	mails, err := m.mails(c)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Content-Security-Policy", inboxPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Type", "text/html; charset=utf-8")
	c.Response().WriteHeader(http.StatusOK)
	if err := inboxPage.Execute(c.Response(), mails); err != nil {
		return fmt.Errorf("control: page of the inbox: %w", err)
	}
	return nil
}

// listInbox answers GET /inbox.json with the same for tests.
func (m *Module) listInbox(c echo.Context) error {
	mails, err := m.mails(c)
	if err != nil {
		return err
	}
	return httpx.JSON(c, http.StatusOK, mails)
}

// emptyInbox answers DELETE /inbox.
func (m *Module) emptyInbox(c echo.Context) error {
	if err := m.deps.Inbox.Empty(c.Request().Context()); err != nil {
		return fmt.Errorf("control: empty inbox: %w", err)
	}
	return c.NoContent(http.StatusNoContent)
}

func (m *Module) mails(c echo.Context) ([]Mail, error) {
	limit := usualMails
	if text := c.QueryParam("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > mostMails {
			return nil, apierr.Newf(http.StatusBadRequest, "bad_limit", "limit must be a number from 1 to %d", mostMails)
		}
		limit = n
	}
	mails, err := m.deps.Inbox.Mails(c.Request().Context(), limit)
	if err != nil {
		return nil, fmt.Errorf("control: inbox: %w", err)
	}
	return mails, nil
}

// guardInbox lets the browser and the tests of the developer's own machine pass as
// they are, and everybody else with the administrator's password. Without an
// inbox there is no such route.
func (m *Module) guardInbox(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if m.deps.Inbox == nil {
			return echo.ErrNotFound
		}
		if m.isLocal(c.Request()) {
			return next(c)
		}
		return m.guard(next)(c)
	}
}

// isLocal reports whether r comes from a program on this machine that means this
// address: not from elsewhere, not under a foreign name that leads here (DNS
// rebinding), and not from another site's script in the developer's browser,
// which the answer's CORS headers would let read it.
func (m *Module) isLocal(r *http.Request) bool {
	ip, err := netip.ParseAddr(m.deps.Proxies.ClientIP(r))
	if err != nil || !ip.Unmap().IsLoopback() || !loopbackHost(r.Host) {
		return false
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		if err != nil || u.Host != r.Host {
			return false
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return true
	}
	// A link on another page leads here; that page does not see what it shows.
	return r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}

// loopbackHost reports whether host, with or without a port, names this machine.
func loopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
