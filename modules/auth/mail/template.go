package mail

import (
	"bytes"
	_ "embed" // for the layout
	"fmt"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"
)

// layout is what the built-in mails have in common. It shows the code as well as
// the link, as scanners of mail open links, and a link opened twice is used up.
//
//go:embed templates/layout.html
var layout string

// builtIn is the text of a kind, as templates.
type builtIn struct{ subject, content string }

const (
	codeAndLink = `{{if .Token}}<p>Enter this code:</p>{{template "code" .Token}}<p>Or follow the link:</p>{{end}}{{template "link" .ConfirmationURL}}`
	ignore      = `{{template "ignore"}}`
	alarm       = `{{template "alarm"}}`
)

// builtIns are the mails where no setting names others.
var builtIns = map[Kind]builtIn{
	Confirmation: {
		"Confirm your email address",
		`{{template "heading" "Confirm your email address"}}<p>One step is left to finish signing up with {{.Email}}.</p>` + codeAndLink + ignore,
	},
	Invite: {
		"You have been invited",
		`{{template "heading" "You have been invited"}}<p>An account was made for {{.Email}} at {{.SiteURL}}.</p>` + codeAndLink + ignore,
	},
	Recovery: {
		"Reset your password",
		`{{template "heading" "Reset your password"}}<p>Somebody asked for a new password for {{.Email}}.</p>` + codeAndLink + ignore,
	},
	MagicLink: {
		"Sign in",
		`{{template "heading" "Sign in"}}<p>Sign in as {{.Email}}.</p>` + codeAndLink + ignore,
	},
	EmailChange: {
		"Confirm the change of your email address",
		`{{template "heading" "Confirm the change of your email address"}}<p>The address of your account is to {{if .Email}}change from {{.Email}} to{{else}}be{{end}} {{.NewEmail}}.</p>` + codeAndLink + ignore,
	},
	Reauthentication: {
		"{{.Token}} is your code",
		`{{template "heading" "Confirm that it is you"}}<p>Enter this code:</p>{{template "code" .Token}}` + ignore,
	},
	PasswordChanged: {
		"Your password was changed",
		`{{template "heading" "Your password was changed"}}<p>The password of {{.Email}} was just changed.</p>` + alarm,
	},
	EmailChanged: {
		"Your email address was changed",
		`{{template "heading" "Your email address was changed"}}<p>The address of your account changed from {{.OldEmail}} to {{.Email}}.</p>` + alarm,
	},
	PhoneChanged: {
		"Your phone number was changed",
		`{{template "heading" "Your phone number was changed"}}<p>The number of {{.Email}} changed from {{.OldPhone}} to {{.Phone}}.</p>` + alarm,
	},
	IdentityLinked: {
		"A sign-in was added to your account",
		`{{template "heading" "A sign-in was added"}}<p>{{.Email}} can now sign in with {{.Provider}}.</p>` + alarm,
	},
	IdentityUnlinked: {
		"A sign-in was removed from your account",
		`{{template "heading" "A sign-in was removed"}}<p>{{.Email}} can no longer sign in with {{.Provider}}.</p>` + alarm,
	},
	FactorEnrolled: {
		"A second factor was added to your account",
		`{{template "heading" "A second factor was added"}}<p>{{.Email}} now has a second factor of type {{.FactorType}}.</p>` + alarm,
	},
	FactorUnenrolled: {
		"A second factor was removed from your account",
		`{{template "heading" "A second factor was removed"}}<p>{{.Email}} no longer has its second factor of type {{.FactorType}}.</p>` + alarm,
	},
}

// maxLetter is the largest mail in bytes: metadata of a user can be long.
const maxLetter = 2 << 20

// parsedTemplate is a kind's mail, ready to be written out.
type parsedTemplate struct {
	subject *texttemplate.Template
	body    *htmltemplate.Template
}

// parse reads a kind's templates; an empty one is the built-in.
func parse(kind Kind, subject, body string) (*parsedTemplate, error) {
	own := builtIns[kind]
	if subject == "" {
		subject = own.subject
	}
	var p parsedTemplate
	var err error
	if p.subject, err = texttemplate.New("subject").Parse(subject); err != nil {
		return nil, fmt.Errorf("mail: subject of %s: %w", kind, err)
	}
	if body != "" {
		p.body, err = htmltemplate.New("body").Parse(body)
	} else if p.body, err = htmltemplate.New("body").Parse(layout); err == nil {
		_, err = p.body.New("content").Parse(own.content)
	}
	if err != nil {
		return nil, fmt.Errorf("mail: template of %s: %w", kind, err)
	}
	return &p, nil
}

// write fills the templates with data. A subject is one line, whatever is in it.
func (p *parsedTemplate) write(data map[string]any) (subject, html string, err error) {
	var line, body bytes.Buffer
	if err := p.subject.Execute(&limited{&line}, data); err != nil {
		return "", "", fmt.Errorf("mail: write subject: %w", err)
	}
	if err := p.body.Execute(&limited{&body}, data); err != nil {
		return "", "", fmt.Errorf("mail: write body: %w", err)
	}
	return oneLine(line.String()), body.String(), nil
}

// oneLine is text with its control characters as spaces, cut to what a header bears.
func oneLine(text string) string {
	const longest = 500
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' || r == '\u0085' {
			return ' '
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > longest {
		text = string(runes[:longest])
	}
	return strings.Join(strings.Fields(text), " ")
}

// limited refuses to grow beyond maxLetter.
type limited struct{ to *bytes.Buffer }

// Write appends p.
func (l *limited) Write(p []byte) (int, error) {
	if l.to.Len()+len(p) > maxLetter {
		return 0, fmt.Errorf("mail: longer than %d bytes", maxLetter)
	}
	return l.to.Write(p)
}
