package auth

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/madbase/madbase/modules/auth/hook"
	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/modules/auth/password"
	"github.com/madbase/madbase/modules/auth/seal"
	"github.com/madbase/madbase/modules/auth/sms"
)

// Config are auth's settings, by GoTrue's names. The key material is that of
// platform/claims.
type Config struct {
	DisableSignup         bool `env:"GOTRUE_DISABLE_SIGNUP" default:"false" doc:"Refuse new users; administrators still create them." group:"optional"`
	EmailEnabled          bool `env:"GOTRUE_EXTERNAL_EMAIL_ENABLED" default:"true" doc:"Sign-up and sign-in by email address." group:"optional"`
	AnonymousUsersEnabled bool `env:"GOTRUE_EXTERNAL_ANONYMOUS_USERS_ENABLED" default:"false" doc:"Sign-in without address, number or password." group:"optional"`
	Autoconfirm           bool `env:"GOTRUE_MAILER_AUTOCONFIRM" default:"true" doc:"Take every email address as confirmed. GoTrue's default is false, and so it is in GoTrue's place (MADBASE_DROP_IN); elsewhere true lets an app work before there is a mail server." group:"optional"`

	JWTExp              int      `env:"GOTRUE_JWT_EXP" default:"3600" doc:"Life of an access token in seconds." group:"optional"`
	JWTAudience         string   `env:"GOTRUE_JWT_AUD" default:"authenticated" doc:"Audience of new users and of their tokens." group:"optional"`
	JWTIssuer           string   `env:"GOTRUE_JWT_ISSUER" doc:"Issuer of access tokens. Empty: the public URL with /auth/v1." group:"optional"`
	JWTAdminRoles       []string `env:"GOTRUE_JWT_ADMIN_ROLES" default:"service_role,supabase_admin" doc:"Roles whose tokens may use the admin routes." group:"optional"`
	JWTDefaultGroupName string   `env:"GOTRUE_JWT_DEFAULT_GROUP_NAME" default:"authenticated" doc:"Role of new users and of their tokens." group:"optional"`

	PasswordMinLength          int    `env:"GOTRUE_PASSWORD_MIN_LENGTH" default:"6" doc:"Least length of a new password; never below 6." group:"optional"`
	PasswordRequiredCharacters string `env:"GOTRUE_PASSWORD_REQUIRED_CHARACTERS" doc:"Sets of characters parted by ':' ('\\:' is a colon); a new password needs one of each." group:"optional"`
	RequireCurrentPassword     bool   `env:"GOTRUE_SECURITY_UPDATE_PASSWORD_REQUIRE_CURRENT_PASSWORD" default:"false" doc:"Ask for the current password when a user sets a new one." group:"optional"`

	RefreshRotation      bool          `env:"GOTRUE_SECURITY_REFRESH_TOKEN_ROTATION_ENABLED" default:"true" doc:"When an old refresh token is used again, end all tokens of its session." group:"optional"`
	RefreshReuseInterval int           `env:"GOTRUE_SECURITY_REFRESH_TOKEN_REUSE_INTERVAL" default:"10" doc:"Seconds for which an exchanged refresh token may be used again." group:"optional"`
	SessionsTimebox      time.Duration `env:"GOTRUE_SESSIONS_TIMEBOX" default:"0s" doc:"Longest life of a session; 0 is no limit." group:"optional"`
	SessionsInactivity   time.Duration `env:"GOTRUE_SESSIONS_INACTIVITY_TIMEOUT" default:"0s" doc:"How long a session may go without a refresh; 0 is no limit." group:"optional"`

	RateLimitHeader         string `env:"GOTRUE_RATE_LIMIT_HEADER" doc:"Request header whose first value tells callers apart. Empty, or without it: the client's address, where callers on the same machine have no limit." group:"optional" scope:"process"`
	RateLimitLoopback       bool   `env:"MADBASE_AUTH_LIMIT_LOOPBACK" default:"false" doc:"Limit callers on the same machine too. Without it a proxy there that TRUSTED_PROXIES does not list lifts the limits for everyone behind it." group:"optional" scope:"process"`
	RateLimitTokenRefresh   int    `env:"GOTRUE_RATE_LIMIT_TOKEN_REFRESH" default:"150" doc:"Sign-ins and refreshes together per caller in 5 minutes, and as many captchas, beginnings of sign-ins at services, and requests of apps; 0 is no limit." group:"optional"`
	RateLimitOTP            int    `env:"GOTRUE_RATE_LIMIT_OTP" default:"30" doc:"Sign-ups per caller in 5 minutes, and as many requests for codes of each kind and changes of a user; 0 is no limit." group:"optional"`
	RateLimitAnonymousUsers int    `env:"GOTRUE_RATE_LIMIT_ANONYMOUS_USERS" default:"30" doc:"Anonymous sign-ins per caller in an hour; 0 is no limit." group:"optional"`

	PhoneEnabled bool     `env:"GOTRUE_EXTERNAL_PHONE_ENABLED" default:"false" doc:"Sign-up and sign-in by phone number." group:"optional"`
	SiteURL      string   `env:"GOTRUE_SITE_URL" doc:"Address of the app, where links in mails and sign-ins at providers end. Empty: the public URL." group:"optional"`
	URIAllowList []string `env:"GOTRUE_URI_ALLOW_LIST" doc:"Further addresses where they may end, as globs: * passes neither dots nor slashes, ** passes all." group:"optional"`
	DBDriver     string   `env:"GOTRUE_DB_DRIVER" default:"postgres" doc:"Accepted for GoTrue's sake: there is only postgres." group:"optional" scope:"process"`
	DBNamespace  string   `env:"GOTRUE_DB_NAMESPACE" default:"auth" doc:"Accepted for GoTrue's sake: the schema is always auth." group:"optional" scope:"process"`

	EmailIdentity        bool          `env:"GOTRUE_EXPERIMENTAL_CREATE_EMAIL_IDENTITY_ON_PASSWORD_SET_ENABLED" default:"false" doc:"Give users of sign-in services who set a password an identity of their confirmed address." group:"optional"`
	CursorPaging         bool          `env:"GOTRUE_EXPERIMENTAL_CURSOR_PAGINATION_ENABLED" default:"false" doc:"List users by cursor where no page is named; it costs the same on every page." group:"optional"`
	DBCleanup            bool          `env:"GOTRUE_DB_CLEANUP_ENABLED" default:"false" doc:"Delete what is old, a little each minute: revoked tokens, sessions long over, states and challenges, factors never verified, and anonymous users after 30 days." group:"optional"`
	MaxRequestDuration   time.Duration `env:"GOTRUE_API_MAX_REQUEST_DURATION" default:"10s" doc:"How long a request may take before it is answered with 504; 0 is no limit." group:"optional" scope:"process"`
	SBForwardedFor       bool          `env:"GOTRUE_SECURITY_SB_FORWARDED_FOR_ENABLED" default:"false" doc:"Take the caller's address from the header Sb-Forwarded-For. Only for where a proxy sets it on every request: else callers choose it." group:"optional" scope:"process"`
	PrivateNetworks      bool          `env:"MADBASE_AUTH_PRIVATE_NETWORKS" default:"false" doc:"Let addresses that administrators name over the API (of custom providers, and metadata of identity providers) lead into private networks." group:"optional" scope:"process"`
	AuditDisablePostgres bool          `env:"GOTRUE_AUDIT_LOG_DISABLE_POSTGRES" default:"false" doc:"Write the audit log to the process's log only, not to auth.audit_log_entries." group:"optional"`

	// The flows have settings of their own.
	Flow        FlowConfig
	Mail        mail.Config
	SMS         sms.Config
	External    ExternalConfig
	SAML        SAMLConfig
	Web3        Web3Config
	MFA         MFAConfig
	WebAuthn    WebAuthnConfig
	OAuthServer OAuthServerConfig

	// And so has what stands around them.
	Sessions SessionsConfig
	Refresh  RefreshConfig
	Hooks    hook.Config
	Captcha  CaptchaConfig
	Pwned    PwnedConfig
	Seal     seal.Config
	CORS     CORSConfig   `scope:"process"`
	Compat   CompatConfig `scope:"process"`
}

