package storage

import (
	"strings"

	"github.com/labstack/echo/v4"
)

// Routes lists every route: its operation, by which policies know it
// (storage.operation()), who may come, and what it does. The names are Supabase's, also where they break its own pattern.
func (m *Module) Routes(g *echo.Group) {
	m.prefix = strings.TrimSuffix(g.GET("/status", m.status).Path, "/status")
	g.GET("/version", m.version)
	g.GET("/health", m.handle("", signedIn, m.health))

	g.POST("/bucket", m.handle("storage.bucket.create", signedIn, m.createBucket))
	g.GET("/bucket", m.handle("storage.bucket.list", signedIn, m.listBuckets))
	g.GET("/bucket/:bucket", m.handle("storage.bucket.get", signedIn, m.getBucket))
	g.PUT("/bucket/:bucket", m.handle("storage.bucket.update", signedIn, m.updateBucket))
	g.DELETE("/bucket/:bucket", m.handle("storage.bucket.delete", signedIn, m.deleteBucket))
	g.POST("/bucket/:bucket/empty", m.handle("storage.bucket.empty", service, m.emptyBucket))

	g.POST("/object/list/:bucket", m.handle("storage.object.list", signedIn, m.listObjects))
	g.POST("/object/list-v2/:bucket", m.handle("storage.object.list_v2", signedIn, m.listPage))
	g.POST("/object/move", m.handle("storage.object.move", signedIn, m.moveObject))
	g.POST("/object/copy", m.handle("storage.object.copy", signedIn, m.copyObject))
	g.POST("/object/sign/:bucket", m.handle("storage.object.sign_many", signedIn, m.signURLs))
	g.POST("/object/sign/:bucket/*", m.handle("storage.object.sign", signedIn, m.signURL))
	g.GET("/object/sign/:bucket/*", m.handle("storage.object.get_signed", open, m.getSigned))
	g.HEAD("/object/sign/:bucket/*", m.handle("storage.object.get_signed", open, m.headSigned))
	g.POST("/object/upload/sign/:bucket/*", m.handle("storage.object.sign_upload_url", signedIn, m.signUpload))
	g.PUT("/object/upload/sign/:bucket/*", m.handle("storage.object.upload_signed", open, m.uploadSigned))

	g.GET("/object/public/:bucket/*", m.handle("storage.object.get_public", open, m.getPublic))
	g.HEAD("/object/public/:bucket/*", m.handle("storage.object.info_public", open, m.headPublic))
	g.GET("/object/authenticated/:bucket/*", m.handle("storage.object.get_authenticated", signedIn, m.getVisible))
	g.HEAD("/object/authenticated/:bucket/*", m.handle("object.head_authenticated_info", signedIn, m.headVisible))
	g.GET("/object/info/public/:bucket/*", m.handle("storage.object.info_public", open, m.infoPublic))
	g.GET("/object/info/authenticated/:bucket/*", m.handle("object.get_authenticated_info", signedIn, m.infoVisible))
	g.HEAD("/object/info/authenticated/:bucket/*", m.handle("object.get_authenticated_info", signedIn, m.infoVisible))
	g.GET("/object/info/:bucket/*", m.handle("object.get_authenticated_info", optional, m.infoVisible))
	g.HEAD("/object/info/:bucket/*", m.handle("object.get_authenticated_info", optional, m.infoVisible))

	if m.cfg.Images.Enabled {
		m.renderRoutes(g)
	}

	g.GET("/object/:bucket/*", m.handle("storage.object.get_authenticated", optional, m.getVisible))
	g.HEAD("/object/:bucket/*", m.handle("object.head_authenticated_info", optional, m.headVisible))
	g.POST("/object/:bucket/*", m.handle("storage.object.upload", signedIn, m.createObject))
	g.PUT("/object/:bucket/*", m.handle("storage.object.upload_update", signedIn, m.updateObject))
	g.DELETE("/object/:bucket/*", m.handle("storage.object.delete", signedIn, m.deleteObject))
	g.DELETE("/object/:bucket", m.handle("storage.object.delete_many", signedIn, m.deleteObjects))

	g.DELETE("/cdn", m.handle("storage.cdn.purge_tenant_cache", service, m.purgeCache))
	g.DELETE("/cdn/", m.handle("storage.cdn.purge_tenant_cache", service, m.purgeCache))
	g.DELETE("/cdn/:bucket", m.handle("storage.cdn.purge_bucket_cache", service, m.purgeCache))
	g.DELETE("/cdn/:bucket/*", m.handle("storage.cdn.purge_object_cache", service, m.purgeCache))

	if m.cfg.S3.Enabled {
		g.Any(s3Path, m.s3)
		g.Any(s3Path+"/*", m.s3)
	}

	for _, way := range []struct {
		path, suffix string
		signed       bool
	}{{"/upload/resumable", "", false}, {"/upload/resumable/sign", "_signed", true}} {
		create := m.tus("storage.tus.upload.create"+way.suffix, way.signed, m.createUpload)
		g.POST(way.path, create)
		g.POST(way.path+"/", create)
		g.OPTIONS(way.path, m.tusOptions)
		g.OPTIONS(way.path+"/*", m.tusOptions)
		g.HEAD(way.path+"/*", m.tus("storage.tus.upload.get"+way.suffix, way.signed, m.headUpload))
		g.PATCH(way.path+"/*", m.tus("storage.tus.upload.part"+way.suffix, way.signed, m.patchUpload))
		g.POST(way.path+"/*", m.tus("storage.tus.upload.part"+way.suffix, way.signed, m.overriddenUpload))
		g.DELETE(way.path+"/*", m.tus("storage.tus.upload.delete"+way.suffix, way.signed, m.deleteUpload))
	}
}

// renderRoutes are those of image transformation.
func (m *Module) renderRoutes(g *echo.Group) {
	for _, method := range []string{"GET", "HEAD"} {
		g.Add(method, "/render/image/public/:bucket/*", m.handle("storage.render.image_public", open, m.renderPublic))
		g.Add(method, "/render/image/authenticated/:bucket/*", m.handle("storage.render.image_authenticated", signedIn, m.renderVisible))
		g.Add(method, "/render/image/sign/:bucket/*", m.handle("storage.render.image_sign", open, m.renderSigned))
	}
}
