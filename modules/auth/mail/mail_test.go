package mail_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/emersion/go-smtp"

	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/modules/auth/mail/mailtest"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/testkit"
)

func sender(t *testing.T, sink *mailtest.Server, change func(*mail.Config)) *mail.SMTP {
	t.Helper()
	cfg := mail.Config{Host: sink.Host, Port: sink.Port, SenderName: "Bo\"b", AdminEmail: "auth@example.com"}
	if change != nil {
		change(&cfg)
	}
	s, err := mail.NewSMTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func letter(to string) mail.Letter {
	return mail.Letter{Kind: mail.Reauthentication, To: to, Subject: "Grüße", HTML: "<p>é 123456</p>"}
}

func TestSMTP(t *testing.T) {
	t.Parallel()
	sink := mailtest.Start(t)
	s := sender(t, sink, func(c *mail.Config) {
		c.User, c.Password, c.Headers = "bob", "right", `{"x-kind":["$messageType"]}`
	})
	if err := s.Send(t.Context(), "api.example.com", "id1", letter("ann@example.com")); err != nil {
		t.Fatal(err)
	}
	got := sink.Next()
	for name, want := range map[string]string{
		"From": `"Bo\"b" <auth@example.com>`, "To": "<ann@example.com>", "X-Kind": "reauthenticate", "Message-Id": "<id1@api.example.com>", "Mime-Version": "1.0",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.Header.Get(name), want)
		}
	}
	if got.Subject != "Grüße" || got.HTML != "<p>é 123456</p>" || got.Header.Get("Date") == "" || len(sink.Logins()) != 1 {
		t.Errorf("%q %q %v", got.Subject, got.HTML, sink.Logins())
	}
}

func TestSMTPWithTLS(t *testing.T) {
	t.Parallel()
	web := httptest.NewTLSServer(nil) // for its certificate, of 127.0.0.1
	defer web.Close()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sink := mailtest.StartAt(t, l, &tls.Config{Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS12})
	s := sender(t, sink, nil)
	if err := s.Send(t.Context(), "localhost", "id1", letter("ann@example.com")); err == nil || errors.Is(err, mail.ErrRefused) {
		t.Errorf("a certificate of nobody's was taken: %v", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	s.Trust(roots)
	if err := s.Send(t.Context(), "localhost", "id1", letter("ann@example.com")); err != nil {
		t.Fatal(err)
	}
	sink.Next()
}

func TestSMTPFaults(t *testing.T) {
	t.Parallel()
	sink := mailtest.Start(t)
	for name, c := range map[string]struct {
		change func(*mail.Config)
		said   error
		to     string
		want   string
		final  bool
	}{
		"login":        {change: func(c *mail.Config) { c.User, c.Password = "bob", "wrong" }, to: "ann@example.com", want: "authentication failed"},
		"unreachable":  {change: func(c *mail.Config) { c.Port = 1 }, to: "ann@example.com", want: "connection refused"},
		"line break":   {to: "ann@example.com\r\nBcc: eve@example.com", want: "the address is none", final: true},
		"two":          {to: "ann@example.com,eve@example.com", want: "the address is none", final: true},
		"name":         {to: "<ann@example.com>", want: "the address is none", final: true},
		"content":      {said: &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "spam"}, to: "ann@example.com", want: "spam", final: true},
		"out of space": {said: &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}, Message: "full"}, to: "ann@example.com", want: "full"},
	} {
		if c.said != nil {
			sink.Say(c.said)
		}
		err := sender(t, sink, c.change).Send(t.Context(), "localhost", "id1", letter(c.to))
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, mail.ErrRefused) != c.final || strings.Contains(err.Error(), "ann@") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(sink.All()); n != 0 {
		t.Errorf("%d mails", n)
	}
}

