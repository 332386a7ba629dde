// Package sms sends codes by text message or WhatsApp, through the providers that
// GoTrue knows. It is the only place that talks to them: with a deadline, with a
// bound on what it reads, and with errors that name provider and reason to the
// operator and no secret to anybody.
package sms

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"text/template"
	"time"
)

// Channels that a message goes by.
const (
	ChannelSMS      = "sms"
	ChannelWhatsApp = "whatsapp"
)

// Reasons why a message is not sent or a code not taken; a provider's own is an *Error.
var (
	// ErrNoProvider says that GOTRUE_SMS_PROVIDER is empty.
	ErrNoProvider = errors.New("sms: GOTRUE_SMS_PROVIDER is not set")
	// ErrPrefix says that MADBASE_SMS_PREFIXES does not have the number's country.
	ErrPrefix = errors.New("sms: the number's country is not served")
	// ErrWrongCode says that the provider does not take the code.
	ErrWrongCode = errors.New("sms: the code is wrong or no longer holds")
)

// Message is what one recipient gets.
type Message struct {
	// Phone is the number in E.164 without its plus.
	Phone   string
	Channel string
	Text    string
	// Code is what the text is about; WhatsApp templates take it by itself.
	Code string
}

// provider sends messages and returns its own id of them.
type provider interface {
	send(ctx context.Context, m Message) (id string, err error)
}

// checker is a provider that makes the codes itself and alone can check them.
type checker interface {
	check(ctx context.Context, phone, code string) error
}

// Sender sends by the provider that is set.
type Sender struct {
	provider provider
	channels []string
	prefixes []string
	text     *Template
	tests    map[string]string
	testEnd  time.Time
}

// Endpoint is where the providers are.
type Endpoint struct {
	// BaseURL replaces scheme and host of the provider's address in tests; empty is the provider's own.
	BaseURL string
	// Transport carries the requests; nil is one of the sender's own.
	Transport http.RoundTripper
	// Timeout is the longest that a call may take; 0 is ten seconds, GoTrue's.
	Timeout time.Duration
}

// New returns a Sender; it fails on settings that Config.Validate refuses.
func New(cfg Config, at Endpoint) (*Sender, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("sms: %w", err)
	}
	s := &Sender{channels: []string{ChannelSMS}}
	s.text, _ = ParseTemplate(cfg.Template) // all three were parsed by Validate
	s.tests, _ = parseTestCodes(cfg.TestOTP.Reveal())
	s.testEnd, _ = cfg.testEnd()
	for _, prefix := range cfg.Prefixes {
		s.prefixes = append(s.prefixes, strings.TrimPrefix(prefix, "+"))
	}
	switch cfg.Provider {
	case "twilio":
		s.provider, s.channels = newTwilio(cfg.Twilio, at), []string{ChannelSMS, ChannelWhatsApp}
	case "twilio_verify":
		s.provider, s.channels = newTwilioVerify(cfg.TwilioVerify, at), []string{ChannelSMS, ChannelWhatsApp}
	case "messagebird":
		s.provider = newMessageBird(cfg.MessageBird, at)
	case "textlocal":
		s.provider = newTextLocal(cfg.TextLocal, at)
	case "vonage":
		s.provider = newVonage(cfg.Vonage, at)
	}
	return s, nil
}

// Takes reports whether the provider sends by the channel.
func (s *Sender) Takes(channel string) bool { return slices.Contains(s.channels, channel) }

// Serves reports whether the number may get messages at all.
func (s *Sender) Serves(phone string) bool {
	return len(s.prefixes) == 0 || slices.ContainsFunc(s.prefixes, func(p string) bool { return strings.HasPrefix(phone, p) })
}

// Send sends m and returns the provider's id of it. The error is ErrNoProvider,
// ErrPrefix or an *Error.
func (s *Sender) Send(ctx context.Context, m Message) (string, error) {
	if s.provider == nil {
		return "", ErrNoProvider
	}
	if !s.Serves(m.Phone) {
		return "", ErrPrefix
	}
	id, err := s.provider.send(ctx, m)
	if e, ok := errors.AsType[*Error](err); ok && m.Code != "" { // some providers quote the message
		e.Words = strings.ReplaceAll(e.Words, m.Code, "[hidden]")
	}
	return id, err
}

// Text is a code's message as GOTRUE_SMS_TEMPLATE has it.
func (s *Sender) Text(code string) string { return s.text.Text(code) }

// ChecksCodes reports whether the provider makes the codes itself, so that only Check knows them.
func (s *Sender) ChecksCodes() bool {
	_, ok := s.provider.(checker)
	return ok
}

// Check asks the provider whether code is the one it sent to the number, which
// then holds no more. The error is ErrWrongCode, an *Error, or ErrNoProvider
// for a provider that checks no codes.
func (s *Sender) Check(ctx context.Context, phone, code string) error {
	c, ok := s.provider.(checker)
	if !ok {
		return ErrNoProvider
	}
	return c.check(ctx, phone, code)
}

// TestCode returns the code that GOTRUE_SMS_TEST_OTP gives a number.
func (s *Sender) TestCode(phone string, now time.Time) (string, bool) {
	if !s.testEnd.IsZero() && !now.Before(s.testEnd) {
		return "", false
	}
	code, ok := s.tests[phone]
	return code, ok
}

// IsTestCode reports whether code is the number's by GOTRUE_SMS_TEST_OTP.
func (s *Sender) IsTestCode(phone, code string, now time.Time) bool {
	want, ok := s.TestCode(phone, now)
	return ok && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1
}

// Digits brings a number into the form in which it is stored: without plus and spaces.
func Digits(phone string) string { return strings.ReplaceAll(strings.TrimPrefix(phone, "+"), " ", "") }

// Template makes a message of a code.
type Template struct{ t *template.Template }

// ParseTemplate reads a message with {{ .Code }} in it. It refuses one that
// cannot be filled or that loses the code.
func ParseTemplate(text string) (*Template, error) {
	t, err := template.New("sms").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("is not a template: %w", err)
	}
	const sample = "0123456789"
	var out strings.Builder
	if err := t.Execute(&out, filling{sample}); err != nil {
		return nil, fmt.Errorf("is not a template: %w", err)
	}
	if !strings.Contains(out.String(), sample) {
		return nil, errors.New("has no {{ .Code }}")
	}
	return &Template{t}, nil
}

// filling is what a template may name.
type filling struct{ Code string }

// Text is the message of a code.
func (t *Template) Text(code string) string {
	var out strings.Builder
	_ = t.t.Execute(&out, filling{code}) // it worked when it was parsed
	return out.String()
}
