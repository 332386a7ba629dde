package auth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/errgroup"

	"github.com/madbase/madbase/modules/auth"
	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/modules/auth/mail/mailtest"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/ratelimit"
	"github.com/madbase/madbase/platform/testkit"
)

// mailConfig sends by the sink, as often as anybody likes.
func mailConfig(sink *mailtest.Server) auth.Config {
	cfg := config()
	cfg.SiteURL = "https://app.example.com"
	cfg.Mail = mail.Config{
		AdminEmail: "auth@example.com", SenderName: "The App", MaxFrequency: time.Millisecond,
		TemplateMaxSize: 1_000_000, TemplateMaxAge: 10 * time.Minute, TemplateRetry: 10 * time.Second,
	}
	if sink != nil {
		cfg.Mail.Host, cfg.Mail.Port = sink.Host, sink.Port
	}
	return cfg
}

// post is a started module with a user to mail to.
type post struct {
	t    *testing.T
	f    *testkit.Project
	m    *auth.Module
	user *store.User
}

func startPost(t *testing.T, cfg auth.Config, change ...func(*auth.Deps)) *post {
	t.Helper()
	return startPostOn(t, testkit.NewProject(t, "auth"), cfg, change...)
}

func startPostOn(t *testing.T, f *testkit.Project, cfg auth.Config, change ...func(*auth.Deps)) *post {
	t.Helper()
	deps := auth.Deps{Log: testkit.Log(), BcryptCost: bcrypt.MinCost, Projects: project.NewDirectory(f.Project), MailSecret: testkit.JWTSecret}
	for _, c := range change {
		c(&deps)
	}
	m, err := auth.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	p := &post{t: t, f: f, m: m}
	const id = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
	f.Exec(t, `INSERT INTO auth.users (instance_id, id, email, raw_user_meta_data) VALUES ('00000000-0000-0000-0000-000000000000', $1, 'ann@example.com', '{"name":"<b>Ann</b>"}') ON CONFLICT DO NOTHING`, id)
	if p.user, err = store.UserByID(t.Context(), f.DB.Auth, id); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *post) message(kind mail.Kind) mail.Message {
	return mail.Message{Kind: kind, User: p.user, Token: "123456", TokenHash: "pkce_hash", RedirectTo: "https://app.example.com/a?b=c&d=e"}
}

func (p *post) send(msg mail.Message) {
	p.t.Helper()
	if err := p.m.SendMail(p.t.Context(), p.f.Project, msg, nil); err != nil {
		p.t.Fatal(err)
	}
}

// waiting is how many mails the outbox holds.
func (p *post) waiting() (n int) {
	p.t.Helper()
	if err := p.f.Owner.QueryRow(p.t.Context(), `SELECT count(*) FROM madbase.auth_outbox`).Scan(&n); err != nil {
		p.t.Fatal(err)
	}
	return n
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	timeout, tick := time.After(15*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-timeout:
			t.Fatalf("not within 15 s: %s", what)
		case <-tick.C:
		}
	}
}

func TestMailLeavesAfterTheCommit(t *testing.T) {
	t.Parallel()
	sink := mailtest.Start(t)
	p := startPost(t, mailConfig(sink))
	p.send(p.message(mail.Recovery)) // the first one waits for a pool's connection
	sink.Next()
	begun := time.Now()
	p.send(p.message(mail.Recovery))
	got := sink.Next()
	if took := got.At.Sub(begun); took > time.Second {
		t.Errorf("it took %v", took)
	}
	t.Logf("left after %v", got.At.Sub(begun))
	equal(t, "envelope", []string{got.From, got.To}, []string{"auth@example.com", "ann@example.com"})
	equal(t, "from", got.Header.Get("From"), `"The App" <auth@example.com>`)
	equal(t, "subject", got.Subject, "Reset your password")
	equal(t, "code", got.Code(), "123456")
	equal(t, "link", got.Link(), "http://localhost:8000/auth/v1/verify?token=pkce_hash&type=recovery&redirect_to=https%3A%2F%2Fapp.example.com%2Fa%3Fb%3Dc%26d%3De")
	until(t, "the outbox is empty", func() bool { return p.waiting() == 0 })

	refused := errors.New("rolled back")
	if err := p.m.SendMail(t.Context(), p.f.Project, p.message(mail.Recovery), func(pgx.Tx) error { return refused }); !errors.Is(err, refused) {
		t.Fatal(err)
	}
	p.send(p.message(mail.MagicLink))
	equal(t, "after a rollback", sink.Next().Subject, "Sign in")
	equal(t, "mails", len(sink.All()), 3)
}

