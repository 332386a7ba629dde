package auth

import (
	"errors"
	"fmt"
	"time"
)

// FlowConfig are the settings of what runs over codes and links by mail, by
// GoTrue's names.
type FlowConfig struct {
	MagicLinkEnabled  bool          `env:"GOTRUE_EXTERNAL_EMAIL_MAGIC_LINK_ENABLED" default:"true" doc:"Sign-in by a link or a code in a mail." group:"optional"`
	OTPExp            int           `env:"GOTRUE_MAILER_OTP_EXP" default:"86400" doc:"Seconds for which a mail's code and link hold." group:"optional"`
	OTPLength         int           `env:"GOTRUE_MAILER_OTP_LENGTH" default:"6" doc:"Digits of a mail's code, 6 to 10." group:"optional"`
	SecureEmailChange bool          `env:"GOTRUE_MAILER_SECURE_EMAIL_CHANGE_ENABLED" default:"true" doc:"Ask both the old and the new address to confirm a change; without effect under autoconfirm." group:"optional"`
	StateExpiry       time.Duration `env:"GOTRUE_EXTERNAL_FLOW_STATE_EXPIRY_DURATION" default:"5m" doc:"How long a sign-in that ends in a code may take, from its beginning or from the opening of its magic link; never below 5m." group:"optional"`
	RequireReauth     bool          `env:"GOTRUE_SECURITY_UPDATE_PASSWORD_REQUIRE_REAUTHENTICATION" default:"false" doc:"Ask for a nonce from GET /reauthenticate when a user whose session is older than a day sets a new password." group:"optional"`
	RateLimitVerify   int           `env:"GOTRUE_RATE_LIMIT_VERIFY" default:"30" doc:"Verifications of codes and links per caller in 5 minutes; 0 is no limit." group:"optional"`
	RateLimitCode     int           `env:"MADBASE_AUTH_RATE_LIMIT_CODE" default:"30" doc:"Codes that may be tried for one address or number in an hour, by whomever; 0 is no limit. Links count only where they carry the hash of a code in the clear, as those of Supabase Auth do, and then all together." group:"optional"`
	ConfirmPage       bool          `env:"MADBASE_AUTH_CONFIRM_PAGE" default:"false" doc:"Show a page with a button where a mail's link is opened, and sign in only when it is pressed: programs that open the links of mails use none up." group:"optional"`
}

// Lengths of a mail's code.
const (
	minCode = 6
	maxCode = 10
)

// Validate names every fault of the settings.
func (c FlowConfig) Validate() error {
	var errs []error
	if c.OTPLength < minCode || c.OTPLength > maxCode {
		errs = append(errs, fmt.Errorf("GOTRUE_MAILER_OTP_LENGTH must be %d to %d", minCode, maxCode))
	}
	if c.OTPExp < 1 {
		errs = append(errs, errors.New("GOTRUE_MAILER_OTP_EXP must be at least 1"))
	}
	if c.StateExpiry < 0 || c.RateLimitVerify < 0 || c.RateLimitCode < 0 {
		errs = append(errs, errors.New("GOTRUE_EXTERNAL_FLOW_STATE_EXPIRY_DURATION, GOTRUE_RATE_LIMIT_VERIFY and MADBASE_AUTH_RATE_LIMIT_CODE must not be negative"))
	}
	return errors.Join(errs...)
}
