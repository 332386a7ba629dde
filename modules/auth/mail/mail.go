// Package mail is what auth sends by mail: the kinds of mails, their templates, and
// the ways that they leave. Package auth decides who gets which; what it hands
// over is put down with the transaction that it belongs to and leaves after it.
package mail

import "github.com/madbase/madbase/modules/auth/store"

// Kind says what a mail is about. It is the name of its template, as GoTrue's
// settings GOTRUE_MAILER_SUBJECTS_* and GOTRUE_MAILER_TEMPLATES_* have it.
type Kind string

// Mails that carry a code and, but for Reauthentication, a link.
const (
	Confirmation     Kind = "confirmation"
	Invite           Kind = "invite"
	Recovery         Kind = "recovery"
	MagicLink        Kind = "magic_link"
	EmailChange      Kind = "email_change"
	Reauthentication Kind = "reauthentication"
)

// Notifications of what has happened to an account; each is off unless its setting is on.
const (
	PasswordChanged  Kind = "password_changed_notification"
	EmailChanged     Kind = "email_changed_notification"
	PhoneChanged     Kind = "phone_changed_notification"
	IdentityLinked   Kind = "identity_linked_notification"
	IdentityUnlinked Kind = "identity_unlinked_notification"
	FactorEnrolled   Kind = "mfa_factor_enrolled_notification"
	FactorUnenrolled Kind = "mfa_factor_unenrolled_notification"
)

// Kinds are all of them.
func Kinds() []Kind {
	return []Kind{
		Confirmation, Invite, Recovery, MagicLink, EmailChange, Reauthentication,
		PasswordChanged, EmailChanged, PhoneChanged, IdentityLinked, IdentityUnlinked, FactorEnrolled, FactorUnenrolled,
	}
}

// Action is the kind as the send_email hook calls it, which is also the type in
// the links of those that have one.
func (k Kind) Action() string {
	switch k {
	case Confirmation:
		return "signup"
	case MagicLink:
		return "magiclink"
	}
	return string(k)
}

// Message is what a mail tells, before it is written out.
type Message struct {
	Kind Kind
	// User is whose account it is about; in notifications as it is after the change.
	User *store.User
	// To is where it goes; empty is the user's address. An EmailChange goes to
	// NewEmail, and to the user's address too when that has a code.
	To string

	// Token is the code as the user types it, TokenHash the one in the link. Of an
	// EmailChange they are those of the current address, empty when only the new
	// one is asked.
	Token, TokenHash string
	// RedirectTo is where the link leads after it was checked.
	RedirectTo string

	// Of an EmailChange: the new address with its code.
	NewEmail               string
	TokenNew, TokenHashNew string

	// Of notifications: what was there before, whose sign-in was linked or unlinked
	// (github), and which kind of second factor came or went (totp).
	OldEmail, OldPhone   string
	Provider, FactorType string
}

// Recipient is where a message goes; of an EmailChange the current address.
func (m Message) Recipient() string {
	if m.To != "" {
		return m.To
	}
	if m.Kind == EmailChanged {
		return m.OldEmail
	}
	return m.User.Email
}