func TestMailOfAnEmailChangeGoesToBoth(t *testing.T) {
	t.Parallel()
	sink := mailtest.Start(t)
	p := startPost(t, mailConfig(sink))
	msg := p.message(mail.EmailChange)
	msg.NewEmail, msg.TokenNew, msg.TokenHashNew = "new@example.com", "654321", "newhash"
	p.send(msg)
	codes := map[string]string{}
	for range 2 {
		got := sink.Next()
		codes[got.To] = got.Code()
	}
	equal(t, "codes", codes, map[string]string{"ann@example.com": "123456", "new@example.com": "654321"})
}

// Who has no address yet reads of none, and who set no site, of the public URL.
func TestMailsNameWhatThereIs(t *testing.T) {
	t.Parallel()
	sink := mailtest.Start(t)
	cfg := mailConfig(sink)
	cfg.SiteURL = ""
	p := startPost(t, cfg)
	p.send(p.message(mail.Invite))
	if got := sink.Next(); p.f.PublicURL == "" || !strings.Contains(got.HTML, "ann@example.com at "+p.f.PublicURL+".") {
		t.Errorf("%q in %s", p.f.PublicURL, got.HTML)
	}
	msg := p.message(mail.EmailChange)
	user := *msg.User
	user.Email = ""
	msg.User, msg.NewEmail, msg.Token, msg.TokenNew = &user, "new@example.com", "", "654321"
	p.send(msg)
	if got := sink.Next(); !strings.Contains(got.HTML, "is to be new@example.com.") {
		t.Error(got.HTML)
	}
}

func TestMailOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().(*net.TCPAddr)
	cfg := mailConfig(nil)
	cfg.Mail.Host, cfg.Mail.Port = address.IP.String(), address.Port
	l.Close()
	p := startPost(t, cfg) // nobody listens
	p.send(p.message(mail.Confirmation))
	until(t, "a first attempt", func() bool {
		var attempts int
		err := p.f.Owner.QueryRow(t.Context(), `SELECT attempts FROM madbase.auth_outbox`).Scan(&attempts)
		return err == nil && attempts > 0
	})
	if err := p.m.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	var sealed []byte
	if err := p.f.Owner.QueryRow(t.Context(), `UPDATE madbase.auth_outbox SET due_at = now() RETURNING sealed`).Scan(&sealed); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("123456")) || bytes.Contains(sealed, []byte("example.com")) {
		t.Error("the outbox shows codes or addresses")
	}
	sink := mailtest.Start(t)
	cfg.Mail.Host, cfg.Mail.Port = sink.Host, sink.Port // the operator has named the right server
	next := startPostOn(t, p.f, cfg)
	equal(t, "code", sink.Next().Code(), "123456")
	until(t, "the outbox is empty", func() bool { return next.waiting() == 0 })
}

