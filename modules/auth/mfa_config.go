package auth

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// MFAConfig are the settings of second factors.
type MFAConfig struct {
	TOTPEnroll     bool `env:"GOTRUE_MFA_TOTP_ENROLL_ENABLED" default:"true" doc:"Let users add authenticator apps." group:"optional"`
	TOTPVerify     bool `env:"GOTRUE_MFA_TOTP_VERIFY_ENABLED" default:"true" doc:"Take codes of authenticator apps." group:"optional"`
	TOTPReuse      bool `env:"MADBASE_AUTH_TOTP_REUSE" default:"false" doc:"Take the same code of an authenticator app again while it is shown, as Supabase Auth does and RFC 6238 forbids." group:"optional"`
	PhoneEnroll    bool `env:"GOTRUE_MFA_PHONE_ENROLL_ENABLED" default:"false" doc:"Let users add phone numbers as second factors." group:"optional"`
	PhoneVerify    bool `env:"GOTRUE_MFA_PHONE_VERIFY_ENABLED" default:"false" doc:"Send codes to phone factors and take them." group:"optional"`
	WebAuthnEnroll bool `env:"GOTRUE_MFA_WEB_AUTHN_ENROLL_ENABLED" default:"false" doc:"Let users add security keys and platform authenticators as second factors." group:"optional"`
	WebAuthnVerify bool `env:"GOTRUE_MFA_WEB_AUTHN_VERIFY_ENABLED" default:"false" doc:"Challenge WebAuthn factors and take their answers." group:"optional"`

	PhoneOTPLength    int           `env:"GOTRUE_MFA_PHONE_OTP_LENGTH" default:"6" doc:"Digits of a code sent to a phone factor, 6 to 10; anything else is 6." group:"optional"`
	PhoneMaxFrequency time.Duration `env:"GOTRUE_MFA_PHONE_MAX_FREQUENCY" default:"1m" doc:"Least time between two codes to a phone factor." group:"optional"`
	PhoneTemplate     string        `env:"GOTRUE_MFA_PHONE_TEMPLATE" default:"Your code is {{ .Code }}" doc:"Text of the message with a phone factor's code, a Go template with .Code." group:"optional"`

	MaxEnrolled     int           `env:"GOTRUE_MFA_MAX_ENROLLED_FACTORS" default:"10" doc:"Most factors that a user may have, verified or not." group:"optional"`
	MaxVerified     int           `env:"GOTRUE_MFA_MAX_VERIFIED_FACTORS" default:"10" doc:"Most verified factors that a user may have." group:"optional"`
	ChallengeExpiry float64       `env:"GOTRUE_MFA_CHALLENGE_EXPIRY_DURATION" default:"300" doc:"Seconds in which a challenge must be answered; never below 300." group:"optional"`
	FactorExpiry    time.Duration `env:"GOTRUE_MFA_FACTOR_EXPIRY_DURATION" default:"300s" doc:"How long a factor that is never challenged stays; never below 300s." group:"optional"`
	RateLimit       int           `env:"GOTRUE_MFA_RATE_LIMIT_CHALLENGE_AND_VERIFY" default:"15" doc:"Challenges, and answers, per caller and per factor in a minute; 0 is no limit." group:"optional"`
}

// The least values of settings that GoTrue raises to them.
const (
	minChallengeExpiry = 300 * time.Second
	minFactorExpiry    = 300 * time.Second
)

// challengeLife is how long a challenge may be answered.
func (c MFAConfig) challengeLife() time.Duration {
	return max(time.Duration(c.ChallengeExpiry*float64(time.Second)), minChallengeExpiry)
}

// Validate names every fault of the settings.
func (c MFAConfig) Validate() error {
	var errs []error
	for name, value := range map[string]float64{
		"GOTRUE_MFA_MAX_ENROLLED_FACTORS": float64(c.MaxEnrolled), "GOTRUE_MFA_MAX_VERIFIED_FACTORS": float64(c.MaxVerified),
		"GOTRUE_MFA_CHALLENGE_EXPIRY_DURATION": c.ChallengeExpiry, "GOTRUE_MFA_FACTOR_EXPIRY_DURATION": float64(c.FactorExpiry),
		"GOTRUE_MFA_RATE_LIMIT_CHALLENGE_AND_VERIFY": float64(c.RateLimit), "GOTRUE_MFA_PHONE_MAX_FREQUENCY": float64(c.PhoneMaxFrequency),
	} {
		if value < 0 {
			errs = append(errs, fmt.Errorf("%s must not be negative", name))
		}
	}
	_, err := c.phoneTemplate()
	return errors.Join(append(errs, err)...)
}

// WebAuthnConfig says for which sites WebAuthn credentials are, be they second
// factors or passkeys.
type WebAuthnConfig struct {
	RPID            string        `env:"GOTRUE_WEBAUTHN_RP_ID" doc:"Domain that WebAuthn credentials belong to: the app's, without scheme and port." group:"optional"`
	RPDisplayName   string        `env:"GOTRUE_WEBAUTHN_RP_DISPLAY_NAME" doc:"The app's name in the browser's WebAuthn dialogs." group:"optional"`
	RPOrigins       []string      `env:"GOTRUE_WEBAUTHN_RP_ORIGINS" doc:"Origins that may use WebAuthn credentials, as https://app.example.com." group:"optional"`
	ChallengeExpiry time.Duration `env:"GOTRUE_WEBAUTHN_CHALLENGE_EXPIRY_DURATION" default:"5m" doc:"Time in which a passkey's challenge must be answered." group:"optional"`

	PasskeysEnabled bool `env:"GOTRUE_PASSKEY_ENABLED" default:"false" doc:"Sign-in by passkeys." group:"optional"`
	MaxPasskeys     int  `env:"GOTRUE_PASSKEY_MAX_PASSKEYS_PER_USER" default:"10" doc:"Most passkeys that a user may have." group:"optional"`
	RateLimit       int  `env:"GOTRUE_RATE_LIMIT_PASSKEY" default:"30" doc:"Beginnings of a sign-in by passkey per caller in 5 minutes; 0 is no limit." group:"optional"`
}

// Validate names every fault of the settings; needed says that something uses WebAuthn.
func (c WebAuthnConfig) Validate(needed bool) error {
	var errs []error
	for name, missing := range map[string]bool{
		"GOTRUE_WEBAUTHN_RP_ID": c.RPID == "", "GOTRUE_WEBAUTHN_RP_DISPLAY_NAME": c.RPDisplayName == "",
		"GOTRUE_WEBAUTHN_RP_ORIGINS": len(c.RPOrigins) == 0 || slices.Contains(c.RPOrigins, ""),
	} {
		if needed && missing {
			errs = append(errs, fmt.Errorf("%s is needed for passkeys and WebAuthn factors", name))
		}
	}
	if _, err := c.forPasskeys(); needed && len(errs) == 0 && err != nil {
		errs = append(errs, fmt.Errorf("GOTRUE_WEBAUTHN_RP_ID or GOTRUE_WEBAUTHN_RP_ORIGINS: %w", err))
	}
	if c.ChallengeExpiry < 0 {
		errs = append(errs, errors.New("GOTRUE_WEBAUTHN_CHALLENGE_EXPIRY_DURATION must not be negative"))
	}
	if c.MaxPasskeys < 0 {
		errs = append(errs, errors.New("GOTRUE_PASSKEY_MAX_PASSKEYS_PER_USER must not be negative"))
	}
	if c.RateLimit < 0 {
		errs = append(errs, errors.New("GOTRUE_RATE_LIMIT_PASSKEY must not be negative"))
	}
	return errors.Join(errs...)
}
