// Package provider signs people in at other services: it sends their browser
// there, exchanges what it comes back with for tokens, and reads who they are.
// The services are a table (catalog.go) with one function each that turns the
// service's own user into an Identity; everything between is the same for all.
// It knows nothing of madbase's users, sessions or database.
//
// Which claims each service's user becomes, and by what names, is GoTrue's
// contract: apps read them from identity_data and user_metadata.
package provider

import (
	"context"
	"errors"
	"net/url"

	"github.com/madbase/madbase/platform/secret"
)

// Config is how one service is used: the variables GOTRUE_EXTERNAL_<SERVICE>_*.
type Config struct {
	Enabled        bool          `env:"ENABLED" default:"false" doc:"Sign-in with Apple. Likewise, with its name in the place of APPLE, for each of AZURE, BITBUCKET, DISCORD, FACEBOOK, FIGMA, FLY, GITHUB, GITLAB, GOOGLE, KAKAO, KEYCLOAK, LINKEDIN, LINKEDIN_OIDC, NOTION, SLACK, SLACK_OIDC, SNAPCHAT, SPOTIFY, TWITCH, TWITTER, VERCEL_MARKETPLACE, WORKOS, X and ZOOM; and so for the variables below." group:"optional"`
	ClientID       []string      `env:"CLIENT_ID" doc:"The app's id at the service. The first signs in with a browser; ID tokens may be for any of them." group:"optional"`
	Secret         secret.String `env:"SECRET" doc:"The app's secret at the service." group:"optional"`
	RedirectURI    string        `env:"REDIRECT_URI" doc:"Where the service sends the browser back, as registered there. Empty: the public URL with /auth/v1/callback." group:"optional"`
	URL            string        `env:"URL" doc:"Address of the service where it is not the usual one: a tenant at Azure, a realm at Keycloak, a GitLab or GitHub of one's own." group:"optional"`
	APIURL         string        `env:"API_URL" doc:"Accepted for GoTrue's sake, which does not use it either." group:"optional"`
	EmailOptional  bool          `env:"EMAIL_OPTIONAL" default:"false" doc:"Let people in whose address the service does not tell." group:"optional"`
	SkipNonceCheck bool          `env:"SKIP_NONCE_CHECK" default:"false" doc:"Take ID tokens whatever their nonce. Nonces keep a stolen ID token from being used a second time." group:"optional"`
}

// Check says what is missing for sign-in with a browser. The texts are GoTrue's.
func (c Config) Check() error {
	switch {
	case !c.Enabled:
		return ErrDisabled
	case len(c.ClientID) == 0 || c.ClientID[0] == "":
		return SetupError("missing OAuth client ID")
	case c.Secret == "":
		return SetupError("missing OAuth secret")
	case c.RedirectURI == "":
		return SetupError("missing redirect URI")
	}
	return nil
}

// SetupError says why a service cannot be used as it is set up. Unlike other
// errors it may be shown to whoever wants to sign in.
type SetupError string

// Error is the reason.
func (e SetupError) Error() string { return string(e) }

// ErrDisabled says that nobody may sign in with the service.
const ErrDisabled SetupError = "provider is not enabled"

// Provider signs people in at one service.
type Provider interface {
	// Start returns the address to which the browser goes, and what Finish needs to
	// know of the start: PKCE's verifier (RFC 7636) or OAuth 1's request token. It
	// is a secret, and empty with services that have neither.
	Start(ctx context.Context, a Authorization) (address, kept string, err error)
	// Finish turns what the browser came back with into tokens and a person.
	// ErrExchange says that the service did not take the code.
	Finish(ctx context.Context, cb Callback) (*Grant, error)
}

// ErrExchange says that the service gave no token for the code.
var ErrExchange = errors.New("provider: exchange code")

// Authorization is how a sign-in begins.
type Authorization struct {
	// State comes back with the browser.
	State string
	// Params are further parameters of the caller's; the server's own win over them.
	Params url.Values
}

// Callback is what the browser brings back, with what Start gave to keep.
type Callback struct {
	Code, Kept string
	// User is the JSON that Apple sends beside the first code, and never again.
	User string
	// OAuthToken and OAuthVerifier are OAuth 1's.
	OAuthToken, OAuthVerifier string
}

// Grant is a finished sign-in at a service.
type Grant struct {
	Identity                  Identity
	AccessToken, RefreshToken string
}

// Identity is a person as a service knows them.
type Identity struct {
	// Provider is the service's name: "github", "custom:acme", "sso:<id>".
	Provider string
	Emails   []Email
	Claims   Claims
}

// Email is an address that a service tells.
type Email struct {
	Address string
	// Verified says that the service vouches for it.
	Verified bool
	Primary  bool
}

// one returns the address as the only one, or none when it is empty.
func one(address string, verified bool) []Email {
	if address == "" {
		return nil
	}
	return []Email{{Address: address, Verified: verified, Primary: true}}
}

// Settle sets the claims' address to the primary one, or else the last, whatever
// the service's own claims say.
func (i *Identity) Settle() {
	i.Claims.EmailVerified = false
	for _, e := range i.Emails {
		i.Claims.Email, i.Claims.EmailVerified = e.Address, Flag(e.Verified)
		if e.Primary {
			return
		}
	}
}

// Reserved are the parameters of an authorization request that belong to the
// server (RFC 6749, RFC 7636, OpenID Connect Core): nobody else may set them.
var Reserved = []string{
	"client_id", "client_secret", "redirect_uri", "response_type", "state", "code_challenge", "code_challenge_method", "code_verifier", "nonce",
}
