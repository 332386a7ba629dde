package provider

import "golang.org/x/oauth2"

const twitterName = "twitter"

// Names are the built-in services.
func Names() []string {
	names := []string{twitterName}
	for name := range catalog() {
		names = append(names, name)
	}
	return names
}

// catalog is the table of the services that speak OAuth 2. Hosts, scopes and
// claims are those of the services' own documentation, as GoTrue uses them.
func catalog() map[string]service {
	return map[string]service{
		"apple": {issuer: issuerApple, scopes: []string{"email", "name"}, fixed: true, style: oauth2.AuthStyleInParams, params: map[string]string{"response_mode": "form_post"}, read: readApple},
		"azure": {
			auth: "login.microsoftonline.com/common", api: "login.microsoftonline.com/common", authorize: "{auth}/oauth2/v2.0/authorize", token: "{auth}/oauth2/v2.0/token",
			scopes: []string{"openid"}, pkce: true, read: readAzure,
		},
		"bitbucket": {
			auth: "bitbucket.org", api: "api.bitbucket.org", authorize: "{auth}/site/oauth2/authorize", token: "{auth}/site/oauth2/access_token",
			scopes: []string{"account", "email"}, fixed: true, read: readBitbucket,
		},
		"discord": {
			auth: "discord.com", api: "discord.com", authorize: "{api}/api/oauth2/authorize", token: "{api}/api/oauth2/token",
			scopes: []string{"email", "identify"}, read: readDiscord,
		},
		"facebook": {
			auth: "www.facebook.com", api: "graph.facebook.com", authorize: "{auth}/dialog/oauth", token: "{api}/oauth/access_token",
			scopes: []string{"email"}, read: readFacebook,
		},
		"figma": {
			auth: "www.figma.com", api: "api.figma.com", authorize: "{auth}/oauth", token: "{api}/v1/oauth/token",
			scopes: []string{"current_user:read"}, read: readFigma,
		},
		"fly": {
			auth: "api.fly.io", api: "api.fly.io", authorize: "{auth}/oauth/authorize", token: "{auth}/oauth/token",
			scopes: []string{"read"}, read: readFly,
		},
		"github": {
			auth: "github.com", api: "api.github.com", apiPath: "/api/v3", authorize: "{auth}/login/oauth/authorize", token: "{auth}/login/oauth/access_token",
			scopes: []string{"user:email"}, read: readGitHub,
		},
		"gitlab": {
			auth: "gitlab.com", api: "gitlab.com", authorize: "{auth}/oauth/authorize", token: "{auth}/oauth/token",
			scopes: []string{"read_user"}, pkce: true, read: readGitLab,
		},
		"google": {issuer: issuerGoogle, scopes: []string{"email", "profile"}, pkce: true, read: readGoogle},
		"kakao": {
			auth: "kauth.kakao.com", api: "kapi.kakao.com", authorize: "{auth}/oauth/authorize", token: "{auth}/oauth/token",
			scopes: []string{"account_email", "profile_image", "profile_nickname"}, style: oauth2.AuthStyleInParams, read: readKakao,
		},
		"keycloak": {
			authorize: "{auth}/protocol/openid-connect/auth", token: "{auth}/protocol/openid-connect/token",
			scopes: []string{"profile", "email"}, pkce: true, read: readKeycloak,
		},
		"linkedin": {
			auth: "api.linkedin.com", api: "api.linkedin.com", authorize: "{api}/oauth/v2/authorization", token: "{api}/oauth/v2/accessToken",
			scopes: []string{"r_emailaddress", "r_liteprofile"}, read: readLinkedIn,
		},
		"linkedin_oidc": {
			auth: "api.linkedin.com", api: "api.linkedin.com", authorize: "{api}/oauth/v2/authorization", token: "{api}/oauth/v2/accessToken",
			scopes: []string{"openid", "email", "profile"}, read: readIDToken(issuerLinkedIn),
		},
		"notion": {auth: "api.notion.com", api: "api.notion.com", authorize: "{auth}/v1/oauth/authorize", token: "{auth}/v1/oauth/token", fixed: true, read: readNotion},
		"slack": {
			auth: "slack.com", api: "slack.com", authorize: "{auth}/oauth/authorize", token: "{api}/api/oauth.access",
			scopes: []string{"profile", "email", "openid"}, read: readSlack,
		},
		"slack_oidc": {
			auth: "slack.com", api: "slack.com", authorize: "{auth}/openid/connect/authorize", token: "{api}/api/openid.connect.token",
			scopes: []string{"profile", "email", "openid"}, read: readSlackOIDC,
		},
		"snapchat": {
			auth: "accounts.snapchat.com", api: "kit.snapchat.com", authorize: "{auth}/accounts/oauth2/auth", token: "{auth}/accounts/oauth2/token",
			scopes: []string{
				"https://auth.snapchat.com/oauth2/api/user.external_id", "https://auth.snapchat.com/oauth2/api/user.display_name",
				"https://auth.snapchat.com/oauth2/api/user.bitmoji.avatar",
			}, read: readSnapchat,
		},
		"spotify": {
			auth: "accounts.spotify.com", api: "api.spotify.com/v1", authorize: "{auth}/authorize", token: "{auth}/api/token",
			scopes: []string{"user-read-email"}, pkce: true, read: readSpotify,
		},
		"twitch": {
			auth: "id.twitch.tv", api: "api.twitch.tv", authorize: "{auth}/oauth2/authorize", token: "{auth}/oauth2/token",
			scopes: []string{"user:read:email"}, read: readTwitch,
		},
		"vercel_marketplace": {
			auth: "api.vercel.com", api: "api.vercel.com", authorize: "{api}/oauth/v2/authorization", token: "{api}/oauth/v2/accessToken",
			read: readIDToken(issuerVercel),
		},
		"workos": {auth: "api.workos.com", api: "api.workos.com", authorize: "{api}/sso/authorize", token: "{api}/sso/token", fixed: true, read: readWorkOS},
		"x": {
			auth: "x.com", api: "api.x.com", authorize: "{auth}/i/oauth2/authorize", token: "{api}/2/oauth2/token",
			scopes: []string{"users.email", "tweet.read", "users.read", "offline.access"}, pkce: true, read: readX,
		},
		"zoom": {auth: "zoom.us", api: "api.zoom.us", authorize: "{auth}/oauth/authorize", token: "{auth}/oauth/token", fixed: true, read: readZoom},
	}
}
