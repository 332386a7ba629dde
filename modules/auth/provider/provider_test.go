package provider_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/madbase/madbase/modules/auth/provider"
)

// world answers for services: the body for each host and path, for any query.
type world map[string]string

func (w world) RoundTrip(r *http.Request) (*http.Response, error) {
	body, ok := w[r.URL.Host+r.URL.Path]
	status := http.StatusOK
	if !ok {
		status = http.StatusNotFound
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}

func (w world) services() *provider.Services {
	return provider.NewServices(&http.Client{Transport: w, Timeout: 5 * time.Second})
}

var settings = provider.Config{Enabled: true, ClientID: []string{"app"}, Secret: "s3cret", RedirectURI: "https://api.example.com/callback"}

const bearer = `{"access_token":"at","token_type":"bearer","refresh_token":"rt"}`

func TestServicesTellWhoItIs(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		world  world
		emails []provider.Email
		data   string
	}{
		"bitbucket": {world{
			"bitbucket.org/site/oauth2/access_token": bearer,
			"api.bitbucket.org/2.0/user":             `{"uuid":"{u}","display_name":"Bo","avatar":{"href":"https://a/b"}}`,
			"api.bitbucket.org/2.0/user/emails":      `{"values":[{"email":"b@x.io","is_primary":true,"is_confirmed":true},{"email":"c@x.io"}]}`,
		}, []provider.Email{{"b@x.io", true, true}, {"c@x.io", false, false}}, `{"iss":"https://api.bitbucket.org/2.0","sub":"{u}","name":"Bo","picture":"https://a/b","avatar_url":"https://a/b","full_name":"Bo","provider_id":"{u}","email":"b@x.io","email_verified":true,"phone_verified":false}`},
		"discord": {world{
			"discord.com/api/oauth2/token": bearer,
			"discord.com/api/users/@me":    `{"id":"9","username":"dee","global_name":"Dee","discriminator":"7","avatar":"a_x","email":"d@x.io","verified":true}`,
		}, []provider.Email{{"d@x.io", true, true}}, `{"iss":"https://discord.com/api","sub":"9","name":"dee#7","picture":"https://cdn.discordapp.com/avatars/9/a_x.gif","avatar_url":"https://cdn.discordapp.com/avatars/9/a_x.gif","full_name":"dee","provider_id":"9","custom_claims":{"global_name":"Dee"},"email":"d@x.io","email_verified":true,"phone_verified":false}`},
		"facebook": {world{
			"graph.facebook.com/oauth/access_token": bearer,
			"graph.facebook.com/me":                 `{"id":"1","email":"f@x.io","first_name":"Fa","last_name":"Ce","name":"Fa Ce","picture":{"data":{"url":"https://p"}}}`,
		}, []provider.Email{{"f@x.io", true, true}}, `{"iss":"https://graph.facebook.com/me?fields=email,first_name,last_name,name,picture","sub":"1","name":"Fa Ce","nickname":"Fa Ce","slug":"Fa Ce","picture":"https://p","avatar_url":"https://p","full_name":"Fa Ce","provider_id":"1","email":"f@x.io","email_verified":true,"phone_verified":false}`},
		"figma": {world{
			"api.figma.com/v1/oauth/token": bearer, "api.figma.com/v1/me": `{"id":"2","email":"f@x.io","handle":"Fi","img_url":"https://i"}`,
		}, []provider.Email{{"f@x.io", true, true}}, `{"iss":"https://api.figma.com","sub":"2","name":"Fi","avatar_url":"https://i","full_name":"Fi","provider_id":"2","email":"f@x.io","email_verified":true,"phone_verified":false}`},
		"fly": {world{
			"api.fly.io/oauth/token": bearer, "api.fly.io/oauth/token/info": `{"resource_owner_id":"r","user_id":"u","user_name":"Fly","email":"f@x.io","organizations":[{"id":"o","role":"member"}],"scope":["read"],"application":{"uid":"a"},"created_at":1}`,
		}, []provider.Email{{"f@x.io", true, true}}, `{"iss":"https://api.fly.io","sub":"u","full_name":"Fly","provider_id":"u","custom_claims":{"resource_owner_id":"r","organizations":[{"id":"o","role":"member"}],"scope":["read"],"application":{"uid":"a"},"created_at":1},"email":"f@x.io","email_verified":true,"phone_verified":false}`},
		"github": {world{
			"github.com/login/oauth/access_token": bearer, "api.github.com/user": `{"id":3,"login":"octo","name":"Octo","avatar_url":"https://a"}`,
			"api.github.com/user/emails": `[{"email":"o@x.io","primary":true,"verified":true}]`,
		}, []provider.Email{{"o@x.io", true, true}}, `{"iss":"https://api.github.com","sub":"3","name":"Octo","preferred_username":"octo","avatar_url":"https://a","full_name":"Octo","provider_id":"3","user_name":"octo","email":"o@x.io","email_verified":true,"phone_verified":false}`},
		"gitlab": {world{
			"gitlab.com/oauth/token": bearer, "gitlab.com/api/v4/user": `{"id":4,"email":"g@x.io","name":"Gi","avatar_url":"https://a","confirmed_at":"2020-01-01"}`,
			"gitlab.com/api/v4/user/emails": `[{"id":1,"email":"other@x.io"}]`,
		}, []provider.Email{{"other@x.io", false, false}, {"g@x.io", true, true}}, `{"iss":"https://gitlab.com","sub":"4","name":"Gi","picture":"https://a","avatar_url":"https://a","full_name":"Gi","provider_id":"4","email":"g@x.io","email_verified":true,"phone_verified":false}`},
		"kakao": {world{
			"kauth.kakao.com/oauth/token": bearer, "kapi.kakao.com/v2/user/me": `{"id":5,"kakao_account":{"profile":{"nickname":"Ka","profile_image_url":"https://i"},"email":"k@x.io","is_email_valid":true,"is_email_verified":false}}`,
		}, []provider.Email{{"k@x.io", false, true}}, `{"iss":"https://kapi.kakao.com","sub":"5","name":"Ka","preferred_username":"Ka","avatar_url":"https://i","full_name":"Ka","provider_id":"5","user_name":"Ka","email":"k@x.io","email_verified":false,"phone_verified":false}`},
		"linkedin": {world{
			"api.linkedin.com/oauth/v2/accessToken": bearer,
			"api.linkedin.com/v2/me":                `{"id":"l","firstName":{"localized":{"en_US":"Li"},"preferredLocale":{"country":"US","language":"en"}},"lastName":{"localized":{"en_US":"In"},"preferredLocale":{"country":"US","language":"en"}},"profilePicture":{"displayImage~":{"elements":[{"identifiers":[{"identifier":"https://i"}]}]}}}`,
			"api.linkedin.com/v2/emailAddress":      `{"elements":[{"handle~":{"emailAddress":"l@x.io"}}]}`,
		}, []provider.Email{{"l@x.io", true, true}}, `{"iss":"https://api.linkedin.com","sub":"l","name":"Li In","picture":"https://i","avatar_url":"https://i","full_name":"Li In","provider_id":"l","email":"l@x.io","email_verified":true,"phone_verified":false}`},
		"notion": {world{
			"api.notion.com/v1/oauth/token": bearer, "api.notion.com/v1/users/me": `{"bot":{"owner":{"user":{"id":"n","name":"No","avatar_url":"https://a","person":{"email":"n@x.io"}}}}}`,
		}, []provider.Email{{"n@x.io", true, true}}, `{"iss":"https://api.notion.com","sub":"n","name":"No","picture":"https://a","avatar_url":"https://a","full_name":"No","provider_id":"n","email":"n@x.io","email_verified":true,"phone_verified":false}`},
		"slack": {world{
			"slack.com/api/oauth.access": bearer, "slack.com/api/openid.connect.userInfo": `{"https://slack.com/user_id":"U","https://slack.com/team_id":"T","email":"s@x.io","name":"Sl","picture":"https://p"}`,
		}, []provider.Email{{"s@x.io", true, true}}, `{"iss":"https://slack.com/api","sub":"U","name":"Sl","picture":"https://p","avatar_url":"https://p","full_name":"Sl","provider_id":"U","custom_claims":{"https://slack.com/team_id":"T"},"email":"s@x.io","email_verified":true,"phone_verified":false}`},
		"slack_oidc": {world{
			"slack.com/api/openid.connect.token": bearer, "slack.com/api/openid.connect.userInfo": `{"https://slack.com/user_id":"U","https://slack.com/team_id":"T","email":"s@x.io","email_verified":false,"name":"Sl","picture":"https://p"}`,
		}, []provider.Email{{"s@x.io", false, true}}, `{"iss":"https://slack.com/api","sub":"U","name":"Sl","picture":"https://p","avatar_url":"https://p","full_name":"Sl","provider_id":"U","custom_claims":{"https://slack.com/team_id":"T"},"email":"s@x.io","email_verified":false,"phone_verified":false}`},
		"snapchat": {world{
			"accounts.snapchat.com/accounts/oauth2/token": bearer, "kit.snapchat.com/v1/me": `{"data":{"me":{"externalId":"e","displayName":"Sn","bitmoji":{"avatar":"https://b"},"email":"s@x.io"}}}`,
		}, []provider.Email{{"s@x.io", true, true}}, `{"iss":"https://accounts.snapchat.com/accounts/oauth2/token","sub":"e","name":"Sn","slug":"Sn","picture":"https://b","avatar_url":"https://b","full_name":"Sn","provider_id":"e","email":"s@x.io","email_verified":true,"phone_verified":false}`},
		"spotify": {world{
			"accounts.spotify.com/api/token": bearer, "api.spotify.com/v1/me": `{"id":"s","display_name":"Sp","email":"s@x.io","images":[{"url":"small","height":1,"width":1},{"url":"large","height":9,"width":9}]}`,
		}, []provider.Email{{"s@x.io", false, true}}, `{"iss":"https://api.spotify.com/v1","sub":"s","name":"Sp","picture":"large","avatar_url":"large","full_name":"Sp","provider_id":"s","email":"s@x.io","email_verified":false,"phone_verified":false}`},
		"twitch": {world{
			"id.twitch.tv/oauth2/token": bearer, "api.twitch.tv/helix/users": `{"data":[{"id":"t","login":"tw","display_name":"Tw","type":"","broadcaster_type":"partner","description":"d","profile_image_url":"https://p","offline_image_url":"https://o","view_count":6,"email":"t@x.io"}]}`,
		}, []provider.Email{{"t@x.io", true, true}}, `{"iss":"https://api.twitch.tv","sub":"t","name":"tw","nickname":"Tw","slug":"Tw","picture":"https://p","avatar_url":"https://p","full_name":"tw","provider_id":"t","custom_claims":{"broadcaster_type":"partner","description":"d","type":"","offline_image_url":"https://o","view_count":6},"email":"t@x.io","email_verified":true,"phone_verified":false}`},
		"workos": {world{
			"api.workos.com/sso/token": `{"access_token":"at","profile":{"id":"w","connection_id":"c","organization_id":"o","email":"w@x.io","first_name":"Wo","last_name":"Rk"}}`,
		}, []provider.Email{{"w@x.io", true, true}}, `{"iss":"https://api.workos.com","sub":"w","name":"Wo Rk","full_name":"Wo Rk","provider_id":"w","custom_claims":{"connection_id":"c","organization_id":"o"},"email":"w@x.io","email_verified":true,"phone_verified":false}`},
		"x": {world{
			"api.x.com/2/oauth2/token": bearer, "api.x.com/2/users/me": `{"data":{"id":"7","name":"Ex","username":"ex","confirmed_email":"x@x.io","profile_image_url":"https://i","url":"https://u","created_at":"2020"}}`,
		}, []provider.Email{{"x@x.io", true, true}}, `{"iss":"https://api.x.com","sub":"7","name":"Ex","preferred_username":"ex","picture":"https://i","profile":"https://x.com/ex","website":"https://u","avatar_url":"https://i","full_name":"Ex","provider_id":"7","user_name":"ex","custom_claims":{"created_at":"2020"},"email":"x@x.io","email_verified":true,"phone_verified":false}`},
		"zoom": {world{
			"zoom.us/oauth/token": bearer, "api.zoom.us/v2/users/me": `{"id":"z","first_name":"Zo","last_name":"Om","email":"z@x.io","verified":0,"login_type":100,"pic_url":"https://p"}`,
		}, []provider.Email{{"z@x.io", false, true}}, `{"iss":"https://api.zoom.us/v2","sub":"z","name":"Zo Om","picture":"https://p","avatar_url":"https://p","full_name":"Zo Om","provider_id":"z","email":"z@x.io","email_verified":false,"phone_verified":false}`},
		"keycloak": {world{
			"id.example.com/realm/protocol/openid-connect/token":    bearer,
			"id.example.com/realm/protocol/openid-connect/userinfo": `{"sub":"k","name":"Ke","email":"k@x.io","email_verified":true,"groups":["a"]}`,
		}, []provider.Email{{"k@x.io", true, true}}, `{"iss":"https://id.example.com/realm","sub":"k","name":"Ke","full_name":"Ke","provider_id":"k","custom_claims":{"groups":["a"]},"email":"k@x.io","email_verified":true,"phone_verified":false}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := settings
			if name == "keycloak" {
				cfg.URL = "https://id.example.com/realm/"
			}
			service, err := tt.world.services().New(t.Context(), name, cfg, "")
			if err != nil {
				t.Fatal(err)
			}
			address, kept, err := service.Start(t.Context(), provider.Authorization{State: "st", Params: url.Values{"state": {"evil"}, "client_id": {"evil"}}})
			to, parseErr := url.Parse(address)
			if err != nil || parseErr != nil || to.Query().Get("state") != "st" || to.Query().Get("client_id") != "app" || to.Query().Get("redirect_uri") != settings.RedirectURI {
				t.Fatal(address, err)
			}
			if (kept != "") != (to.Query().Get("code_challenge") != "") {
				t.Error("verifier and challenge do not go together")
			}
			grant, err := service.Finish(t.Context(), provider.Callback{Code: "code", Kept: kept})
			if err != nil {
				t.Fatal(err)
			}
			if grant.Identity.Provider != name || !slices.Equal(grant.Identity.Emails, tt.emails) || grant.AccessToken != "at" {
				t.Errorf("got %+v", grant)
			}
			same(t, grant.Identity.Claims, tt.data)
			for at := range tt.world { // whatever the service answers, nothing breaks, and nobody comes in without an id
				for _, bad := range []string{``, `null`, `[]`, `{}`, `{"data":[]}`, `"x"`, `{"id":{}}`} {
					broken := world{}
					for k, v := range tt.world {
						broken[k] = v
					}
					broken[at] = bad
					service, err := broken.services().New(t.Context(), name, cfg, "")
					if err != nil {
						t.Fatal(err)
					}
					if g, err := service.Finish(t.Context(), provider.Callback{Code: "code", Kept: kept}); err == nil && g.Identity.Claims.Subject == "" {
						t.Errorf("%s = %s: somebody without an id", at, bad)
					}
				}
			}
			if kept != "" {
				if _, err := service.Finish(t.Context(), provider.Callback{Code: "code"}); !errors.Is(err, provider.ErrExchange) {
					t.Error("exchanged without the verifier")
				}
			}
		})
	}
}

// same compares claims with what identity_data is to be.
func same(t *testing.T, c provider.Claims, want string) {
	t.Helper()
	data, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	var wanted map[string]any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(data)
	w, _ := json.Marshal(wanted)
	if !bytes.Equal(got, w) {
		t.Errorf("got  %s\nwant %s", got, w)
	}
}

func TestEveryServiceNeedsItsSettings(t *testing.T) {
	t.Parallel()
	services := world{}.services()
	if n := len(provider.Names()); n != 25 {
		t.Errorf("%d services", n)
	}
	for _, name := range provider.Names() {
		for _, cfg := range []provider.Config{
			{}, {Enabled: true}, {Enabled: true, ClientID: []string{"a"}}, {Enabled: true, ClientID: []string{"a"}, Secret: "s"}, {Enabled: true, ClientID: []string{""}, Secret: "s", RedirectURI: "https://x"},
		} {
			var setup provider.SetupError
			if _, err := services.New(t.Context(), name, cfg, ""); !errors.As(err, &setup) {
				t.Errorf("%s with %+v: %v", name, cfg, err)
			}
		}
	}
}

func TestTwitterSpeaksOAuth1(t *testing.T) {
	t.Parallel()
	w := world{
		"api.twitter.com/oauth/request_token":                 "oauth_token=rt&oauth_token_secret=rs&oauth_callback_confirmed=true",
		"api.twitter.com/oauth/access_token":                  "oauth_token=at&oauth_token_secret=as",
		"api.twitter.com/1.1/account/verify_credentials.json": `{"id_str":"8","screen_name":"tw","name":"Tw","profile_image_url_https":"https://i","email":"t@x.io"}`,
	}
	service, err := w.services().New(t.Context(), "twitter", settings, "")
	if err != nil {
		t.Fatal(err)
	}
	address, kept, err := service.Start(t.Context(), provider.Authorization{State: "st"})
	if err != nil || address != "https://api.twitter.com/oauth/authenticate?oauth_token=rt" || strings.Contains(address, "rs") {
		t.Fatal(address, err)
	}
	grant, err := service.Finish(t.Context(), provider.Callback{OAuthToken: "rt", OAuthVerifier: "v", Kept: kept})
	if err != nil || grant.AccessToken != "at" {
		t.Fatal(grant, err)
	}
	same(t, grant.Identity.Claims, `{"iss":"https://api.twitter.com/1.1/account/verify_credentials.json","sub":"8","name":"Tw","preferred_username":"tw","picture":"https://i","avatar_url":"https://i","full_name":"Tw","provider_id":"8","user_name":"tw","email":"t@x.io","email_verified":true,"phone_verified":false}`)
	for _, cb := range []provider.Callback{{OAuthToken: "another", OAuthVerifier: "v", Kept: kept}, {OAuthToken: "rt", OAuthVerifier: "v"}, {}} {
		if _, err := service.Finish(t.Context(), cb); !errors.Is(err, provider.ErrExchange) {
			t.Errorf("%+v: %v", cb, err)
		}
	}
}
