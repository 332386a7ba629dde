package sms

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/madbase/madbase/platform/ratelimit"
	"github.com/madbase/madbase/platform/secret"
)

// Config are the settings of text messages, by GoTrue's names and with its defaults.
type Config struct {
	Provider    string        `env:"GOTRUE_SMS_PROVIDER" doc:"Who sends text messages: twilio, twilio_verify, messagebird, textlocal or vonage. Empty: nobody. Then messages land in the dev inbox where there is one; elsewhere only numbers of GOTRUE_SMS_TEST_OTP and the send_sms hook work." group:"optional"`
	Autoconfirm bool          `env:"GOTRUE_SMS_AUTOCONFIRM" default:"false" doc:"Take every phone number as confirmed." group:"optional"`
	Template    string        `env:"GOTRUE_SMS_TEMPLATE" default:"Your code is {{ .Code }}" doc:"Text of a message; {{ .Code }} is the code." group:"optional"`
	OTPLength   int           `env:"GOTRUE_SMS_OTP_LENGTH" default:"6" doc:"Digits of a code, 6 to 10." group:"optional"`
	OTPExp      int           `env:"GOTRUE_SMS_OTP_EXP" default:"60" doc:"Seconds for which a code holds." group:"optional"`
	MaxEvery    time.Duration `env:"GOTRUE_SMS_MAX_FREQUENCY" default:"1m" doc:"Least time between two codes of one kind for one user." group:"optional"`
	RateSent    string        `env:"GOTRUE_RATE_LIMIT_SMS_SENT" default:"30" doc:"Most messages of all users together in an hour, or with a duration, as in 100/24h; 0 is none. GoTrue counts none with GOTRUE_SMS_AUTOCONFIRM; madbase counts them too." group:"optional"`

	TestOTP           secret.String `env:"GOTRUE_SMS_TEST_OTP" doc:"Numbers that get no message and whose code is always the same: number:code, parted by commas." group:"optional"`
	TestOTPValidUntil string        `env:"GOTRUE_SMS_TEST_OTP_VALID_UNTIL" doc:"When the codes of GOTRUE_SMS_TEST_OTP end (RFC 3339). Empty: never." group:"optional"`
	Prefixes          []string      `env:"MADBASE_SMS_PREFIXES" doc:"Beginnings of the numbers that may get messages, as 49,4179. Empty: all. Against fraud by calls for costly messages, list the countries that the app serves." group:"optional"`

	Twilio       TwilioConfig
	TwilioVerify TwilioVerifyConfig
	MessageBird  MessageBirdConfig
	TextLocal    TextLocalConfig
	Vonage       VonageConfig
}

// TwilioConfig are the settings of Twilio's messages.
type TwilioConfig struct {
	AccountSID string        `env:"GOTRUE_SMS_TWILIO_ACCOUNT_SID" doc:"Account at Twilio." group:"optional"`
	AuthToken  secret.String `env:"GOTRUE_SMS_TWILIO_AUTH_TOKEN" doc:"The account's token." group:"optional"`
	Sender     string        `env:"GOTRUE_SMS_TWILIO_MESSAGE_SERVICE_SID" doc:"Messaging service or number at Twilio that messages come from." group:"optional"`
	ContentSID string        `env:"GOTRUE_SMS_TWILIO_CONTENT_SID" doc:"Template at Twilio for WhatsApp, whose variable 1 is the code." group:"optional"`
}

// TwilioVerifyConfig are the settings of Twilio Verify, which makes and checks the codes itself.
type TwilioVerifyConfig struct {
	AccountSID string        `env:"GOTRUE_SMS_TWILIO_VERIFY_ACCOUNT_SID" doc:"Account at Twilio, for twilio_verify." group:"optional"`
	AuthToken  secret.String `env:"GOTRUE_SMS_TWILIO_VERIFY_AUTH_TOKEN" doc:"The account's token, for twilio_verify." group:"optional"`
	Service    string        `env:"GOTRUE_SMS_TWILIO_VERIFY_MESSAGE_SERVICE_SID" doc:"Verify service at Twilio." group:"optional"`
}

// MessageBirdConfig are the settings of MessageBird.
type MessageBirdConfig struct {
	AccessKey  secret.String `env:"GOTRUE_SMS_MESSAGEBIRD_ACCESS_KEY" doc:"Key of the account at MessageBird." group:"optional"`
	Originator string        `env:"GOTRUE_SMS_MESSAGEBIRD_ORIGINATOR" doc:"Name or number that messages by MessageBird come from." group:"optional"`
}

// TextLocalConfig are the settings of TextLocal.
type TextLocalConfig struct {
	APIKey secret.String `env:"GOTRUE_SMS_TEXTLOCAL_API_KEY" doc:"Key of the account at TextLocal." group:"optional"`
	Sender string        `env:"GOTRUE_SMS_TEXTLOCAL_SENDER" doc:"Name that messages by TextLocal come from." group:"optional"`
}