// A server that says nothing keeps nobody longer than the context.
func TestSMTPServerThatHangs(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address := l.Addr().(*net.TCPAddr)
	s := sender(t, &mailtest.Server{Host: address.IP.String(), Port: address.Port}, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if err := s.Send(ctx, "localhost", "id1", letter("ann@example.com")); err == nil || time.Since(begun) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	good := mail.Config{
		Headers: `{"X-A":["b"]}`, RateLimit: "0", Subjects: map[string]string{"email_change": "x"},
		Templates:     map[string]string{"invite": "https://example.com/a.html", "recovery": "/b.html"},
		Notifications: map[string]string{"mfa_factor_enrolled_enabled": "true", "password_changed_enabled": ""},
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	if !good.Notifies(mail.FactorEnrolled) || good.Notifies(mail.PasswordChanged) || good.Notifies(mail.Recovery) {
		t.Error("notifications")
	}
	for want, bad := range map[string]mail.Config{
		"GOTRUE_SMTP_HEADERS":                                {Headers: `{"X-A":["b\r\nBcc: eve@example.com"]}`},
		"GOTRUE_SMTP_HEADERS: must be":                       {Headers: `X-A: b`},
		"GOTRUE_SMTP_PORT":                                   {Port: 70000},
		"GOTRUE_SMTP_SENDER_NAME":                            {SenderName: "a\nb"},
		"GOTRUE_RATE_LIMIT_EMAIL_SENT":                       {RateLimit: "many"},
		"GOTRUE_SMTP_MAX_FREQUENCY":                          {MaxFrequency: -1},
		"GOTRUE_MAILER_SUBJECTS_RECOVRY":                     {Subjects: map[string]string{"recovry": "x"}},
		"GOTRUE_MAILER_TEMPLATES_INVITE":                     {Templates: map[string]string{"invite": "file:///etc/passwd"}},
		"GOTRUE_MAILER_NOTIFICATIONS_PHONE_CHANGED_ENABLED":  {Notifications: map[string]string{"phone_changed_enabled": "perhaps"}},
		"GOTRUE_MAILER_NOTIFICATIONS_CONFIRMATION is not a ": {Notifications: map[string]string{"confirmation": "true"}},
	} {
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// Every built-in shows its code and its link, and escapes what people have put in.
func TestBuiltInTemplates(t *testing.T) {
	t.Parallel()
	r := mail.NewRenderer(mail.Config{TemplateMaxAge: time.Minute}, "https://app.example.com", testkit.Log())
	links := mail.Links{
		SiteURL:      "https://app.example.com",
		Confirmation: func(k mail.Kind, hash, _ string) string { return "https://api.example.com/verify?token=" + hash },
	}
	for _, kind := range mail.Kinds() {
		msg := mail.Message{
			Kind: kind, User: &store.User{Email: "<ann>@example.com", Phone: "1555", UserMetadata: []byte(`{"a":1}`)}, Token: "123456", TokenHash: "abc",
			NewEmail: "new@example.com", TokenNew: "123456", TokenHashNew: "abc", OldEmail: "old@example.com", OldPhone: "1444", Provider: "github", FactorType: "totp",
		}
		drafts, err := msg.Drafts(links)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range drafts {
			l, err := r.Render(t.Context(), d)
			if err != nil || l.Subject == "" || strings.Contains(l.HTML, "<ann>") || strings.Contains(l.HTML, "no value") {
				t.Errorf("%s: %v %q %s", kind, err, l.Subject, l.HTML)
			}
			notifies := strings.HasSuffix(string(kind), "_notification")
			if strings.Contains(l.HTML, "123456") == notifies {
				t.Errorf("%s: code in %s", kind, l.HTML)
			}
			if hasLink := !notifies && kind != mail.Reauthentication; strings.Contains(l.HTML, "/verify?token=abc") != hasLink {
				t.Errorf("%s: link in %s", kind, l.HTML)
			}
		}
	}
}

func FuzzSubject(f *testing.F) {
	for _, text := range []string{"a\r\nBcc: eve@example.com", "\u2028x", "a\x00b", strings.Repeat("é", 1000)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		line := mail.OneLine(text)
		if strings.ContainsFunc(line, unicode.IsControl) && strings.ContainsAny(line, "\r\n\x00\u0085") || len([]rune(line)) > 500 {
			t.Errorf("%q", line)
		}
	})
}

func FuzzHeaders(f *testing.F) {
	for _, text := range []string{`{"A":["b"]}`, `{"A\n":["b"]}`, `{"A":["b\r\n"]}`, `[]`, `{"":[""]}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		headers, err := mail.ParseHeaders(text)
		if err != nil {
			return
		}
		for name, values := range headers {
			if name == "" || strings.ContainsAny(name+strings.Join(values, ""), "\r\n\x00") {
				t.Errorf("%q: %q", name, values)
			}
		}
	})
}
