package auth

import "github.com/labstack/echo/v4"

// Routes registers every route of the surface, by flow. A route of GoTrue's that
// is not here does not exist, and answers 404.
func (m *Module) Routes(g *echo.Group) {
	// What the server is, and the keys that verify its tokens.
	g.GET("/health", m.health)
	g.GET("/settings", m.settings)
	g.GET("/.well-known/jwks.json", m.jwks)
	g.GET("/.well-known/openid-configuration", m.metadata)
	g.GET("/.well-known/oauth-authorization-server", m.oauthServer(m.metadata))
	g.GET("/scim/v2/*", scimOff)

	m.signInRoutes(g)
	m.userRoutes(g)
	m.passkeyRoutes(g)
	m.oauthRoutes(g)
	m.adminRoutes(g)
	m.adminServiceRoutes(g)
}

// signInRoutes are the ways to a session.
func (m *Module) signInRoutes(g *echo.Group) {
	// Sign-up, and every grant: password, refresh, PKCE, ID token, wallet.
	g.POST("/signup", m.withCaptcha(m.signup))
	g.POST("/token", m.tokenCaptcha(m.token))

	// Codes and links by mail or text message, and where they are answered.
	g.POST("/otp", m.withCaptcha(m.otp))
	g.POST("/magiclink", m.withCaptcha(m.magiclink))
	g.POST("/recover", m.withCaptcha(m.recover))
	g.POST("/resend", m.withCaptcha(m.resend))
	g.GET("/verify", m.verifyGet)
	g.POST("/verify", m.verifyPost)

	// Other services: the way there, and the way back.
	g.GET("/authorize", m.authorize)
	g.GET("/callback", m.callback)
	g.POST("/callback", m.callback)

	// Companies' identity providers, by SAML.
	g.POST("/sso", m.withSAML(m.withCaptcha(m.ssoStart)))
	g.GET("/sso/saml/metadata", m.withSAML(m.ssoMetadata))
	g.POST("/sso/saml/acs", m.withSAML(m.ssoAnswer))
}

// userRoutes are what the signed-in user may ask.
func (m *Module) userRoutes(g *echo.Group) {
	// The user, and a code that proves who asks for a new password.
	g.GET("/user", m.asUser(m.userGet))
	g.PUT("/user", m.asUser(m.userUpdate))
	g.Match([]string{"POST", "PATCH", "DELETE"}, "/user", m.asUser(notAllowed))
	g.GET("/reauthenticate", m.asPerson(m.reauthenticate))

	// Sessions: end them, or list them (madbase's own).
	g.POST("/logout", m.asUser(m.logout))
	g.GET("/user/sessions", m.asPerson(m.sessionList))
	g.DELETE("/user/sessions/:session_id", m.asPerson(m.sessionEnd))

	// Identities at other services.
	g.GET("/user/identities/authorize", m.asLinker(m.identityLink))
	g.DELETE("/user/identities/:identity_id", m.asLinker(m.identityDelete))

	// Second factors.
	g.POST("/factors", m.asMember(m.factorEnroll))
	g.DELETE("/factors/:factor_id", m.asFactorOwner(m.factorUnenroll))
	g.POST("/factors/:factor_id/challenge", m.asFactorOwner(m.factorChallenge))
	g.POST("/factors/:factor_id/verify", m.asFactorOwner(m.factorVerify))
}

// passkeyRoutes are sign-in by passkeys, and the user's own ones.
func (m *Module) passkeyRoutes(g *echo.Group) {
	g.POST("/passkeys/authentication/options", m.passkeys(m.withCaptcha(m.passkeyLoginOptions)))
	g.POST("/passkeys/authentication/verify", m.passkeys(m.passkeyLogin))
	g.POST("/passkeys/registration/options", m.passkeys(m.asMember(m.passkeyRegisterOptions)))
	g.POST("/passkeys/registration/verify", m.passkeys(m.asMember(m.passkeyRegister)))
	g.GET("/passkeys", m.passkeys(m.asPerson(m.passkeyList)))
	g.PATCH("/passkeys/:passkey_id", m.passkeys(m.asPerson(m.passkeyRename)))
	g.DELETE("/passkeys/:passkey_id", m.passkeys(m.asPerson(m.passkeyDelete)))
}

