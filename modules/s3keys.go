package modules

import (
	"context"
	"errors"

	"github.com/madbase/madbase/modules/control"
	"github.com/madbase/madbase/modules/storage/accesskey"
	"github.com/madbase/madbase/platform/project"
)

// s3Keys lets the control plane make access keys of storage's S3 protocol.
type s3Keys struct{ keyring *accesskey.Keyring }

// Create implements control.S3Keys.
func (k s3Keys) Create(ctx context.Context, p *project.Project, description string, claims map[string]any) (control.S3Key, error) {
	key, err := k.keyring.Create(ctx, p, description, claims)
	if errors.Is(err, accesskey.ErrTooMany) {
		return control.S3Key{}, control.ErrTooManyS3Keys
	}
	return s3Key(key), err
}

// List implements control.S3Keys.
func (k s3Keys) List(ctx context.Context, p *project.Project) ([]control.S3Key, error) {
	keys, err := k.keyring.List(ctx, p)
	list := make([]control.S3Key, len(keys))
	for i, key := range keys {
		list[i] = s3Key(key)
	}
	return list, err
}

// Revoke implements control.S3Keys.
func (k s3Keys) Revoke(ctx context.Context, p *project.Project, id string) error {
	if err := k.keyring.Revoke(ctx, p, id); !errors.Is(err, accesskey.ErrNotFound) {
		return err
	}
	return nil
}

func s3Key(k accesskey.Key) control.S3Key {
	return control.S3Key{ID: k.ID, Description: k.Description, AccessKey: k.AccessKey, SecretKey: k.SecretKey, CreatedAt: k.CreatedAt}
}

// sealer encrypts what a project's database keeps secret; nil in a drop-in.
func (f *foundation) sealer() accesskey.Sealer {
	if f.registry == nil {
		return nil
	}
	return f.registry.Sealer()
}
