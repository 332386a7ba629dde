// Package module defines what a part of madbase is: a named set of routes with
// migrations and a life cycle. The parts are put together in modules/modules.go.
package module

import (
	"context"
	"io/fs"

	"github.com/labstack/echo/v4"
)

// Module is one surface of madbase (rest, auth, storage, ...).
//
// A constructor does no I/O and starts no goroutine. Start returns once the
// module is usable; Stop blocks until all its goroutines have ended and is
// idempotent, also for a module that was never started. Ready answers nil, or
// why the module cannot serve in one sentence.
type Module interface {
	// Name is the module's short name, as --modules takes it.
	Name() string
	// Routes registers the module's routes on g, whose prefix is the mount point.
	Routes(g *echo.Group)
	// Migrations are the module's ordered SQL files; nil when it has none.
	Migrations() fs.FS
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Ready(ctx context.Context) error
}

// Base is a Module's no-op part, to be embedded.
type Base struct{}

// Migrations returns nil: no migrations.
func (Base) Migrations() fs.FS { return nil }

// Start does nothing.
func (Base) Start(context.Context) error { return nil }

// Stop does nothing.
func (Base) Stop(context.Context) error { return nil }

// Ready is always nil.
func (Base) Ready(context.Context) error { return nil }