// minPassword is the length below which GoTrue lets no setting go.
const minPassword = 6

// Validate names every fault of the settings.
func (c Config) Validate() error {
	var errs []error
	_, allowErr := newRedirects(c.SiteURL, c.URIAllowList)
	errs = append(errs,
		c.checkFixed(),
		allowErr,
		c.Flow.Validate(),
		c.Mail.Validate(),
		c.SMS.Validate(),
		c.External.Validate(c.Autoconfirm),
		c.SAML.Validate(),
		c.Web3.Validate(),
		c.MFA.Validate(),
		c.WebAuthn.Validate(c.WebAuthn.PasskeysEnabled || c.MFA.WebAuthnEnroll || c.MFA.WebAuthnVerify),
		c.OAuthServer.Validate(),
		c.Sessions.Validate(),
		c.Refresh.Validate(),
		c.Hooks.Validate(),
		c.Captcha.Validate(),
		c.Pwned.Validate(),
		c.Seal.Validate(),
		c.Compat.Validate(),
	)
	for name, value := range map[string]string{
		"GOTRUE_JWT_AUD": c.JWTAudience, "GOTRUE_JWT_DEFAULT_GROUP_NAME": c.JWTDefaultGroupName,
	} {
		if value == "" {
			errs = append(errs, fmt.Errorf("%s must not be empty", name))
		}
	}
	if c.JWTExp <= 0 {
		errs = append(errs, errors.New("GOTRUE_JWT_EXP must be more than 0"))
	}
	if c.PasswordMinLength > password.MaxLength {
		errs = append(errs, fmt.Errorf("GOTRUE_PASSWORD_MIN_LENGTH must not be more than %d", password.MaxLength))
	}
	for name, value := range map[string]int{
		"GOTRUE_SECURITY_REFRESH_TOKEN_REUSE_INTERVAL": c.RefreshReuseInterval, "GOTRUE_RATE_LIMIT_TOKEN_REFRESH": c.RateLimitTokenRefresh,
		"GOTRUE_RATE_LIMIT_OTP": c.RateLimitOTP, "GOTRUE_RATE_LIMIT_ANONYMOUS_USERS": c.RateLimitAnonymousUsers,
		"GOTRUE_SESSIONS_TIMEBOX": int(c.SessionsTimebox), "GOTRUE_SESSIONS_INACTIVITY_TIMEOUT": int(c.SessionsInactivity),
		"GOTRUE_API_MAX_REQUEST_DURATION": int(c.MaxRequestDuration),
	} {
		if value < 0 {
			errs = append(errs, fmt.Errorf("%s must not be negative", name))
		}
	}
	return errors.Join(errs...)
}

// checkFixed names settings of GoTrue's with values that cannot be honoured. An
// empty one says nothing, as in GoTrue.
func (c Config) checkFixed() error {
	var errs []error
	if c.DBDriver != "" && c.DBDriver != "postgres" && c.DBDriver != "postgresql" {
		errs = append(errs, fmt.Errorf("GOTRUE_DB_DRIVER: %q is not postgres", c.DBDriver))
	}
	if c.DBNamespace != "" && c.DBNamespace != "auth" {
		errs = append(errs, fmt.Errorf("GOTRUE_DB_NAMESPACE: %q is not auth", c.DBNamespace))
	}
	if u, err := url.Parse(c.SiteURL); c.SiteURL != "" && (err != nil || u.Scheme == "") {
		errs = append(errs, errors.New("GOTRUE_SITE_URL is not a URL"))
	}
	return errors.Join(errs...)
}

func (c Config) policy() password.Policy {
	return password.Policy{MinLength: max(c.PasswordMinLength, minPassword), Required: password.ParseSets(c.PasswordRequiredCharacters)}
}