func TestMailIsTriedAgain(t *testing.T) {
	t.Parallel()
	sink := mailtest.Start(t)
	var log lockedBuffer
	p := startPost(t, mailConfig(sink), func(d *auth.Deps) { d.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	sink.Say(&smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted <ann@example.com>"})
	p.send(p.message(mail.Recovery))
	equal(t, "code", sink.Next().Code(), "123456")
	until(t, "the outbox is empty", func() bool { return p.waiting() == 0 })
	if text := log.String(); !strings.Contains(text, "greylisted") || strings.Contains(text, "ann@") || strings.Contains(text, "123456") {
		t.Error(text)
	}
	sink.Say(&smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"})
	p.send(p.message(mail.Recovery))
	until(t, "a refused mail is given up", func() bool { return strings.Contains(log.String(), "no such user") && p.waiting() == 0 })
	if !strings.Contains(log.String(), "level=ERROR") {
		t.Error(log.String())
	}
}

// lockedBuffer is a buffer for several writers.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Several workers on one database send each mail once.
func TestMailIsSentOnce(t *testing.T) {
	t.Parallel()
	sink := mailtest.Start(t)
	p := startPost(t, mailConfig(sink))
	startPostOn(t, p.f, mailConfig(sink))
	startPostOn(t, p.f, mailConfig(sink))
	var group errgroup.Group
	const mails = 40
	for range mails {
		group.Go(func() error {
			user := *p.user
			msg := p.message(mail.PasswordChanged)
			msg.User = &user
			return p.m.SendMail(t.Context(), p.f.Project, msg, nil)
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range mails {
		seen[sink.Next().Header.Get("Message-Id")] = true
	}
	until(t, "the outbox is empty", func() bool { return p.waiting() == 0 })
	equal(t, "mails", []int{len(sink.All()), len(seen)}, []int{mails, mails})
}

func TestMailLimits(t *testing.T) {
	t.Parallel()
	sink := mailtest.Start(t)
	cfg := mailConfig(sink)
	cfg.Mail.MaxFrequency, cfg.Mail.RateLimit, cfg.Autoconfirm = time.Minute, "2/1h", false
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	p := startPost(t, cfg, func(d *auth.Deps) { d.Limiter = ratelimit.NewMemory(100) })
	refused := func(msg mail.Message) *apierr.Error {
		t.Helper()
		var e *apierr.Error
		if err := p.m.SendMail(t.Context(), p.f.Project, msg, nil); !errors.As(err, &e) || e.Status != 429 || e.Code != "over_email_send_rate_limit" {
			t.Fatalf("%v", err)
		}
		return e
	}
	// Of many at once one gets through.
	var sent, late int
	var mu sync.Mutex
	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			user := *p.user
			msg := p.message(mail.Recovery)
			msg.User = &user
			err := p.m.SendMail(t.Context(), p.f.Project, msg, nil)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				sent++
			} else {
				late++
			}
			return nil
		})
	}
	_ = group.Wait()
	equal(t, "sent and refused", []int{sent, late}, []int{1, 7})
	e := refused(p.message(mail.MagicLink)) // the same clock
	if !strings.HasPrefix(e.Message, "For security purposes, you can only request this after 5") || e.Header.Get("Retry-After") == "" {
		t.Error(e.Message, e.Header)
	}
	p.send(p.message(mail.Confirmation))
	e = refused(p.message(mail.Reauthentication)) // the server's third
	equal(t, "message", e.Message, "email rate limit exceeded")
	if e.Header.Get("Retry-After") == "" {
		t.Error(e.Header)
	}
}

func TestMailAddressesMustBeAuthorized(t *testing.T) {
	t.Parallel()
	cfg := mailConfig(mailtest.Start(t))
	cfg.Mail.Authorized = []string{"Bob@example.com"}
	p := startPost(t, cfg)
	msg := p.message(mail.Recovery)
	var e *apierr.Error
	if err := p.m.SendMail(t.Context(), p.f.Project, msg, nil); !errors.As(err, &e) || e.Code != "email_address_not_authorized" {
		t.Fatal(err)
	}
	msg.To = "bob+label@example.com"
	p.send(msg)
}

func TestMailTemplates(t *testing.T) {
	t.Parallel()
	served := http.NewServeMux()
	served.HandleFunc("/recovery.html", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`<p>{{.Data.name}} {{.Token}} <a href="{{.ConfirmationURL}}">x</a></p>`))
	})
	served.HandleFunc("/broken.html", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{{.Token`)) })
	served.HandleFunc("/fails.html", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{{index .Data.name 99}}`)) })
	web := httptest.NewServer(served)
	defer web.Close()
	sink := mailtest.Start(t)
	cfg := mailConfig(sink)
	cfg.SiteURL = web.URL
	cfg.Mail.Templates = map[string]string{
		"recovery": "/recovery.html", "magic_link": web.URL + "/broken.html", "reauthentication": web.URL + "/fails.html", "invite": web.URL + "/absent.html",
	}
	cfg.Mail.Subjects = map[string]string{"recovery": "Hi {{.Data.name}}\r\nBcc: eve@example.com"}
	cfg.Mail.URLPaths = map[string]string{"confirmation": "/confirm"}
	cfg.Mail.Headers = `{"X-Kind":["$messageType"],"X-Two":["a","b"]}`
	p := startPost(t, cfg)
	p.send(p.message(mail.Recovery))
	got := sink.Next()
	equal(t, "body", strings.HasPrefix(got.HTML, "<p>&lt;b&gt;Ann&lt;/b&gt; 123456 <a href="), true)
	equal(t, "subject", got.Subject, "Hi <b>Ann</b> Bcc: eve@example.com")
	equal(t, "headers", []string{got.Header.Get("X-Kind"), got.Header.Get("Bcc")}, []string{"recovery", ""})
	for kind, subject := range map[mail.Kind]string{mail.MagicLink: "Sign in", mail.Reauthentication: "123456 is your code", mail.Invite: "You have been invited"} {
		p.send(p.message(kind))
		if got := sink.Next(); got.Subject != subject || got.Code() != "123456" {
			t.Errorf("%s: %q %s", kind, got.Subject, got.HTML)
		}
	}
	p.send(p.message(mail.Confirmation))
	if link := sink.Next().Link(); link != "" {
		t.Error(link)
	}
}

