// Package storage speaks Supabase Storage's REST API: buckets and objects whose
// rows are in PostgreSQL, where row level security decides, and whose bytes are in
// a blob store under a new key for every version.
//
// The order of writes keeps both in step: bytes first, then the row in a short
// transaction, then the old version's bytes go. A crash in between leaves bytes
// that no row names, never a row without bytes. No transaction is open while
// bytes move.
package storage

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/madbase/madbase/modules/storage/accesskey"
	"github.com/madbase/madbase/modules/storage/outbox"
	"github.com/madbase/madbase/platform/apierr"
	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/module"
	"github.com/madbase/madbase/platform/project"
)

// Deps are what the module stands on.
type Deps struct {
	// Blobs keeps the bytes.
	Blobs blob.Store
	Log   *slog.Logger
	// Projects are those whose uploads are swept and whose news are brought; nil for none.
	Projects *project.Directory
	// Sealer opens managed access keys of the S3 protocol; nil where there are none.
	Sealer accesskey.Sealer
}

// Module is object storage's surface.
type Module struct {
	module.Base

	cfg    Config
	blobs  blob.Store
	images *images
	log    *slog.Logger
	// prefix is what comes before the module's own paths in a request's path.
	prefix string

	resumable resumable
	sweeper   sweeper
	outbox    *outbox.Outbox
	keyring   *accesskey.Keyring
}

// New returns the module. cfg must be valid.
func New(cfg Config, deps Deps) *Module {
	return &Module{
		cfg: cfg, blobs: deps.Blobs, images: newImages(cfg.Images, deps), log: deps.Log,
		resumable: newResumable(cfg, deps), outbox: outbox.New(cfg.Outbox, outbox.Deps{Log: deps.Log, Projects: deps.Projects}),
		keyring: accesskey.New(cfg.S3.Key, deps.Projects, deps.Sealer),
	}
}

// Name is "storage".
func (m *Module) Name() string { return "storage" }

// ErrorShape is the storage dialect of errors.
func (m *Module) ErrorShape() apierr.Shape { return m.shape }

// Start looks for the program that writes WebP and AVIF, and begins to sweep and to bring news.
func (m *Module) Start(context.Context) error {
	m.images.findCommand()
	m.startSweeping()
	m.outbox.Start()
	return nil
}

// Stop ends what Start began.
func (m *Module) Stop(ctx context.Context) error {
	m.stopSweeping()
	m.outbox.Stop(ctx)
	return nil
}

// Ready asks the blob store.
func (m *Module) Ready(ctx context.Context) error {
	if err := blob.Check(ctx, m.blobs); err != nil {
		return fmt.Errorf("storage: blob store: %w", err)
	}
	return nil
}
