package auth

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/madbase/madbase/modules/auth/provider"
)

// ExternalConfig are the settings of sign-in at other services, by GoTrue's names.
type ExternalConfig struct {
	Apple             provider.Config `prefix:"GOTRUE_EXTERNAL_APPLE_"`
	Azure             provider.Config `prefix:"GOTRUE_EXTERNAL_AZURE_"`
	Bitbucket         provider.Config `prefix:"GOTRUE_EXTERNAL_BITBUCKET_"`
	Discord           provider.Config `prefix:"GOTRUE_EXTERNAL_DISCORD_"`
	Facebook          provider.Config `prefix:"GOTRUE_EXTERNAL_FACEBOOK_"`
	Figma             provider.Config `prefix:"GOTRUE_EXTERNAL_FIGMA_"`
	Fly               provider.Config `prefix:"GOTRUE_EXTERNAL_FLY_"`
	GitHub            provider.Config `prefix:"GOTRUE_EXTERNAL_GITHUB_"`
	GitLab            provider.Config `prefix:"GOTRUE_EXTERNAL_GITLAB_"`
	Google            provider.Config `prefix:"GOTRUE_EXTERNAL_GOOGLE_"`
	Kakao             provider.Config `prefix:"GOTRUE_EXTERNAL_KAKAO_"`
	Keycloak          provider.Config `prefix:"GOTRUE_EXTERNAL_KEYCLOAK_"`
	LinkedIn          provider.Config `prefix:"GOTRUE_EXTERNAL_LINKEDIN_"`
	LinkedInOIDC      provider.Config `prefix:"GOTRUE_EXTERNAL_LINKEDIN_OIDC_"`
	Notion            provider.Config `prefix:"GOTRUE_EXTERNAL_NOTION_"`
	Slack             provider.Config `prefix:"GOTRUE_EXTERNAL_SLACK_"`
	SlackOIDC         provider.Config `prefix:"GOTRUE_EXTERNAL_SLACK_OIDC_"`
	Snapchat          provider.Config `prefix:"GOTRUE_EXTERNAL_SNAPCHAT_"`
	Spotify           provider.Config `prefix:"GOTRUE_EXTERNAL_SPOTIFY_"`
	Twitch            provider.Config `prefix:"GOTRUE_EXTERNAL_TWITCH_"`
	Twitter           provider.Config `prefix:"GOTRUE_EXTERNAL_TWITTER_"`
	VercelMarketplace provider.Config `prefix:"GOTRUE_EXTERNAL_VERCEL_MARKETPLACE_"`
	WorkOS            provider.Config `prefix:"GOTRUE_EXTERNAL_WORKOS_"`
	X                 provider.Config `prefix:"GOTRUE_EXTERNAL_X_"`
	Zoom              provider.Config `prefix:"GOTRUE_EXTERNAL_ZOOM_"`

	Timeout           time.Duration     `env:"GOTRUE_INTERNAL_HTTP_TIMEOUT" default:"10s" doc:"Longest time that a request to a sign-in service or to a provider of text messages may take." group:"optional"`
	RedirectURL       string            `env:"GOTRUE_EXTERNAL_REDIRECTURL" doc:"Where every sign-in at a service ends, whatever the app asks for." group:"optional"`
	IOSBundleID       string            `env:"GOTRUE_EXTERNAL_IOS_BUNDLE_ID" doc:"A further app for which Apple's ID tokens may be." group:"optional"`
	AllowedIssuers    []string          `env:"GOTRUE_EXTERNAL_ALLOWED_ID_TOKEN_ISSUERS" doc:"Issuers other than the services' whose ID tokens are taken, for whatever app they name. Better is a custom provider, which checks the app." group:"optional"`
	BindBrowser       bool              `env:"MADBASE_AUTH_BIND_BROWSER" default:"false" doc:"Finish a sign-in at a service only in the browser that began it, which a cookie tells: nobody can be sent into another's account by a link. Not for apps that begin it in one browser and end it in another, and linkIdentity needs the app on the same site." group:"optional"`
	AllowUnverified   bool              `env:"GOTRUE_MAILER_ALLOW_UNVERIFIED_EMAIL_SIGN_INS" default:"false" doc:"Let people in from services that do not vouch for their address, before they have confirmed it." group:"optional"`
	ManualLinking     bool              `env:"GOTRUE_SECURITY_MANUAL_LINKING_ENABLED" default:"false" doc:"Let users add identities at services to their account, and remove them." group:"optional"`
	LinkingDomains    map[string]string `env:"GOTRUE_EXPERIMENTAL_PROVIDER_LINKING_DOMAINS" doc:"Services (provider=domain) whose users are apart from all others, but for those of services of the same domain: the same address elsewhere is another account." group:"optional"`
	OwnLinkingDomains []string          `env:"GOTRUE_EXPERIMENTAL_PROVIDERS_WITH_OWN_LINKING_DOMAIN" doc:"Services whose users are apart from all others." group:"optional"`
	CustomEnabled     bool              `env:"GOTRUE_CUSTOM_OAUTH_ENABLED" default:"true" doc:"Services that administrators describe by the API, and sign-in with them." group:"optional"`
	CustomMax         int               `env:"GOTRUE_CUSTOM_OAUTH_MAX_PROVIDERS" default:"0" doc:"How many of them there may be; 0 is no limit." group:"optional"`
	CustomExternalURL string            `env:"GOTRUE_CUSTOM_OAUTH_EXTERNAL_URL" doc:"Address of this server as those services know it, to which /callback is added. Empty: the public URL with /auth/v1." group:"optional"`
}

