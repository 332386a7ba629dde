package mail

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/madbase/madbase/platform/ratelimit"
	"github.com/madbase/madbase/platform/secret"
)

// Config are the settings of mails, by GoTrue's names.
type Config struct {
	Host       string        `env:"GOTRUE_SMTP_HOST" doc:"Host of the mail server. Empty: no mail leaves; the embedded default shows them on the control plane instead." group:"optional"`
	Port       int           `env:"GOTRUE_SMTP_PORT" default:"587" doc:"Port of the mail server. On 465 TLS begins with the connection, elsewhere as soon as the server offers it." group:"optional"`
	User       string        `env:"GOTRUE_SMTP_USER" doc:"User name at the mail server; empty is no login." group:"optional"`
	Password   secret.String `env:"GOTRUE_SMTP_PASS" doc:"Password at the mail server." group:"optional"`
	AdminEmail string        `env:"GOTRUE_SMTP_ADMIN_EMAIL" doc:"Address that mails come from. Empty: noreply at the public URL's host." group:"optional"`
	SenderName string        `env:"GOTRUE_SMTP_SENDER_NAME" doc:"Name beside it." group:"optional"`
	Headers    string        `env:"GOTRUE_SMTP_HEADERS" doc:"Further headers of every mail as JSON, {\"X-Name\":[\"value\"]}; $messageType in a value is the mail's kind." group:"optional"`
	LogSent    bool          `env:"GOTRUE_SMTP_LOGGING_ENABLED" default:"false" doc:"Log every mail that left with its addresses." group:"optional"`

	MaxFrequency time.Duration `env:"GOTRUE_SMTP_MAX_FREQUENCY" default:"1m" doc:"Least time between two mails of one kind to one user; 0 is 1m, as in GoTrue." group:"optional"`
	RateLimit    string        `env:"GOTRUE_RATE_LIMIT_EMAIL_SENT" default:"30" doc:"Mails of the whole server in an hour, or in another time (100/10m); 0 is none at all. Without effect under autoconfirm." group:"optional"`
	Authorized   []string      `env:"GOTRUE_EXTERNAL_EMAIL_AUTHORIZED_ADDRESSES" doc:"The only addresses that get mails; a label (name+label@) counts for the name. Empty: all." group:"optional"`

	Subjects      map[string]string `env:"GOTRUE_MAILER_SUBJECTS_*" doc:"Subject of one kind of mail (GOTRUE_MAILER_SUBJECTS_RECOVERY), a template." group:"optional"`
	Templates     map[string]string `env:"GOTRUE_MAILER_TEMPLATES_*" doc:"URL of one kind's HTML template, or its path under GOTRUE_SITE_URL." group:"optional"`
	URLPaths      map[string]string `env:"GOTRUE_MAILER_URLPATHS_*" doc:"Path or URL that the link of one kind (CONFIRMATION, INVITE, RECOVERY, EMAIL_CHANGE) leads to. Empty: auth's own /verify." group:"optional"`
	Notifications map[string]string `env:"GOTRUE_MAILER_NOTIFICATIONS_*" doc:"True for each change that the user is told of (GOTRUE_MAILER_NOTIFICATIONS_PASSWORD_CHANGED_ENABLED)." group:"optional"`
	ExternalHosts []string          `env:"GOTRUE_MAILER_EXTERNAL_HOSTS" doc:"Host names under which links may begin, chosen by X-Forwarded-Host; else they begin with the public URL." group:"optional"`

	Validation map[string]string `env:"GOTRUE_MAILER_EMAIL_VALIDATION_*" doc:"Must be empty, or EXTENDED=false: addresses are checked by their form, and by a mail to them. The hook BEFORE_USER_CREATED can refuse more." group:"optional"`

	TemplateMaxSize   int           `env:"GOTRUE_MAILER_TEMPLATE_MAX_SIZE" default:"1000000" doc:"Largest template in bytes." group:"optional"`
	TemplateMaxAge    time.Duration `env:"GOTRUE_MAILER_TEMPLATE_MAX_AGE" default:"10m" doc:"Age at which a template is fetched again." group:"optional"`
	TemplateRetry     time.Duration `env:"GOTRUE_MAILER_TEMPLATE_RETRY_INTERVAL" default:"10s" doc:"Time before a template that could not be had is asked for again." group:"optional"`
	TemplateReloading bool          `env:"GOTRUE_MAILER_TEMPLATE_RELOADING_ENABLED" default:"false" doc:"Accepted for GoTrue's sake: no request ever waits for a template." group:"optional"`
	TemplateMaxIdle   time.Duration `env:"GOTRUE_MAILER_TEMPLATE_RELOADING_MAX_IDLE" default:"20m" doc:"Accepted for GoTrue's sake." group:"optional"`
	Background        bool          `env:"GOTRUE_MAILER_EMAIL_BACKGROUND_SENDING" default:"true" doc:"Accepted for GoTrue's sake: mails always leave after the answer." group:"optional"`
}

// NoMails is the RateLimit that refuses every mail.
const NoMails = "0"

// minFrequency stands for a GOTRUE_SMTP_MAX_FREQUENCY of 0, as in GoTrue.
const minFrequency = time.Minute

// Frequency is the least time between two mails of one kind to one user.
func (c Config) Frequency() time.Duration {
	if c.MaxFrequency == 0 {
		return minFrequency
	}
	return c.MaxFrequency
}

