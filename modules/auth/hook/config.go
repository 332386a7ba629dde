package hook

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/madbase/madbase/platform/secret"
)

// Config are the hooks' settings, by GoTrue's names: for each whether it is on,
// where it is, and what signs its requests.
type Config struct {
	BeforeUserCreatedEnabled bool          `env:"GOTRUE_HOOK_BEFORE_USER_CREATED_ENABLED" default:"false" doc:"Ask the app before a user is made; it may refuse." group:"optional"`
	BeforeUserCreatedURI     string        `env:"GOTRUE_HOOK_BEFORE_USER_CREATED_URI" doc:"Where that hook is: https://host/path, or pg-functions://postgres/schema/function." group:"optional"`
	BeforeUserCreatedSecrets secret.String `env:"GOTRUE_HOOK_BEFORE_USER_CREATED_SECRETS" doc:"Keys that sign its requests, as v1,whsec_base64, parted by '|'." group:"optional"`

	AfterUserCreatedEnabled bool          `env:"GOTRUE_HOOK_AFTER_USER_CREATED_ENABLED" default:"false" doc:"Tell the app of each new user." group:"optional"`
	AfterUserCreatedURI     string        `env:"GOTRUE_HOOK_AFTER_USER_CREATED_URI" doc:"Where that hook is." group:"optional"`
	AfterUserCreatedSecrets secret.String `env:"GOTRUE_HOOK_AFTER_USER_CREATED_SECRETS" doc:"Keys that sign its requests." group:"optional"`

	CustomAccessTokenEnabled bool          `env:"GOTRUE_HOOK_CUSTOM_ACCESS_TOKEN_ENABLED" default:"false" doc:"Let the app change the claims of each access token." group:"optional"`
	CustomAccessTokenURI     string        `env:"GOTRUE_HOOK_CUSTOM_ACCESS_TOKEN_URI" doc:"Where that hook is." group:"optional"`
	CustomAccessTokenSecrets secret.String `env:"GOTRUE_HOOK_CUSTOM_ACCESS_TOKEN_SECRETS" doc:"Keys that sign its requests." group:"optional"`

	SendEmailEnabled bool          `env:"GOTRUE_HOOK_SEND_EMAIL_ENABLED" default:"false" doc:"Let the app send the mails." group:"optional"`
	SendEmailURI     string        `env:"GOTRUE_HOOK_SEND_EMAIL_URI" doc:"Where that hook is." group:"optional"`
	SendEmailSecrets secret.String `env:"GOTRUE_HOOK_SEND_EMAIL_SECRETS" doc:"Keys that sign its requests." group:"optional"`

	SendSMSEnabled bool          `env:"GOTRUE_HOOK_SEND_SMS_ENABLED" default:"false" doc:"Let the app send the text messages." group:"optional"`
	SendSMSURI     string        `env:"GOTRUE_HOOK_SEND_SMS_URI" doc:"Where that hook is." group:"optional"`
	SendSMSSecrets secret.String `env:"GOTRUE_HOOK_SEND_SMS_SECRETS" doc:"Keys that sign its requests." group:"optional"`

	PasswordVerificationEnabled bool          `env:"GOTRUE_HOOK_PASSWORD_VERIFICATION_ATTEMPT_ENABLED" default:"false" doc:"Ask the app after each try of a password; it may refuse." group:"optional"`
	PasswordVerificationURI     string        `env:"GOTRUE_HOOK_PASSWORD_VERIFICATION_ATTEMPT_URI" doc:"Where that hook is." group:"optional"`
	PasswordVerificationSecrets secret.String `env:"GOTRUE_HOOK_PASSWORD_VERIFICATION_ATTEMPT_SECRETS" doc:"Keys that sign its requests." group:"optional"`

	MFAVerificationEnabled bool          `env:"GOTRUE_HOOK_MFA_VERIFICATION_ATTEMPT_ENABLED" default:"false" doc:"Ask the app after each try of a second factor; it may refuse." group:"optional"`
	MFAVerificationURI     string        `env:"GOTRUE_HOOK_MFA_VERIFICATION_ATTEMPT_URI" doc:"Where that hook is." group:"optional"`
	MFAVerificationSecrets secret.String `env:"GOTRUE_HOOK_MFA_VERIFICATION_ATTEMPT_SECRETS" doc:"Keys that sign its requests." group:"optional"`
}

