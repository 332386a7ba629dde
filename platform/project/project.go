// Package project is the unit that every request belongs to: its databases,
// keys and storage prefix. Modules take them from the request's project and
// never from a field filled at start, so that a second project is a row.
package project

import (
	"context"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/claims"
	"github.com/madbase/madbase/platform/db"
)

// Project is one tenant: one database with its keys.
type Project struct {
	// Ref is the project's short name; it is also its storage prefix's first part.
	Ref string
	// DB are the project's pools by the database role that they log in as.
	DB Databases
	// Keys verify and sign the project's tokens and know its API keys.
	Keys *claims.Keys
	// StoragePrefix comes before every blob key of the project, without a final slash.
	StoragePrefix string
	// PublicURL is the address that clients use, without a final slash
	// (http://localhost:8000); links that leave madbase begin with it.
	PublicURL string
}

// Databases are the pools of one project.
type Databases struct {
	// API logs in as authenticator, which may only become an API role.
	API *db.Pool
	// Auth logs in as supabase_auth_admin, the owner of schema auth.
	Auth *db.Pool
	// Storage logs in as supabase_storage_admin, the owner of schema storage.
	Storage *db.Pool
}

// Close closes the pools; those that are one and the same only once.
func (d Databases) Close() {
	closed := map[*db.Pool]bool{nil: true}
	for _, p := range []*db.Pool{d.API, d.Auth, d.Storage} {
		if !closed[p] {
			closed[p] = true
			p.Close()
		}
	}
}

// Directory finds the project of a request. Today it holds the default one.
type Directory struct {
	standard *Project
}

// NewDirectory returns a Directory whose every request belongs to standard.
func NewDirectory(standard *Project) *Directory { return &Directory{standard: standard} }

// Default is the project of requests that name none, and of background work.
func (d *Directory) Default() *Project { return d.standard }

// All lists the projects that this process serves.
func (d *Directory) All() []*Project { return []*Project{d.standard} }

// Resolve is the middleware that puts the request's project on its context.
func (d *Directory) Resolve() echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			c.SetRequest(r.WithContext(NewContext(r.Context(), d.standard)))
			return next(c)
		}
	}
}

type contextKey struct{}

// NewContext returns ctx with the project p.
func NewContext(ctx context.Context, p *Project) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}

// From returns the request's project. It is nil outside Directory.Resolve.
func From(ctx context.Context) *Project {
	p, _ := ctx.Value(contextKey{}).(*Project)
	return p
}