// Validate names every fault of the settings; autoconfirm is how addresses are confirmed.
func (c ExternalConfig) Validate(autoconfirm bool) error {
	var errs []error
	if autoconfirm && c.AllowUnverified {
		errs = append(errs, errors.New("GOTRUE_MAILER_ALLOW_UNVERIFIED_EMAIL_SIGN_INS and GOTRUE_MAILER_AUTOCONFIRM must not both be true"))
	}
	for name, p := range c.services() {
		prefix := "GOTRUE_EXTERNAL_" + strings.ToUpper(name) + "_"
		if p.URL != "" && !isWebURL(p.URL) {
			errs = append(errs, fmt.Errorf("%sURL is not an http(s) URL", prefix))
		}
		if p.RedirectURI != "" && !isWebURL(p.RedirectURI) {
			errs = append(errs, fmt.Errorf("%sREDIRECT_URI is not an http(s) URL", prefix))
		}
		if p.Enabled && len(p.ClientID) == 0 {
			errs = append(errs, fmt.Errorf("%sENABLED needs %sCLIENT_ID", prefix, prefix))
		}
	}
	if c.Timeout < 0 {
		errs = append(errs, errors.New("GOTRUE_INTERNAL_HTTP_TIMEOUT must not be negative"))
	}
	if c.CustomMax < 0 {
		errs = append(errs, errors.New("GOTRUE_CUSTOM_OAUTH_MAX_PROVIDERS must not be negative"))
	}
	if c.CustomExternalURL != "" && !isWebURL(c.CustomExternalURL) {
		errs = append(errs, errors.New("GOTRUE_CUSTOM_OAUTH_EXTERNAL_URL is not an http(s) URL"))
	}
	return errors.Join(errs...)
}

func isWebURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// services are the built-in ones by GoTrue's names: those of their variables.
func (c ExternalConfig) services() map[string]provider.Config {
	all := map[string]provider.Config{}
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		if p, ok := v.Field(i).Interface().(provider.Config); ok {
			prefix := v.Type().Field(i).Tag.Get("prefix")
			all[strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(prefix, "GOTRUE_EXTERNAL_"), "_"))] = p
		}
	}
	return all
}

// defaultDomain is the linking domain of everyone who has no other.
const defaultDomain = "default"

// domain is the linking domain of a provider: accounts in one domain belong
// together by address, those of two never do. Single sign-on is one each.
func (c ExternalConfig) domain(name string) string {
	if strings.HasPrefix(name, "sso:") {
		return name
	}
	if d, ok := c.LinkingDomains[name]; ok {
		return d
	}
	for _, own := range c.OwnLinkingDomains {
		if own == name {
			return name
		}
	}
	return defaultDomain
}
