package modules

import (
	"context"
	"errors"
	"fmt"

	"github.com/madbase/madbase/modules/control"
	"github.com/madbase/madbase/modules/storage/accesskey"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/project"
	"github.com/madbase/madbase/platform/registry"
)

// s3Keys lets the control plane make access keys of storage's S3 protocol, which
// are in the project's own database.
type s3Keys struct {
	f       *foundation
	keyring *accesskey.Keyring
}

func (f *foundation) s3Keys() s3Keys {
	return s3Keys{f, accesskey.New(f.cfg.Storage.S3.Key, f.projects, f.sealer())}
}

// Create implements control.S3Keys.
func (k s3Keys) Create(ctx context.Context, ref, description string, claims map[string]any) (made control.S3Key, err error) {
	err = k.in(ctx, ref, func(p *project.Project) error {
		key, err := k.keyring.Create(ctx, p, description, claims)
		made = s3Key(key)
		return err
	})
	if errors.Is(err, accesskey.ErrTooMany) {
		return made, control.ErrTooManyS3Keys
	}
	return made, err
}

// List implements control.S3Keys.
func (k s3Keys) List(ctx context.Context, ref string) (list []control.S3Key, err error) {
	err = k.in(ctx, ref, func(p *project.Project) error {
		keys, err := k.keyring.List(ctx, p)
		for _, key := range keys {
			list = append(list, s3Key(key))
		}
		return err
	})
	return list, err
}

// Revoke implements control.S3Keys.
func (k s3Keys) Revoke(ctx context.Context, ref, id string) error {
	err := k.in(ctx, ref, func(p *project.Project) error { return k.keyring.Revoke(ctx, p, id) })
	if errors.Is(err, accesskey.ErrNotFound) {
		return nil
	}
	return err
}

// in calls do with the database of a project: of another than the default one by a
// connection of its own, as this process need not serve it.
func (k s3Keys) in(ctx context.Context, ref string, do func(*project.Project) error) error {
	if ref == registry.DefaultRef {
		return do(k.f.projects.Default())
	}
	p, found := k.f.registry.Snapshot().Project(ref)
	if !found {
		return registry.ErrNotFound
	}
	ownerURL, logins, err := k.f.provisioner.Database(p)
	if err != nil {
		return err
	}
	url, err := db.WithLogin(ownerURL, logins.Storage.Role, logins.Storage.Password.Reveal())
	if err != nil {
		return err
	}
	pool, err := db.Open(ctx, db.PoolConfig{URL: url, Name: "madbase-control-" + ref, MaxConns: 1})
	if err != nil {
		return fmt.Errorf("S3 access keys of %s: %w", ref, err)
	}
	defer pool.Close()
	return do(&project.Project{Ref: ref, DB: project.Databases{Storage: pool}})
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
