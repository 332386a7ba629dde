// Package driver opens the blob store that the settings ask for. It is the only
// place that knows which stores there are; it is apart from blob because the
// stores import that.
package driver

import (
	"context"
	"io"
	"log/slog"

	"github.com/madbase/madbase/platform/blob"
	"github.com/madbase/madbase/platform/blob/fs"
	"github.com/madbase/madbase/platform/blob/s3"
)

// Store is what every driver offers. Close releases it once nobody uses it any
// more.
type Store interface {
	blob.Store
	blob.Multipart
	io.Closer
}

// Open returns the S3 store where S3 is configured, else one in the folder of
// STORAGE_FILE_PATH, else one in dir. Faulty settings and a bucket or folder
// that cannot be used are errors.
func Open(ctx context.Context, cfg blob.Config, dir string, log *slog.Logger) (Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Driver() == "s3" {
		s, err := s3.Open(ctx, cfg, log)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	if cfg.FilePath != "" {
		dir = cfg.FilePath
	}
	s, err := fs.Open(dir)
	if err != nil {
		return nil, err
	}
	return s, nil
}