// Notifies reports whether users are told of a change of the kind.
func (c Config) Notifies(k Kind) bool {
	on, _ := strconv.ParseBool(c.Notifications[notificationKey(k)])
	return on
}

// notificationKey is a notification's name in its setting: password_changed_enabled.
func notificationKey(k Kind) string {
	name, isNotification := strings.CutSuffix(string(k), "_notification")
	if !isNotification {
		return ""
	}
	return name + "_enabled"
}

// Validate names every fault of the settings.
func (c Config) Validate() error {
	errs := []error{c.checkMaps(), c.checkServer(), c.checkValidation()}
	if _, err := ratelimit.Parse(c.RateLimit); err != nil && c.RateLimit != "" && c.RateLimit != NoMails {
		errs = append(errs, fmt.Errorf("GOTRUE_RATE_LIMIT_EMAIL_SENT: %w", err))
	}
	if c.MaxFrequency < 0 {
		errs = append(errs, errors.New("GOTRUE_SMTP_MAX_FREQUENCY must not be negative"))
	}
	for key, at := range c.Templates {
		if u, err := url.Parse(at); err != nil || u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https" {
			errs = append(errs, fmt.Errorf("GOTRUE_MAILER_TEMPLATES_%s must be a URL or a path under GOTRUE_SITE_URL", strings.ToUpper(key)))
		}
	}
	for key, at := range c.URLPaths {
		if _, err := url.Parse(at); err != nil {
			errs = append(errs, fmt.Errorf("GOTRUE_MAILER_URLPATHS_%s is no path", strings.ToUpper(key)))
		}
	}
	for key, value := range c.Notifications {
		if _, err := strconv.ParseBool(value); value != "" && err != nil {
			errs = append(errs, fmt.Errorf("GOTRUE_MAILER_NOTIFICATIONS_%s must be true or false", strings.ToUpper(key)))
		}
	}
	return errors.Join(errs...)
}

// checkValidation refuses GoTrue's checks of addresses by DNS and by a service,
// which are not here: without them addresses would pass that they were to stop.
func (c Config) checkValidation() error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(c.Validation)) {
		if on, err := strconv.ParseBool(c.Validation[key]); c.Validation[key] != "" && (on || err != nil) {
			errs = append(errs, fmt.Errorf("GOTRUE_MAILER_EMAIL_VALIDATION_%s is set, and madbase has no such check; GOTRUE_HOOK_BEFORE_USER_CREATED_* can refuse addresses", strings.ToUpper(key)))
		}
	}
	return errors.Join(errs...)
}

// checkServer names the faults of what mails leave by.
func (c Config) checkServer() error {
	var errs []error
	if c.Port < 0 || c.Port > 65535 {
		errs = append(errs, errors.New("GOTRUE_SMTP_PORT must be a port"))
	}
	if strings.ContainsAny(c.AdminEmail+c.SenderName+c.User, "\r\n") {
		errs = append(errs, errors.New("GOTRUE_SMTP_ADMIN_EMAIL, GOTRUE_SMTP_SENDER_NAME and GOTRUE_SMTP_USER must be of one line"))
	}
	if _, err := parseHeaders(c.Headers); err != nil {
		errs = append(errs, fmt.Errorf("GOTRUE_SMTP_HEADERS: %w", err))
	}
	return errors.Join(errs...)
}

// checkMaps names settings of a kind that there is not.
func (c Config) checkMaps() error {
	var all, notifications []string
	for _, k := range Kinds() {
		all = append(all, string(k))
		if key := notificationKey(k); key != "" {
			notifications = append(notifications, key)
		}
	}
	var errs []error
	for _, m := range []struct {
		prefix string
		given  map[string]string
		known  []string
	}{
		{"SUBJECTS", c.Subjects, all},
		{"TEMPLATES", c.Templates, all},
		{"URLPATHS", c.URLPaths, all},
		{"NOTIFICATIONS", c.Notifications, notifications},
	} {
		for _, key := range slices.Sorted(maps.Keys(m.given)) {
			if !slices.Contains(m.known, key) {
				errs = append(errs, fmt.Errorf("GOTRUE_MAILER_%s_%s is not a setting: there is no such mail", m.prefix, strings.ToUpper(key)))
			}
		}
	}
	return errors.Join(errs...)
}

// parseHeaders reads GOTRUE_SMTP_HEADERS. It refuses what would be no header, or
// break out of it.
func parseHeaders(text string) (map[string][]string, error) {
	if text == "" {
		return nil, nil
	}
	var given map[string][]string
	if err := json.Unmarshal([]byte(text), &given); err != nil {
		return nil, errors.New(`must be JSON like {"X-Name":["value"]}`)
	}
	headers := make(map[string][]string, len(given))
	for name, values := range given {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 127 || r == ':' }) {
			return nil, fmt.Errorf("%q is no name of a header", name)
		}
		for _, value := range values {
			if strings.ContainsAny(value, "\r\n\x00") {
				return nil, fmt.Errorf("the value of %s must be of one line", name)
			}
			if value != "" {
				headers[textproto.CanonicalMIMEHeaderKey(name)] = append(headers[textproto.CanonicalMIMEHeaderKey(name)], value)
			}
		}
	}
	return headers, nil
}