// VonageConfig are the settings of Vonage.
type VonageConfig struct {
	APIKey    secret.String `env:"GOTRUE_SMS_VONAGE_API_KEY" doc:"Key of the account at Vonage." group:"optional"`
	APISecret secret.String `env:"GOTRUE_SMS_VONAGE_API_SECRET" doc:"The key's secret." group:"optional"`
	From      string        `env:"GOTRUE_SMS_VONAGE_FROM" doc:"Name or number that messages by Vonage come from." group:"optional"`
}

// Frequency is the least time between two codes; a setting of 0 means GoTrue's minute.
func (c Config) Frequency() time.Duration {
	if c.MaxEvery == 0 {
		return time.Minute
	}
	return c.MaxEvery
}

// NoMessages is the RateSent that refuses every message.
const NoMessages = "0"

// Digits that a code may have.
const (
	minCode = 6
	maxCode = 10
)

// Validate names every fault of the settings, and what the chosen provider lacks.
func (c Config) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.OTPLength < minCode || c.OTPLength > maxCode {
		fault("GOTRUE_SMS_OTP_LENGTH must be %d to %d", minCode, maxCode)
	}
	if c.OTPExp < 1 {
		fault("GOTRUE_SMS_OTP_EXP must be at least 1")
	}
	if c.MaxEvery < 0 {
		fault("GOTRUE_SMS_MAX_FREQUENCY must not be negative")
	}
	if _, err := ratelimit.Parse(c.RateSent); err != nil && c.RateSent != NoMessages {
		fault("GOTRUE_RATE_LIMIT_SMS_SENT: %w", err)
	}
	if _, err := ParseTemplate(c.Template); err != nil {
		fault("GOTRUE_SMS_TEMPLATE: %w", err)
	}
	if _, err := parseTestCodes(c.TestOTP.Reveal()); err != nil {
		fault("GOTRUE_SMS_TEST_OTP: %w", err)
	}
	if _, err := c.testEnd(); err != nil {
		fault("GOTRUE_SMS_TEST_OTP_VALID_UNTIL is not a time such as 2030-12-31T00:00:00Z")
	}
	for _, prefix := range c.Prefixes {
		if digits := strings.TrimPrefix(prefix, "+"); digits == "" || strings.Trim(digits, "0123456789") != "" {
			fault("MADBASE_SMS_PREFIXES: %q is not the beginning of a number", prefix)
		}
	}
	return errors.Join(append(errs, c.checkProvider())...)
}

// checkProvider names the settings without which the chosen provider cannot send.
func (c Config) checkProvider() error {
	if c.Provider == "" {
		return nil
	}
	needs := map[string]map[string]string{
		"twilio": {
			"GOTRUE_SMS_TWILIO_ACCOUNT_SID": c.Twilio.AccountSID, "GOTRUE_SMS_TWILIO_AUTH_TOKEN": c.Twilio.AuthToken.Reveal(),
			"GOTRUE_SMS_TWILIO_MESSAGE_SERVICE_SID": c.Twilio.Sender,
		},
		"twilio_verify": {
			"GOTRUE_SMS_TWILIO_VERIFY_ACCOUNT_SID": c.TwilioVerify.AccountSID, "GOTRUE_SMS_TWILIO_VERIFY_AUTH_TOKEN": c.TwilioVerify.AuthToken.Reveal(),
			"GOTRUE_SMS_TWILIO_VERIFY_MESSAGE_SERVICE_SID": c.TwilioVerify.Service,
		},
		"messagebird": {"GOTRUE_SMS_MESSAGEBIRD_ACCESS_KEY": c.MessageBird.AccessKey.Reveal(), "GOTRUE_SMS_MESSAGEBIRD_ORIGINATOR": c.MessageBird.Originator},
		"textlocal":   {"GOTRUE_SMS_TEXTLOCAL_API_KEY": c.TextLocal.APIKey.Reveal(), "GOTRUE_SMS_TEXTLOCAL_SENDER": c.TextLocal.Sender},
		"vonage": {
			"GOTRUE_SMS_VONAGE_API_KEY": c.Vonage.APIKey.Reveal(), "GOTRUE_SMS_VONAGE_API_SECRET": c.Vonage.APISecret.Reveal(),
			"GOTRUE_SMS_VONAGE_FROM": c.Vonage.From,
		},
	}
	needed, known := needs[c.Provider]
	if !known {
		return fmt.Errorf("GOTRUE_SMS_PROVIDER: %q is none of twilio, twilio_verify, messagebird, textlocal, vonage", c.Provider)
	}
	var missing []string
	for name, value := range needed {
		if value == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return fmt.Errorf("GOTRUE_SMS_PROVIDER is %s, which needs %s", c.Provider, strings.Join(missing, ", "))
}

func (c Config) testEnd() (time.Time, error) {
	text := strings.TrimSpace(c.TestOTPValidUntil)
	if text == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339, text)
}

// parseTestCodes reads number:code,number:code. Its errors quote nothing.
func parseTestCodes(text string) (map[string]string, error) {
	codes := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		number, code, _ := strings.Cut(pair, ":")
		number, code = Digits(strings.TrimSpace(number)), strings.TrimSpace(code)
		if number == "" || code == "" {
			return nil, errors.New("is not a list of number:code")
		}
		codes[number] = code
	}
	return codes, nil
}