// oauthRoutes are the OAuth server, for apps and for the users who let them in.
func (m *Module) oauthRoutes(g *echo.Group) {
	// What apps call.
	g.POST("/oauth/clients/register", m.oauthServer(m.oauthRegister))
	g.GET("/oauth/authorize", m.oauthServer(m.oauthAuthorize))
	g.POST("/oauth/token", m.oauthServer(m.oauthToken))
	g.GET("/oauth/userinfo", m.oauthServer(m.asUser(m.oauthUserInfo)))

	// What the consent page calls for its user, and what the user granted.
	g.GET("/oauth/authorizations/:authorization_id", m.oauthServer(m.asConsenter(m.oauthDetails)))
	g.POST("/oauth/authorizations/:authorization_id/consent", m.oauthServer(m.asConsenter(m.oauthConsent)))
	g.GET("/user/oauth/grants", m.oauthServer(m.asPerson(m.oauthGrants)))
	g.DELETE("/user/oauth/grants", m.oauthServer(m.asPerson(m.oauthRevoke)))
}

// adminRoutes are what administrators do with users.
func (m *Module) adminRoutes(g *echo.Group) {
	// Users, and the log of what happened to them.
	g.GET("/admin/users", m.asAdmin(m.adminUserList))
	g.POST("/admin/users", m.asAdmin(m.adminUserCreate))
	g.GET("/admin/users/:user_id", m.asAdmin(m.adminUserGet))
	g.PUT("/admin/users/:user_id", m.asAdmin(m.adminUserUpdate))
	g.DELETE("/admin/users/:user_id", m.asAdmin(m.adminUserDelete))
	g.GET("/admin/audit", m.asAdmin(m.adminAudit))

	// Invitations, and codes and links without a mail.
	g.POST("/invite", m.asAdmin(m.invite))
	g.POST("/admin/generate_link", m.asAdmin(m.generateLink))

	// Users' factors and passkeys.
	g.GET("/admin/users/:user_id/factors", m.asAdmin(m.adminFactors))
	g.PUT("/admin/users/:user_id/factors/:factor_id", m.asFactorAdmin(m.adminFactorUpdate))
	g.DELETE("/admin/users/:user_id/factors/:factor_id", m.asFactorAdmin(m.adminFactorDelete))
	g.GET("/admin/users/:user_id/passkeys", m.asAdmin(m.adminPasskeyList))
	g.DELETE("/admin/users/:user_id/passkeys/:passkey_id", m.asAdmin(m.adminPasskeyDelete))
}

// adminServiceRoutes are whom users sign in at, and which apps sign them in here.
func (m *Module) adminServiceRoutes(g *echo.Group) {
	// Services that administrators describe.
	g.GET("/admin/custom-providers", m.asCustomAdmin(m.customList))
	g.POST("/admin/custom-providers", m.asCustomAdmin(m.customCreate))
	g.GET("/admin/custom-providers/:identifier", m.asCustomAdmin(m.customGet))
	g.PUT("/admin/custom-providers/:identifier", m.asCustomAdmin(m.customUpdate))
	g.DELETE("/admin/custom-providers/:identifier", m.asCustomAdmin(m.customDelete))

	// Companies' identity providers.
	g.GET("/admin/sso/providers", m.asAdmin(m.adminSSOList))
	g.POST("/admin/sso/providers", m.asAdmin(m.adminSSOCreate))
	g.GET("/admin/sso/providers/:idp_id", m.withProvider(m.adminSSOGet))
	g.PUT("/admin/sso/providers/:idp_id", m.withProvider(m.adminSSOUpdate))
	g.DELETE("/admin/sso/providers/:idp_id", m.withProvider(m.adminSSODelete))

	// Apps of the OAuth server.
	g.GET("/admin/oauth/clients", m.oauthServer(m.asAdmin(m.adminClientList)))
	g.POST("/admin/oauth/clients", m.oauthServer(m.asAdmin(m.adminClientCreate)))
	g.GET("/admin/oauth/clients/:client_id", m.oauthServer(m.asAdmin(m.adminClientGet)))
	g.PUT("/admin/oauth/clients/:client_id", m.oauthServer(m.asAdmin(m.adminClientUpdate)))
	g.DELETE("/admin/oauth/clients/:client_id", m.oauthServer(m.asAdmin(m.adminClientDelete)))
	g.POST("/admin/oauth/clients/:client_id/regenerate_secret", m.oauthServer(m.asAdmin(m.adminClientSecret)))
}
