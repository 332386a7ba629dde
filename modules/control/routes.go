package control

import "github.com/labstack/echo/v4"

// Routes lists the control plane's routes; guard asks for a session or the password.
func (m *Module) Routes(g *echo.Group) {
	g.GET("/health", m.showHealth, noStore)
	g.POST("/login", m.login, noStore)
	g.POST("/logout", m.logout, noStore)
	g.GET("/projects", m.listProjects, noStore, m.guard)
	g.POST("/projects", m.createProject, noStore, m.guard)
	g.GET("/projects/:ref", m.showProject, noStore, m.guard)
	g.PATCH("/projects/:ref", m.changeProject, noStore, m.guard)
	g.DELETE("/projects/:ref", m.deleteProject, noStore, m.guard)
	g.POST("/projects/:ref/suspend", m.suspendProject, noStore, m.guard)
	g.POST("/projects/:ref/resume", m.resumeProject, noStore, m.guard)
	g.GET("/projects/:ref/api-keys", m.listAPIKeys, noStore, m.guard)
	g.POST("/projects/:ref/api-keys", m.createAPIKey, noStore, m.guard)
	g.PATCH("/projects/:ref/api-keys/:id", m.changeAPIKey, noStore, m.guard)
	g.DELETE("/projects/:ref/api-keys/:id", m.revokeAPIKey, noStore, m.guard)
	g.GET("/projects/:ref/signing-keys", m.listSigningKeys, noStore, m.guard)
	g.POST("/projects/:ref/signing-keys", m.createSigningKey, noStore, m.guard)
	g.POST("/projects/:ref/signing-keys/:id/rotate", m.rotateSigningKey, noStore, m.guard)
	g.POST("/projects/:ref/signing-keys/:id/revoke", m.revokeSigningKey, noStore, m.guard)
	g.GET("/projects/:ref/settings", m.showSettings, noStore, m.guard)
	g.PATCH("/projects/:ref/settings", m.changeSettings, noStore, m.guard)
	g.GET("/projects/:ref/settings/export", m.exportSettings, noStore, m.guard)
	g.POST("/projects/:ref/settings/import", m.importSettings, noStore, m.guard)
	g.GET("/audit", m.showAudit, noStore, m.guard)
	g.GET("/projects/:ref/buckets/:bucket/orphan-objects", m.listOrphans, noStore, m.guard)
	g.DELETE("/projects/:ref/buckets/:bucket/orphan-objects", m.removeOrphans, noStore, m.guard)
	g.GET("/projects/:ref/s3/credentials", m.listS3Keys, noStore, m.guard)
	g.POST("/projects/:ref/s3/credentials", m.createS3Key, noStore, m.guard)
	g.DELETE("/projects/:ref/s3/credentials", m.revokeS3Key, noStore, m.guard)
	g.DELETE("/projects/:ref/s3/credentials/:id", m.revokeS3Key, noStore, m.guard)
	g.GET("/logs", m.queryLogs, noStore, m.guard)
	if m.deps.Topology != nil {
		g.GET("/internal/topology", m.deps.Topology, noStore)
	}
	g.GET("/inbox", m.showInbox, noStore, m.guardInbox)
	g.GET("/inbox.json", m.listInbox, noStore, m.guardInbox)
	g.DELETE("/inbox", m.emptyInbox, noStore, m.guardInbox)
}

// noStore keeps answers out of every cache.
func noStore(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "no-store")
		return next(c)
	}
}
