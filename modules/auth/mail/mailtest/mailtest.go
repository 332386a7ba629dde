// Package mailtest is a mail server for tests, in process and on loopback.
package mailtest

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Mail is one that has arrived.
type Mail struct {
	// From and To are the envelope's, in bare form.
	From, To string
	Header   mail.Header
	// Subject is decoded; HTML is the body.
	Subject, HTML string
	// Raw is the message as it was sent.
	Raw string
	At  time.Time
}

var (
	codePattern = regexp.MustCompile(`\b[0-9]{6,10}\b`)
	linkPattern = regexp.MustCompile(`href="([^"]+/verify[^"]*)"`)
)

// Code is the first code in the mail, empty when there is none.
func (m Mail) Code() string { return codePattern.FindString(m.HTML) }

// Link is the mail's link to auth's /verify, as a click would open it; empty when
// there is none.
func (m Mail) Link() string {
	found := linkPattern.FindStringSubmatch(m.HTML)
	if found == nil {
		return ""
	}
	return string(bytes.ReplaceAll([]byte(found[1]), []byte("&amp;"), []byte("&")))
}

// Server is a mail server that keeps what it gets.
type Server struct {
	Host string
	Port int

	t    testing.TB
	mu   sync.Mutex
	got  []Mail
	said []error
	// logins are the users that have logged in.
	logins []string
	change chan struct{}
	next   int
}

// Start begins a server that ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, l, nil)
}

// StartAt is Start at an address that is known before.
func StartAt(t testing.TB, l net.Listener, cfg *tls.Config) *Server {
	t.Helper()
	return serve(t, l, cfg)
}

func serve(t testing.TB, l net.Listener, cfg *tls.Config) *Server {
	address := l.Addr().(*net.TCPAddr)
	s := &Server{Host: address.IP.String(), Port: address.Port, t: t, change: make(chan struct{})}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{server: s}, nil }))
	server.AllowInsecureAuth, server.TLSConfig, server.Domain = true, cfg, "sink.test"
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return s
}

// Say has the server answer the next mails with these errors, one each, when it has
// got them whole; nil takes one.
func (s *Server) Say(errs ...error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, errs...)
}

// Next waits for a mail that no call has returned yet.
func (s *Server) Next() Mail {
	s.t.Helper()
	timeout := time.After(15 * time.Second)
	for {
		s.mu.Lock()
		if s.next < len(s.got) {
			m := s.got[s.next]
			s.next++
			s.mu.Unlock()
			return m
		}
		change := s.change
		s.mu.Unlock()
		select {
		case <-change:
		case <-timeout:
			s.t.Fatal("no mail within 15 s")
		}
	}
}

// All are the mails until now.
func (s *Server) All() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.got...)
}

// Logins are the users that have logged in.
func (s *Server) Logins() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.logins...)
}

func (s *Server) take(m Mail) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.said) > 0 {
		err := s.said[0]
		s.said = s.said[1:]
		if err != nil {
			return err
		}
	}
	s.got = append(s.got, m)
	close(s.change)
	s.change = make(chan struct{})
	return nil
}

// session is one connection.
type session struct {
	server   *Server
	from, to string
}

// AuthMechanisms implements smtp.AuthSession.
func (c *session) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth implements smtp.AuthSession: any password but "wrong" is right.
func (c *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if password == "wrong" {
			return errors.New("authentication failed")
		}
		c.server.mu.Lock()
		defer c.server.mu.Unlock()
		c.server.logins = append(c.server.logins, user)
		return nil
	}), nil
}

// Mail implements smtp.Session.
func (c *session) Mail(from string, _ *smtp.MailOptions) error {
	c.from = from
	return nil
}

// Rcpt implements smtp.Session.
func (c *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	c.to = to
	return nil
}

// Data implements smtp.Session.
func (c *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	parsed, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("mailtest: %w", err)
	}
	var body io.Reader = parsed.Body
	if parsed.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		body = quotedprintable.NewReader(body)
	}
	html, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("mailtest: %w", err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject"))
	if err != nil {
		return fmt.Errorf("mailtest: %w", err)
	}
	return c.server.take(Mail{From: c.from, To: c.to, Header: parsed.Header, Subject: subject, HTML: strings.TrimSuffix(string(html), "\r\n"), Raw: string(raw), At: time.Now()})
}

// Reset implements smtp.Session.
func (c *session) Reset() {}

// Logout implements smtp.Session.
func (c *session) Logout() error { return nil }
