package mail

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"slices"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// sendTimeout bounds one delivery, from connecting to the server's last word.
const sendTimeout = 30 * time.Second

// implicitTLS is the port where TLS begins with the connection (RFC 8314, section 3.3).
const implicitTLS = 465

// ErrRefused says that the mail server does not take the mail, and will not later.
var ErrRefused = errors.New("mail: refused for good")

// SMTP sends letters through the mail server of the settings.
type SMTP struct {
	cfg     Config
	headers map[string][]string
	// roots are who may vouch for the server; nil is the system's. Tests have their own.
	roots *x509.CertPool
}

// NewSMTP fails on headers that Config.Validate refuses.
func NewSMTP(cfg Config) (*SMTP, error) {
	headers, err := parseHeaders(cfg.Headers)
	if err != nil {
		return nil, fmt.Errorf("mail: GOTRUE_SMTP_HEADERS: %w", err)
	}
	return &SMTP{cfg: cfg, headers: headers}, nil
}

// From is the sender of mails that go out from the public host name.
func (c Config) From(host string) *mail.Address {
	return &mail.Address{Name: c.SenderName, Address: cmp.Or(c.AdminEmail, "noreply@"+host)}
}

// Send delivers a letter with the id of its item, from the public host name, which
// the server is greeted with. The error is what the server said; it is ErrRefused
// when trying again is of no use.
func (s *SMTP) Send(ctx context.Context, host, id string, l Letter) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	msg, err := s.message(host, id, l)
	if err != nil {
		return err
	}
	client, err := gomail.NewClient(s.cfg.Host, s.options(ctx, host)...)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return fmt.Errorf("mail: connect to %s: %w", client.ServerAddr(), err)
	}
	defer func() { _ = client.CloseWithSMTPClient(conn) }() // what matters was said before
	if err := s.login(conn); err != nil {
		return fmt.Errorf("mail: log in to %s: %w", client.ServerAddr(), err)
	}
	if err := client.SendWithSMTPClient(conn, msg); err != nil {
		return fault(l.To, err)
	}
	return nil
}

// options are how a connection is made that the end of ctx closes.
func (s *SMTP) options(ctx context.Context, host string) []gomail.Option {
	secure := &tls.Config{ServerName: s.cfg.Host, RootCAs: s.roots, MinVersion: tls.VersionTLS12}
	dial := (&net.Dialer{}).DialContext
	options := []gomail.Option{
		gomail.WithPort(s.cfg.Port), gomail.WithTimeout(sendTimeout), gomail.WithHELO(host),
		gomail.WithTLSPolicy(gomail.TLSOpportunistic), gomail.WithTLSConfig(secure),
	}
	if s.cfg.Port == implicitTLS {
		dial = (&tls.Dialer{Config: secure}).DialContext
		options = append(options, gomail.WithSSL())
	}
	return append(options, gomail.WithDialContextFunc(func(dialing context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(dialing, network, address)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { _ = conn.Close() })
		return conn, nil
	}))
}

// message builds the letter. Every header goes through go-mail's encoder.
func (s *SMTP) message(host, id string, l Letter) (*gomail.Msg, error) {
	if l.To == "" || strings.ContainsFunc(l.To, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '<' || r == '>' || r == ',' }) {
		return nil, fmt.Errorf("%w: the address is none", ErrRefused)
	}
	msg := gomail.NewMsg()
	msg.FromMailAddress(s.cfg.From(host))
	msg.ToMailAddress(&mail.Address{Address: l.To})
	msg.Subject(l.Subject)
	for name, values := range s.headers {
		own := slices.Clone(values)
		for i := range own {
			own[i] = strings.ReplaceAll(own[i], "$messageType", messageType(l.Kind))
		}
		msg.SetGenHeader(gomail.Header(name), own...)
	}
	msg.SetDate()
	msg.SetMessageIDWithValue(id + "@" + host) // the same in every attempt, so that a second copy can be told
	msg.SetBodyString(gomail.TypeTextHTML, l.HTML)
	return msg, nil
}

// messageType is the kind as $messageType has it.
func messageType(kind Kind) string {
	if kind == Reauthentication {
		return "reauthenticate"
	}
	return string(kind)
}

// login authenticates where there is a user and the server has a way. A password
// goes in the clear over TLS or to this host alone.
func (s *SMTP) login(conn *smtp.Client) error {
	offered, ways := conn.Extension("AUTH")
	if s.cfg.User == "" || !offered {
		return nil // GoTrue does without as well, as servers for development do
	}
	user, password := s.cfg.User, s.cfg.Password.Reveal()
	list := strings.Fields(ways)
	for _, way := range []struct {
		name string
		auth smtp.Auth
	}{
		{"SCRAM-SHA-256", smtp.ScramSHA256Auth(user, password)},
		{"CRAM-MD5", smtp.CRAMMD5Auth(user, password)},
		{"PLAIN", smtp.PlainAuth("", user, password, s.cfg.Host, false)},
		{"LOGIN", smtp.LoginAuth(user, password, s.cfg.Host, false)},
	} {
		if slices.Contains(list, way.name) {
			return conn.Auth(way.auth)
		}
	}
	return fmt.Errorf("the server has none of the ways to log in that are supported: %s", ways)
}

// fault is what the server said, with the recipient's name left out. A refusal of
// the recipient or of the mail (5xx) is for good; of the sender it is not: an operator can mend that.
func fault(to string, err error) error {
	name, _, _ := strings.Cut(to, "@")
	said := strings.ReplaceAll(err.Error(), name+"@", "…@")
	said, _, _ = strings.Cut(said, ", affected recipient(s)")
	e, ok := errors.AsType[*gomail.SendError](err)
	final := ok && !e.IsTemp() && e.ErrorCode() >= 500 && e.ErrorCode() < 600 &&
		(e.Reason == gomail.ErrSMTPRcptTo || e.Reason == gomail.ErrSMTPDataClose)
	if final {
		return fmt.Errorf("%w: %s", ErrRefused, said)
	}
	return errors.New("mail: " + said)
}
