package auth

import "github.com/labstack/echo/v4"

// Routes registers every route of the surface. A route of GoTrue's that is not
// here does not exist yet, and answers 404.
func (m *Module) Routes(g *echo.Group) {
	g.GET("/health", m.health)
	g.GET("/settings", m.settings)
	g.GET("/.well-known/jwks.json", m.jwks)

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

	g.GET("/admin/users", m.asAdmin(m.adminUserList))
	g.POST("/admin/users", m.asAdmin(m.adminUserCreate))
	g.GET("/admin/users/:user_id", m.asAdmin(m.adminUserGet))
	g.PUT("/admin/users/:user_id", m.asAdmin(m.adminUserUpdate))
	g.DELETE("/admin/users/:user_id", m.asAdmin(m.adminUserDelete))
	g.GET("/admin/users/:user_id/factors", m.asAdmin(m.adminFactors))
	g.PUT("/admin/users/:user_id/factors/:factor_id", m.asFactorAdmin(m.adminFactorUpdate))
	g.DELETE("/admin/users/:user_id/factors/:factor_id", m.asFactorAdmin(m.adminFactorDelete))
}