// setting is one hook's part of a Config.
type setting struct {
	name    Name
	prefix  string
	enabled bool
	uri     string
	secrets secret.String
}

func (c Config) settings() []setting {
	return []setting{
		{BeforeUserCreated, "GOTRUE_HOOK_BEFORE_USER_CREATED", c.BeforeUserCreatedEnabled, c.BeforeUserCreatedURI, c.BeforeUserCreatedSecrets},
		{AfterUserCreated, "GOTRUE_HOOK_AFTER_USER_CREATED", c.AfterUserCreatedEnabled, c.AfterUserCreatedURI, c.AfterUserCreatedSecrets},
		{CustomAccessToken, "GOTRUE_HOOK_CUSTOM_ACCESS_TOKEN", c.CustomAccessTokenEnabled, c.CustomAccessTokenURI, c.CustomAccessTokenSecrets},
		{SendEmail, "GOTRUE_HOOK_SEND_EMAIL", c.SendEmailEnabled, c.SendEmailURI, c.SendEmailSecrets},
		{SendSMS, "GOTRUE_HOOK_SEND_SMS", c.SendSMSEnabled, c.SendSMSURI, c.SendSMSSecrets},
		{PasswordVerification, "GOTRUE_HOOK_PASSWORD_VERIFICATION_ATTEMPT", c.PasswordVerificationEnabled, c.PasswordVerificationURI, c.PasswordVerificationSecrets},
		{MFAVerification, "GOTRUE_HOOK_MFA_VERIFICATION_ATTEMPT", c.MFAVerificationEnabled, c.MFAVerificationURI, c.MFAVerificationSecrets},
	}
}

// Validate names each faulty setting.
func (c Config) Validate() error {
	var errs []error
	for _, s := range c.settings() {
		if s.enabled && s.uri == "" {
			errs = append(errs, fmt.Errorf("%s_URI is missing", s.prefix))
		}
		if s.uri != "" {
			if _, err := parseTarget(s.uri); err != nil {
				errs = append(errs, fmt.Errorf("%s_URI %w", s.prefix, err))
			}
		}
		if _, err := parseSigners(s.secrets); err != nil {
			errs = append(errs, fmt.Errorf("%s_SECRETS %w", s.prefix, err))
		}
	}
	return errors.Join(errs...)
}

// target is where a hook is: at a URL, or a function of the database.
type target struct{ url, schema, function string }

// sqlName is what GoTrue takes for the name of a schema or function.
var sqlName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,62}$`)

// plainHosts are those that may be called without TLS: this machine.
var plainHosts = []string{"localhost", "127.0.0.1", "::1", "host.docker.internal"}

func parseTarget(uri string) (target, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return target{}, errors.New("is not a URL")
	}
	switch strings.ToLower(u.Scheme) {
	case "pg-functions":
		parts := strings.Split(u.Path, "/")
		if len(parts) != 3 || !sqlName.MatchString(parts[1]) || !sqlName.MatchString(parts[2]) {
			return target{}, errors.New("is not of the form pg-functions://postgres/schema/function")
		}
		return target{schema: parts[1], function: parts[2]}, nil
	case "http":
		if !slices.Contains(plainHosts, u.Hostname()) {
			return target{}, errors.New("may have http only on this machine (localhost); elsewhere it must be https")
		}
	case "https":
	default:
		return target{}, errors.New("is neither an https nor a pg-functions URL")
	}
	if u.Host == "" {
		return target{}, errors.New("names no host")
	}
	return target{url: uri}, nil
}