func TestMailWithoutTables(t *testing.T) {
	t.Parallel()
	sink := mailtest.Start(t)
	p := startPost(t, mailConfig(sink), func(d *auth.Deps) { d.DropIn = true })
	p.f.Exec(t, `DROP SCHEMA madbase CASCADE`)
	refused := errors.New("rolled back")
	if err := p.m.SendMail(t.Context(), p.f.Project, p.message(mail.Invite), func(pgx.Tx) error { return refused }); !errors.Is(err, refused) {
		t.Fatal(err)
	}
	sink.Say(&smtp.SMTPError{Code: 421, Message: "later"})
	p.send(p.message(mail.Recovery))
	got := sink.Next()
	equal(t, "link", strings.HasPrefix(got.Link(), "http://localhost:8000/verify?token="), true)
	equal(t, "mails", len(sink.All()), 1)
}

func TestDevInbox(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	p := startPost(t, mailConfig(nil), func(d *auth.Deps) {
		d.InboxURL, d.Log = "http://localhost:8000/platform/v1/inbox", slog.New(slog.NewTextHandler(&log, nil))
	})
	p.send(p.message(mail.MagicLink))
	var list []auth.InboxMail
	until(t, "a mail in the inbox", func() (ok bool) {
		var err error
		list, err = p.m.Inbox(t.Context(), 10)
		return err == nil && len(list) == 1
	})
	text, _ := json.Marshal(list[0])
	if list[0].Subject != "Sign in" || list[0].To != "ann@example.com" || list[0].Token != "123456" || !strings.Contains(list[0].HTML, "123456") {
		t.Error(string(text))
	}
	until(t, "the log says where", func() bool { return strings.Contains(log.String(), "open=http://localhost:8000/platform/v1/inbox") })
	if err := p.m.EmptyInbox(t.Context()); err != nil {
		t.Fatal(err)
	}
	equal(t, "waiting", p.waiting(), 0)
}

func TestNotifications(t *testing.T) {
	t.Parallel()
	sink := mailtest.Start(t)
	cfg := mailConfig(sink)
	cfg.Mail.Notifications = map[string]string{"password_changed_enabled": "true", "email_changed_enabled": "true", "phone_changed_enabled": "false"}
	s := start(t, cfg)
	bearer := s.signup("ann@example.com", "first password").str("access_token")
	s.call("PUT", "/user", bearer, map[string]any{"password": "second password"}).want(200, "")
	got := sink.Next()
	equal(t, "of a new password", []string{got.To, got.Subject}, []string{"ann@example.com", "Your password was changed"})
	s.call("PUT", "/user", bearer, map[string]any{"email": "new@example.com"}).want(200, "")
	code := sink.Next()
	equal(t, "the code goes to", code.To, "new@example.com")
	s.call("POST", "/verify", "", map[string]any{"type": "email_change", "email": "new@example.com", "token": code.Code()}).want(200, "")
	got = sink.Next()
	equal(t, "of a new address", []string{got.To, got.Subject}, []string{"ann@example.com", "Your email address was changed"})
	if !strings.Contains(got.HTML, "new@example.com") {
		t.Error(got.HTML)
	}
}

// A change is not undone because nobody can be told of it.
func TestNotificationsAreNoCondition(t *testing.T) {
	t.Parallel()
	sink := mailtest.Start(t)
	cfg := mailConfig(sink)
	cfg.Mail.Notifications, cfg.Mail.RateLimit = map[string]string{"password_changed_enabled": "true"}, "0"
	s := start(t, cfg)
	bearer := s.signup("ann@example.com", "first password").str("access_token")
	s.call("PUT", "/user", bearer, map[string]any{"password": "second password"}).want(200, "")
	s.signin("ann@example.com", "second password").want(200, "")
	equal(t, "mails", len(sink.All()), 0)
}

// The header is anybody's to send: a link begins with hosts that settings name only.
func TestMailLinksBeginWithKnownHosts(t *testing.T) {
	t.Parallel()
	sink := mailtest.Start(t)
	cfg := mailConfig(sink)
	cfg.Mail.ExternalHosts = []string{"api.example.com", "localhost"}
	s := start(t, cfg)
	s.signup("ann@example.com", "a password")
	for host, want := range map[string]string{
		"api.example.com":        "https://api.example.com/auth/v1/verify?",
		"localhost":              "https://localhost/auth/v1/verify?",
		"evil.example":           "http://localhost:8000/auth/v1/verify?",
		"api.example.com.evil.x": "http://localhost:8000/auth/v1/verify?",
		"":                       "http://localhost:8000/auth/v1/verify?",
	} {
		s.call("POST", "/recover", "", map[string]any{"email": "ann@example.com"}, "X-Forwarded-Host", host).want(200, "")
		if link := sink.Next().Link(); !strings.HasPrefix(link, want) {
			t.Errorf("%q: %s", host, link)
		}
	}
}
