package auth

import "github.com/labstack/echo/v4"

// Routes registers every route of the surface. A route of GoTrue's that is not
// here does not exist yet, and answers 404.
func (m *Module) Routes(g *echo.Group) {
	g.GET("/health", m.health)
	g.GET("/settings", m.settings)
	g.GET("/.well-known/jwks.json", m.jwks)
	g.GET("/.well-known/openid-configuration", m.metadata)
	g.GET("/.well-known/oauth-authorization-server", m.oauthServer(m.metadata))

	g.POST("/signup", m.signup)
	g.POST("/token", m.token)
	g.GET("/user", m.asUser(m.userGet))
	g.PUT("/user", m.asUser(m.userUpdate))
	g.Match([]string{"POST", "PATCH", "DELETE"}, "/user", m.asUser(notAllowed))
	g.POST("/logout", m.asUser(m.logout))

	g.POST("/factors", m.asMember(m.factorEnroll))
	g.DELETE("/factors/:factor_id", m.asFactorOwner(m.factorUnenroll))
	g.POST("/factors/:factor_id/challenge", m.asFactorOwner(m.factorChallenge))
	g.POST("/factors/:factor_id/verify", m.asFactorOwner(m.factorVerify))
	g.POST("/sso", m.withSAML(m.ssoStart))
	g.GET("/sso/saml/metadata", m.withSAML(m.ssoMetadata))
	g.POST("/sso/saml/acs", m.withSAML(m.ssoAnswer))

	g.GET("/admin/users", m.asAdmin(m.adminUserList))
	g.POST("/admin/users", m.asAdmin(m.adminUserCreate))
	g.GET("/admin/users/:user_id", m.asAdmin(m.adminUserGet))
	g.PUT("/admin/users/:user_id", m.asAdmin(m.adminUserUpdate))
	g.DELETE("/admin/users/:user_id", m.asAdmin(m.adminUserDelete))
	g.GET("/admin/users/:user_id/factors", m.asAdmin(m.adminFactors))
	g.PUT("/admin/users/:user_id/factors/:factor_id", m.asFactorAdmin(m.adminFactorUpdate))
	g.DELETE("/admin/users/:user_id/factors/:factor_id", m.asFactorAdmin(m.adminFactorDelete))

	g.POST("/oauth/clients/register", m.oauthServer(m.oauthRegister))
	g.GET("/oauth/authorize", m.oauthServer(m.oauthAuthorize))
	g.GET("/oauth/authorizations/:authorization_id", m.oauthServer(m.asConsenter(m.oauthDetails)))
	g.POST("/oauth/authorizations/:authorization_id/consent", m.oauthServer(m.asConsenter(m.oauthConsent)))
	g.POST("/oauth/token", m.oauthServer(m.oauthToken))
	g.GET("/oauth/userinfo", m.oauthServer(m.asUser(m.oauthUserInfo)))
	g.GET("/user/oauth/grants", m.oauthServer(m.asPerson(m.oauthGrants)))
	g.DELETE("/user/oauth/grants", m.oauthServer(m.asPerson(m.oauthRevoke)))
	g.GET("/admin/oauth/clients", m.oauthServer(m.asAdmin(m.adminClientList)))
	g.POST("/admin/oauth/clients", m.oauthServer(m.asAdmin(m.adminClientCreate)))
	g.GET("/admin/oauth/clients/:client_id", m.oauthServer(m.asAdmin(m.adminClientGet)))
	g.PUT("/admin/oauth/clients/:client_id", m.oauthServer(m.asAdmin(m.adminClientUpdate)))
	g.DELETE("/admin/oauth/clients/:client_id", m.oauthServer(m.asAdmin(m.adminClientDelete)))
	g.POST("/admin/oauth/clients/:client_id/regenerate_secret", m.oauthServer(m.asAdmin(m.adminClientSecret)))
	g.GET("/admin/sso/providers", m.asAdmin(m.adminSSOList))
	g.POST("/admin/sso/providers", m.asAdmin(m.adminSSOCreate))
	g.GET("/admin/sso/providers/:idp_id", m.withProvider(m.adminSSOGet))
	g.PUT("/admin/sso/providers/:idp_id", m.withProvider(m.adminSSOUpdate))
	g.DELETE("/admin/sso/providers/:idp_id", m.withProvider(m.adminSSODelete))
}
